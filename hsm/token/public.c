/* SPDX-License-Identifier: GPL-3.0-or-later */
/* public.c - public key objects of the token as OpenSSL keys. */
#include "hsm/token/make.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#define POINT_LEN_P256 65
#define POINT_LEN_P384 97

void pkey_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

static void param_bld_free(OSSL_PARAM_BLD **b)
{
    OSSL_PARAM_BLD_free(*b);
}

static void params_free(OSSL_PARAM **p)
{
    OSSL_PARAM_free(*p);
}

static void bn_free(BIGNUM **n)
{
    BN_free(*n);
}

static enum err pkey_build(const char *name, OSSL_PARAM_BLD *build, EVP_PKEY **out)
{
    CLEANUP(params_free) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, name, "provider=default");
    bool ok = params && context && EVP_PKEY_fromdata_init(context) > 0 &&
              EVP_PKEY_fromdata(context, out, EVP_PKEY_PUBLIC_KEY, params) > 0;

    EVP_PKEY_CTX_free(context);
    return ok ? ERR_OK : err_note_openssl(ERR_FORMAT, "EVP_PKEY_fromdata");
}

static enum err rsa_read(struct call *c, CK_OBJECT_HANDLE o, EVP_PKEY **out)
{
    CLEANUP(buf_clear) struct buf modulus = {0};
    CLEANUP(buf_clear) struct buf exponent = {0};
    CLEANUP(param_bld_free) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    CLEANUP(bn_free) BIGNUM *n = NULL;
    CLEANUP(bn_free) BIGNUM *e = NULL;
    CK_RV rv = ck_get(&c->ck, o, CKA_MODULUS, &modulus);

    if (rv == CKR_OK)
        rv = ck_get(&c->ck, o, CKA_PUBLIC_EXPONENT, &exponent);
    if (rv != CKR_OK)
        return call_fail(c, rv);
    n = BN_bin2bn(modulus.data, (int)modulus.len, NULL);
    e = BN_bin2bn(exponent.data, (int)exponent.len, NULL);
    if (!build || !n || !e || !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) ||
        !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
        return err_note(ERR_NOMEM, "public key", "out of memory");
    return pkey_build("RSA", build, out);
}

/* CKA_EC_POINT is an OCTET STRING around the point; some tokens leave the wrapping out. */
static struct bytes point_unwrap(struct bytes value, ASN1_OCTET_STRING **holder)
{
    const unsigned char *p = value.data;

    if (value.len == POINT_LEN_P256 || value.len == POINT_LEN_P384)
        return value;
    *holder = d2i_ASN1_OCTET_STRING(NULL, &p, (long)value.len);
    if (!*holder)
        return (struct bytes){0};
    return (struct bytes){ASN1_STRING_get0_data(*holder), (size_t)ASN1_STRING_length(*holder)};
}

static enum err ec_read(struct call *c, CK_OBJECT_HANDLE o, EVP_PKEY **out)
{
    CLEANUP(buf_clear) struct buf value = {0};
    CLEANUP(param_bld_free) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    ASN1_OCTET_STRING *holder = NULL;
    struct bytes point;
    const char *group;
    enum err e;
    CK_RV rv = ck_get(&c->ck, o, CKA_EC_POINT, &value);

    if (rv != CKR_OK)
        return call_fail(c, rv);
    point = point_unwrap(buf_bytes(&value), &holder);
    group = point.len == POINT_LEN_P384 ? "P-384" : "P-256";
    if (!build || !OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) ||
        !OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len))
        e = err_note(ERR_NOMEM, "public key", "out of memory");
    else
        e = pkey_build("EC", build, out);
    ASN1_OCTET_STRING_free(holder);
    return e;
}

enum err public_read(struct call *c, CK_OBJECT_HANDLE o, EVP_PKEY **out)
{
    CK_ULONG type = 0;
    CK_RV rv = ck_get_ulong(&c->ck, o, CKA_KEY_TYPE, &type);

    if (rv != CKR_OK)
        return call_fail(c, rv);
    return type == CKK_RSA ? rsa_read(c, o, out) : ec_read(c, o, out);
}

enum err public_find(struct call *c, const char *label, EVP_PKEY **out)
{
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    struct bytes name = bytes_of(label);
    CK_ATTRIBUTE attrs[] = {{CKA_CLASS, &class, sizeof class},
                            {CKA_LABEL, (void *)(uintptr_t)name.data, name.len}};
    struct ck_objects found;
    enum err e = ERR_OK;
    CK_RV rv = ck_find(&c->ck, attrs, 2, &found);

    if (rv != CKR_OK)
        return call_fail(c, rv);
    if (found.n == 1)
        e = public_read(c, found.handles[0], out);
    else
        e = err_note(ERR_NOT_FOUND, "token", "%zu public keys named %s", found.n, label);
    free(found.handles);
    return e;
}

enum err pkey_type(const EVP_PKEY *key, enum key_type *out)
{
    char group[32] = "";
    int bits = EVP_PKEY_get_bits(key);

    if (EVP_PKEY_is_a(key, "RSA")) {
        if (bits != 2048 && bits != 3072)
            return err_note(ERR_FORMAT, "public key", "RSA of %d bits", bits);
        *out = bits == 2048 ? KEY_RSA_2048 : KEY_RSA_3072;
        return ERR_OK;
    }
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof group, NULL) <= 0)
        return err_note(ERR_FORMAT, "public key", "neither RSA nor EC");
    if (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0)
        *out = KEY_P256;
    else if (strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0)
        *out = KEY_P384;
    else
        return err_note(ERR_FORMAT, "public key", "curve %s", group);
    return ERR_OK;
}
