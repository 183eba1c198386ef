/* SPDX-License-Identifier: GPL-3.0-or-later */
/* certificate.c - composes certificates and CRLs by kind, and compares certificates.
 *
 * The table of kinds decides which extensions exist and in which order: a certificate that the
 * table does not describe cannot be made here. */
#include "hsm/issue/certificate.h"
#include "hsm/issue/extension.h"

#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#define SERIAL_OCTETS 18 /* positive and below 2^159: X.509 and S/MIME BR 7.1 */

/* Numbers of the keyUsage bits, RFC 5280 4.2.1.3. */
enum {
    DIGITAL_SIGNATURE = 0,
    KEY_ENCIPHERMENT = 2,
    KEY_AGREEMENT = 4,
    CERT_SIGN = 5,
    CRL_SIGN = 6
};

static const int ca_usage[] = {CERT_SIGN, CRL_SIGN, -1};
static const int rsa_usage[] = {DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, -1};
static const int ec_usage[] = {DIGITAL_SIGNATURE, KEY_AGREEMENT, -1};

static const struct kind {
    bool ca;
    int pathlen; /* negative: none */
    bool email_protection;
    bool issued; /* has policy, and URLs where configured */
} kinds[] = {
    [CERT_ROOT] = {.ca = true, .pathlen = -1},
    [CERT_INTERMEDIATE] = {.ca = true, .pathlen = 0, .email_protection = true, .issued = true},
    [CERT_USER] = {.pathlen = -1, .email_protection = true, .issued = true},
    [CERT_SENDER] = {.pathlen = -1, .email_protection = true, .issued = true},
    [CERT_ALIAS] = {.pathlen = -1, .email_protection = true, .issued = true},
};

static enum err add_entry(X509_NAME *name, int nid, const char *text)
{
    if (!text || !text[0])
        return err_note(ERR_FORMAT, "subject", "%s is missing", OBJ_nid2sn(nid));
    if (X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const uint8_t *)text, -1, -1, 0) != 1)
        return err_note_openssl(ERR_FORMAT, "subject");
    return ERR_OK;
}

static enum err name_ca(X509_NAME *name, const struct cert_values *v)
{
    enum err e = add_entry(name, NID_countryName, v->country);

    if (!e)
        e = add_entry(name, NID_organizationName, v->organisation);
    if (!e)
        e = add_entry(name, NID_commonName, v->common_name);
    return e;
}

/* CN is the address; a longer one than X.520 allows is named by a hash of it. */
static enum err name_leaf(X509_NAME *name, const struct cert_values *v)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[EVP_MAX_MD_SIZE];
    char hex[33];
    size_t len = v->n_addresses ? strlen(v->addresses[0]) : 0;

    if (len == 0)
        return err_note(ERR_FORMAT, "subject", "no address");
    if (len <= CERT_NAME_MAX)
        return add_entry(name, NID_commonName, v->addresses[0]);
    if (EVP_Digest(v->addresses[0], len, digest, NULL, EVP_sha256(), NULL) != 1)
        return err_note_openssl(ERR_NOMEM, "EVP_Digest");
    for (size_t i = 0; i < 16; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[32] = '\0';
    return add_entry(name, NID_serialNumber, hex);
}

static enum err set_random_serial(X509 *cert)
{
    uint8_t random[SERIAL_OCTETS];
    BIGNUM *n;
    enum err e = ERR_OK;

    if (RAND_bytes(random, sizeof random) != 1)
        return err_note_openssl(ERR_IO, "RAND_bytes");
    random[0] = (uint8_t)((random[0] & 0x7f) | 0x40);
    n = BN_bin2bn(random, sizeof random, NULL);
    if (!n || !BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)))
        e = ERR_NOMEM;
    BN_free(n);
    return e;
}

/* X509_set_pubkey keeps the very key it is given, private part included: a certificate must not
 * keep a private key alive, so it gets a copy of the public part. */
static bool set_public_key(X509 *cert, EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    const uint8_t *at = der;
    EVP_PKEY *copy = len > 0 ? d2i_PUBKEY(NULL, &at, len) : NULL;
    bool done = copy && X509_set_pubkey(cert, copy) == 1;

    EVP_PKEY_free(copy);
    OPENSSL_free(der);
    return done;
}

static enum err set_basics(X509 *cert, enum cert_kind kind, const struct cert_values *v,
                           const X509 *issuer, EVP_PKEY *key, const struct cert_dates *dates)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    enum err e = kinds[kind].ca ? name_ca(subject, v) : name_leaf(subject, v);

    if (!e)
        e = set_random_serial(cert);
    if (e)
        return e;
    if (dates->not_after_s <= dates->not_before_s)
        return err_note(ERR_FORMAT, "validity", "ends before it begins");
    if (X509_set_version(cert, X509_VERSION_3) != 1 || !set_public_key(cert, key) ||
        X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject) != 1 ||
        !ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)dates->not_before_s) ||
        !ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)dates->not_after_s))
        return err_note_openssl(ERR_FORMAT, "certificate fields");
    return ERR_OK;
}

static enum err add_ca_extensions(X509 *cert, const struct kind *k, const struct cert_values *v)
{
    enum err e = extension_ca(cert, k->pathlen);

    if (!e)
        e = extension_usage(cert, ca_usage);
    if (!e)
        e = extension_name_constraints(cert, v);
    return e;
}

static enum err add_leaf_extensions(X509 *cert, const struct cert_values *v, EVP_PKEY *key)
{
    enum err e = extension_usage(cert, EVP_PKEY_is_a(key, "RSA") ? rsa_usage : ec_usage);

    if (!e)
        e = extension_addresses(cert, v->addresses, v->n_addresses);
    return e;
}

static enum err add_extensions(X509 *cert, const struct kind *k, const struct cert_values *v,
                               const X509 *issuer, EVP_PKEY *key)
{
    enum err e = k->ca ? add_ca_extensions(cert, k, v) : add_leaf_extensions(cert, v, key);

    if (!e && k->email_protection)
        e = extension_email_protection(cert);
    if (!e)
        e = extension_key_ids(cert, issuer);
    if (!e && k->issued)
        e = v->policy_oid ? extension_policy(cert, v->policy_oid)
                          : err_note(ERR_FORMAT, "policy OID", "missing");
    if (!e && k->issued && v->crl_url)
        e = extension_crl_url(cert, v->crl_url);
    if (!e && k->issued && v->aia_url)
        e = extension_aia_url(cert, v->aia_url);
    return e;
}

enum err cert_compose(enum cert_kind kind, const struct cert_values *values, const X509 *issuer,
                      EVP_PKEY *key, const struct cert_dates *dates, X509 **out)
{
    X509 *cert = X509_new();
    enum err e = ERR_NOMEM;

    if (!cert)
        return e;
    e = (kind == CERT_ROOT) == (issuer == NULL) ? set_basics(cert, kind, values, issuer, key, dates)
                                                : ERR_BUG;
    if (!e)
        e = add_extensions(cert, &kinds[kind], values, issuer, key);
    if (e) {
        X509_free(cert);
        return e;
    }
    *out = cert;
    return ERR_OK;
}

enum err cert_set_serial(X509 *cert, const ASN1_INTEGER *serial)
{
    ASN1_INTEGER *copy = ASN1_INTEGER_dup(serial);
    int done = copy && X509_set_serialNumber(cert, copy);

    ASN1_INTEGER_free(copy);
    return done ? ERR_OK : err_note_openssl(ERR_NOMEM, "X509_set_serialNumber");
}

/* The digest that goes with an issuer's key; NULL: not a key that issues. */
static const EVP_MD *digest_for(EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "RSA"))
        return EVP_sha256();
    if (EVP_PKEY_is_a(key, "EC"))
        return EVP_PKEY_get_bits(key) > 256 ? EVP_sha384() : EVP_sha256();
    return NULL;
}

enum err cert_sign(X509 *cert, EVP_PKEY *issuer_key)
{
    const EVP_MD *md = digest_for(issuer_key);

    if (!md)
        return err_note(ERR_USAGE, "cert_sign", "key is neither RSA nor EC");
    return X509_sign(cert, issuer_key, md) > 0 ? ERR_OK
                                               : err_note_openssl(ERR_HSM_AWAY, "X509_sign");
}

enum err crl_sign(X509_CRL *crl, EVP_PKEY *issuer_key)
{
    const EVP_MD *md = digest_for(issuer_key);

    if (!md)
        return err_note(ERR_USAGE, "crl_sign", "key is neither RSA nor EC");
    return X509_CRL_sign(crl, issuer_key, md) > 0 ? ERR_OK
                                                  : err_note_openssl(ERR_HSM_AWAY, "X509_CRL_sign");
}

static enum err revoke(X509_CRL *crl, const X509 *cert, int64_t at_s)
{
    X509_REVOKED *r = X509_REVOKED_new();
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)at_s);
    bool done = r && when &&
                X509_REVOKED_set_serialNumber(
                    r, (ASN1_INTEGER *)(uintptr_t)X509_get0_serialNumber(cert)) == 1 &&
                X509_REVOKED_set_revocationDate(r, when) == 1 && X509_CRL_add0_revoked(crl, r) == 1;

    ASN1_TIME_free(when);
    if (!done)
        X509_REVOKED_free(r);
    return done ? ERR_OK : err_note_openssl(ERR_NOMEM, "CRL entry");
}

enum err crl_compose(const X509 *issuer, X509 *const *revoked, size_t n_revoked, uint64_t number,
                     const struct crl_dates *dates, X509_CRL **out)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)dates->this_update_s);
    ASN1_TIME *until = ASN1_TIME_set(NULL, (time_t)dates->next_update_s);
    enum err e = ERR_OK;

    if (!crl || !from || !until || X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
        X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) != 1 ||
        X509_CRL_set1_lastUpdate(crl, from) != 1 || X509_CRL_set1_nextUpdate(crl, until) != 1)
        e = err_note_openssl(ERR_NOMEM, "CRL fields");
    for (size_t i = 0; !e && i < n_revoked; i++)
        e = revoke(crl, revoked[i], dates->this_update_s);
    if (!e)
        e = extension_crl(crl, issuer, number);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    if (e) {
        X509_CRL_free(crl);
        return e;
    }
    (void)X509_CRL_sort(crl);
    *out = crl;
    return ERR_OK;
}
