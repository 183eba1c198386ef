/* SPDX-License-Identifier: GPL-3.0-or-later */
/* begin.c - the first command: from the relay's request to everything the root signs.
 *
 * enrolment.json is written last: once it exists, everything else is safely on disk. */
#include "daemon/base/codec.h"
#include "daemon/base/fdio.h"
#include "daemon/base/secret.h"
#include "provisioning/enroll/commands.h"
#include "provisioning/enroll/keys.h"
#include "provisioning/enroll/passphrase.h"
#include "provisioning/enroll/pem.h"
#include "provisioning/enroll/root.h"
#include "provisioning/enroll/transcript.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static const char *const written[] = {FILE_REQUEST,  FILE_USER_KEY,    FILE_ROOT_PEM,
                                      FILE_ROOT_DER, FILE_ROOT_CRL,    FILE_CA_PEM,
                                      FILE_CA_DER,   FILE_KILL_SWITCH, FILE_ENROLMENT};
#define N_WRITTEN (sizeof written / sizeof *written)

/* Everything begin holds between its steps. */
struct begin {
    struct buf request_text;
    struct request request;
    EVP_PKEY *ca_key; /* public */
    EVP_PKEY *user_key;
    struct buf user_csr;
    struct secret passphrase;
    struct root_enrolment made;
};

static void begin_clear(struct begin *b)
{
    buf_clear(&b->request_text);
    request_clear(&b->request);
    key_free(&b->ca_key);
    key_free(&b->user_key);
    buf_clear(&b->user_csr);
    secret_free(&b->passphrase);
    root_enrolment_clear(&b->made);
}

static enum err confirm(const struct options *o, const struct request *r)
{
    CLEANUP(buf_clear) struct buf text = {0};
    char answer[16];

    transcript_names(&text, r);
    (void)printf("The relay asks for an enrolment with these names:\n\n%s"
                 "  %-18s %s\n  %-18s %s\n"
                 "  %-18s CA %s, yours %s\n"
                 "  %-18s root %" PRId64 " days, intermediate %" PRId64 ", yours %" PRId64 "\n\n",
                 buf_str(&text), "root", r->root_name, "intermediate", r->intermediate_name, "keys",
                 r->ca_key_type, r->user_key_type, "validity", r->root_days, r->intermediate_days,
                 r->user_days);
    if (o->yes)
        return ERR_OK;
    (void)printf("Certificates under your root can only ever name these domains and addresses.\n"
                 "An address added later needs a new root.\nGo on? Type yes: ");
    (void)fflush(stdout);
    if (fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0)
        return ERR_OK;
    return err_note(ERR_REFUSED, "begin", "not confirmed; nothing was made");
}

static enum err read_request(const char *path, struct begin *b)
{
    enum err e = file_read(path, REQUEST_FILE_MAX_BYTES, &b->request_text);

    if (!e)
        e = request_read(buf_bytes(&b->request_text), &b->request);
    return e ? e : request_csr_key(&b->request, &b->ca_key);
}

static enum err make_user_key(const struct options *o, struct begin *b)
{
    struct cert_values values = request_values(&b->request);
    enum err e = o->passphrase_file ? passphrase_read(o->passphrase_file, &b->passphrase)
                                    : passphrase_new(&b->passphrase);

    if (!e)
        e = key_new(b->request.user_key_type, &b->user_key);
    return e ? e : csr_new(b->user_key, values.addresses, values.n_addresses, &b->user_csr);
}

static enum err write_key(const struct options *o, const struct begin *b)
{
    CLEANUP(buf_wipe) struct buf pem = {0};
    CLEANUP(key_free) EVP_PKEY *again = NULL;
    CLEANUP(buf_wipe) struct buf back = {0};
    enum err e = key_to_pem(b->user_key, &b->passphrase, &pem);

    if (!e)
        e = folder_write(&o->folder, FILE_USER_KEY, buf_bytes(&pem));
    if (!e)
        e = folder_read(&o->folder, FILE_USER_KEY, &back);
    if (!e)
        e = key_from_pem(buf_bytes(&back), &b->passphrase, &again);
    if (!e && EVP_PKEY_eq(again, b->user_key) != 1)
        e = err_note(ERR_TAMPERED, FILE_USER_KEY, "reads back as another key");
    return e;
}

/* Encode one thing by one function and write it. */
#define WRITE_AS(encode, thing, name)                                                              \
    do {                                                                                           \
        buf_reset(&data);                                                                          \
        if (!e)                                                                                    \
            e = encode(thing, &data);                                                              \
        if (!e)                                                                                    \
            e = folder_write(f, name, buf_bytes(&data));                                           \
    } while (0)

static enum err write_public(const struct folder *f, const struct begin *b)
{
    CLEANUP(buf_clear) struct buf data = {0};
    enum err e = folder_write(f, FILE_REQUEST, buf_bytes(&b->request_text));

    WRITE_AS(cert_to_pem, b->made.root, FILE_ROOT_PEM);
    WRITE_AS(cert_to_der, b->made.root, FILE_ROOT_DER);
    WRITE_AS(crl_to_der, b->made.crl, FILE_ROOT_CRL);
    WRITE_AS(cert_to_pem, b->made.intermediate, FILE_CA_PEM);
    WRITE_AS(cert_to_der, b->made.intermediate, FILE_CA_DER);
    WRITE_AS(crl_to_der, b->made.kill_switch, FILE_KILL_SWITCH);
    return e;
}

static enum err write_transcript(const struct options *o, const struct begin *b)
{
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e;

    transcript_head(&text, o->now_s, "begin");
    transcript_names(&text, &b->request);
    e = transcript_cert(&text, "root", b->made.root);
    if (!e)
        e = transcript_cert(&text, "intermediate", b->made.intermediate);
    buf_append_str(&text,
                   "  signed by the root, whose key was wiped then: itself, the intermediate, "
                   "an empty CRL,\n  a CRL that revokes the intermediate, this statement:\n");
    for (const char *line = buf_str(&b->made.statement); *line;) {
        size_t len = strcspn(line, "\n");

        buf_printf(&text, "    %.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
    return e ? e : folder_append(&o->folder, FILE_TRANSCRIPT, buf_bytes(&text));
}

static enum err write_enrolment(const struct folder *f, const struct begin *b)
{
    CLEANUP(buf_clear) struct buf root = {0};
    CLEANUP(buf_clear) struct buf intermediate = {0};
    CLEANUP(buf_clear) struct buf crl = {0};
    CLEANUP(buf_clear) struct buf signature = {0};
    CLEANUP(buf_clear) struct buf json = {0};
    enum err e = cert_to_pem(b->made.root, &root);

    if (!e)
        e = cert_to_pem(b->made.intermediate, &intermediate);
    if (!e)
        e = crl_to_pem(b->made.crl, &crl);
    if (e)
        return e;
    base64_append(&signature, buf_bytes(&b->made.signature));
    buf_append_str(&json, "{");
    json_add_string(&json, "format", bytes_of("sealrelay-enrolment 1"));
    json_add_string(&json, "profile", bytes_of(b->request.profile));
    json_add_string(&json, "root", buf_bytes(&root));
    json_add_string(&json, "intermediate", buf_bytes(&intermediate));
    json_add_string(&json, "crl", buf_bytes(&crl));
    json_add_string(&json, "statement", buf_bytes(&signature));
    json_add_string(&json, "user_csr", buf_bytes(&b->user_csr));
    buf_append_str(&json, "\n}\n");
    e = buf_error(&json) ? ERR_NOMEM : buf_error(&signature);
    return e ? e : folder_write(f, FILE_ENROLMENT, buf_bytes(&json));
}

static void tell(const struct options *o, const struct begin *b)
{
    const char *dir = o->folder.path;

    if (!o->passphrase_file)
        (void)printf("Passphrase of your key, shown this once; write it down now:\n\n    %s\n\n",
                     (const char *)b->passphrase.data);
    (void)printf("The root key is gone. Made in %s:\n"
                 "  " FILE_ENROLMENT "   hand this to the relay\n"
                 "  " FILE_USER_KEY "     your key, encrypted; keep it\n"
                 "  " FILE_KILL_SWITCH "  revokes the intermediate; keep it to yourself\n"
                 "  " FILE_TRANSCRIPT "   what was made\n"
                 "Install the root only after the relay has accepted this. Next, with its answer:\n"
                 "  sealrelay-enroll finish %s CERTIFICATE.json\n",
                 dir, dir);
}

enum err command_begin(const struct options *o, const char *request_path)
{
    CLEANUP(begin_clear) struct begin b = {0};
    const struct folder *f = &o->folder;
    enum err e = read_request(request_path, &b);

    if (!e)
        e = confirm(o, &b.request);
    if (!e)
        e = folder_make(f);
    if (!e)
        e = folder_expect_free(f, written, N_WRITTEN);
    if (!e)
        e = make_user_key(o, &b);
    if (!e)
        e = root_enrolment_make(&b.request, b.ca_key, b.user_key, o->now_s, &b.made);
    if (!e)
        e = write_key(o, &b);
    if (!e)
        e = write_public(f, &b);
    if (!e)
        e = write_transcript(o, &b);
    if (!e)
        e = write_enrolment(f, &b);
    if (!e)
        tell(o, &b);
    return e;
}
