/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sealed.c - addresses and message ids as they lie in the database: sealed, padded, tied to their
 * row.
 *
 * version | nonce | AES-256-GCM of the text, padded with NUL | tag. One key seals all of a
 * store's life; its random 96-bit nonces are good for 2^32 values (SP 800-38D 8.3). */
#include "daemon/store/aead.h"
#include "daemon/store/internal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define SEALED_VERSION 1
#define SEALED_HEAD    (1 + AEAD_NONCE_LEN)
#define PAD_STEP       64 /* lengths are told only in these steps */
#define PADDED_MAX     ((SEALED_TEXT_MAX / PAD_STEP + 1) * PAD_STEP) /* with its NUL */

static void place_aad(const struct seal_place *place, struct buf *out)
{
    buf_printf(out, "%s %lld ", place->column, (long long)place->row);
    buf_append_str(out, place->tie);
}

enum err store_seal(struct store *s, const struct seal_place *place, const char *plain,
                    struct buf *out)
{
    CLEANUP(aead_free) EVP_CIPHER_CTX *ctx = NULL;
    CLEANUP(buf_clear) struct buf aad = {0};
    uint8_t head[SEALED_HEAD] = {SEALED_VERSION};
    uint8_t padded[PADDED_MAX] = {0};
    uint8_t sealed[PADDED_MAX + AEAD_TAG_LEN];
    size_t len = strlen(plain);
    size_t padded_len = (len / PAD_STEP + 1) * PAD_STEP;
    enum err e;

    if (len > SEALED_TEXT_MAX)
        return err_note(ERR_FORMAT, "store_seal", "%zu bytes", len);
    if (RAND_bytes(head + 1, AEAD_NONCE_LEN) != 1)
        return err_note_openssl(ERR_IO, "RAND_bytes");
    memcpy(padded, plain, len + 1);
    place_aad(place, &aad);
    e = buf_error(&aad);
    e = e ? e : aead_new(s->keys.data + AEAD_KEY_LEN, true, &ctx);
    e = e ? e
          : aead_seal(ctx, head + 1, buf_bytes(&aad), (struct bytes){padded, padded_len}, sealed);
    OPENSSL_cleanse(padded, sizeof padded);
    if (e)
        return e;
    buf_append(out, head, sizeof head);
    buf_append(out, sealed, padded_len + AEAD_TAG_LEN);
    return buf_error(out);
}

enum err store_unseal(struct store *s, const struct seal_place *place, struct bytes sealed,
                      char *out, size_t size)
{
    CLEANUP(aead_free) EVP_CIPHER_CTX *ctx = NULL;
    CLEANUP(buf_clear) struct buf aad = {0};
    uint8_t padded[PADDED_MAX];
    size_t len;
    enum err e;

    if (sealed.len < SEALED_HEAD + PAD_STEP + AEAD_TAG_LEN ||
        sealed.len > SEALED_HEAD + PADDED_MAX + AEAD_TAG_LEN || sealed.data[0] != SEALED_VERSION)
        return err_note(ERR_TAMPERED, place->column, "row %lld", (long long)place->row);
    place_aad(place, &aad);
    e = buf_error(&aad);
    e = e ? e : aead_new(s->keys.data + AEAD_KEY_LEN, false, &ctx);
    e = e ? e
          : aead_open(ctx, sealed.data + 1, buf_bytes(&aad),
                      (struct bytes){sealed.data + SEALED_HEAD, sealed.len - SEALED_HEAD}, padded);
    if (e == ERR_TAMPERED)
        return err_note(e, place->column, "row %lld does not open", (long long)place->row);
    if (e)
        return e;
    len = strnlen((char *)padded, sealed.len - SEALED_HEAD - AEAD_TAG_LEN);
    if (len < size) {
        memcpy(out, padded, len);
        out[len] = '\0';
    } else {
        e = err_note(ERR_TAMPERED, place->column, "row %lld", (long long)place->row);
    }
    OPENSSL_cleanse(padded, sizeof padded);
    return e;
}

enum err store_look(struct store *s, const char *owner, const char *address, uint8_t out[LOOK_LEN])
{
    CLEANUP(buf_clear) struct buf text = {0};
    size_t len = 0;

    buf_append(&text, owner, strlen(owner) + 1);
    buf_append_str(&text, address);
    if (buf_error(&text))
        return ERR_NOMEM;
    if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, s->keys.data + (size_t)2 * AEAD_KEY_LEN,
                   AEAD_KEY_LEN, text.data, text.len, out, LOOK_LEN, &len))
        return err_note_openssl(ERR_NOMEM, "HMAC");
    return ERR_OK;
}
