/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sender.c - sender keys: out of the pool, wrapped once, and from then on used only unwrapped and
 * not extractable.
 *
 * The extractable handle is destroyed whether wrapping went well or not. An unwrapped key is put
 * into the cache and only then its KEK looked for again: a profile destroyed meanwhile leaves no
 * key behind. */
#include "hsm/token/blob.h"
#include "hsm/token/make.h"
#include "hsm/token/name.h"
#include "hsm/token/operate.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define CBC_IV_LEN 16

/* ---- making and wrapping ---- */

static enum err pool_key_make(struct call *c, enum key_type type, struct pool_key *out)
{
    struct make how = {.table = type == KEY_P256 ? &table_pool_ec : &table_pool_rsa, .type = type};

    return make_pair(c, &how, &out->handle, &out->public);
}

static enum err key_take(struct call *c, const char *profile, enum key_type type, bool idle_only,
                         struct pool_key *out)
{
    bool found = false;
    enum err e = pool_take(&c->token->pool, profile, type, idle_only, out, &found);

    return e || found ? e : pool_key_make(c, type, out);
}

/* CBC needs an IV of its own each time; key wrap has none. */
static enum err wrap_mechanism(CK_MECHANISM_TYPE type, uint8_t iv[CBC_IV_LEN], CK_MECHANISM *m)
{
    *m = (CK_MECHANISM){type, NULL, 0};
    if (type != CKM_AES_CBC_PAD)
        return ERR_OK;
    m->pParameter = iv;
    m->ulParameterLen = CBC_IV_LEN;
    return RAND_bytes(iv, CBC_IV_LEN) == 1 ? ERR_OK : err_note_openssl(ERR_IO, "RAND_bytes");
}

static enum err blob_make(struct call *c, CK_OBJECT_HANDLE kek, const struct pool_key *key,
                          const struct blob *about, struct buf *out)
{
    CLEANUP(buf_wipe) struct buf wrapped = {0};
    struct blob blob = *about;
    uint8_t iv[CBC_IV_LEN];
    unsigned char *spki = NULL;
    CK_MECHANISM mechanism;
    enum err e = wrap_mechanism(about->mechanism, iv, &mechanism);
    int spki_len;
    CK_RV rv;

    if (e)
        return e;
    rv = ck_wrap(&c->ck, &mechanism, kek, key->handle, &wrapped);
    if (rv != CKR_OK)
        return call_fail(c, rv);
    spki_len = i2d_PUBKEY(key->public, &spki);
    if (spki_len <= 0)
        return err_note_openssl(ERR_NOMEM, "i2d_PUBKEY");
    blob.spki = (struct bytes){spki, (size_t)spki_len};
    blob.iv = (struct bytes){iv, mechanism.ulParameterLen};
    blob.wrapped = buf_bytes(&wrapped);
    e = blob_write(c, &blob, out);
    OPENSSL_free(spki);
    return e;
}

struct sender_want {
    const char *profile;
    const char *reverse;
    uint32_t kek_generation;
    enum key_type type;
    bool idle_only;
};

static enum err sender_new(struct call *c, const struct sender_want *want, struct buf *blob_out,
                           EVP_PKEY **public_out)
{
    struct blob blob = {.kek_generation = want->kek_generation,
                        .type = want->type,
                        .mechanism = place_wrap_mechanism(c->place)};
    struct pool_key key = {0};
    CK_OBJECT_HANDLE kek;
    key_label label;
    enum err e = name_kek(want->profile, want->kek_generation, label);

    if (!e)
        e = keyring_get(c, label, &table_kek, &kek);
    if (!e)
        e = key_take(c, want->profile, want->type, want->idle_only, &key);
    if (e)
        return e;
    (void)snprintf(blob.profile, sizeof blob.profile, "%s", want->profile);
    (void)snprintf(blob.reverse, sizeof blob.reverse, "%s", want->reverse);
    e = blob_make(c, kek, &key, &blob, blob_out);
    if (ck_destroy(&c->ck, key.handle) != CKR_OK && !e)
        e = err_note(ERR_HSM_AWAY, "C_DestroyObject", "the extractable key stays");
    if (e)
        EVP_PKEY_free(key.public);
    else
        *public_out = key.public;
    return e;
}

enum err token_sender_new(struct token *t, const char *profile, uint32_t kek_generation,
                          enum key_type type, const char *reverse, bool idle_only,
                          struct buf *blob_out, EVP_PKEY **public_out)
{
    struct sender_want want = {profile, reverse, kek_generation, type, idle_only};
    CLEANUP(buf_clear) struct buf blob = {0};
    struct call c;
    enum err e;

    if (strlen(reverse) > HSM_ADDRESS_MAX)
        return err_note(ERR_USAGE, "reverse alias", "too long");
    e = call_begin(t, ROLE_SENDER, &c);
    if (!e)
        e = call_end(&c, sender_new(&c, &want, &blob, public_out));
    if (e)
        return e;
    buf_append(blob_out, blob.data, blob.len);
    if (buf_error(blob_out)) {
        EVP_PKEY_free(*public_out);
        *public_out = NULL;
    }
    return buf_error(blob_out);
}

/* ---- unwrapping ---- */

static enum err key_unwrap(struct call *c, const struct blob *blob, CK_OBJECT_HANDLE kek,
                           CK_OBJECT_HANDLE *out)
{
    bool ec = blob->type == KEY_P256;
    const struct key_table *table = ec ? &table_sender_ec : &table_sender_rsa;
    struct template_more more = {.allowed = ec ? CKM_ECDSA : CKM_RSA_PKCS,
                                 .allowed_2 = ec ? CKM_ECDH1_DERIVE : CKM_RSA_PKCS_OAEP};
    CK_MECHANISM mechanism = {blob->mechanism, NULL, 0};
    const char *wrong = NULL;
    struct template t;
    enum err e = template_make(&t, table, &more, true);
    CK_RV rv;

    if (e)
        return e;
    if (blob->iv.len) {
        mechanism.pParameter = (void *)(uintptr_t)blob->iv.data;
        mechanism.ulParameterLen = blob->iv.len;
    }
    rv = ck_unwrap(&c->ck, &mechanism, kek, blob->wrapped, template_attrs(&t), out);
    if (rv == CKR_OK)
        rv = template_check(&c->ck, *out, table, &wrong);
    if (rv != CKR_OK)
        return call_fail(c, rv);
    if (!wrong)
        return ERR_OK;
    (void)ck_destroy(&c->ck, *out);
    return err_note(ERR_CONFIG, "C_UnwrapKey", "%s is not as a sender key must have it", wrong);
}

static void gone_destroy(struct call *c, struct cache_gone *gone)
{
    for (size_t i = 0; i < gone->n; i++)
        (void)ck_destroy(&c->ck, gone->handles[i]);
    gone->n = 0;
}

static enum err entry_unwrap(struct call *c, const struct blob *blob, const uint8_t *digest,
                             struct cache_entry **out)
{
    struct cache_gone gone = {0};
    CK_OBJECT_HANDLE kek, key = CK_INVALID_HANDLE;
    key_label label;
    enum err e = name_kek(blob->profile, blob->kek_generation, label);

    if (!e)
        e = keyring_get(c, label, &table_kek, &kek);
    if (!e)
        e = key_unwrap(c, blob, kek, &key);
    if (e)
        return e;
    e = cache_put(&c->token->cache, digest, blob->profile, key, out, &gone);
    if (e)
        gone = (struct cache_gone){.handles = {key}, .n = 1};
    else if (!keyring_has(&c->token->keyring, label))
        cache_doom(&c->token->cache, *out);
    gone_destroy(c, &gone);
    return e;
}

/* The blob's key in the token, counted as used. Only bytes that were authentic get into the cache,
 * so the same bytes need no second HMAC. */
static enum err entry_get(struct call *c, const struct hsm_key_ref *key, struct blob *blob,
                          struct cache_entry **out)
{
    uint8_t digest[CACHE_DIGEST_LEN];
    enum err e;

    if (!EVP_Digest(key->blob.data, key->blob.len, digest, NULL, EVP_sha256(), NULL))
        return err_note_openssl(ERR_NOMEM, "EVP_Digest");
    *out = cache_get(&c->token->cache, digest);
    if (!*out) {
        e = blob_read(c, key, blob);
        return e ? e : entry_unwrap(c, blob, digest, out);
    }
    e = blob_parse(key, blob);
    if (e) {
        struct cache_gone gone = {0};

        cache_release(&c->token->cache, *out, &gone);
        gone_destroy(c, &gone);
    }
    return e;
}

static enum err sender_use(struct call *c, const struct hsm_key_ref *key, struct operation *op,
                           struct buf *out)
{
    struct cache_gone gone = {0};
    struct cache_entry *entry = NULL;
    struct blob blob = {0};
    enum err e = entry_get(c, key, &blob, &entry);

    if (e || !entry)
        return e ? e : ERR_BUG;
    op->type = blob.type;
    e = operate(c, entry->handle, op, out);
    cache_release(&c->token->cache, entry, &gone);
    gone_destroy(c, &gone);
    return e;
}

enum err token_sender_use(struct token *t, const struct hsm_key_ref *key,
                          enum hsm_mechanism mechanism, const char *md, const char *mgf1_md,
                          struct bytes input, struct buf *out)
{
    struct operation op = {.mechanism = mechanism, .md = md, .mgf1_md = mgf1_md, .input = input};
    struct call c;
    enum err e = call_begin(t, ROLE_SENDER, &c);

    return e ? e : call_end(&c, sender_use(&c, key, &op, out));
}

/* ---- reading ---- */

static enum err sender_read(struct call *c, const struct hsm_key_ref *key, struct sender_blob *out,
                            EVP_PKEY **public_out)
{
    struct blob blob;
    const unsigned char *p;
    EVP_PKEY *public;
    enum err e = blob_read(c, key, &blob);

    if (e)
        return e;
    *out = (struct sender_blob){.type = blob.type, .kek_generation = blob.kek_generation};
    memcpy(out->profile, blob.profile, sizeof out->profile);
    memcpy(out->reverse, blob.reverse, sizeof out->reverse);
    p = blob.spki.data;
    public = d2i_PUBKEY(NULL, &p, (long)blob.spki.len);
    if (!public ||
        !EVP_Digest(blob.spki.data, blob.spki.len, out->spki_sha256, NULL, EVP_sha256(), NULL)) {
        EVP_PKEY_free(public);
        return err_note_openssl(ERR_NOMEM, "d2i_PUBKEY");
    }
    if (public_out)
        *public_out = public;
    else
        EVP_PKEY_free(public);
    return ERR_OK;
}

enum err token_sender_read(struct token *t, const struct hsm_key_ref *key, struct sender_blob *out,
                           EVP_PKEY **public_out)
{
    struct call c;
    enum err e = call_begin(t, ROLE_SENDER, &c);

    return e ? e : call_end(&c, sender_read(&c, key, out, public_out));
}

/* ---- the pool ---- */

enum err token_pool_fill(struct token *t, bool *more_out)
{
    struct pool_key key = {0};
    enum key_type type;
    struct call c;
    enum err e = ERR_OK;

    *more_out = pool_reserve(&t->pool, &type);
    if (!*more_out)
        return ERR_OK;
    e = call_begin(t, ROLE_SENDER, &c);
    if (!e) {
        e = pool_key_make(&c, type, &key);
        /* Under the gate: after it the token might die and the handle with it. */
        pool_put(&t->pool, type, e ? NULL : &key);
        return call_end(&c, e);
    }
    pool_put(&t->pool, type, NULL);
    return e;
}

void token_pool_types(struct token *t, bool rsa_2048, bool rsa_3072, bool p256)
{
    const bool wanted[POOL_KINDS] = {
        [KEY_RSA_2048] = rsa_2048, [KEY_RSA_3072] = rsa_3072, [KEY_P256] = p256};

    pool_want(&t->pool, wanted);
}
