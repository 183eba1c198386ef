/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hsm_double.c - data keys wrapped in software: generation | kind | nonce | AES-256-GCM | tag. */
#include "tests/support/hsm_double.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_LEN    5
#define NONCE_LEN   12
#define TAG_LEN     16
#define WRAPPED_LEN (HEAD_LEN + NONCE_LEN + HSM_DATA_KEY_LEN + TAG_LEN)

struct hsm {
    _Atomic(enum err) fail;
    atomic_uint generation;
    atomic_uint made;
    atomic_uint opened;
    atomic_uint retired;
    atomic_uint attempts;
};

struct hsm *hsm_double_new(void)
{
    struct hsm *h = calloc(1, sizeof *h);

    if (h)
        atomic_store(&h->generation, 1);
    return h;
}

void hsm_double_free(struct hsm *h)
{
    free(h);
}

void hsm_double_fail(struct hsm *h, enum err e)
{
    atomic_store(&h->fail, e);
}

void hsm_double_generation(struct hsm *h, uint32_t generation)
{
    atomic_store(&h->generation, generation);
}

unsigned hsm_double_made(struct hsm *h)
{
    return atomic_load(&h->made);
}

unsigned hsm_double_opened(struct hsm *h)
{
    return atomic_load(&h->opened);
}

uint32_t hsm_double_retired(struct hsm *h)
{
    return atomic_load(&h->retired);
}

unsigned hsm_double_attempts(struct hsm *h)
{
    return atomic_load(&h->attempts);
}

/* One AES-256-GCM pass under the wrap key the head names; text is in and out. */
static int crypt_in_place(const uint8_t head[HEAD_LEN], const uint8_t *nonce, uint8_t *text,
                          uint8_t *tag, int sealing)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t key[SHA256_DIGEST_LENGTH];
    int len = 0;
    int done;

    (void)SHA256(head, HEAD_LEN, key);
    done = ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, sealing) == 1 &&
           EVP_CipherUpdate(ctx, text, &len, text, HSM_DATA_KEY_LEN) == 1 &&
           (sealing || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1) &&
           EVP_CipherFinal_ex(ctx, text + len, &len) == 1 &&
           (!sealing || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) == 1);
    EVP_CIPHER_CTX_free(ctx);
    return done;
}

enum err hsm_data_key_new(struct hsm *h, enum hsm_wrap_key under, struct secret *key_out,
                          struct buf *wrapped_out, uint32_t *generation_out)
{
    uint32_t generation = under == HSM_WRAP_SPOOL ? atomic_load(&h->generation) : 1;
    uint8_t wrapped[WRAPPED_LEN] = {(uint8_t)(generation >> 24), (uint8_t)(generation >> 16),
                                    (uint8_t)(generation >> 8), (uint8_t)generation,
                                    (uint8_t)under};
    enum err e = atomic_load(&h->fail);

    atomic_fetch_add(&h->attempts, 1);
    if (e)
        return err_note(e, "hsm_double", "told to fail");
    e = secret_new(HSM_DATA_KEY_LEN, key_out);
    if (e)
        return e;
    if (RAND_bytes(key_out->data, HSM_DATA_KEY_LEN) != 1 ||
        RAND_bytes(wrapped + HEAD_LEN, NONCE_LEN) != 1)
        abort();
    memcpy(wrapped + HEAD_LEN + NONCE_LEN, key_out->data, HSM_DATA_KEY_LEN);
    if (!crypt_in_place(wrapped, wrapped + HEAD_LEN, wrapped + HEAD_LEN + NONCE_LEN,
                        wrapped + WRAPPED_LEN - TAG_LEN, 1))
        abort();
    buf_append(wrapped_out, wrapped, sizeof wrapped);
    *generation_out = generation;
    atomic_fetch_add(&h->made, 1);
    return buf_error(wrapped_out);
}

enum err hsm_data_key_open(struct hsm *h, enum hsm_wrap_key under, struct bytes wrapped,
                           struct secret *key_out)
{
    uint8_t copy[WRAPPED_LEN];
    uint32_t generation;
    enum err e = atomic_load(&h->fail);

    atomic_fetch_add(&h->attempts, 1);
    if (e)
        return err_note(e, "hsm_double", "told to fail");
    if (wrapped.len != WRAPPED_LEN || wrapped.data[HEAD_LEN - 1] != (uint8_t)under)
        return ERR_TAMPERED;
    memcpy(copy, wrapped.data, sizeof copy);
    generation = (uint32_t)copy[0] << 24 | (uint32_t)copy[1] << 16 | (uint32_t)copy[2] << 8 |
                 (uint32_t)copy[3];
    if (under == HSM_WRAP_SPOOL && generation < atomic_load(&h->retired))
        return ERR_NOT_FOUND;
    if (!crypt_in_place(copy, copy + HEAD_LEN, copy + HEAD_LEN + NONCE_LEN,
                        copy + WRAPPED_LEN - TAG_LEN, 0))
        return ERR_TAMPERED;
    e = secret_new(HSM_DATA_KEY_LEN, key_out);
    if (!e)
        memcpy(key_out->data, copy + HEAD_LEN + NONCE_LEN, HSM_DATA_KEY_LEN);
    atomic_fetch_add(&h->opened, 1);
    return e;
}

enum err hsm_spool_retire(struct hsm *h, uint32_t oldest_in_use)
{
    enum err e = atomic_load(&h->fail);

    atomic_fetch_add(&h->attempts, 1);
    if (!e)
        atomic_store(&h->retired, oldest_in_use);
    return e;
}
