/* SPDX-License-Identifier: GPL-3.0-or-later */
/* key.h - public keys as certificates must carry them, signature algorithms, DER in and out. */
#ifndef SEALRELAY_HSM_ISSUE_KEY_H
#define SEALRELAY_HSM_ISSUE_KEY_H

#include "hsm/hsm.h"

#include <openssl/x509.h>

#define DAY_S ((int64_t)86400)

/* key_check - is key of that type, sane, and encoded as certificates must carry it?
 *   spki  its SubjectPublicKeyInfo as received
 * RSA: exact modulus size, odd exponent of 17 to 64 bits, no small factor; EC: named curve,
 * uncompressed point on it. Errors: ERR_REFUSED. Source: S/MIME BR 6.1.6, 7.1.3.1 */
enum err key_check(EVP_PKEY *key, struct bytes spki, enum key_type type);

/* key_ca_type - KEY_P384, or KEY_RSA_3072 for RSA of 3072 or 4096 bits. Errors: ERR_REFUSED. */
enum err key_ca_type(EVP_PKEY *key, enum key_type *out);

/* key_ca_algorithm - the signature AlgorithmIdentifier that goes with a CA key; key_ca_digest - its
 * digest: SHA-384 for P-384, SHA-256 for RSA. Source: RFC 5758 3.2, RFC 4055 5 */
enum err key_ca_algorithm(X509_ALGOR *algorithm, enum key_type ca_type);
const EVP_MD *key_ca_digest(enum key_type ca_type);

/* key_spki - SubjectPublicKeyInfo DER, appended. key_from_spki - and back; given. */
enum err key_spki(EVP_PKEY *key, struct buf *out);
enum err key_from_spki(struct bytes spki, EVP_PKEY **out);

/* der_of_cert, cert_of_der - whole DER and nothing behind it. Errors: ERR_FORMAT, ERR_NOMEM. */
enum err der_of_cert(X509 *x, struct buf *out);
enum err cert_of_der(struct bytes der, X509 **out);
/* pem_of - DER as PEM text under a label, appended. */
enum err pem_of(const char *label, struct bytes der, struct buf *out);

/* for CLEANUP(x509_drop) X509 *x = NULL; and so on */
void x509_drop(X509 **x);
void key_drop(EVP_PKEY **k);
void csr_drop(X509_REQ **r);
void crl_drop(X509_CRL **c);

#endif
