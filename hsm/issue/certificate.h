/* SPDX-License-Identifier: GPL-3.0-or-later */
/* certificate.h - the five kinds of certificate and the CRLs as one table, composed field by field.
 *
 * Shared by both ends: the user's tool composes and signs root and intermediate with it, the key
 * service composes the same certificate again and compares. Values enter as data, never as
 * configuration text, so that an address cannot become an extension. libcrypto only. */
#ifndef SEALRELAY_ISSUE_CERTIFICATE_H
#define SEALRELAY_ISSUE_CERTIFICATE_H

#include "daemon/base/buf.h"

#include <openssl/types.h>

#define CERT_BACKDATE_CA_DAYS      31  /* so that leaves lie inside their issuers */
#define CERT_BACKDATE_LEAF_DAYS    30  /* signingTime may be that old */
#define CERT_LEAF_DAYS_MAX         824 /* 825 days less the inclusive last second */
#define CERT_ROOT_DAYS_MAX         7305
#define CERT_INTERMEDIATE_DAYS_MAX 3652
#define CERT_NAME_MAX              64 /* characters of a common name, X.520 upper bound */

enum cert_kind { CERT_ROOT, CERT_INTERMEDIATE, CERT_USER, CERT_SENDER, CERT_ALIAS };

/* What a certificate says besides key, serial and dates. Strings borrowed; NULL: not there. */
struct cert_values {
    const char *country;      /* CAs: two capital letters */
    const char *organisation; /* CAs: UTF-8 */
    const char *common_name;  /* CAs: UTF-8, the CA's own */
    /* CAs: the name constraints: relay domains in host form, the user's mailboxes whole. Leaves:
     * addresses are the subjectAltNames, the first also names the subject. Lower case. */
    const char *const *domains;
    size_t n_domains;
    const char *const *addresses;
    size_t n_addresses;
    const char *policy_oid; /* all but the root */
    const char *crl_url;    /* all but the root; http */
    const char *aia_url;    /* all but the root; caIssuers, http */
};

/* Seconds since 1970, both inclusive. */
struct cert_dates {
    int64_t not_before_s;
    int64_t not_after_s;
};

/* cert_compose - a certificate of a kind under a new random serial, complete but for its
 * signature.
 *   issuer  borrowed; NULL for CERT_ROOT, which issues itself
 *   key     the subject's public key
 *   out     given: X509_free
 * Source:  RFC 5280 4.1, 4.2; RFC 8550 4.4
 * Errors:  ERR_FORMAT (a value the table cannot hold), ERR_NOMEM, ERR_IO (no randomness). */
enum err cert_compose(enum cert_kind kind, const struct cert_values *values, const X509 *issuer,
                      EVP_PKEY *key, const struct cert_dates *dates, X509 **out);

/* cert_set_serial - take the serial of another certificate; before comparing. */
enum err cert_set_serial(X509 *cert, const ASN1_INTEGER *serial);

/* cert_sign, crl_sign - sign with an issuer's key: P-384 SHA-384, P-256 and RSA SHA-256
 * (PKCS #1 v1.5). Errors: ERR_USAGE (another kind of key), ERR_HSM_AWAY (the signature failed). */
enum err cert_sign(X509 *cert, EVP_PKEY *issuer_key);
enum err crl_sign(X509_CRL *crl, EVP_PKEY *issuer_key);

/* cert_is_same - do two certificates agree in version, names, key, dates, and in the number, order,
 * criticality and content of their extensions, byte for byte? Serial and signature may differ.
 * difference_out: NULL, or gets a static word for the first difference. */
bool cert_is_same(const X509 *a, const X509 *b, const char **difference_out);
/* cert_is_exactly - is got signed over the very bytes that want would be, with got's serial number
 * and signature algorithm? Catches what cert_is_same has no name for: unique identifiers, an
 * encoding that is not DER. want is changed. */
bool cert_is_exactly(X509 *want, X509 *got);

struct crl_dates {
    int64_t this_update_s;
    int64_t next_update_s;
};

/* crl_compose - a CRL, complete but for its signature, with authority key id and number.
 *   revoked  NULL, or n_revoked certificates of this issuer
 *   out      given: X509_CRL_free
 * Source:  RFC 5280 5 */
enum err crl_compose(const X509 *issuer, X509 *const *revoked, size_t n_revoked, uint64_t number,
                     const struct crl_dates *dates, X509_CRL **out);

/* cert_time - notBefore and notAfter as seconds since 1970. Errors: ERR_FORMAT. */
enum err cert_time(const X509 *cert, struct cert_dates *out);
/* cert_spki_hash - lower-case hex SHA-256 of a key's SubjectPublicKeyInfo, NUL-ended. */
#define CERT_SPKI_HEX_LEN 64
enum err cert_spki_hash(const EVP_PKEY *key, char out[CERT_SPKI_HEX_LEN + 1]);

/* enrolment_statement_text - the six lines that the root key signs.
 *   domains, addresses  any order; written sorted by byte value
 *   intermediate_spki, user_spki  hex, as cert_spki_hash makes it
 * Errors: ERR_FORMAT (a blank or control character inside a word), ERR_NOMEM. */
enum err enrolment_statement_text(const char *profile, const struct cert_values *values,
                                  const char *intermediate_spki, const char *user_spki,
                                  struct buf *out);

#endif
