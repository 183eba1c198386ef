/* SPDX-License-Identifier: GPL-3.0-or-later */
/* finish.c - the second command: the relay's certificate, checked, and what devices import. */
#include "daemon/base/fdio.h"
#include "daemon/base/secret.h"
#include "provisioning/enroll/bundle.h"
#include "provisioning/enroll/keys.h"
#include "provisioning/enroll/pem.h"
#include "provisioning/enroll/transcript.h"

#include <stdio.h>
#include <string.h>

#define CERTIFICATE_FORMAT "sealrelay-certificate 1"

static const char *const written[] = {FILE_USER_PEM, FILE_USER_DER, FILE_P12_MODERN,
                                      FILE_P12_COMPAT, FILE_P12_IDENTITY};
#define N_WRITTEN (sizeof written / sizeof *written)

/* The relay's answer. */
struct answer {
    char *format;
    char *profile;
    char *certificate;
};

static const struct json_key answer_fields[] = {
    {"format", offsetof(struct answer, format), JSON_STRING, true},
    {"profile", offsetof(struct answer, profile), JSON_STRING, true},
    {"certificate", offsetof(struct answer, certificate), JSON_STRING, true},
};
#define N_ANSWER_FIELDS (sizeof answer_fields / sizeof *answer_fields)

static void answer_clear(struct answer *a)
{
    json_clear(answer_fields, N_ANSWER_FIELDS, a);
}

static enum err read_answer(const char *path, const char *profile, X509 **cert_out)
{
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(answer_clear) struct answer a = {0};
    enum err e = file_read(path, REQUEST_FILE_MAX_BYTES, &text);

    if (!e)
        e = json_read(buf_bytes(&text), answer_fields, N_ANSWER_FIELDS, &a);
    if (e)
        return e;
    if (strcmp(a.format, CERTIFICATE_FORMAT) != 0)
        return err_note(ERR_FORMAT, path, "not a \"" CERTIFICATE_FORMAT "\" file");
    if (strcmp(a.profile, profile) != 0)
        return err_note(ERR_REFUSED, path, "is for another profile than this folder");
    return cert_from_pem(bytes_of(a.certificate), cert_out);
}

static enum err write_bundle(const struct folder *f, const char *name, const struct bundle *b,
                             enum bundle_flavour flavour, const struct secret *passphrase)
{
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf back = {0};
    enum err e = bundle_make(b, flavour, passphrase, &der);

    if (!e)
        e = folder_write(f, name, buf_bytes(&der));
    if (!e)
        e = folder_read(f, name, &back);
    return e ? e : bundle_check(b, passphrase, buf_bytes(&back));
}

static enum err write_bundles(const struct options *o, const struct material *m, EVP_PKEY *key,
                              X509 *cert, const struct secret *passphrase)
{
    struct bundle b = {key, cert, {m->intermediate, m->root}, m->request.addresses.items[0]};
    enum err e = write_bundle(&o->folder, FILE_P12_MODERN, &b, BUNDLE_MODERN, passphrase);

    if (!e)
        e = write_bundle(&o->folder, FILE_P12_COMPAT, &b, BUNDLE_COMPATIBLE, passphrase);
    /* A configuration profile may hold one certificate only, and old devices read the old form. */
    b.chain[0] = b.chain[1] = NULL;
    return e ? e : write_bundle(&o->folder, FILE_P12_IDENTITY, &b, BUNDLE_COMPATIBLE, passphrase);
}

static enum err write_certificate(const struct options *o, const X509 *cert)
{
    CLEANUP(buf_clear) struct buf pem = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = cert_to_pem(cert, &pem);

    if (!e)
        e = cert_to_der(cert, &der);
    if (!e)
        e = folder_write(&o->folder, FILE_USER_DER, buf_bytes(&der));
    if (!e)
        e = folder_write(&o->folder, FILE_USER_PEM, buf_bytes(&pem));
    transcript_head(&text, o->now_s, "finish");
    if (!e)
        e = transcript_cert(&text, "your certificate", cert);
    return e ? e : folder_append(&o->folder, FILE_TRANSCRIPT, buf_bytes(&text));
}

static void tell(const struct options *o)
{
    (void)printf(
        "The certificate is good. In %s:\n"
        "  " FILE_P12_MODERN "      Thunderbird, Windows, macOS 15, iOS 18 and newer\n"
        "  " FILE_P12_COMPAT "  older Apple systems, KMail, Kleopatra, older Android\n"
        "  " FILE_P12_IDENTITY "        without the chain, for a configuration profile\n"
        "  " FILE_USER_DER ", " FILE_CA_DER ", " FILE_ROOT_DER "   one certificate each\n"
        "Install your identity, then the root, then the intermediate. Trust the root for mail\n"
        "alone where the system can. Then activate with the code that comes to your mailbox.\n",
        o->folder.path);
}

enum err command_finish(const struct options *o, const char *certificate_path)
{
    CLEANUP(material_clear) struct material m = {0};
    CLEANUP(key_free) EVP_PKEY *key = NULL;
    CLEANUP(secret_free) struct secret passphrase = {0};
    CLEANUP(cert_free) X509 *cert = NULL;
    enum err e = material_read(&o->folder, &m);

    if (!e)
        e = read_answer(certificate_path, m.request.profile, &cert);
    if (!e)
        e = folder_expect_free(&o->folder, written, N_WRITTEN);
    if (!e)
        e = material_key(o, &key, &passphrase);
    if (!e)
        e = certificate_check(&m, key, cert, o->now_s);
    if (!e)
        e = write_bundles(o, &m, key, cert, &passphrase);
    if (!e)
        e = write_certificate(o, cert);
    if (!e)
        tell(o);
    return e;
}
