/* SPDX-License-Identifier: GPL-3.0-or-later */
/* blob.c - version, salt, AES-256-GCM under a key of this blob alone. */
#include "daemon/flow/blob.h"
#include "daemon/store/aead.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#define BLOB_VERSION  1
#define BLOB_SALT_LEN 32
#define BLOB_HEAD_LEN (1 + BLOB_SALT_LEN)
#define BLOB_PAD      128u

/* A key of its own makes one fixed nonce enough. */
static const uint8_t nonce[AEAD_NONCE_LEN];

static enum err blob_cipher(struct store *s, const char *purpose, const uint8_t *salt, bool sealing,
                            EVP_CIPHER_CTX **out)
{
    uint8_t root[AEAD_KEY_LEN];
    uint8_t key[AEAD_KEY_LEN];
    enum err e = store_derived_key(s, purpose, root);

    if (e)
        return e;
    e = key_derive(root, (struct bytes){salt, BLOB_SALT_LEN}, "sealrelay blob 1", key);
    e = e ? e : aead_new(key, sealing, out);
    OPENSSL_cleanse(root, sizeof root);
    OPENSSL_cleanse(key, sizeof key);
    return e;
}

enum err blob_seal(struct store *s, const char *purpose, const char *id, struct bytes plain,
                   struct buf *out)
{
    CLEANUP(aead_free) EVP_CIPHER_CTX *ctx = NULL;
    uint8_t padded[BLOB_PLAIN_MAX] = {0};
    uint8_t sealed[BLOB_HEAD_LEN + BLOB_PLAIN_MAX + AEAD_TAG_LEN] = {BLOB_VERSION};
    size_t len = (plain.len + BLOB_PAD) / BLOB_PAD * BLOB_PAD;
    enum err e;

    if (len > sizeof padded)
        return err_note(ERR_FORMAT, "blob", "%zu bytes", plain.len);
    if (plain.len)
        memcpy(padded, plain.data, plain.len);
    if (RAND_bytes(sealed + 1, BLOB_SALT_LEN) != 1)
        return err_note_openssl(ERR_IO, "RAND_bytes");
    e = blob_cipher(s, purpose, sealed + 1, true, &ctx);
    e = e ? e
          : aead_seal(ctx, nonce, bytes_of(id), (struct bytes){padded, len},
                      sealed + BLOB_HEAD_LEN);
    OPENSSL_cleanse(padded, sizeof padded);
    if (e)
        return e;
    buf_append(out, sealed, BLOB_HEAD_LEN + len + AEAD_TAG_LEN);
    return buf_error(out);
}

enum err blob_open(struct store *s, const char *purpose, const char *id, struct bytes sealed,
                   struct buf *out)
{
    CLEANUP(aead_free) EVP_CIPHER_CTX *ctx = NULL;
    uint8_t plain[BLOB_PLAIN_MAX];
    size_t len;
    enum err e;

    if (sealed.len < BLOB_HEAD_LEN + AEAD_TAG_LEN || sealed.data[0] != BLOB_VERSION ||
        sealed.len > BLOB_HEAD_LEN + BLOB_PLAIN_MAX + AEAD_TAG_LEN)
        return err_note(ERR_TAMPERED, "blob", "%zu bytes", sealed.len);
    len = sealed.len - BLOB_HEAD_LEN - AEAD_TAG_LEN;
    e = blob_cipher(s, purpose, sealed.data + 1, false, &ctx);
    e = e ? e
          : aead_open(ctx, nonce, bytes_of(id),
                      (struct bytes){sealed.data + BLOB_HEAD_LEN, len + AEAD_TAG_LEN}, plain);
    if (e)
        return e;
    buf_append(out, plain, len);
    OPENSSL_cleanse(plain, sizeof plain);
    return buf_error(out);
}
