/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cipher.c - RSA decryption of a content key: PKCS#1 v1.5 or OAEP with an empty label.
 *
 * A ciphertext that does not unwrap is no failure here: it gives a key that opens nothing, by the
 * same path, with no error and no note left behind. Failures are what has nothing to do with what
 * is inside: a token that is away, a digest it does not have. */
#include "hsm/provider/key.h"
#include "hsm/provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

struct decrypting {
    struct provided_key *key;
    int pad;
    const char *md;
    const char *mgf1_md;
};

static void *decrypting_new(void *context)
{
    struct decrypting *d = calloc(1, sizeof *d);

    (void)context;
    if (d)
        d->pad = RSA_PKCS1_PADDING;
    return d;
}

static void decrypting_free(void *data)
{
    struct decrypting *d = data;

    provided_key_free(d->key);
    free(d);
}

static void *decrypting_dup(void *data)
{
    const struct decrypting *from = data;
    struct decrypting *to = calloc(1, sizeof *to);

    if (!to)
        return NULL;
    *to = *from;
    if (to->key)
        (void)provided_key_use(to->key);
    return to;
}

static int pad_set(struct decrypting *d, const OSSL_PARAM *p)
{
    if (p->data_type != OSSL_PARAM_UTF8_STRING) {
        if (!OSSL_PARAM_get_int(p, &d->pad))
            return 0;
    } else if (strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_OAEP) == 0) {
        d->pad = RSA_PKCS1_OAEP_PADDING;
    } else {
        d->pad = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ? RSA_PKCS1_PADDING : 0;
    }
    return d->pad == RSA_PKCS1_PADDING || d->pad == RSA_PKCS1_OAEP_PADDING;
}

static int md_set(const char **md, const OSSL_PARAM *p)
{
    *md = p->data_type == OSSL_PARAM_UTF8_STRING ? digest_name(p->data) : NULL;
    return *md != NULL;
}

static int decrypting_set(void *data, const OSSL_PARAM params[])
{
    struct decrypting *d = data;
    const OSSL_PARAM *p;

    if (!params)
        return 1;
    p = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_PAD_MODE);
    if (p && !pad_set(d, p))
        return 0;
    p = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST);
    if (p && !md_set(&d->md, p))
        return 0;
    p = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST);
    if (p && !md_set(&d->mgf1_md, p))
        return 0;
    p = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL);
    return !p || p->data_size == 0;
}

static int decrypting_get(void *data, OSSL_PARAM params[])
{
    const struct decrypting *d = data;
    const char *md = d->md ? d->md : "SHA1";
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_PAD_MODE);

    if (p && !OSSL_PARAM_set_int(p, d->pad))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST);
    if (p && !OSSL_PARAM_set_utf8_string(p, md))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST);
    return !p || OSSL_PARAM_set_utf8_string(p, d->mgf1_md ? d->mgf1_md : md);
}

static const OSSL_PARAM *decrypting_settable(void *data, void *context)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, NULL, 0), OSSL_PARAM_END};

    (void)data;
    (void)context;
    return params;
}

static const OSSL_PARAM *decrypting_gettable(void *data, void *context)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL, 0), OSSL_PARAM_END};

    (void)data;
    (void)context;
    return params;
}

static int decrypting_init(void *data, void *key, const OSSL_PARAM params[])
{
    struct decrypting *d = data;

    if (key) {
        provided_key_free(d->key);
        d->key = provided_key_use(key);
    }
    return d->key && decrypting_set(d, params);
}

static enum err unwrap(const struct decrypting *d, struct bytes in, struct buf *plain)
{
    bool oaep = d->pad == RSA_PKCS1_OAEP_PADDING;
    const char *md = d->md ? d->md : "SHA1";

    return provided_key_operate(d->key, oaep ? HSM_DECRYPT_OAEP : HSM_DECRYPT_PKCS1,
                                oaep ? md : NULL, oaep ? (d->mgf1_md ? d->mgf1_md : md) : NULL, in,
                                plain);
}

/* out NULL asks for the greatest length. */
static int decrypting_decrypt(void *data, unsigned char *out, size_t *len, size_t room,
                              const unsigned char *in, size_t in_len)
{
    struct decrypting *d = data;
    CLEANUP(buf_wipe) struct buf plain = {0};
    struct bytes ciphertext = {in, in_len};
    enum err e;

    if (!out) {
        *len = (size_t)EVP_PKEY_get_size(d->key->public);
        return 1;
    }
    (void)ERR_set_mark();
    e = unwrap(d, ciphertext, &plain);
    if (e && e != ERR_FORMAT) {
        (void)ERR_clear_last_mark();
        return 0;
    }
    (void)ERR_pop_to_mark();
    provider_clear_error();
    err_note_clear();
    return content_key_take(d->key, ciphertext, e == ERR_OK, buf_bytes(&plain), out, len, room);
}

#define FN(id, function)                                                                           \
    {                                                                                              \
        id, (void (*)(void))(function)                                                             \
    }

const OSSL_DISPATCH cipher_functions[] = {
    FN(OSSL_FUNC_ASYM_CIPHER_NEWCTX, decrypting_new),
    FN(OSSL_FUNC_ASYM_CIPHER_FREECTX, decrypting_free),
    FN(OSSL_FUNC_ASYM_CIPHER_DUPCTX, decrypting_dup),
    FN(OSSL_FUNC_ASYM_CIPHER_DECRYPT_INIT, decrypting_init),
    FN(OSSL_FUNC_ASYM_CIPHER_DECRYPT, decrypting_decrypt),
    FN(OSSL_FUNC_ASYM_CIPHER_GET_CTX_PARAMS, decrypting_get),
    FN(OSSL_FUNC_ASYM_CIPHER_GETTABLE_CTX_PARAMS, decrypting_gettable),
    FN(OSSL_FUNC_ASYM_CIPHER_SET_CTX_PARAMS, decrypting_set),
    FN(OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, decrypting_settable),
    {0, NULL}};
