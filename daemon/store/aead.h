/* SPDX-License-Identifier: GPL-3.0-or-later */
/* aead.h - AES-256-GCM (NIST SP 800-38D) and HKDF-SHA256 (RFC 5869) for data at rest. */
#ifndef SEALRELAY_STORE_AEAD_H
#define SEALRELAY_STORE_AEAD_H

#include "daemon/base/buf.h"

#include <openssl/types.h>

#define AEAD_KEY_LEN   32
#define AEAD_NONCE_LEN 12
#define AEAD_TAG_LEN   16

/* key_derive - a key for one purpose from a data key.
 *   salt  may be empty
 *   info  what it is for; no two purposes share one */
enum err key_derive(const uint8_t key[AEAD_KEY_LEN], struct bytes salt, const char *info,
                    uint8_t out[AEAD_KEY_LEN]);

/* aead_new - a cipher under a key, for sealing or for opening. Free with aead_free. */
enum err aead_new(const uint8_t key[AEAD_KEY_LEN], bool sealing, EVP_CIPHER_CTX **out);
void aead_free(EVP_CIPHER_CTX **ctx);

/* aead_seal - out gets plain.len + AEAD_TAG_LEN bytes. A nonce is used once under a key. */
enum err aead_seal(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN], struct bytes aad,
                   struct bytes plain, uint8_t *out);
/* aead_open - out gets sealed.len - AEAD_TAG_LEN bytes, wiped unless authentic.
 * Errors: ERR_TAMPERED. */
enum err aead_open(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN], struct bytes aad,
                   struct bytes sealed, uint8_t *out);

#endif
