/* SPDX-License-Identifier: GPL-3.0-or-later */
/* provider.h - sender keys behind the socket as ordinary EVP_PKEYs of an in-process OpenSSL
 * provider.
 *
 * CMS_sign and CMS_decrypt need no special case: their private-key operations end in hsm_key_use.
 */
#ifndef SEALRELAY_HSM_PROVIDER_H
#define SEALRELAY_HSM_PROVIDER_H

#include "hsm/hsm.h"

/* provider_load - make the provider known to OpenSSL's default library context. Once a process. */
enum err provider_load(void);

/* provider_key - an EVP_PKEY whose public half is cert's and whose private half is key's.
 *   h     borrowed, must outlive the EVP_PKEY
 *   key   copied
 *   out   given; EVP_PKEY_free
 * Errors: ERR_FORMAT (certificate's key type unknown), ERR_NOMEM. */
enum err provider_key(struct hsm *h, const struct hsm_key_ref *key, X509 *cert, EVP_PKEY **out);

/* provider_key_expect - tell an RSA key of provider_key how long the content keys are that it is
 * about to unwrap. From then on whatever does not unwrap to that length, for whatever reason in the
 * ciphertext, gives a content key all the same: one that opens nothing. Unless told, the length is
 * not looked at.
 *   len  at most 32
 * Errors: ERR_USAGE (not a key of provider_key, or len too great). */
enum err provider_key_expect(EVP_PKEY *key, size_t len);

/* provider_last_error - why the calling thread's last private-key operation failed; ERR_OK if it
 * did not, which includes a ciphertext that did not unwrap. OpenSSL's own calls can only say that
 * they failed. */
enum err provider_last_error(void);
void provider_clear_error(void);

#endif
