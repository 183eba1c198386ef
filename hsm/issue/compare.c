/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare.c - what certificates say: equality field by field, dates and key hashes. */
#include "daemon/base/codec.h"
#include "hsm/issue/certificate.h"

#include <openssl/x509.h>
#include <string.h>

static bool is_same_extension(const X509 *a, const X509 *b, int at)
{
    X509_EXTENSION *left = X509_get_ext(a, at);
    X509_EXTENSION *right = X509_get_ext(b, at);

    return OBJ_cmp(X509_EXTENSION_get_object(left), X509_EXTENSION_get_object(right)) == 0 &&
           X509_EXTENSION_get_critical(left) == X509_EXTENSION_get_critical(right) &&
           ASN1_STRING_cmp(X509_EXTENSION_get_data(left), X509_EXTENSION_get_data(right)) == 0;
}

static bool are_same_extensions(const X509 *a, const X509 *b)
{
    int n = X509_get_ext_count(a);

    if (n != X509_get_ext_count(b))
        return false;
    for (int i = 0; i < n; i++)
        if (!is_same_extension(a, b, i))
            return false;
    return true;
}

/* X509_NAME_cmp folds case and blanks; here the bytes count. */
static bool is_same_name(const X509_NAME *a, const X509_NAME *b)
{
    const uint8_t *left;
    const uint8_t *right;
    size_t n_left;
    size_t n_right;

    return X509_NAME_get0_der((X509_NAME *)(uintptr_t)a, &left, &n_left) == 1 &&
           X509_NAME_get0_der((X509_NAME *)(uintptr_t)b, &right, &n_right) == 1 &&
           n_left == n_right && memcmp(left, right, n_left) == 0;
}

static bool is_same_key(const X509 *a, const X509 *b)
{
    uint8_t *left = NULL;
    uint8_t *right = NULL;
    int n_left = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(a), &left);
    int n_right = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(b), &right);
    bool same = n_left > 0 && n_left == n_right && memcmp(left, right, (size_t)n_left) == 0;

    OPENSSL_free(left);
    OPENSSL_free(right);
    return same;
}

bool cert_is_same(const X509 *a, const X509 *b, const char **difference_out)
{
    const char *what = NULL;

    if (X509_get_version(a) != X509_get_version(b))
        what = "version";
    else if (!is_same_name(X509_get_subject_name(a), X509_get_subject_name(b)))
        what = "subject";
    else if (!is_same_name(X509_get_issuer_name(a), X509_get_issuer_name(b)))
        what = "issuer";
    else if (!is_same_key(a, b))
        what = "key";
    else if (ASN1_STRING_cmp(X509_get0_notBefore(a), X509_get0_notBefore(b)) != 0 ||
             ASN1_STRING_cmp(X509_get0_notAfter(a), X509_get0_notAfter(b)) != 0)
        what = "dates";
    else if (!are_same_extensions(a, b))
        what = "extensions";
    if (what && difference_out)
        *difference_out = what;
    return !what;
}

/* Does der hold a SEQUENCE that begins with these bytes? */
static bool sequence_begins(const uint8_t *der, int len, const uint8_t *bytes, int n)
{
    const uint8_t *p = der;
    long length = 0;
    int tag = 0, class = 0;

    return n > 0 && len > 0 &&
           ASN1_get_object(&p, &length, &tag, &class, len) == V_ASN1_CONSTRUCTED && length >= n &&
           memcmp(p, bytes, (size_t)n) == 0;
}

bool cert_is_exactly(X509 *want, X509 *got)
{
    X509_ALGOR *algorithm = (X509_ALGOR *)(uintptr_t)X509_get0_tbs_sigalg(want);
    uint8_t *content = NULL;
    uint8_t *whole = NULL;
    bool same = false;

    if (!cert_set_serial(want, X509_get0_serialNumber(got)) &&
        X509_ALGOR_copy(algorithm, X509_get0_tbs_sigalg(got)) == 1) {
        int n = i2d_re_X509_tbs(want, &content);
        int len = i2d_X509(got, &whole);

        same = sequence_begins(whole, len, content, n);
    }
    OPENSSL_free(content);
    OPENSSL_free(whole);
    return same;
}

static enum err time_of(const ASN1_TIME *t, int64_t *out)
{
    static const char epoch_text[] = "19700101000000Z";
    ASN1_TIME *epoch = ASN1_TIME_new();
    int days = 0;
    int seconds = 0;
    bool known = epoch && ASN1_TIME_set_string(epoch, epoch_text) == 1 &&
                 ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;

    ASN1_TIME_free(epoch);
    if (!known)
        return err_note_openssl(ERR_FORMAT, "certificate time");
    *out = (int64_t)days * 86400 + seconds;
    return ERR_OK;
}

enum err cert_time(const X509 *cert, struct cert_dates *out)
{
    struct cert_dates dates;
    enum err e = time_of(X509_get0_notBefore(cert), &dates.not_before_s);

    if (!e)
        e = time_of(X509_get0_notAfter(cert), &dates.not_after_s);
    if (!e)
        *out = dates;
    return e;
}

enum err cert_spki_hash(const EVP_PKEY *key, char out[CERT_SPKI_HEX_LEN + 1])
{
    CLEANUP(buf_clear) struct buf hex = {0};
    uint8_t digest[32];
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    bool done = len > 0 && EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1;

    OPENSSL_free(der);
    if (!done)
        return err_note_openssl(ERR_FORMAT, "SubjectPublicKeyInfo");
    hex_append(&hex, (struct bytes){digest, sizeof digest});
    if (buf_error(&hex))
        return ERR_NOMEM;
    memcpy(out, buf_str(&hex), CERT_SPKI_HEX_LEN + 1);
    return ERR_OK;
}
