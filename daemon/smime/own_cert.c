/* SPDX-License-Identifier: GPL-3.0-or-later */
/* own_cert.c - a correspondent's certificate against their address, its purpose and its life. */
#include "daemon/smime/own_cert.h"
#include "daemon/message/address.h"
#include "daemon/smime/signer.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ADDRESS_BYTES_MAX 254 /* RFC 5321 4.5.3.1.3 */

static enum err refused(const char *what)
{
    return err_note(ERR_REFUSED, "certificate", "%s", what);
}

static enum err time_read(const ASN1_TIME *t, int64_t *out)
{
    struct tm tm = {0};

    if (ASN1_TIME_to_tm(t, &tm) != 1)
        return err_note_openssl(ERR_FORMAT, "certificate's time");
    *out = timegm(&tm);
    return ERR_OK;
}

enum err own_cert_times(const X509 *cert, int64_t *not_before_s, int64_t *not_after_s)
{
    enum err e = time_read(X509_get0_notBefore(cert), not_before_s);

    return e ? e : time_read(X509_get0_notAfter(cert), not_after_s);
}

static bool names(X509 *cert, const char *address)
{
    char folded[ADDRESS_BYTES_MAX + 1];

    if (snprintf(folded, sizeof folded, "%s", address) >= (int)sizeof folded)
        return false;
    address_fold(folded);
    return signer_names(cert, folded);
}

static bool is_curve_known(const EVP_PKEY *key)
{
    char name[32] = "";
    size_t len = 0;

    return EVP_PKEY_get_group_name(key, name, sizeof name, &len) == 1 &&
           (strcmp(name, SN_X9_62_prime256v1) == 0 || strcmp(name, SN_secp384r1) == 0);
}

/* Without the extension OpenSSL says that every use is allowed. */
static enum err key_check(X509 *cert)
{
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    uint32_t usage = X509_get_key_usage(cert);
    uint32_t extended = X509_get_extended_key_usage(cert);

    if (!key || !signer_key_is_good(cert))
        return refused("its key is neither RSA of 2048 to 8192 bits nor P-256 or P-384");
    if (EVP_PKEY_is_a(key, "EC") && !is_curve_known(key))
        return refused("its curve is neither P-256 nor P-384");
    if (!(usage & (EVP_PKEY_is_a(key, "EC") ? KU_KEY_AGREEMENT : KU_KEY_ENCIPHERMENT)))
        return refused("its key usage does not allow encryption");
    if (!(extended & (XKU_SMIME | XKU_ANYEKU)))
        return refused("its extended key usage does not allow mail");
    return ERR_OK;
}

enum err own_cert_check(X509 *cert, const char *address, int64_t now_s)
{
    int64_t not_before_s, not_after_s;
    enum err e = own_cert_times(cert, &not_before_s, &not_after_s);

    if (e)
        return e;
    if (X509_get_extension_flags(cert) & EXFLAG_CRITICAL)
        return refused("it has a critical extension that is not understood");
    if (X509_check_ca(cert) == 1)
        return refused("it is an authority's");
    if (!names(cert, address))
        return refused("it does not name this address");
    e = key_check(cert);
    if (e)
        return e;
    if (now_s < not_before_s)
        return refused("it is not valid yet");
    return now_s > not_after_s ? err_note(ERR_EXPIRED, "certificate", "it has expired") : ERR_OK;
}
