/* SPDX-License-Identifier: GPL-3.0-or-later */
/* service.c - the service keys that are not about data: record (HMAC) and journal (signature), and
 * the making of all service keys. */
#include "hsm/token/service.h"
#include "daemon/base/clock.h"
#include "hsm/token/make.h"
#include "hsm/token/name.h"
#include "hsm/token/operate.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum err record_hmac(struct call *c, const char *label, struct bytes data, uint8_t out[HMAC_LEN])
{
    CK_MECHANISM mechanism = {CKM_SHA256_HMAC, NULL, 0};
    CLEANUP(buf_wipe) struct buf input = {0};
    CLEANUP(buf_clear) struct buf mac = {0};
    CK_OBJECT_HANDLE key;
    enum err e = keyring_get(c, NAME_RECORD, &table_record, &key);
    CK_RV rv;

    if (e)
        return e;
    buf_append(&input, label, strlen(label) + 1);
    buf_append_bytes(&input, data);
    e = buf_error(&input);
    if (e)
        return e;
    rv = ck_sign(&c->ck, &mechanism, key, buf_bytes(&input), &mac);
    if (rv != CKR_OK)
        return call_fail(c, rv);
    if (mac.len != HMAC_LEN)
        return err_note(ERR_HSM_AWAY, "C_Sign", "an HMAC of %zu bytes", mac.len);
    memcpy(out, mac.data, HMAC_LEN);
    return ERR_OK;
}

enum err record_check(struct call *c, const char *label, struct bytes data,
                      const uint8_t mac[HMAC_LEN])
{
    uint8_t good[HMAC_LEN];
    enum err e = record_hmac(c, label, data, good);

    if (!e && CRYPTO_memcmp(good, mac, HMAC_LEN) != 0)
        e = err_note(ERR_TAMPERED, label, "HMAC differs");
    return e;
}

enum err token_hmac(struct token *t, const char *label, struct bytes data, uint8_t out[32])
{
    struct call c;
    enum err e = call_begin(t, ROLE_SENDER, &c);

    return e ? e : call_end(&c, record_hmac(&c, label, data, out));
}

/* ---- journal ---- */

/* The journal key is EC where the token can; its own object says which it is. */
static enum err journal_find(struct call *c, CK_OBJECT_HANDLE *out, enum key_type *type_out)
{
    bool ec = place_can_ec(c->place);

    *type_out = ec ? KEY_P256 : KEY_RSA_3072;
    return keyring_get(c, NAME_JOURNAL, ec ? &table_journal_ec : &table_journal_rsa, out);
}

static enum err journal_sign(struct call *c, struct bytes data, struct buf *out)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    struct operation op = {.md = "SHA256", .input = {digest, sizeof digest}};
    CK_OBJECT_HANDLE key;
    enum err e = journal_find(c, &key, &op.type);

    if (e)
        return e;
    if (!EVP_Digest(data.data, data.len, digest, NULL, EVP_sha256(), NULL))
        return err_note_openssl(ERR_NOMEM, "EVP_Digest");
    op.mechanism = op.type == KEY_P256 ? HSM_SIGN_ECDSA : HSM_SIGN_PKCS1;
    return operate(c, key, &op, out);
}

enum err token_journal_sign(struct token *t, struct bytes data, struct buf *out)
{
    struct call c;
    enum err e = call_begin(t, ROLE_SENDER, &c);

    return e ? e : call_end(&c, journal_sign(&c, data, out));
}

enum err token_journal_public(struct token *t, EVP_PKEY **out)
{
    struct call c;
    enum err e = call_begin(t, ROLE_SENDER, &c);

    return e ? e : call_end(&c, public_find(&c, NAME_JOURNAL, out));
}

/* ---- making them ---- */

static enum err secret_init(struct call *c, const struct make *how)
{
    CK_OBJECT_HANDLE made;
    enum err e;

    if (keyring_has(&c->token->keyring, how->label))
        return ERR_OK;
    e = make_secret(c, how, &made);
    return e ? e : keyring_add(&c->token->keyring, how->label, made);
}

static enum err data_init(struct call *c, const char *prefix, int64_t now_s)
{
    struct make how = {.table = &table_data, .allowed = place_data_mechanism(c->place)};
    key_label *labels;
    key_label label;
    size_t n;
    enum err e = keyring_labels(&c->token->keyring, prefix, &labels, &n);

    if (e)
        return e;
    free(labels);
    if (n)
        return ERR_OK;
    name_data(prefix, 1, now_s, label);
    how.label = label;
    return secret_init(c, &how);
}

static enum err journal_init(struct call *c)
{
    bool ec = place_can_ec(c->place);
    struct make how = {.table = ec ? &table_journal_ec : &table_journal_rsa,
                       .label = NAME_JOURNAL,
                       .type = ec ? KEY_P256 : KEY_RSA_3072,
                       .allowed = ec ? CKM_ECDSA : CKM_RSA_PKCS};
    CLEANUP(pkey_free) EVP_PKEY *public = NULL;
    CK_OBJECT_HANDLE made;
    enum err e;

    if (keyring_has(&c->token->keyring, NAME_JOURNAL))
        return ERR_OK;
    e = make_pair(c, &how, &made, &public);
    return e ? e : keyring_add(&c->token->keyring, NAME_JOURNAL, made);
}

static enum err init_all(struct call *c, int64_t now_s)
{
    const struct make record = {
        .table = &table_record, .label = NAME_RECORD, .allowed = CKM_SHA256_HMAC};
    enum err e;

    if (!place_can(c->place, CKM_SHA256_HMAC, CKF_SIGN))
        return err_note(ERR_CONFIG, "token", "has no HMAC-SHA-256, which the record key needs");
    if (!place_data_mechanism(c->place))
        return err_note(ERR_CONFIG, "token", "has neither AES-GCM nor AES-CBC with padding");
    if (!place_wrap_mechanism(c->place))
        return err_note(ERR_CONFIG, "token", "can wrap by no AES mechanism we know");
    e = secret_init(c, &record);
    if (!e)
        e = journal_init(c);
    if (!e)
        e = data_init(c, NAME_SPOOL, now_s);
    return e ? e : data_init(c, NAME_STORE, now_s);
}

enum err token_init(struct token *t)
{
    struct call c;
    enum err e = call_begin(t, ROLE_SENDER, &c);

    return e ? e : call_end(&c, init_all(&c, clock_now_s()));
}
