/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pem.h - certificates, CRLs and keys to and from bytes. */
#ifndef SEALRELAY_ENROLL_PEM_H
#define SEALRELAY_ENROLL_PEM_H

#include "daemon/base/buf.h"
#include "daemon/base/secret.h"

#include <openssl/types.h>

/* cert_to_pem, cert_to_der, crl_to_pem, crl_to_der - appended to out.
 * Errors: ERR_NOMEM. */
enum err cert_to_pem(const X509 *cert, struct buf *out);
enum err cert_to_der(const X509 *cert, struct buf *out);
enum err crl_to_pem(const X509_CRL *crl, struct buf *out);
enum err crl_to_der(const X509_CRL *crl, struct buf *out);
/* cert_from_pem - exactly one certificate, nothing behind it but blanks. cert_out: given.
 * Errors: ERR_FORMAT. */
enum err cert_from_pem(struct bytes pem, X509 **cert_out);

/* key_to_pem - a private key as encrypted PKCS #8 (PBES2, AES-256-CBC).
 * key_from_pem - the reverse. key_out: given.
 * Errors: ERR_REFUSED (wrong passphrase), ERR_FORMAT, ERR_NOMEM. */
enum err key_to_pem(EVP_PKEY *key, const struct secret *passphrase, struct buf *out);
enum err key_from_pem(struct bytes pem, const struct secret *passphrase, EVP_PKEY **key_out);

/* cert_fingerprint - lower-case hex SHA-256 of the DER, appended. */
enum err cert_fingerprint(const X509 *cert, struct buf *out);

/* For CLEANUP(). */
void cert_free(X509 **cert);

#endif
