/* SPDX-License-Identifier: GPL-3.0-or-later */
/* user_request.c - the third command: what only an enrolled key may ask of the key service.
 *
 * The request is one line in a CMS SignedData; the relay's nonce in it makes it good once. */
#include "daemon/base/codec.h"
#include "daemon/base/fdio.h"
#include "daemon/base/secret.h"
#include "provisioning/enroll/keys.h"
#include "provisioning/enroll/passphrase.h"
#include "provisioning/enroll/pem.h"
#include "provisioning/enroll/transcript.h"

#include <openssl/cms.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NONCE_MAX 64

static const char *const copied[] = {FILE_REQUEST, FILE_ROOT_PEM, FILE_ROOT_DER, FILE_CA_PEM,
                                     FILE_CA_DER};
#define N_COPIED (sizeof copied / sizeof *copied)

enum verb { VERB_ADD_KEY, VERB_WITHDRAW_KEY, VERB_DEACTIVATE, VERB_DELETE, N_VERBS };
static const char *const verb_names[N_VERBS] = {"add-key", "withdraw-key", "deactivate", "delete"};

static enum err verb_parse(const char *name, enum verb *out)
{
    for (int v = 0; v < N_VERBS; v++) {
        if (strcmp(name, verb_names[v]) == 0) {
            *out = (enum verb)v;
            return ERR_OK;
        }
    }
    return err_note(ERR_USAGE, "request", "add-key, withdraw-key, deactivate or delete expected");
}

static bool is_word_of(const char *s, const char *digits, size_t least, size_t most)
{
    size_t len = strlen(s);

    return len >= least && len <= most && strspn(s, digits) == len;
}

static bool is_nonce(const char *s)
{
    return is_word_of(s, "abcdefghijklmnopqrstuvwxyz0123456789", 16, NONCE_MAX);
}

/* A new user key, and a folder in which its certificate can be finished. */
static enum err make_new_key(const struct options *o, const struct material *m, struct buf *csr,
                             char spki[CERT_SPKI_HEX_LEN + 1])
{
    CLEANUP(key_free) EVP_PKEY *key = NULL;
    CLEANUP(secret_free) struct secret passphrase = {0};
    CLEANUP(buf_wipe) struct buf pem = {0};
    struct cert_values values = request_values(&m->request);
    struct folder to = {o->new_dir, o->folder.force};
    enum err e = folder_make(&to);

    if (!e)
        e = o->new_passphrase_file ? passphrase_read(o->new_passphrase_file, &passphrase)
                                   : passphrase_new(&passphrase);
    if (!e)
        e = key_new(m->request.user_key_type, &key);
    if (!e)
        e = csr_new(key, values.addresses, values.n_addresses, csr);
    if (!e)
        e = cert_spki_hash(key, spki);
    if (!e)
        e = key_to_pem(key, &passphrase, &pem);
    if (!e)
        e = folder_write(&to, FILE_USER_KEY, buf_bytes(&pem));
    for (size_t i = 0; !e && i < N_COPIED; i++) {
        CLEANUP(buf_clear) struct buf data = {0};

        e = folder_read(&o->folder, copied[i], &data);
        if (!e)
            e = folder_write(&to, copied[i], buf_bytes(&data));
    }
    if (!e && !o->new_passphrase_file)
        (void)printf("Passphrase of the new key, shown this once; write it down now:\n\n"
                     "    %s\n\n",
                     (const char *)passphrase.data);
    return e;
}

/* The key to withdraw: by its hash, or by its certificate. */
static enum err named_key(const char *key, char spki[CERT_SPKI_HEX_LEN + 1])
{
    CLEANUP(buf_clear) struct buf pem = {0};
    CLEANUP(cert_free) X509 *cert = NULL;
    enum err e;

    if (is_word_of(key, "0123456789abcdef", CERT_SPKI_HEX_LEN, CERT_SPKI_HEX_LEN)) {
        memcpy(spki, key, CERT_SPKI_HEX_LEN + 1);
        return ERR_OK;
    }
    e = file_read(key, FOLDER_FILE_MAX_BYTES, &pem);
    if (!e)
        e = cert_from_pem(buf_bytes(&pem), &cert);
    return e ? e : cert_spki_hash(X509_get0_pubkey(cert), spki);
}

static enum err check_options(const struct options *o, enum verb verb, const char *nonce)
{
    if (!is_nonce(nonce))
        return err_note(ERR_USAGE, "nonce", "not one; ask the relay for it");
    if ((verb == VERB_ADD_KEY) != (o->new_dir != NULL))
        return err_note(ERR_USAGE, "--new-dir", "goes with add-key, which needs it");
    if ((verb == VERB_WITHDRAW_KEY) != (o->key != NULL))
        return err_note(ERR_USAGE, "--key", "goes with withdraw-key, which needs it");
    return ERR_OK;
}

static enum err sign_line(struct bytes line, const struct material *m, EVP_PKEY *key,
                          struct buf *base64)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(line.data, (int)line.len);
    CMS_ContentInfo *cms = bio && chain && sk_X509_push(chain, m->intermediate) > 0
                               ? CMS_sign(m->user, key, chain, bio, CMS_BINARY | CMS_NOSMIMECAP)
                               : NULL;
    uint8_t *der = NULL;
    int len = cms ? i2d_CMS_ContentInfo(cms, &der) : 0;

    if (len > 0)
        base64_append(base64, (struct bytes){der, (size_t)len});
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    BIO_free(bio);
    sk_X509_free(chain);
    return len > 0 ? buf_error(base64) : err_note_openssl(ERR_NOMEM, "signature");
}

static enum err write_request(const struct options *o, const char *profile, enum verb verb,
                              const struct buf *cms, const struct buf *csr, const char *out)
{
    CLEANUP(buf_clear) struct buf json = {0};

    buf_append_str(&json, "{");
    json_add_string(&json, "format", bytes_of("sealrelay-user-request 1"));
    json_add_string(&json, "profile", bytes_of(profile));
    json_add_string(&json, "verb", bytes_of(verb_names[verb]));
    json_add_string(&json, "cms", buf_bytes(cms));
    if (csr->len)
        json_add_string(&json, "csr", buf_bytes(csr));
    buf_append_str(&json, "\n}\n");
    if (!o->folder.force && access(out, F_OK) == 0)
        return err_note(ERR_EXISTS, out, "is there already; --force replaces it");
    return buf_error(&json) ? ERR_NOMEM : file_write_durable(out, buf_bytes(&json), 0600);
}

static enum err note_in_transcript(const struct options *o, enum verb verb, const char *spki)
{
    CLEANUP(buf_clear) struct buf text = {0};

    transcript_head(&text, o->now_s, "request");
    buf_printf(&text, "  %-18s %s\n", verb_names[verb], spki);
    return folder_append(&o->folder, FILE_TRANSCRIPT, buf_bytes(&text));
}

enum err command_request(const struct options *o, const char *verb_name, const char *nonce,
                         const char *out)
{
    CLEANUP(material_clear) struct material m = {0};
    CLEANUP(key_free) EVP_PKEY *key = NULL;
    CLEANUP(buf_clear) struct buf line = {0};
    CLEANUP(buf_clear) struct buf cms = {0};
    CLEANUP(buf_clear) struct buf csr = {0};
    char spki[CERT_SPKI_HEX_LEN + 1] = "-";
    enum verb verb = (enum verb)0;
    enum err e = verb_parse(verb_name, &verb);

    if (!e)
        e = check_options(o, verb, nonce);
    if (!e)
        e = material_read(&o->folder, &m);
    if (!e && !m.user)
        e = err_note(ERR_WRONG_STATE, o->folder.path, "holds no certificate yet; run finish first");
    if (!e)
        e = material_key(o, &key, NULL);
    if (!e && verb == VERB_ADD_KEY)
        e = make_new_key(o, &m, &csr, spki);
    if (!e && verb == VERB_WITHDRAW_KEY)
        e = named_key(o->key, spki);
    if (e)
        return e;
    buf_printf(&line, "sealrelay: %s %s %s %s\n", verb_name, m.request.profile, spki, nonce);
    e = sign_line(buf_bytes(&line), &m, key, &cms);
    if (!e)
        e = write_request(o, m.request.profile, verb, &cms, &csr, out);
    if (!e)
        e = note_in_transcript(o, verb, spki);
    if (!e)
        (void)printf("Made %s; hand it to the relay. It is good once.\n", out);
    return e;
}
