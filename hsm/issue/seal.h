/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal.h - the CA key's signature on what this folder composed: certificate, CRL, CSR.
 *
 * The only callers of token_ca_sign. Each takes an OpenSSL object whose content is complete and
 * gives its signed DER; the signature is verified before it leaves, so a faulty token shows. */
#ifndef SEALRELAY_HSM_ISSUE_SEAL_H
#define SEALRELAY_HSM_ISSUE_SEAL_H

#include "hsm/issue/key.h"
#include "hsm/token/token.h"

struct seal_key {
    struct token *token;
    const char *profile;
    enum key_type type;   /* KEY_P384 or KEY_RSA_3072 */
    EVP_PKEY *public_key; /* of the CA key in the token */
};

/* seal_certificate, seal_crl, seal_csr - content borrowed; DER appended to out.
 * Errors: ERR_HSM_AWAY and such from the token; ERR_BUG (signature does not verify). */
enum err seal_certificate(const struct seal_key *k, X509 *x, struct buf *out);
enum err seal_crl(const struct seal_key *k, X509_CRL *crl, struct buf *out);
enum err seal_csr(const struct seal_key *k, X509_REQ *csr, struct buf *out);

#endif
