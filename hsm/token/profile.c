/* SPDX-License-Identifier: GPL-3.0-or-later */
/* profile.c - one profile's CA key and KEKs: made, used to sign, destroyed.
 *
 * The CA key signs digests of exactly the kind the issuer makes; everything else is refused before
 * the token is asked. */
#include "hsm/token/make.h"
#include "hsm/token/name.h"
#include "hsm/token/operate.h"

#include <openssl/evp.h>
#include <stdlib.h>

static const struct key_table *ca_table(enum key_type type)
{
    return type == KEY_P384 ? &table_ca_ec : &table_ca_rsa;
}

/* ---- CA key ---- */

/* A whole pair that is there already is handed out again. */
static enum err ca_existing(struct call *c, const char *label, enum key_type type, EVP_PKEY **out)
{
    CLEANUP(pkey_free) EVP_PKEY *public = NULL;
    enum key_type found;
    CK_OBJECT_HANDLE key;
    enum err e = public_find(c, label, &public);

    if (!e)
        e = pkey_type(public, &found);
    if (e)
        return e;
    if (found != type)
        return err_note(ERR_EXISTS, "token", "%s is of another type", label);
    e = keyring_get(c, label, ca_table(type), &key);
    if (e)
        return e;
    *out = public;
    public = NULL;
    return ERR_OK;
}

static enum err ca_new(struct call *c, const char *label, enum key_type type, EVP_PKEY **out)
{
    struct make how = {.table = ca_table(type),
                       .label = label,
                       .type = type,
                       .allowed = type == KEY_P384 ? CKM_ECDSA : CKM_RSA_PKCS};
    CLEANUP(pkey_free) EVP_PKEY *public = NULL;
    CK_OBJECT_HANDLE made;
    enum err e;

    if (keyring_has(&c->token->keyring, label))
        return ca_existing(c, label, type, out);
    e = make_pair(c, &how, &made, &public);
    if (!e)
        e = keyring_add(&c->token->keyring, label, made);
    if (e)
        return e;
    *out = public;
    public = NULL;
    return ERR_OK;
}

enum err token_ca_new(struct token *t, const char *profile, enum key_type type,
                      EVP_PKEY **public_out)
{
    key_label label;
    struct call c;
    enum err e = name_ca(profile, label);

    if (!e && type != KEY_P384 && type != KEY_RSA_3072)
        e = err_note(ERR_REFUSED, "CA key", "neither P-384 nor RSA-3072");
    if (!e)
        e = call_begin(t, ROLE_CA, &c);
    return e ? e : call_end(&c, ca_new(&c, label, type, public_out));
}

static enum err ca_sign(struct call *c, const char *label, struct operation *op, struct buf *out)
{
    CK_OBJECT_HANDLE key;
    enum err e;

    op->mechanism = op->type == KEY_P384 ? HSM_SIGN_ECDSA : HSM_SIGN_PKCS1;
    e = keyring_get(c, label, ca_table(op->type), &key);
    return e ? e : operate(c, key, op, out);
}

enum err token_ca_sign(struct token *t, const char *profile, const EVP_MD *md, struct bytes digest,
                       struct buf *out)
{
    struct operation op = {.input = digest};
    key_label label;
    struct call c;
    enum err e = name_ca(profile, label);

    if (e)
        return e;
    if (EVP_MD_is_a(md, "SHA384") && digest.len == 48) {
        op.type = KEY_P384;
        op.md = "SHA384";
    } else if (EVP_MD_is_a(md, "SHA256") && digest.len == 32) {
        op.type = KEY_RSA_3072;
        op.md = "SHA256";
    } else {
        return err_note(ERR_REFUSED, "CA key", "signs SHA-384 by P-384 and SHA-256 by RSA only");
    }
    e = call_begin(t, ROLE_CA, &c);
    return e ? e : call_end(&c, ca_sign(&c, label, &op, out));
}

/* ---- KEK ---- */

static enum err kek_new(struct call *c, const char *label)
{
    struct make how = {
        .table = &table_kek, .label = label, .allowed = place_wrap_mechanism(c->place)};
    CK_OBJECT_HANDLE made;
    enum err e;

    if (!how.allowed)
        return err_note(ERR_CONFIG, "token", "can wrap by no AES mechanism we know");
    if (keyring_has(&c->token->keyring, label))
        return keyring_get(c, label, &table_kek, &made);
    e = make_secret(c, &how, &made);
    return e ? e : keyring_add(&c->token->keyring, label, made);
}

enum err token_kek_new(struct token *t, const char *profile, uint32_t generation)
{
    key_label label;
    struct call c;
    enum err e = name_kek(profile, generation, label);

    if (!e)
        e = call_begin(t, ROLE_SENDER, &c);
    return e ? e : call_end(&c, kek_new(&c, label));
}

/* ---- destruction ---- */

/* Unwrapped keys of the profile; one in use goes with its last use. */
static void cached_destroy(struct call *c, const char *profile)
{
    struct cache_gone gone = {0};

    while (cache_drop_one(&c->token->cache, profile, &gone)) {
        for (size_t i = 0; i < gone.n; i++)
            (void)ck_destroy(&c->ck, gone.handles[i]);
        gone.n = 0;
    }
}

static enum err kek_destroy(struct call *c, const char *profile, const char *label)
{
    enum err e = keyring_destroy_keys(c, label);

    cached_destroy(c, profile);
    return e;
}

enum err token_kek_destroy(struct token *t, const char *profile, uint32_t generation)
{
    key_label label;
    struct call c;
    enum err e = name_kek(profile, generation, label);

    if (!e)
        e = call_begin(t, ROLE_SENDER, &c);
    return e ? e : call_end(&c, kek_destroy(&c, profile, label));
}

/* KEKs first: they are what an attacker with old blobs would want. */
static enum err keks_destroy(struct call *c, const char *profile)
{
    key_label prefix;
    key_label *labels;
    size_t n;
    enum err e = name_kek_prefix(profile, prefix);

    if (!e)
        e = keyring_labels(&c->token->keyring, prefix, &labels, &n);
    if (e)
        return e;
    for (size_t i = 0; i < n && !e; i++)
        e = keyring_destroy_keys(c, labels[i]);
    free(labels);
    cached_destroy(c, profile);
    return e;
}

enum err token_profile_destroy(struct token *t, const char *profile)
{
    key_label label;
    struct call c;
    enum err e = name_ca(profile, label);

    if (!e)
        e = call_begin(t, ROLE_SENDER, &c);
    if (e)
        return e;
    e = call_end(&c, keks_destroy(&c, profile));
    if (!e)
        e = call_begin(t, ROLE_CA, &c);
    return e ? e : call_end(&c, keyring_destroy_keys(&c, label));
}

enum err token_has_profiles(struct token *t, bool *out)
{
    key_label *labels = NULL;
    struct call c;
    size_t n = 0;
    enum err e = call_begin(t, ROLE_CA, &c);

    if (!e)
        e = call_end(&c, keyring_labels(&t->keyring, NAME_CA, &labels, &n));
    free(labels);
    if (!e)
        *out = n > 0;
    return e;
}
