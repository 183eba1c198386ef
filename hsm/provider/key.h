/* SPDX-License-Identifier: GPL-3.0-or-later */
/* key.h - what OpenSSL holds for us: a public half it knows, and where the private half is.
 *
 * Internal to hsm/provider. A key without hsm is a public one: the peer of a key agreement, or a
 * certificate's key in a comparison. */
#ifndef SEALRELAY_HSM_PROVIDER_KEY_H
#define SEALRELAY_HSM_PROVIDER_KEY_H

#include "hsm/hsm.h"

#include <openssl/core_dispatch.h>
#include <openssl/evp.h>

#define PROVIDER_NAME       "sealrelay"
#define PROVIDER_PROPERTIES "provider=sealrelay"
/* The one parameter by which provider_key hands a struct provided_key to its key manager. */
#define PROVIDER_PARAM_KEY "sealrelay-key"
/* How long the content keys are that this key unwraps, see provider_key_expect. */
#define PROVIDER_PARAM_CONTENT_KEY_LEN "sealrelay-content-key-len"
#define CONTENT_KEY_LEN_MAX            32u

struct provided_key {
    unsigned users;   /* atomic */
    const char *type; /* "RSA" or "EC"; static */
    EVP_PKEY *public; /* of OpenSSL's own provider; NULL while a peer has no point yet */
    struct hsm *hsm;  /* borrowed; NULL: no private half */
    char *profile;
    char *reverse;
    struct buf blob;
    struct buf spki; /* DER of public, so that no key signs under another key's certificate */
    size_t content_key_len; /* 0: not told */
};

/* provided_key_new - an empty key with one user. NULL: out of memory. */
struct provided_key *provided_key_new(const char *type);
struct provided_key *provided_key_use(struct provided_key *key);
void provided_key_free(struct provided_key *key);
/* provided_key_operate - hsm_key_use with this key; keeps the error for provider_last_error and
 * puts it into OpenSSL's queue. */
enum err provided_key_operate(const struct provided_key *key, enum hsm_mechanism mechanism,
                              const char *md, const char *mgf1_md, struct bytes input,
                              struct buf *out);
/* digest_name - the name hsm_key_use takes ("SHA256") for any name OpenSSL has for that digest;
 * NULL when it has none. Static. */
const char *digest_name(const char *any);
/* output_take - hand a result to OpenSSL's caller. 1, or 0 when room is too small. */
int output_take(struct bytes result, unsigned char *out, size_t *len, size_t room);

/* content_key_take - what a decryption gave, or in its place, and without a branch between them, a
 * key that depends on key and ciphertext only.
 *   good   whether the decryption went well at all
 *   plain  what it gave
 *   out    NULL is not allowed; room for CONTENT_KEY_LEN_MAX, or for plain
 * 1, or 0 when out is too small or randomness is missing. */
int content_key_take(const struct provided_key *key, struct bytes ciphertext, bool good,
                     struct bytes plain, unsigned char *out, size_t *len, size_t room);

extern const OSSL_DISPATCH rsa_keymgmt_functions[], ec_keymgmt_functions[], signature_functions[],
    cipher_functions[], exchange_functions[];

#endif
