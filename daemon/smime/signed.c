/* SPDX-License-Identifier: GPL-3.0-or-later */
/* signed.c - the detached SignedData of sealing: certificates, signed attributes, signature.
 *
 * Attributes are exactly contentType, messageDigest, signingTime (the time given, never the clock)
 * and our own sMIMECapabilities: OpenSSL's default list offers RC2 and DES. There is no
 * encryption-key preference, because one certificate signs and encrypts. */
#include "daemon/smime/signed.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

static void algs_free(STACK_OF(X509_ALGOR) * *algs)
{
    sk_X509_ALGOR_pop_free(*algs, X509_ALGOR_free);
    *algs = NULL;
}

/* In the order of preference, parameters absent (RFC 8551 2.5.2). */
static bool capabilities_add(CMS_SignerInfo *si)
{
    static const int ciphers[] = {NID_aes_256_cbc, NID_aes_192_cbc, NID_aes_128_cbc};
    CLEANUP(algs_free) STACK_OF(X509_ALGOR) *algs = NULL;

    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++)
        if (!CMS_add_simple_smimecap(&algs, ciphers[i], -1))
            return false;
    return CMS_add_smimecap(si, algs) == 1;
}

static bool signing_time_add(CMS_SignerInfo *si, int64_t time_s)
{
    ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)time_s); /* UTCTime until 2049 */
    bool ok =
        t && CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, ASN1_STRING_type(t), t, -1);

    ASN1_TIME_free(t);
    return ok;
}

static bool is_repeated(const STACK_OF(X509) * certs, int n)
{
    for (int i = 0; i < n; i++)
        if (X509_cmp(sk_X509_value(certs, i), sk_X509_value(certs, n)) == 0)
            return true;
    return false;
}

/* Everything up to, but not including, the root (RFC 8550 2.3). */
static bool certificates_add(CMS_ContentInfo *cms, const struct seal_job *job)
{
    int n = job->extra_certs ? sk_X509_num(job->extra_certs) : 0;

    for (int i = 0; i < n; i++) {
        X509 *cert = sk_X509_value(job->extra_certs, i);

        if (X509_get_extension_flags(cert) & EXFLAG_SS)
            continue;
        if (X509_cmp(cert, job->signer) == 0 || is_repeated(job->extra_certs, i))
            continue;
        if (CMS_add1_cert(cms, cert) != 1)
            return false;
    }
    return true;
}

static enum err signature_fill(const struct seal_job *job, CMS_ContentInfo *cms)
{
    CMS_SignerInfo *si = CMS_add1_signer(cms, job->signer, job->signer_key, EVP_sha256(),
                                         CMS_NOSMIMECAP | CMS_PARTIAL | CMS_BINARY);

    if (!si)
        return err_note_openssl(ERR_BUG, "CMS_add1_signer");
    if (!signing_time_add(si, job->signing_time_s) || !capabilities_add(si))
        return err_note_openssl(ERR_BUG, "signed attributes");
    if (!certificates_add(cms, job))
        return err_note_openssl(ERR_BUG, "CMS_add1_cert");
    return ERR_OK;
}

enum err signature_new(const struct seal_job *job, CMS_ContentInfo **out)
{
    CMS_ContentInfo *cms;
    enum err e;

    if (!job->signer || !job->signer_key)
        return err_note(ERR_BUG, "seal_run", "no signer");
    cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_DETACHED | CMS_STREAM | CMS_BINARY);
    if (!cms)
        return err_note_openssl(ERR_NOMEM, "CMS_sign");
    e = signature_fill(job, cms);
    if (e)
        CMS_ContentInfo_free(cms);
    else
        *out = cms;
    return e;
}

enum err signature_finish(const struct seal_job *job, CMS_ContentInfo *cms, BIO *chain)
{
    enum err e;

    if (CMS_dataFinal(cms, chain) == 1)
        return ERR_OK;
    e = job->key_error ? job->key_error() : ERR_OK;
    return err_note_openssl(e ? e : ERR_BUG, "sign");
}
