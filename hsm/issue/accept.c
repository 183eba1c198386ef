/* SPDX-License-Identifier: GPL-3.0-or-later */
/* accept.c - judges an enrolment: the intermediate is accepted once, and only if root,
 * intermediate, CRL and statement are exactly what the profile's record asked for. */
#include "hsm/issue/crl.h"
#include "hsm/issue/csr.h"
#include "hsm/issue/enrolment.h"
#include "hsm/issue/inside.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#define CLOCK_SKEW_S  3600
#define BEGUN_MAX_S   (92 * DAY_S) /* 31 days back when made, and two months to hand it in */
#define LENGTH_SLIP_S DAY_S        /* leap days and last seconds */

static enum err refused(const char *part, const char *what)
{
    ERR_clear_error();
    return err_note(ERR_REFUSED, part, "%s", what);
}

static enum err dates_check(const struct cert_dates *d, int64_t days, int64_t now_s,
                            const char *part)
{
    int64_t slip = d->not_after_s + 1 - d->not_before_s - days * DAY_S;

    if (d->not_before_s > now_s + CLOCK_SKEW_S || d->not_before_s < now_s - BEGUN_MAX_S)
        return refused(part, "begins too early or too late");
    if (slip > LENGTH_SLIP_S || slip < -LENGTH_SLIP_S)
        return refused(part, "is not valid for as long as asked for");
    return ERR_OK;
}

static enum err serial_check(X509 *x, const char *part)
{
    const ASN1_STRING *serial = (const ASN1_STRING *)X509_get0_serialNumber(x);
    int len = ASN1_STRING_length(serial);

    /* 16 to 19 octets, of which the first may be zero and is then not written. */
    if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || len < 15 || len > 19)
        return refused(part, "serial number out of range");
    return ERR_OK;
}

/* Composed anew from the record with the received dates, it must come out the same. */
static enum err same_check(enum cert_kind kind, const struct cert_values *values, X509 *issuer,
                           EVP_PKEY *key, X509 *got)
{
    const char *part = kind == CERT_ROOT ? "root" : "intermediate";
    const char *difference = "something";
    CLEANUP(x509_drop) X509 *want = NULL;
    struct cert_dates dates;
    enum err e = cert_time(got, &dates);

    if (!e)
        e = cert_compose(kind, values, issuer, key, &dates, &want);
    if (!e && !cert_is_same(want, got, &difference))
        e = err_note(ERR_REFUSED, part, "%s differs from what was asked for", difference);
    if (!e && !cert_is_exactly(want, got))
        e = refused(part, "is not encoded as what was asked for");
    return e ? e : serial_check(got, part);
}

/* The signature by the root's key with the one algorithm that goes with it; X509_verify compares
 * inner and outer AlgorithmIdentifier. */
static enum err signature_check(X509 *x, EVP_PKEY *root_key, enum key_type type, const char *part)
{
    X509_ALGOR *want = X509_ALGOR_new();
    const X509_ALGOR *got = NULL;
    enum err e = want ? key_ca_algorithm(want, type) : ERR_NOMEM;

    X509_get0_signature(NULL, &got, x);
    if (!e && X509_ALGOR_cmp(want, got) != 0)
        e = refused(part, "signature algorithm does not go with the root's key");
    if (!e && X509_verify(x, root_key) != 1)
        e = refused(part, "is not signed by the root");
    X509_ALGOR_free(want);
    return e;
}

static enum err root_check(const struct record *r, X509 *root, int64_t now_s)
{
    struct cert_values values = values_of_ca(r, r->root_name);
    CLEANUP(buf_clear) struct buf spki = {0};
    EVP_PKEY *key = X509_get0_pubkey(root);
    struct cert_dates dates;
    enum key_type type = KEY_P384;
    enum err e = key ? key_ca_type(key, &type) : refused("root", "its key is not readable");

    if (!e)
        e = key_spki(key, &spki);
    if (!e && bytes_equal(buf_bytes(&spki), buf_bytes(&r->ca_spki)))
        e = refused("root", "has the key of the intermediate");
    if (!e)
        e = same_check(CERT_ROOT, &values, NULL, key, root);
    if (!e)
        e = signature_check(root, key, type, "root");
    if (!e)
        e = cert_time(root, &dates);
    return e ? e : dates_check(&dates, r->root_days, now_s, "root");
}

static enum err intermediate_check(const struct record *r, X509 *root, X509 *got, int64_t now_s)
{
    struct cert_values values = values_of_ca(r, r->intermediate_name);
    CLEANUP(key_drop) EVP_PKEY *ours = NULL;
    struct cert_dates dates, above;
    enum key_type type = KEY_P384;
    enum err e = key_from_spki(buf_bytes(&r->ca_spki), &ours);

    if (!e)
        e = same_check(CERT_INTERMEDIATE, &values, root, ours, got);
    if (!e)
        e = key_ca_type(X509_get0_pubkey(root), &type);
    if (!e)
        e = signature_check(got, X509_get0_pubkey(root), type, "intermediate");
    if (!e)
        e = cert_time(got, &dates);
    if (!e)
        e = cert_time(root, &above);
    if (!e)
        e = dates_check(&dates, r->intermediate_days, now_s, "intermediate");
    if (!e && (dates.not_after_s >= above.not_after_s || dates.not_before_s < above.not_before_s))
        e = refused("intermediate", "is not valid within the root's validity");
    return e;
}

static enum err statement_check(const struct record *r, EVP_PKEY *root_key, struct bytes signature,
                                struct bytes user_spki)
{
    struct cert_values values = values_of_ca(r, NULL);
    CLEANUP(buf_clear) struct buf text = {0};
    journal_hash ca, user;
    enum key_type type = KEY_P384;
    EVP_MD_CTX *ctx;
    bool good;
    enum err e = key_ca_type(root_key, &type);

    hash_hex(buf_bytes(&r->ca_spki), ca);
    hash_hex(user_spki, user);
    if (!e)
        e = enrolment_statement_text(r->profile, &values, ca, user, &text);
    if (e)
        return e;
    ctx = EVP_MD_CTX_new();
    good = ctx && EVP_DigestVerifyInit(ctx, NULL, key_ca_digest(type), NULL, root_key) == 1 &&
           EVP_DigestVerify(ctx, signature.data, signature.len, text.data, text.len) == 1;
    EVP_MD_CTX_free(ctx);
    return good ? ERR_OK : refused("enrolment statement", "is not the root's signature over it");
}

static enum err der_keep(int len, uint8_t *der, struct buf *out)
{
    if (len > 0)
        buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return len > 0 ? buf_error(out) : err_note_openssl(ERR_NOMEM, "DER");
}

static enum err enrolment_keep(struct record *next, const struct enrolment *got)
{
    uint8_t *der = NULL;
    int len = i2d_X509_CRL(got->crl, &der);
    enum err e = der_keep(len, der, &next->root_crl);

    der = NULL;
    len = i2d_X509_REQ(got->csr, &der);
    if (!e)
        e = der_keep(len, der, &next->first_csr);
    else
        OPENSSL_free(der);
    if (!e)
        e = der_of_cert(got->root, &next->root);
    return e ? e : der_of_cert(got->intermediate, &next->intermediate);
}

enum err enrolment_accept(struct record *next, const struct enrolment *got, int64_t now_s)
{
    CLEANUP(buf_clear) struct buf user_spki = {0};
    enum err e = strcmp(got->profile, next->profile) == 0
                     ? root_check(next, got->root, now_s)
                     : refused("enrolment", "is for another profile");

    if (!e)
        e = intermediate_check(next, got->root, got->intermediate, now_s);
    if (!e)
        e = crl_root_check(got->crl, got->root, now_s);
    if (!e)
        e = csr_check(got->csr, next->user_key_type, next->addresses.items, next->addresses.n,
                      &user_spki, NULL);
    if (!e)
        e = user_key_apart(next, got->root, buf_bytes(&user_spki));
    if (!e)
        e = statement_check(next, X509_get0_pubkey(got->root), buf_bytes(&got->statement),
                            buf_bytes(&user_spki));
    return e ? e : enrolment_keep(next, got);
}
