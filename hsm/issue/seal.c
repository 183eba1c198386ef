/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal.c - digests what was composed, has the token sign it, assembles the signed DER. */
#include "hsm/issue/seal.h"

#include <openssl/evp.h>
#include <string.h>

/* Tag and length octets of a DER value. */
static void header_append(struct buf *out, uint8_t tag, size_t len)
{
    uint8_t octets[8];
    size_t n = 0;

    for (size_t rest = len; len > 127 && rest; rest >>= 8)
        n++;
    octets[0] = tag;
    octets[1] = (uint8_t)(n ? 0x80 | n : len);
    for (size_t i = 0; i < n; i++)
        octets[2 + i] = (uint8_t)(len >> 8 * (n - 1 - i));
    buf_append(out, octets, 2 + n);
}

static enum err digest_sign(const struct seal_key *k, struct bytes tbs, struct buf *signature)
{
    const EVP_MD *md = key_ca_digest(k->type);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *ctx;
    bool good;
    enum err e;

    if (EVP_Digest(tbs.data, tbs.len, digest, &len, md, NULL) != 1)
        return err_note_openssl(ERR_NOMEM, "digest");
    e = token_ca_sign(k->token, k->profile, md, (struct bytes){digest, len}, signature);
    if (e)
        return e;
    ctx = EVP_MD_CTX_new();
    good = ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, k->public_key) == 1 &&
           EVP_DigestVerify(ctx, signature->data, signature->len, tbs.data, tbs.len) == 1;
    EVP_MD_CTX_free(ctx);
    return good ? ERR_OK : err_note_openssl(ERR_BUG, "CA signature does not verify");
}

/* SEQUENCE { tbs, signatureAlgorithm, BIT STRING signature }: the outer form that certificate,
 * CRL and CSR share. */
static enum err assemble(const struct seal_key *k, struct bytes tbs, struct buf *out)
{
    CLEANUP(buf_clear) struct buf signature = {0};
    CLEANUP(buf_clear) struct buf tail = {0};
    X509_ALGOR *algorithm = X509_ALGOR_new();
    uint8_t *der = NULL;
    int len = 0;
    enum err e = algorithm ? key_ca_algorithm(algorithm, k->type) : ERR_NOMEM;

    if (!e && (len = i2d_X509_ALGOR(algorithm, &der)) <= 0)
        e = err_note_openssl(ERR_NOMEM, "AlgorithmIdentifier");
    if (!e)
        e = digest_sign(k, tbs, &signature);
    if (!e) {
        buf_append(&tail, der, (size_t)len);
        header_append(&tail, V_ASN1_BIT_STRING, signature.len + 1);
        buf_append(&tail, "", 1);
        buf_append_bytes(&tail, buf_bytes(&signature));
        header_append(out, V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED, tbs.len + tail.len);
        buf_append_bytes(out, tbs);
        buf_append_bytes(out, buf_bytes(&tail));
        e = buf_error(&tail) ? ERR_NOMEM : buf_error(out);
    }
    OPENSSL_free(der);
    X509_ALGOR_free(algorithm);
    return e;
}

static enum err tbs_seal(const struct seal_key *k, uint8_t *tbs, int len, struct buf *out)
{
    enum err e = len > 0 ? assemble(k, (struct bytes){tbs, (size_t)len}, out)
                         : err_note_openssl(ERR_NOMEM, "content to be signed");

    OPENSSL_free(tbs);
    return e;
}

enum err seal_certificate(const struct seal_key *k, X509 *x, struct buf *out)
{
    uint8_t *tbs = NULL;
    /* The only way to the inner algorithm without a private key at hand. */
    enum err e = key_ca_algorithm((X509_ALGOR *)(uintptr_t)X509_get0_tbs_sigalg(x), k->type);
    int len = e ? 0 : i2d_re_X509_tbs(x, &tbs);

    return e ? e : tbs_seal(k, tbs, len, out);
}

/* Append what an i2d function made, and free it. */
static bool der_take(struct buf *out, uint8_t *der, int len)
{
    if (len > 0)
        buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return len > 0;
}

static bool revoked_append(X509_CRL *crl, struct buf *out)
{
    STACK_OF(X509_REVOKED) *list = X509_CRL_get_REVOKED(crl);
    CLEANUP(buf_clear) struct buf entries = {0};

    if (sk_X509_REVOKED_num(list) <= 0)
        return true;
    for (int i = 0; i < sk_X509_REVOKED_num(list); i++) {
        uint8_t *der = NULL;
        int len = i2d_X509_REVOKED(sk_X509_REVOKED_value(list, i), &der);

        if (!der_take(&entries, der, len))
            return false;
    }
    header_append(out, V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED, entries.len);
    buf_append_bytes(out, buf_bytes(&entries));
    return !entries.failed;
}

/* OpenSSL 3.0 has no call that sets a CRL's inner algorithm, so the content (RFC 5280 5.1) is put
 * together from its parts. */
static bool crl_content(X509_CRL *crl, enum key_type type, struct buf *out)
{
    static const uint8_t version_2[] = {V_ASN1_INTEGER, 1, 1};
    X509_ALGOR *algorithm = X509_ALGOR_new();
    uint8_t *der[5] = {NULL};
    int len =
        algorithm && !key_ca_algorithm(algorithm, type) ? i2d_X509_ALGOR(algorithm, &der[0]) : 0;
    bool good;

    buf_append(out, version_2, sizeof version_2);
    good = der_take(out, der[0], len);
    len = i2d_X509_NAME(X509_CRL_get_issuer(crl), &der[1]);
    good = der_take(out, der[1], len) && good;
    len = i2d_ASN1_TIME(X509_CRL_get0_lastUpdate(crl), &der[2]);
    good = der_take(out, der[2], len) && good;
    len = i2d_ASN1_TIME(X509_CRL_get0_nextUpdate(crl), &der[3]);
    good = der_take(out, der[3], len) && good && revoked_append(crl, out);
    len = i2d_X509_EXTENSIONS((X509_EXTENSIONS *)(uintptr_t)X509_CRL_get0_extensions(crl), &der[4]);
    if (len > 0)
        header_append(out, V_ASN1_CONTEXT_SPECIFIC | V_ASN1_CONSTRUCTED, (size_t)len);
    good = der_take(out, der[4], len) && good;
    X509_ALGOR_free(algorithm);
    return good && !out->failed;
}

enum err seal_crl(const struct seal_key *k, X509_CRL *crl, struct buf *out)
{
    CLEANUP(buf_clear) struct buf content = {0};
    CLEANUP(buf_clear) struct buf tbs = {0};

    if (!crl_content(crl, k->type, &content))
        return err_note_openssl(ERR_NOMEM, "CRL content");
    header_append(&tbs, V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED, content.len);
    buf_append_bytes(&tbs, buf_bytes(&content));
    return buf_error(&tbs) ? ERR_NOMEM : assemble(k, buf_bytes(&tbs), out);
}

enum err seal_csr(const struct seal_key *k, X509_REQ *csr, struct buf *out)
{
    uint8_t *tbs = NULL;
    int len = i2d_re_X509_REQ_tbs(csr, &tbs);

    return tbs_seal(k, tbs, len, out);
}
