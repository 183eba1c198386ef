/* SPDX-License-Identifier: GPL-3.0-or-later */
/* make.c - new keys: generated inside the token, read back, and destroyed again unless the token
 * keeps every attribute their table asks for. */
#include "hsm/token/make.h"

#include <openssl/evp.h>
#include <string.h>

/* DER of the curves' object identifiers, RFC 5480 2.1.1.1. */
static const uint8_t oid_p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t oid_p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

#define SECRET_BYTES 32

/* The token may know neither CKA_COPYABLE nor CKA_ALLOWED_MECHANISMS. */
static bool is_unknown_attribute(CK_RV rv)
{
    return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ||
           rv == CKR_TEMPLATE_INCONSISTENT;
}

static struct template_more more_of(const struct make *how)
{
    struct template_more more = {.allowed = how->allowed};

    if (how->label) {
        more.label = bytes_of(how->label);
        more.id = more.label;
    }
    return more;
}

/* What was made is what was asked for, or it is destroyed. */
static enum err made_check(struct call *c, CK_OBJECT_HANDLE o, const struct key_table *table)
{
    const char *wrong;
    CK_RV rv = template_check(&c->ck, o, table, &wrong);
    enum err e = ERR_OK;

    if (rv != CKR_OK)
        e = call_fail(c, rv);
    else if (wrong)
        e = err_note(ERR_CONFIG, "token", "a new %s: %s is not as asked for", table->name, wrong);
    if (e)
        (void)ck_destroy(&c->ck, o);
    return e;
}

enum err make_secret(struct call *c, const struct make *how, CK_OBJECT_HANDLE *out)
{
    bool generic = how->table == &table_record;
    CK_MECHANISM mechanism = {generic ? CKM_GENERIC_SECRET_KEY_GEN : CKM_AES_KEY_GEN, NULL, 0};
    struct template_more more = more_of(how);
    struct template t;
    CK_RV rv = CKR_ATTRIBUTE_TYPE_INVALID;
    enum err e = ERR_OK;

    if (!place_can(c->place, mechanism.mechanism, CKF_GENERATE))
        return err_note(ERR_CONFIG, "token", "cannot make a %s: no key generation",
                        how->table->name);
    more.value_len = SECRET_BYTES;
    for (int optional = 1; optional >= 0 && is_unknown_attribute(rv) && !e; optional--) {
        e = template_make(&t, how->table, &more, optional);
        if (!e)
            rv = ck_generate(&c->ck, &mechanism, t.attrs, t.n, out);
    }
    if (e)
        return e;
    if (is_unknown_attribute(rv))
        return err_note(ERR_CONFIG, "token", "does not take the attributes of a %s: %s",
                        how->table->name, ckr_name(rv));
    return rv == CKR_OK ? made_check(c, *out, how->table) : call_fail(c, rv);
}

static void pair_mechanism(enum key_type type, CK_MECHANISM *m, struct template_more *public)
{
    *m = (CK_MECHANISM){CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    switch (type) {
    case KEY_RSA_2048:
        public
        ->modulus_bits = 2048;
        break;
    case KEY_RSA_3072:
        public
        ->modulus_bits = 3072;
        break;
    case KEY_P256:
        m->mechanism = CKM_EC_KEY_PAIR_GEN;
        public->ec_params = (struct bytes){oid_p256, sizeof oid_p256};
        break;
    case KEY_P384:
        m->mechanism = CKM_EC_KEY_PAIR_GEN;
        public->ec_params = (struct bytes){oid_p384, sizeof oid_p384};
        break;
    }
}

static enum err pair_generate(struct call *c, const struct make *how, struct ck_pair *out)
{
    const struct key_table *half = how->label ? &table_half : &table_half_session;
    struct template_more private_more = more_of(how);
    struct template_more public_more = more_of(how);
    struct template private, public;
    CK_MECHANISM mechanism;
    CK_RV rv = CKR_ATTRIBUTE_TYPE_INVALID;
    enum err e = ERR_OK;

    public_more.allowed = 0;
    pair_mechanism(how->type, &mechanism, &public_more);
    if (!place_can(c->place, mechanism.mechanism, CKF_GENERATE_KEY_PAIR))
        return err_note(ERR_REFUSED, "token", "cannot make %s keys",
                        mechanism.mechanism == CKM_EC_KEY_PAIR_GEN ? "EC" : "RSA");
    for (int optional = 1; optional >= 0 && is_unknown_attribute(rv) && !e; optional--) {
        e = template_make(&private, how->table, &private_more, optional);
        if (!e)
            e = template_make(&public, half, &public_more, optional);
        if (!e)
            rv = ck_generate_pair(&c->ck, &mechanism, template_attrs(&public),
                                  template_attrs(&private), out);
    }
    if (!e && rv != CKR_OK)
        e = call_fail(c, rv);
    return e;
}

enum err make_pair(struct call *c, const struct make *how, CK_OBJECT_HANDLE *private_out,
                   EVP_PKEY **public_out)
{
    CLEANUP(pkey_free) EVP_PKEY *public = NULL;
    struct ck_pair pair = {0};
    enum key_type made;
    enum err e = pair_generate(c, how, &pair);

    if (e)
        return e;
    e = made_check(c, pair.private, how->table);
    if (e) {
        (void)ck_destroy(&c->ck, pair.public);
        return e;
    }
    e = public_read(c, pair.public, &public);
    if (!e)
        e = pkey_type(public, &made);
    if (!e && made != how->type)
        e = err_note(ERR_CONFIG, "token", "made a key of another type");
    if (e)
        (void)ck_destroy(&c->ck, pair.private);
    if (e || !how->label)
        (void)ck_destroy(&c->ck, pair.public);
    if (e)
        return e;
    *private_out = pair.private;
    *public_out = public;
    public = NULL;
    return ERR_OK;
}
