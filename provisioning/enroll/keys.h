/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keys.h - keys and CSRs on the user's machine. Private numbers lie in OpenSSL's secure heap:
 * locked, left out of dumps, wiped when freed. */
#ifndef SEALRELAY_ENROLL_KEYS_H
#define SEALRELAY_ENROLL_KEYS_H

#include "daemon/base/buf.h"

#include <openssl/types.h>

/* keys_start - make the secure heap; once, before any key. locked_out: was it locked in memory?
 * Errors: ERR_NOMEM. */
enum err keys_start(bool *locked_out);

/* key_new - a fresh key: "rsa-2048", "rsa-3072", "p-256" or "p-384". key_out: given.
 * Errors: ERR_USAGE (another type), ERR_NOMEM. */
enum err key_new(const char *type, EVP_PKEY **key_out);
/* key_is_type - is it a key of that type (RSA: exactly that long, exponent 65537)? */
bool key_is_type(EVP_PKEY *key, const char *type);

/* key_of_csr - the public key of a PEM CSR whose signature proves its possession. key_out: given.
 * Errors: ERR_FORMAT. */
enum err key_of_csr(struct bytes pem, EVP_PKEY **key_out);
/* csr_new - a CSR by key for addresses (lower case; the first is the common name), PEM, appended.
 * Errors: ERR_FORMAT, ERR_NOMEM. */
enum err csr_new(EVP_PKEY *key, const char *const *addresses, size_t n_addresses, struct buf *pem);

/* For CLEANUP(). */
void key_free(EVP_PKEY **key);

#endif
