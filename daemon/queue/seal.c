/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal.c - the form of sealed data in the queue: invariant 2.
 *
 * Every entry has a key of its own, HKDF of the data key with 256 random bits, so the nonces under
 * it are plain counters. A body is a STREAM (Hoang, Reyhanitabar, Rogaway, Vizar: CRYPTO 2015) of
 * 64 KiB chunks: position and "this is the last" are authenticated, so chunks that were cut off,
 * exchanged or taken from another entry do not open.
 *
 *   nonce  part (1) | zero (7) | counter (4); last results, sealed more than once: part | random
 *   AAD    version | part | last | direction | counter (4) | id (16) */
#include "daemon/queue/internal.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#define AAD_LEN      (8 + ID_LEN)
#define PAD_STEP     64  /* envelopes tell their length only in these steps */
#define ENVELOPE_MAX 512 /* two addresses with their NULs, padded */
#define DETAILS_MAX  192
#define RANDOM_LEN   (AEAD_NONCE_LEN - 1)

enum part { PART_BODY = 0, PART_ENVELOPE = 1, PART_DETAILS = 2 };

_Static_assert(ENVELOPE_MAX >= 2 * sizeof(address_text), "an envelope fits");
_Static_assert(DETAILS_MAX >= sizeof((struct queue_item){0}.last_result), "a result fits");

enum err entry_cipher(const struct data_key *key, const uint8_t salt[ENTRY_SALT_LEN], bool sealing,
                      EVP_CIPHER_CTX **out)
{
    uint8_t entry_key[AEAD_KEY_LEN];
    enum err e = key_derive(key->key.data, (struct bytes){salt, ENTRY_SALT_LEN},
                            "sealrelay queue entry 1", entry_key);

    e = e ? e : aead_new(entry_key, sealing, out);
    OPENSSL_cleanse(entry_key, sizeof entry_key);
    return e;
}

static void put_counter(uint8_t *out, uint32_t counter)
{
    out[0] = (uint8_t)(counter >> 24);
    out[1] = (uint8_t)(counter >> 16);
    out[2] = (uint8_t)(counter >> 8);
    out[3] = (uint8_t)counter;
}

static void make_nonce(enum part part, uint32_t counter, uint8_t out[AEAD_NONCE_LEN])
{
    memset(out, 0, AEAD_NONCE_LEN);
    out[0] = (uint8_t)part;
    put_counter(out + AEAD_NONCE_LEN - 4, counter);
}

static struct bytes make_aad(const struct entry_name *name, enum part part, uint32_t counter,
                             bool last, uint8_t out[AAD_LEN])
{
    out[0] = ENTRY_VERSION;
    out[1] = (uint8_t)part;
    out[2] = last;
    out[3] = (uint8_t)name->direction;
    put_counter(out + 4, counter);
    memcpy(out + 8, name->id, ID_LEN);
    return (struct bytes){out, AAD_LEN};
}

enum err chunk_seal(EVP_CIPHER_CTX *ctx, const struct entry_name *name, uint32_t counter, bool last,
                    struct bytes plain, uint8_t *out)
{
    uint8_t nonce[AEAD_NONCE_LEN];
    uint8_t aad[AAD_LEN];

    make_nonce(PART_BODY, counter, nonce);
    return aead_seal(ctx, nonce, make_aad(name, PART_BODY, counter, last, aad), plain, out);
}

enum err chunk_open(EVP_CIPHER_CTX *ctx, const struct entry_name *name, uint32_t counter, bool last,
                    struct bytes sealed, uint8_t *out)
{
    uint8_t nonce[AEAD_NONCE_LEN];
    uint8_t aad[AAD_LEN];

    make_nonce(PART_BODY, counter, nonce);
    return aead_open(ctx, nonce, make_aad(name, PART_BODY, counter, last, aad), sealed, out);
}

enum err envelope_seal(EVP_CIPHER_CTX *ctx, const struct entry_name *name, const char *mail_from,
                       const char *rcpt_to, struct buf *out)
{
    size_t from_len = strlen(mail_from) + 1;
    size_t to_len = strlen(rcpt_to) + 1;
    size_t len = (from_len + to_len + PAD_STEP - 1) / PAD_STEP * PAD_STEP;
    uint8_t plain[ENVELOPE_MAX] = {0};
    uint8_t sealed[ENVELOPE_MAX + AEAD_TAG_LEN];
    uint8_t nonce[AEAD_NONCE_LEN];
    uint8_t aad[AAD_LEN];
    enum err e;

    if (len > sizeof plain)
        return err_note(ERR_FORMAT, "envelope", "%zu bytes", len);
    memcpy(plain, mail_from, from_len);
    memcpy(plain + from_len, rcpt_to, to_len);
    make_nonce(PART_ENVELOPE, 0, nonce);
    e = aead_seal(ctx, nonce, make_aad(name, PART_ENVELOPE, 0, true, aad),
                  (struct bytes){plain, len}, sealed);
    OPENSSL_cleanse(plain, sizeof plain);
    if (!e)
        buf_append(out, sealed, len + AEAD_TAG_LEN);
    return e ? e : buf_error(out);
}

enum err envelope_open(EVP_CIPHER_CTX *ctx, const struct entry_name *name, struct bytes sealed,
                       struct queue_item *item)
{
    uint8_t plain[ENVELOPE_MAX] = {0};
    uint8_t nonce[AEAD_NONCE_LEN];
    uint8_t aad[AAD_LEN];
    size_t from_len;
    size_t to_len;
    enum err e;

    if (sealed.len < PAD_STEP + AEAD_TAG_LEN || sealed.len > ENVELOPE_MAX + AEAD_TAG_LEN)
        return err_note(ERR_TAMPERED, "envelope", "%zu bytes", sealed.len);
    make_nonce(PART_ENVELOPE, 0, nonce);
    e = aead_open(ctx, nonce, make_aad(name, PART_ENVELOPE, 0, true, aad), sealed, plain);
    if (e)
        return e;
    from_len = strnlen((char *)plain, sizeof plain);
    to_len = from_len < sizeof plain
                 ? strnlen((char *)plain + from_len + 1, sizeof plain - from_len - 1)
                 : sizeof plain;
    if (from_len > HSM_ADDRESS_MAX || to_len > HSM_ADDRESS_MAX)
        return err_note(ERR_TAMPERED, "envelope", "over-long address");
    memcpy(item->mail_from, plain, from_len + 1);
    memcpy(item->rcpt_to, plain + from_len + 1, to_len);
    item->rcpt_to[to_len] = '\0';
    OPENSSL_cleanse(plain, sizeof plain);
    return ERR_OK;
}

enum err details_seal(EVP_CIPHER_CTX *ctx, const struct entry_name *name, const char *text,
                      struct buf *out)
{
    uint8_t plain[DETAILS_MAX] = {0};
    uint8_t sealed[DETAILS_MAX + AEAD_TAG_LEN];
    uint8_t nonce[AEAD_NONCE_LEN] = {PART_DETAILS};
    uint8_t aad[AAD_LEN];
    size_t len = strlen(text);
    enum err e;

    if (len >= sizeof plain)
        return err_note(ERR_BUG, "details_seal", "%zu bytes", len);
    if (RAND_bytes(nonce + 1, RANDOM_LEN) != 1)
        return err_note_openssl(ERR_IO, "RAND_bytes");
    memcpy(plain, text, len + 1);
    e = aead_seal(ctx, nonce, make_aad(name, PART_DETAILS, 0, true, aad),
                  (struct bytes){plain, sizeof plain}, sealed);
    if (e)
        return e;
    buf_append(out, nonce + 1, RANDOM_LEN);
    buf_append(out, sealed, sizeof sealed);
    return buf_error(out);
}

enum err details_open(EVP_CIPHER_CTX *ctx, const struct entry_name *name, struct bytes sealed,
                      char *out, size_t cap)
{
    uint8_t plain[DETAILS_MAX];
    uint8_t nonce[AEAD_NONCE_LEN] = {PART_DETAILS};
    uint8_t aad[AAD_LEN];
    size_t len;
    enum err e;

    if (sealed.len != RANDOM_LEN + DETAILS_MAX + AEAD_TAG_LEN)
        return err_note(ERR_TAMPERED, "details", "%zu bytes", sealed.len);
    memcpy(nonce + 1, sealed.data, RANDOM_LEN);
    e = aead_open(ctx, nonce, make_aad(name, PART_DETAILS, 0, true, aad),
                  (struct bytes){sealed.data + RANDOM_LEN, sealed.len - RANDOM_LEN}, plain);
    if (e)
        return e;
    len = strnlen((char *)plain, sizeof plain);
    if (len >= cap)
        return err_note(ERR_TAMPERED, "details", "%zu bytes", len);
    memcpy(out, plain, len);
    out[len] = '\0';
    return ERR_OK;
}
