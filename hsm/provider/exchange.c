/* SPDX-License-Identifier: GPL-3.0-or-later */
/* exchange.c - ECDH for CMS KeyAgreeRecipientInfo (RFC 5753): the shared secret comes from the key
 * service, the X9.63 derivation is OpenSSL's. */
#include "hsm/provider/key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

struct agreeing {
    struct provided_key *key;
    unsigned char *peer; /* uncompressed point, from OpenSSL's allocator */
    size_t peer_len;
    bool kdf; /* X9.63; else the shared secret itself */
    const char *md;
    struct buf ukm;
    size_t out_len;
};

static void *agreeing_new(void *context)
{
    (void)context;
    return calloc(1, sizeof(struct agreeing));
}

static void agreeing_free(void *data)
{
    struct agreeing *a = data;

    provided_key_free(a->key);
    OPENSSL_free(a->peer);
    buf_clear(&a->ukm);
    free(a);
}

static void *agreeing_dup(void *data)
{
    const struct agreeing *from = data;
    struct agreeing *to = calloc(1, sizeof *to);

    if (!to)
        return NULL;
    *to = *from;
    to->key = from->key ? provided_key_use(from->key) : NULL;
    to->peer = from->peer ? OPENSSL_memdup(from->peer, from->peer_len) : NULL;
    to->ukm = (struct buf){0};
    buf_append_bytes(&to->ukm, buf_bytes(&from->ukm));
    if (!to->ukm.failed && (to->peer || !from->peer))
        return to;
    agreeing_free(to);
    return NULL;
}

/* ---- parameters ---- */

static int kdf_set(struct agreeing *a, const OSSL_PARAM *p)
{
    if (p->data_type != OSSL_PARAM_UTF8_STRING)
        return 0;
    a->kdf = strcmp(p->data, OSSL_KDF_NAME_X963KDF) == 0;
    return a->kdf || !*(const char *)p->data;
}

static int ukm_set(struct agreeing *a, const OSSL_PARAM *p)
{
    if (p->data_type != OSSL_PARAM_OCTET_STRING)
        return 0;
    buf_reset(&a->ukm);
    buf_append(&a->ukm, p->data, p->data_size);
    return !a->ukm.failed;
}

static int agreeing_set(void *data, const OSSL_PARAM params[])
{
    struct agreeing *a = data;
    const OSSL_PARAM *p;
    int mode = 0;

    if (!params)
        return 1;
    /* Our curves' cofactor is 1, so every mode means the same. */
    p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE);
    if (p && !OSSL_PARAM_get_int(p, &mode))
        return 0;
    p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_TYPE);
    if (p && !kdf_set(a, p))
        return 0;
    p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_DIGEST);
    if (p && (p->data_type != OSSL_PARAM_UTF8_STRING || !(a->md = digest_name(p->data))))
        return 0;
    p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_OUTLEN);
    if (p && !OSSL_PARAM_get_size_t(p, &a->out_len))
        return 0;
    p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_UKM);
    return !p || ukm_set(a, p);
}

static const OSSL_PARAM *agreeing_settable(void *data, void *context)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_TYPE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST, NULL, 0),
        OSSL_PARAM_size_t(OSSL_EXCHANGE_PARAM_KDF_OUTLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_EXCHANGE_PARAM_KDF_UKM, NULL, 0),
        OSSL_PARAM_END};

    (void)data;
    (void)context;
    return params;
}

/* ---- agreement ---- */

static int agreeing_init(void *data, void *key, const OSSL_PARAM params[])
{
    struct agreeing *a = data;

    provided_key_free(a->key);
    a->key = provided_key_use(key);
    return agreeing_set(a, params);
}

static int agreeing_peer(void *data, void *peer)
{
    struct agreeing *a = data;
    const struct provided_key *other = peer;

    OPENSSL_free(a->peer);
    a->peer = NULL;
    a->peer_len = other->public ? EVP_PKEY_get1_encoded_public_key(other->public, &a->peer) : 0;
    return a->peer_len != 0;
}

static int kdf_run(const struct agreeing *a, struct bytes shared, unsigned char *out)
{
    OSSL_PARAM params[4] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)a->md, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)shared.data,
                                          shared.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, a->ukm.data, a->ukm.len),
        OSSL_PARAM_construct_end()};
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_X963KDF, "provider=default");
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int ok;

    ok = context && EVP_KDF_derive(context, out, a->out_len, params) > 0;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return ok;
}

/* out NULL asks for the length. */
static int agreeing_derive(void *data, unsigned char *out, size_t *len, size_t room)
{
    struct agreeing *a = data;
    CLEANUP(buf_wipe) struct buf shared = {0};
    size_t needed = a->kdf ? a->out_len : ((size_t)EVP_PKEY_get_bits(a->key->public) + 7) / 8;

    if (!a->peer || (a->kdf && (!a->md || !a->out_len)))
        return 0;
    if (!out) {
        *len = needed;
        return 1;
    }
    if (room < needed) {
        ERR_raise(ERR_LIB_PROV, ERR_R_PASSED_INVALID_ARGUMENT);
        return 0;
    }
    if (provided_key_operate(a->key, HSM_DERIVE_ECDH, NULL, NULL,
                             (struct bytes){a->peer, a->peer_len}, &shared) != ERR_OK)
        return 0;
    if (!a->kdf)
        return output_take(buf_bytes(&shared), out, len, room);
    *len = needed;
    return kdf_run(a, buf_bytes(&shared), out);
}

#define FN(id, function)                                                                           \
    {                                                                                              \
        id, (void (*)(void))(function)                                                             \
    }

const OSSL_DISPATCH exchange_functions[] = {
    FN(OSSL_FUNC_KEYEXCH_NEWCTX, agreeing_new),
    FN(OSSL_FUNC_KEYEXCH_FREECTX, agreeing_free),
    FN(OSSL_FUNC_KEYEXCH_DUPCTX, agreeing_dup),
    FN(OSSL_FUNC_KEYEXCH_INIT, agreeing_init),
    FN(OSSL_FUNC_KEYEXCH_SET_PEER, agreeing_peer),
    FN(OSSL_FUNC_KEYEXCH_DERIVE, agreeing_derive),
    FN(OSSL_FUNC_KEYEXCH_SET_CTX_PARAMS, agreeing_set),
    FN(OSSL_FUNC_KEYEXCH_SETTABLE_CTX_PARAMS, agreeing_settable),
    {0, NULL}};
