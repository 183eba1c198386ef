/* SPDX-License-Identifier: GPL-3.0-or-later */
/* csr.h - a user's certificate request: proof of possession, key, and nothing else.
 *
 * Only the key is taken from it. A request that asks for more than its own addresses and mail
 * protection is refused rather than silently trimmed. */
#ifndef SEALRELAY_HSM_ISSUE_CSR_H
#define SEALRELAY_HSM_ISSUE_CSR_H

#include "hsm/issue/certificate.h"
#include "hsm/issue/key.h"

/* csr_check - self-signature, key type and encoding, requested extensions.
 *   spki_out  SubjectPublicKeyInfo DER, appended; may be NULL
 *   key_out   given; may be NULL
 * Errors: ERR_REFUSED, the note says why. */
enum err csr_check(X509_REQ *csr, enum key_type type, char *const *addresses, size_t n_addresses,
                   struct buf *spki_out, EVP_PKEY **key_out);
/* csr_parse - Errors: ERR_FORMAT. */
enum err csr_parse(struct bytes der, X509_REQ **out);

/* csr_compose - the intermediate's request, but for its signature. given. */
enum err csr_compose(const struct cert_values *values, EVP_PKEY *key, X509_REQ **out);

#endif
