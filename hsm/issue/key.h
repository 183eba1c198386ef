/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cert.h - the four kinds of certificate as data tables, composed and compared.
 *
 * The one place that says what a root, an intermediate, a user's and a sender's certificate hold.
 * Whoever has the issuer's key signs what cert_compose made; whoever receives a certificate asks
 * cert_check whether it is exactly that. Needs OpenSSL alone, no token. */
#ifndef SEALRELAY_HSM_ISSUE_CERT_H
#define SEALRELAY_HSM_ISSUE_CERT_H

#include "hsm/hsm.h"

#include <openssl/x509.h>

#define CERT_DAY_S          86400
#define CERT_BACKDATE_S     (30 * CERT_DAY_S)           /* of a leaf's notBefore */
#define CERT_SENDER_DAYS    730                         /* counted from notBefore */
#define CERT_LEAF_MAX_S     ((int64_t)824 * CERT_DAY_S) /* last second included */
#define CERT_CN_MAX         64                          /* RFC 5280 ub-common-name */
#define CERT_DEFAULT_POLICY "2.25.204867384412930154236791803645123872531"

enum cert_kind { CERT_ROOT, CERT_INTERMEDIATE, CERT_USER, CERT_SENDER };

/* What certificates of one profile have in common. All borrowed; UTF-8 or ASCII as said. */
struct cert_values {
    const char *country; /* two capital letters */
    const char *organisation;
    const char *root_name;         /* CN of the root */
    const char *intermediate_name; /* CN of the intermediate */
    const char *policy_oid;        /* dotted */
    char *const *domains;          /* relay domains, lower case */
    size_t n_domains;
    char *const *addresses; /* the user's mailboxes, lower case */
    size_t n_addresses;
    const char *root_crl_url; /* these four: NULL for none */
    const char *root_aia_url; /* in the intermediate */
    const char *leaf_crl_url;
    const char *leaf_aia_url; /* in leaves */
};

struct cert_order {
    enum cert_kind kind;
    const struct cert_values *values;
    EVP_PKEY *subject_key;     /* public half is enough */
    X509 *issuer;              /* NULL for a root */
    enum key_type issuer_type; /* decides the signature's algorithm */
    char *const *addresses;    /* leaves: rfc822Names; the first is the CN */
    size_t n_addresses;
    int64_t not_before_s;
    int64_t not_after_s;
};

/* cert_compose - a certificate but for its signature: random serial number of 18 octets, inner
 * signature algorithm set. out: given; X509_free. X509_sign, or cert_seal of seal.h, ends it.
 * Errors: ERR_USAGE (an address, name or OID that cannot stand in a certificate), ERR_NOMEM. */
enum err cert_compose(const struct cert_order *order, X509 **out);

/* cert_check - is got exactly what cert_compose makes of order, but for serial number and dates?
 * Order of extensions and of name constraints is free; everything else is compared as DER.
 * Signature and dates are the caller's to check. Errors: ERR_REFUSED, the note names the field. */
enum err cert_check(const struct cert_order *order, X509 *got);

/* cert_extension_add - one extension of a kind that OpenSSL has a structure for. */
enum err cert_constraints_make(const struct cert_values *values, NAME_CONSTRAINTS **out);

/* cert_key_check - is key of that type, sane and encoded as certificates must carry it?
 * spki: its SubjectPublicKeyInfo as received. RSA: exact modulus size, exponent 65537 (or odd and
 * above); EC: named curve, uncompressed point. Errors: ERR_REFUSED. */
enum err cert_key_check(EVP_PKEY *key, struct bytes spki, enum key_type type);

/* cert_ca_key_type - KEY_P384 or KEY_RSA_3072 (RSA of 3072 or 4096 bits) for a CA's public key.
 * Errors: ERR_REFUSED. */
enum err cert_ca_key_type(EVP_PKEY *key, enum key_type *out);

/* cert_algorithm - the signature AlgorithmIdentifier that goes with a CA key. */
enum err cert_algorithm(X509_ALGOR *algorithm, enum key_type ca_type);
const EVP_MD *cert_digest(enum key_type ca_type); /* SHA-384 for P-384, SHA-256 for RSA */

/* cert_spki - SubjectPublicKeyInfo DER of a key. cert_spki_sha256 - its hash. */
enum err cert_spki(EVP_PKEY *key, struct buf *out);
enum err cert_spki_sha256(EVP_PKEY *key, uint8_t out[32]);

/* cert_times - notBefore and notAfter in seconds. Errors: ERR_FORMAT. */
enum err cert_times(const X509 *x, int64_t *not_before_s, int64_t *not_after_s);
enum err cert_time(const ASN1_TIME *t, int64_t *out_s);
/* cert_serial_hex - lower-case hex of the serial number. */
enum err cert_serial_hex(const X509 *x, struct buf *out);

/* cert_der, cert_parse - whole DER and nothing behind it. Errors: ERR_FORMAT, ERR_NOMEM. */
enum err cert_der(X509 *x, struct buf *out);
enum err cert_parse(struct bytes der, X509 **out);

/* for CLEANUP(x509_drop) X509 *x = NULL; and so on */
void x509_drop(X509 **x);
void key_drop(EVP_PKEY **k);
void csr_drop(X509_REQ **r);
void crl_drop(X509_CRL **c);

#endif
