/* SPDX-License-Identifier: GPL-3.0-or-later */
/* signer.c - verifies a SignedData against enrolled certificates only.
 *
 * Certificates that the message brings along are never looked at: a key counts because the key
 * service named it, not because of a chain. What OpenSSL does not ask for (one signer, one value
 * an attribute, a digest that still means something) is asked here, before it is let near. */
#include "daemon/smime/signer.h"
#include "daemon/smime/ber.h"
#include "daemon/smime/enveloped.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

static enum err refused(const char *what)
{
    ERR_clear_error();
    return err_note(ERR_REFUSED, "signature", "%s", what);
}

/* ---- form ---- */

/* ContentInfo { type, [0] SignedData { version, digestAlgorithms ... } } */
static bool digests_are_few(struct bytes ber)
{
    struct ber info, explicit, data, digests;

    return ber_next(&ber, &info) && ber_child(&info, 1, BER_CONTEXT_0, &explicit) &&
           ber_child(&explicit, 0, BER_SEQUENCE, &data) && ber_child(&data, 1, BER_SET, &digests) &&
           ber_count(&digests) <= SIGNER_DIGESTS_MAX;
}

static bool certificates_are_few(CMS_ContentInfo *cms)
{
    STACK_OF(X509) *certs = CMS_get1_certs(cms);
    int n = certs ? sk_X509_num(certs) : 0;

    sk_X509_pop_free(certs, X509_free);
    return n <= SIGNER_CERTIFICATES_MAX;
}

static bool nid_is_in(int nid, const int *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == nid)
            return true;
    return false;
}

static bool algorithms_are_good(CMS_SignerInfo *si)
{
    static const int digests[] = {NID_sha256, NID_sha384, NID_sha512};
    static const int signatures[] = {NID_rsaEncryption,
                                     NID_sha256WithRSAEncryption,
                                     NID_sha384WithRSAEncryption,
                                     NID_sha512WithRSAEncryption,
                                     NID_rsassaPss,
                                     NID_ecdsa_with_SHA256,
                                     NID_ecdsa_with_SHA384,
                                     NID_ecdsa_with_SHA512};
    X509_ALGOR *digest = NULL, *signature = NULL;

    CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, &signature);
    return digest && signature &&
           nid_is_in(OBJ_obj2nid(digest->algorithm), digests, sizeof digests / sizeof *digests) &&
           nid_is_in(OBJ_obj2nid(signature->algorithm), signatures,
                     sizeof signatures / sizeof *signatures);
}

/* The value of an attribute that stands there exactly once, with exactly one value. */
static void *attribute_get(CMS_SignerInfo *si, int nid, int type)
{
    return CMS_signed_get0_data_by_OBJ(si, OBJ_nid2obj(nid), -3, type);
}

/* Without a zone it is somebody's local time, which tells nothing. */
static bool time_read(const ASN1_TIME *t, int64_t *out)
{
    struct tm tm = {0};
    int len = t ? ASN1_STRING_length(t) : 0;

    if (len < 1 || ASN1_STRING_get0_data(t)[len - 1] != 'Z' || ASN1_TIME_to_tm(t, &tm) != 1)
        return false;
    *out = timegm(&tm);
    return true;
}

static bool attributes_are_good(CMS_ContentInfo *cms, struct signature *s)
{
    const ASN1_OBJECT *type = CMS_get0_eContentType(cms);
    const ASN1_OBJECT *told = attribute_get(s->signer, NID_pkcs9_contentType, V_ASN1_OBJECT);
    const ASN1_TIME *t = attribute_get(s->signer, NID_pkcs9_signingTime, V_ASN1_UTCTIME);

    if (!t)
        t = attribute_get(s->signer, NID_pkcs9_signingTime, V_ASN1_GENERALIZEDTIME);
    return OBJ_obj2nid(type) == NID_pkcs7_data && told && OBJ_cmp(told, type) == 0 &&
           attribute_get(s->signer, NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING) &&
           time_read(t, &s->signing_time_s);
}

static enum err form_judge(struct bytes ber, bool detached, struct signature *s)
{
    STACK_OF(CMS_SignerInfo) * all;
    ASN1_OCTET_STRING **content;

    if (OBJ_obj2nid(CMS_get0_type(s->cms)) != NID_pkcs7_signed)
        return refused("not SignedData");
    if (!digests_are_few(ber) || !certificates_are_few(s->cms))
        return refused("too many certificates or digests");
    content = CMS_get0_content(s->cms);
    if (!content || (*content == NULL) != detached)
        return refused("content is not where it has to be");
    all = CMS_get0_SignerInfos(s->cms);
    if (sk_CMS_SignerInfo_num(all) != 1)
        return refused("not exactly one SignerInfo");
    s->signer = sk_CMS_SignerInfo_value(all, 0);
    if (!algorithms_are_good(s->signer))
        return refused("digest or signature algorithm is too weak or unknown");
    if (!attributes_are_good(s->cms, s))
        return refused("signed attributes are not each there once");
    return ERR_OK;
}

/* ---- signer ---- */

bool signer_key_is_good(X509 *cert)
{
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    int bits = key ? EVP_PKEY_get_bits(key) : 0;

    if (key && EVP_PKEY_is_a(key, "RSA"))
        return bits >= SIGNER_RSA_BITS_MIN && bits <= SIGNER_RSA_BITS_MAX;
    return key && EVP_PKEY_is_a(key, "EC") && bits >= 256;
}

enum err signature_read(struct bytes ber, CMS_ContentInfo *cms, bool detached,
                        struct signature *out)
{
    struct signature s = {.cms = cms};
    enum err e = form_judge(ber, detached, &s);

    if (e)
        signature_clear(&s);
    else
        *out = s;
    return e;
}

static enum err signer_find(const struct open_job *job, struct signature *s)
{
    for (size_t i = 0; i < job->n_user_certs; i++) {
        const uint8_t *p = job->user_certs[i].data;
        X509 *cert = d2i_X509(NULL, &p, (long)job->user_certs[i].len);

        if (cert && CMS_SignerInfo_cert_cmp(s->signer, cert) == 0 && signer_key_is_good(cert)) {
            s->cert = cert;
            return ERR_OK;
        }
        X509_free(cert);
    }
    return refused("not by an enrolled key of this profile");
}

enum err signature_take(const struct open_job *job, struct bytes ber, CMS_ContentInfo *cms,
                        bool detached, struct signature *out)
{
    struct signature s = {0};
    enum err e = signature_read(ber, cms, detached, &s);

    if (!e)
        e = signer_find(job, &s);
    if (e)
        signature_clear(&s);
    else
        *out = s;
    return e;
}

void signature_clear(struct signature *s)
{
    ASN1_OCTET_STRING **content = s->cms ? CMS_get0_content(s->cms) : NULL;

    if (content && *content && ASN1_STRING_length(*content) > 0)
        OPENSSL_cleanse((void *)(uintptr_t)ASN1_STRING_get0_data(*content),
                        (size_t)ASN1_STRING_length(*content));
    X509_free(s->cert);
    cms_drop(&s->cms);
    *s = (struct signature){0};
}

bool signature_holds(const struct signature *s, const struct bytes *detached)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    BIO *content = detached && detached->len <= INT32_MAX
                       ? BIO_new_mem_buf(detached->data, (int)detached->len)
                       : NULL;
    bool ok = certs && sk_X509_push(certs, s->cert) > 0 && (!detached || content) &&
              CMS_verify(s->cms, certs, NULL, content, NULL,
                         CMS_NO_SIGNER_CERT_VERIFY | CMS_NOINTERN | CMS_BINARY) == 1;

    sk_X509_free(certs);
    BIO_free(content);
    ERR_clear_error();
    return ok;
}

struct bytes signature_content(const struct signature *s)
{
    const ASN1_OCTET_STRING *content = *CMS_get0_content(s->cms);

    return (struct bytes){ASN1_STRING_get0_data(content), (size_t)ASN1_STRING_length(content)};
}

/* ---- what it says ---- */

static enum err spki_digest(X509 *cert, uint8_t out[OPEN_DIGEST_LEN])
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    bool ok = len > 0 && EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1;

    OPENSSL_free(der);
    return ok ? ERR_OK : err_note_openssl(ERR_NOMEM, "SubjectPublicKeyInfo");
}

/* Signer | name of the digest | digest of the content | signingTime, each of a known length. */
static enum err id_make(const struct signature *s, struct open_result *out)
{
    const ASN1_OCTET_STRING *digest =
        attribute_get(s->signer, NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING);
    CLEANUP(buf_clear) struct buf said = {0};
    X509_ALGOR *algorithm = NULL;

    CMS_SignerInfo_get0_algs(s->signer, NULL, NULL, &algorithm, NULL);
    buf_append(&said, out->signer_spki, sizeof out->signer_spki);
    buf_printf(&said, "%s %lld ", OBJ_nid2sn(OBJ_obj2nid(algorithm->algorithm)),
               (long long)s->signing_time_s);
    buf_append(&said, ASN1_STRING_get0_data(digest), (size_t)ASN1_STRING_length(digest));
    if (said.failed ||
        EVP_Digest(said.data, said.len, out->signature_id, NULL, EVP_sha256(), NULL) != 1)
        return err_note_openssl(ERR_NOMEM, "signature id");
    return ERR_OK;
}

/* The end of the certificate's life, as the certificate says it. */
static enum err life_judge(const struct open_job *job, X509 *cert, bool *expired_out)
{
    struct tm tm = {0};
    int64_t end_s;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
        return refused("certificate without end");
    end_s = timegm(&tm);
    *expired_out = job->now_s > end_s;
    return job->now_s > end_s + OPEN_USER_CERT_GRACE_S
               ? refused("certificate expired over 90 days ago")
               : ERR_OK;
}

enum err signature_judge(const struct open_job *job, const struct signature *s,
                         struct open_result *out)
{
    enum err e = life_judge(job, s->cert, &out->signer_expired);

    if (!e && s->signing_time_s > job->now_s + OPEN_SIGNING_TIME_AHEAD_S)
        e = refused("signingTime lies ahead");
    if (!e && s->signing_time_s < job->now_s - OPEN_SIGNING_TIME_AGE_S)
        e = refused("signingTime is over 7 days old");
    out->signing_time_s = s->signing_time_s;
    if (!e)
        e = spki_digest(s->cert, out->signer_spki);
    return e ? e : id_make(s, out);
}
