/* SPDX-License-Identifier: GPL-3.0-or-later */
/* signature.c - RSA PKCS#1 v1.5 and ECDSA: the digest is made here, the signature far away.
 *
 * One set of functions serves both: the key says which it is. PSS is refused. */
#include "hsm/provider/key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_DEFAULT "SHA256"

struct signing {
    struct provided_key *key;
    EVP_MD_CTX *digesting;
    const char *md; /* static name; NULL until set */
};

static void *signing_new(void *context, const char *properties)
{
    (void)context;
    (void)properties;
    return calloc(1, sizeof(struct signing));
}

static void signing_free(void *data)
{
    struct signing *s = data;

    provided_key_free(s->key);
    EVP_MD_CTX_free(s->digesting);
    free(s);
}

static void *signing_dup(void *data)
{
    const struct signing *from = data;
    struct signing *to = calloc(1, sizeof *to);

    if (!to)
        return NULL;
    to->md = from->md;
    to->key = from->key ? provided_key_use(from->key) : NULL;
    if (!from->digesting)
        return to;
    to->digesting = EVP_MD_CTX_new();
    if (to->digesting && EVP_MD_CTX_copy_ex(to->digesting, from->digesting))
        return to;
    signing_free(to);
    return NULL;
}

/* ---- parameters ---- */

static int md_set(struct signing *s, const char *name)
{
    s->md = digest_name(name);
    if (!s->md)
        ERR_raise(ERR_LIB_PROV, ERR_R_PASSED_INVALID_ARGUMENT);
    return s->md != NULL;
}

/* PKCS#1 v1.5 in either of the two forms OpenSSL says it. */
static bool pad_is_pkcs1(const OSSL_PARAM *p)
{
    int mode = 0;

    if (p->data_type == OSSL_PARAM_UTF8_STRING)
        return strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0;
    return OSSL_PARAM_get_int(p, &mode) && mode == RSA_PKCS1_PADDING;
}

static int signing_set(void *data, const OSSL_PARAM params[])
{
    struct signing *s = data;
    const OSSL_PARAM *p =
        params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST) : NULL;

    if (p && (p->data_type != OSSL_PARAM_UTF8_STRING || !md_set(s, p->data)))
        return 0;
    p = params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
    return !p || pad_is_pkcs1(p);
}

static int signing_get(void *data, OSSL_PARAM params[])
{
    const struct signing *s = data;
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PAD_MODE);

    if (p && !(p->data_type == OSSL_PARAM_UTF8_STRING
                   ? OSSL_PARAM_set_utf8_string(p, OSSL_PKEY_RSA_PAD_MODE_PKCSV15)
                   : OSSL_PARAM_set_int(p, RSA_PKCS1_PADDING)))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_DIGEST);
    return !p || OSSL_PARAM_set_utf8_string(p, s->md ? s->md : DIGEST_DEFAULT);
}

static const OSSL_PARAM *signing_params(void *data, void *context)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0), OSSL_PARAM_END};

    (void)data;
    (void)context;
    return params;
}

/* ---- signing ---- */

static int signing_init(void *data, void *key, const OSSL_PARAM params[])
{
    struct signing *s = data;

    if (key) {
        provided_key_free(s->key);
        s->key = provided_key_use(key);
    }
    return s->key && signing_set(s, params);
}

/* out NULL asks for the greatest length. */
static int signing_sign(void *data, unsigned char *out, size_t *len, size_t room,
                        const unsigned char *digest, size_t digest_len)
{
    struct signing *s = data;
    CLEANUP(buf_clear) struct buf signature = {0};
    bool rsa = strcmp(s->key->type, "RSA") == 0;

    if (!out) {
        *len = (size_t)EVP_PKEY_get_size(s->key->public);
        return 1;
    }
    if (provided_key_operate(s->key, rsa ? HSM_SIGN_PKCS1 : HSM_SIGN_ECDSA,
                             s->md ? s->md : DIGEST_DEFAULT, NULL,
                             (struct bytes){digest, digest_len}, &signature) != ERR_OK)
        return 0;
    return output_take(buf_bytes(&signature), out, len, room);
}

static int digesting_init(void *data, const char *name, void *key, const OSSL_PARAM params[])
{
    struct signing *s = data;

    if (!signing_init(s, key, params) || !md_set(s, name && *name ? name
                                                    : s->md       ? s->md
                                                                  : DIGEST_DEFAULT))
        return 0;
    if (!s->digesting)
        s->digesting = EVP_MD_CTX_new();
    return s->digesting && EVP_DigestInit_ex(s->digesting, EVP_get_digestbyname(s->md), NULL);
}

static int digesting_update(void *data, const unsigned char *in, size_t len)
{
    struct signing *s = data;

    return s->digesting && EVP_DigestUpdate(s->digesting, in, len);
}

static int digesting_final(void *data, unsigned char *out, size_t *len, size_t room)
{
    struct signing *s = data;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;

    if (out && (!s->digesting || !EVP_DigestFinal_ex(s->digesting, digest, &digest_len)))
        return 0;
    return signing_sign(s, out, len, room, digest, digest_len);
}

#define FN(id, function)                                                                           \
    {                                                                                              \
        id, (void (*)(void))(function)                                                             \
    }

const OSSL_DISPATCH signature_functions[] = {
    FN(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
    FN(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
    FN(OSSL_FUNC_SIGNATURE_DUPCTX, signing_dup),
    FN(OSSL_FUNC_SIGNATURE_SIGN_INIT, signing_init),
    FN(OSSL_FUNC_SIGNATURE_SIGN, signing_sign),
    FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, digesting_init),
    FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, digesting_update),
    FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, digesting_final),
    FN(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, signing_get),
    FN(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, signing_params),
    FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set),
    FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_params),
    {0, NULL}};
