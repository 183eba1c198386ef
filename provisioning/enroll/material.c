/* SPDX-License-Identifier: GPL-3.0-or-later */
/* material.c - reads back what a folder holds of an enrolment. */
#include "provisioning/enroll/material.h"
#include "daemon/base/secret.h"
#include "provisioning/enroll/passphrase.h"
#include "provisioning/enroll/pem.h"

#include <openssl/x509.h>

static enum err read_cert(const struct folder *f, const char *name, X509 **out)
{
    CLEANUP(buf_clear) struct buf pem = {0};
    enum err e = folder_read(f, name, &pem);

    return e ? e : cert_from_pem(buf_bytes(&pem), out);
}

static enum err read_request(const struct folder *f, struct request *out)
{
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = folder_read(f, FILE_REQUEST, &text);

    return e ? e : request_read(buf_bytes(&text), out);
}

enum err material_read(const struct folder *f, struct material *out)
{
    struct material m = {0};
    enum err e = folder_check(f);

    if (!e && !folder_has(f, FILE_REQUEST))
        e = err_note(ERR_NOT_FOUND, f->path, "holds no enrolment; run begin first");
    if (!e)
        e = read_request(f, &m.request);
    if (!e)
        e = read_cert(f, FILE_ROOT_PEM, &m.root);
    if (!e)
        e = read_cert(f, FILE_CA_PEM, &m.intermediate);
    if (!e && folder_has(f, FILE_USER_PEM))
        e = read_cert(f, FILE_USER_PEM, &m.user);
    if (e)
        material_clear(&m);
    else
        *out = m;
    return e;
}

void material_clear(struct material *m)
{
    request_clear(&m->request);
    X509_free(m->root);
    X509_free(m->intermediate);
    X509_free(m->user);
    *m = (struct material){0};
}

enum err material_key(const struct options *o, EVP_PKEY **key_out, struct secret *passphrase_out)
{
    CLEANUP(buf_wipe) struct buf pem = {0};
    CLEANUP(secret_free) struct secret passphrase = {0};
    enum err e = folder_read(&o->folder, FILE_USER_KEY, &pem);

    if (!e)
        e = o->passphrase_file ? passphrase_read(o->passphrase_file, &passphrase)
                               : passphrase_ask(&passphrase);
    if (!e)
        e = key_from_pem(buf_bytes(&pem), &passphrase, key_out);
    if (!e && passphrase_out) {
        *passphrase_out = passphrase;
        passphrase = (struct secret){0};
    }
    return e;
}
