/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rejection.c - implicit rejection: a ciphertext that does not unwrap gives a content key all the
 * same, so that nobody behind us has a failure to tell of.
 *
 * The key in its place is an HMAC over key and ciphertext under a secret of this process: sent
 * again, the same ciphertext fares the same way. RFC 3218 2.3, RFC 5246 7.4.7.1. */
#include "hsm/provider/key.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t secret_once = PTHREAD_ONCE_INIT;
static uint8_t secret[CONTENT_KEY_LEN_MAX];
static bool secret_made;

static void secret_make(void)
{
    secret_made = RAND_priv_bytes(secret, sizeof secret) == 1;
}

static bool substitute_make(const struct provided_key *key, struct bytes ciphertext,
                            uint8_t out[CONTENT_KEY_LEN_MAX])
{
    CLEANUP(buf_clear) struct buf input = {0};
    unsigned len = 0;

    (void)pthread_once(&secret_once, secret_make);
    buf_append_bytes(&input, buf_bytes(&key->spki));
    buf_append_bytes(&input, ciphertext);
    return secret_made && !input.failed &&
           HMAC(EVP_sha256(), secret, sizeof secret, input.data, input.len, out, &len) != NULL;
}

int content_key_take(const struct provided_key *key, struct bytes ciphertext, bool good,
                     struct bytes plain, unsigned char *out, size_t *len, size_t room)
{
    uint8_t made[CONTENT_KEY_LEN_MAX], found[CONTENT_KEY_LEN_MAX] = {0};
    size_t wanted = key->content_key_len;
    uint8_t mask;

    if (!wanted && good)
        return output_take(plain, out, len, room);
    if (!wanted)
        wanted = sizeof made;
    if (room < wanted || !substitute_make(key, ciphertext, made))
        return 0;
    if (plain.len)
        memcpy(found, plain.data, plain.len < sizeof found ? plain.len : sizeof found);
    mask = (uint8_t) - (int)((unsigned)good & (unsigned)(plain.len == wanted));
    for (size_t i = 0; i < wanted; i++)
        out[i] = (uint8_t)((found[i] & mask) | (made[i] & (uint8_t)~mask));
    *len = wanted;
    OPENSSL_cleanse(found, sizeof found);
    OPENSSL_cleanse(made, sizeof made);
    return 1;
}
