/* SPDX-License-Identifier: GPL-3.0-or-later */
/* crl.c - revocation lists (RFC 5280 5). */
#include "hsm/issue/crl.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define CLOCK_SKEW_S 3600

static bool reason_add(X509_REVOKED *r, enum crl_reason reason)
{
    ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
    bool ok = value && ASN1_ENUMERATED_set(value, (long)reason) == 1 &&
              X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, value, 0, 0) == 1;

    ASN1_ENUMERATED_free(value);
    return ok;
}

enum err crl_revoke(X509_CRL *crl, const char *serial_hex, int64_t at_s, enum crl_reason reason)
{
    X509_REVOKED *r = X509_REVOKED_new();
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)at_s);
    ASN1_INTEGER *serial = NULL;
    BIGNUM *n = NULL;
    bool ok = r && when && BN_hex2bn(&n, serial_hex) > 0 &&
              (serial = BN_to_ASN1_INTEGER(n, NULL)) && X509_REVOKED_set_serialNumber(r, serial) &&
              X509_REVOKED_set_revocationDate(r, when) == 1 && reason_add(r, reason) &&
              X509_CRL_add0_revoked(crl, r) == 1;

    if (!ok)
        X509_REVOKED_free(r);
    ASN1_TIME_free(when);
    ASN1_INTEGER_free(serial);
    BN_free(n);
    return ok ? ERR_OK : err_note_openssl(ERR_NOMEM, "CRL entry");
}

static enum err refused(const char *what)
{
    ERR_clear_error();
    return err_note(ERR_REFUSED, "root CRL", "%s", what);
}

static bool is_from(X509_CRL *crl, X509 *root)
{
    const uint8_t *a, *b;
    size_t na, nb;

    return X509_NAME_get0_der(X509_CRL_get_issuer(crl), &a, &na) == 1 &&
           X509_NAME_get0_der(X509_get_subject_name(root), &b, &nb) == 1 && na == nb &&
           memcmp(a, b, na) == 0;
}

static bool time_read(const ASN1_TIME *t, int64_t *out)
{
    struct tm tm;

    if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
        return false;
    *out = (int64_t)timegm(&tm);
    return true;
}

enum err crl_root_check(X509_CRL *crl, X509 *root, int64_t now_s)
{
    int64_t from = 0, to = 0;
    struct cert_dates dates;
    enum err e = cert_time(root, &dates);

    if (e)
        return e;
    if (!is_from(crl, root))
        return refused("not issued by the root");
    if (X509_CRL_get_signature_nid(crl) != X509_get_signature_nid(root) ||
        X509_CRL_verify(crl, X509_get0_pubkey(root)) != 1)
        return refused("its signature is not the root's");
    if (sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)) > 0)
        return refused("revokes something");
    if (!time_read(X509_CRL_get0_lastUpdate(crl), &from) ||
        !time_read(X509_CRL_get0_nextUpdate(crl), &to) || from > now_s + CLOCK_SKEW_S ||
        to != dates.not_after_s)
        return refused("not valid as long as the root");
    return ERR_OK;
}
