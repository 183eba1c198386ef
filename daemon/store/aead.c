/* SPDX-License-Identifier: GPL-3.0-or-later */
/* aead.c - AES-256-GCM and HKDF through OpenSSL. */
#include "daemon/store/aead.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

enum err key_derive(const uint8_t key[AEAD_KEY_LEN], struct bytes salt, const char *info,
                    uint8_t out[AEAD_KEY_LEN])
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[5];
    size_t n = 0;
    int done;

    params[n++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA256", 0);
    params[n++] =
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key, AEAD_KEY_LEN);
    params[n++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info,
                                                    strlen(info));
    if (salt.len)
        params[n++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
                                                        (void *)(uintptr_t)salt.data, salt.len);
    params[n] = OSSL_PARAM_construct_end();
    done = ctx && EVP_KDF_derive(ctx, out, AEAD_KEY_LEN, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return done ? ERR_OK : err_note_openssl(ERR_NOMEM, "HKDF");
}

enum err aead_new(const uint8_t key[AEAD_KEY_LEN], bool sealing, EVP_CIPHER_CTX **out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (!ctx || EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, NULL, sealing) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return err_note_openssl(ERR_NOMEM, "AES-256-GCM");
    }
    *out = ctx;
    return ERR_OK;
}

void aead_free(EVP_CIPHER_CTX **ctx)
{
    EVP_CIPHER_CTX_free(*ctx);
    *ctx = NULL;
}

/* Nonce and associated data; -1 keeps the direction the context was made for. */
static bool aead_start(EVP_CIPHER_CTX *ctx, const uint8_t *nonce, struct bytes aad)
{
    int len;

    return aad.len <= INT_MAX && EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &len, aad.data, (int)aad.len) == 1;
}

enum err aead_seal(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN], struct bytes aad,
                   struct bytes plain, uint8_t *out)
{
    int len = 0;
    int rest = 0;

    if (plain.len > INT_MAX || !aead_start(ctx, nonce, aad) ||
        (plain.len && EVP_CipherUpdate(ctx, out, &len, plain.data, (int)plain.len) != 1) ||
        EVP_CipherFinal_ex(ctx, out + len, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, out + plain.len) != 1)
        return err_note_openssl(ERR_NOMEM, "AES-256-GCM seal");
    return ERR_OK;
}

enum err aead_open(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN], struct bytes aad,
                   struct bytes sealed, uint8_t *out)
{
    size_t plain_len = sealed.len - AEAD_TAG_LEN;
    uint8_t tag[AEAD_TAG_LEN];
    int len = 0;
    int rest = 0;

    if (sealed.len < AEAD_TAG_LEN || plain_len > INT_MAX)
        return err_note(ERR_TAMPERED, "AES-256-GCM open", "%zu bytes", sealed.len);
    memcpy(tag, sealed.data + plain_len, sizeof tag);
    if (aead_start(ctx, nonce, aad) &&
        (plain_len == 0 || EVP_CipherUpdate(ctx, out, &len, sealed.data, (int)plain_len) == 1) &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN, tag) == 1 &&
        EVP_CipherFinal_ex(ctx, out + len, &rest) == 1)
        return ERR_OK;
    OPENSSL_cleanse(out, plain_len);
    return err_note_openssl(ERR_TAMPERED, "AES-256-GCM open");
}
