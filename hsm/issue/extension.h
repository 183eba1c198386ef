/* SPDX-License-Identifier: GPL-3.0-or-later */
/* extension.h - the extensions of our certificates, each built from typed values. Private to
 * seal_certificates. Every function answers ERR_OK, ERR_FORMAT or ERR_NOMEM. */
#ifndef SEALRELAY_ISSUE_EXTENSION_H
#define SEALRELAY_ISSUE_EXTENSION_H

#include "hsm/issue/certificate.h"

/* extension_ca - basicConstraints, critical, CA:TRUE. pathlen: negative for none. */
enum err extension_ca(X509 *cert, int pathlen);
/* extension_usage - keyUsage, critical. bits: numbers of RFC 5280 4.2.1.3, -1 ends them. */
enum err extension_usage(X509 *cert, const int *bits);
/* extension_email_protection - extendedKeyUsage with emailProtection alone. */
enum err extension_email_protection(X509 *cert);
/* extension_key_ids - subjectKeyIdentifier, and authorityKeyIdentifier (key id alone) of issuer.
 * issuer: NULL for a root. */
enum err extension_key_ids(X509 *cert, const X509 *issuer);
/* extension_addresses - subjectAltName with rfc822Names. */
enum err extension_addresses(X509 *cert, const char *const *addresses, size_t n);
enum err extension_policy(X509 *cert, const char *oid);
enum err extension_crl_url(X509 *cert, const char *url);
enum err extension_aia_url(X509 *cert, const char *url);
/* extension_name_constraints - not critical (gpgsm refuses a critical one): permitted rfc822Name
 * for each domain and address; excluded every dNSName and iPAddress. */
enum err extension_name_constraints(X509 *cert, const struct cert_values *values);
/* extension_crl - authorityKeyIdentifier and cRLNumber. */
enum err extension_crl(X509_CRL *crl, const X509 *issuer, uint64_t number);

#endif
