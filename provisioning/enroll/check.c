/* SPDX-License-Identifier: GPL-3.0-or-later */
/* check.c - judges the certificate that the relay hands back, as the user's mail client will. */
#include "provisioning/enroll/material.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#define DAY_S         86400
#define CLOCK_SLACK_S 86400 /* two machines' clocks, and the time between issue and this check */

static enum err wrong(const char *what)
{
    return err_note(ERR_REFUSED, "certificate from the relay", "%s", what);
}

static bool is_own_address(const struct request *r, const GENERAL_NAME *name)
{
    const ASN1_IA5STRING *text = name->type == GEN_EMAIL ? name->d.rfc822Name : NULL;
    size_t len = text ? (size_t)ASN1_STRING_length(text) : 0;

    for (size_t i = 0; text && i < r->addresses.n; i++)
        if (strlen(r->addresses.items[i]) == len &&
            memcmp(ASN1_STRING_get0_data(text), r->addresses.items[i], len) == 0)
            return true;
    return false;
}

static enum err check_addresses(const struct request *r, X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int n = names ? sk_GENERAL_NAME_num(names) : 0;
    enum err e = n > 0 ? ERR_OK : wrong("names no address");

    for (int i = 0; !e && i < n; i++)
        if (!is_own_address(r, sk_GENERAL_NAME_value(names, i)))
            e = wrong("names an address that is not the user's");
    GENERAL_NAMES_free(names);
    return e;
}

static enum err check_usage(X509 *cert, EVP_PKEY *key)
{
    uint32_t wanted = EVP_PKEY_is_a(key, "RSA") ? KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT
                                                : KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT;

    if (X509_check_ca(cert) != 0)
        return wrong("is a CA certificate");
    if (X509_get_key_usage(cert) != wanted)
        return wrong("is not for signing and encryption");
    if (X509_get_extended_key_usage(cert) != XKU_SMIME)
        return wrong("is not for mail alone");
    return ERR_OK;
}

static enum err check_dates(const struct material *m, X509 *cert, int64_t now_s)
{
    struct cert_dates dates;
    struct cert_dates issuer;
    enum err e = cert_time(cert, &dates);

    if (!e)
        e = cert_time(m->intermediate, &issuer);
    if (e)
        return e;
    if (dates.not_before_s > now_s + CLOCK_SLACK_S || dates.not_after_s < now_s)
        return wrong("is not valid now; is this machine's clock right?");
    if (dates.not_after_s > now_s + m->request.user_days * DAY_S + CLOCK_SLACK_S ||
        dates.not_after_s - dates.not_before_s >= (int64_t)CERT_LEAF_DAYS_MAX * DAY_S)
        return wrong("is valid for longer than was asked for");
    if (dates.not_after_s > issuer.not_after_s)
        return wrong("outlives its issuer");
    return ERR_OK;
}

static enum err check_chain(const struct material *m, X509 *cert, int64_t now_s)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *chain = sk_X509_new_null();
    enum err e = ERR_NOMEM;

    if (store && ctx && chain && X509_STORE_add_cert(store, m->root) == 1 &&
        sk_X509_push(chain, m->intermediate) > 0 &&
        X509_STORE_CTX_init(ctx, store, cert, chain) == 1 &&
        X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SMIME_SIGN) == 1) {
        X509_STORE_CTX_set_time(ctx, 0, (time_t)now_s);
        e = X509_verify_cert(ctx) == 1
                ? ERR_OK
                : wrong(X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    sk_X509_free(chain);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return e;
}

enum err certificate_check(const struct material *m, EVP_PKEY *key, X509 *cert, int64_t now_s)
{
    enum err e = EVP_PKEY_eq(X509_get0_pubkey(cert), key) == 1
                     ? ERR_OK
                     : wrong("is for another key than the one in this folder");

    if (!e)
        e = check_addresses(&m->request, cert);
    if (!e)
        e = check_usage(cert, key);
    if (!e)
        e = check_dates(m, cert, now_s);
    return e ? e : check_chain(m, cert, now_s);
}
