/* SPDX-License-Identifier: GPL-3.0-or-later */
/* key.c - judges public keys; encodings. */
#include "hsm/issue/key.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <string.h>

#define CERT_DER_MAX ((size_t)64 * 1024)

void x509_drop(X509 **x)
{
    X509_free(*x);
}

void key_drop(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}

void csr_drop(X509_REQ **r)
{
    X509_REQ_free(*r);
}

void crl_drop(X509_CRL **c)
{
    X509_CRL_free(*c);
}

/* SubjectPublicKeyInfo: what follows the outer length octets, up to the key itself. */
static const uint8_t rsa_algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                        0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
static const uint8_t p256_algorithm[] = {0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                         0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
                                         0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t p384_algorithm[] = {0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                         0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

static const struct key_form {
    enum key_type type;
    const char *algorithm;
    int bits;
    struct bytes identifier; /* exact AlgorithmIdentifier */
    size_t point_len;        /* EC: octets of an uncompressed point */
} key_forms[] = {
    {KEY_RSA_2048, "RSA", 2048, {rsa_algorithm, sizeof rsa_algorithm}, 0},
    {KEY_RSA_3072, "RSA", 3072, {rsa_algorithm, sizeof rsa_algorithm}, 0},
    {KEY_P256, "EC", 256, {p256_algorithm, sizeof p256_algorithm}, 65},
    {KEY_P384, "EC", 384, {p384_algorithm, sizeof p384_algorithm}, 97},
};

static enum err refused(const char *what)
{
    return err_note(ERR_REFUSED, "public key", "%s", what);
}

/* Is the AlgorithmIdentifier exactly that, and an EC point uncompressed? */
static bool encoding_is(struct bytes spki, const struct key_form *form)
{
    const uint8_t *p = spki.data;
    long length = 0;
    int tag = 0, class = 0;

    if (ASN1_get_object(&p, &length, &tag, &class, (long)spki.len) != V_ASN1_CONSTRUCTED ||
        length < (long)form->identifier.len ||
        memcmp(p, form->identifier.data, form->identifier.len) != 0)
        return false;
    if (!form->point_len)
        return true;
    p += form->identifier.len;
    length -= (long)form->identifier.len;
    /* BIT STRING, no unused bits, then the point */
    return length == (long)form->point_len + 3 && p[0] == V_ASN1_BIT_STRING && p[2] == 0 &&
           p[3] == 0x04;
}

static enum err exponent_check(EVP_PKEY *key)
{
    BIGNUM *e = NULL;
    bool good;

    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
        return err_note_openssl(ERR_REFUSED, "RSA exponent");
    good = BN_is_odd(e) && BN_num_bits(e) >= 17 && BN_num_bits(e) <= 64;
    BN_free(e);
    return good ? ERR_OK : refused("RSA exponent out of range");
}

/* A modulus with a small factor is no key: one gcd with the product of the primes below 752. */
static enum err modulus_check(EVP_PKEY *key)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *n = NULL, *product = BN_new(), *common = BN_new();
    bool good = ctx && product && common && BN_one(product) &&
                EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1;

    for (unsigned candidate = 3; good && candidate < 752; candidate += 2)
        good = BN_mul_word(product, candidate) == 1;
    good = good && BN_is_odd(n) && BN_gcd(common, n, product, ctx) == 1 && BN_is_one(common);
    BN_CTX_free(ctx);
    BN_free(n);
    BN_free(product);
    BN_free(common);
    return good ? ERR_OK : refused("RSA modulus has a small factor");
}

enum err key_check(EVP_PKEY *key, struct bytes spki, enum key_type type)
{
    const struct key_form *form = NULL;
    EVP_PKEY_CTX *ctx;
    bool good;
    enum err e = ERR_OK;

    for (size_t i = 0; i < sizeof key_forms / sizeof *key_forms; i++)
        if (key_forms[i].type == type)
            form = &key_forms[i];
    if (!form || !EVP_PKEY_is_a(key, form->algorithm) || EVP_PKEY_get_bits(key) != form->bits)
        return err_note(ERR_REFUSED, "public key", "not of type %s", key_type_name(type));
    if (!encoding_is(spki, form))
        return refused("not encoded as the profile demands");
    if (!form->point_len) {
        e = exponent_check(key);
        return e ? e : modulus_check(key);
    }
    ctx = EVP_PKEY_CTX_new(key, NULL);
    good = ctx && EVP_PKEY_public_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good ? ERR_OK : err_note_openssl(ERR_REFUSED, "EC point");
}

enum err key_ca_type(EVP_PKEY *key, enum key_type *out)
{
    CLEANUP(buf_clear) struct buf spki = {0};
    enum err e = key_spki(key, &spki);

    if (e)
        return e;
    if (EVP_PKEY_is_a(key, "EC")) {
        e = key_check(key, buf_bytes(&spki), KEY_P384);
        if (!e)
            *out = KEY_P384;
        return e;
    }
    if (!EVP_PKEY_is_a(key, "RSA") ||
        (EVP_PKEY_get_bits(key) != 3072 && EVP_PKEY_get_bits(key) != 4096))
        return refused("a CA key is P-384, RSA-3072 or RSA-4096");
    e = exponent_check(key);
    if (!e)
        e = modulus_check(key);
    if (!e)
        *out = KEY_RSA_3072;
    return e;
}

enum err key_spki(EVP_PKEY *key, struct buf *out)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    if (len <= 0)
        return err_note_openssl(ERR_NOMEM, "i2d_PUBKEY");
    buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return buf_error(out);
}

enum err key_from_spki(struct bytes spki, EVP_PKEY **out)
{
    const uint8_t *p = spki.data;
    EVP_PKEY *key = spki.len ? d2i_PUBKEY(NULL, &p, (long)spki.len) : NULL;

    if (!key || p != spki.data + spki.len) {
        EVP_PKEY_free(key);
        return err_note_openssl(ERR_FORMAT, "SubjectPublicKeyInfo");
    }
    *out = key;
    return ERR_OK;
}

enum err key_ca_algorithm(X509_ALGOR *algorithm, enum key_type ca_type)
{
    bool ec = ca_type == KEY_P384;
    int nid = ec ? NID_ecdsa_with_SHA384 : NID_sha256WithRSAEncryption;

    /* ECDSA has no parameters at all, RSA has NULL. */
    if (X509_ALGOR_set0(algorithm, OBJ_nid2obj(nid), ec ? V_ASN1_UNDEF : V_ASN1_NULL, NULL) != 1)
        return err_note_openssl(ERR_NOMEM, "AlgorithmIdentifier");
    return ERR_OK;
}

const EVP_MD *key_ca_digest(enum key_type ca_type)
{
    return ca_type == KEY_P384 ? EVP_sha384() : EVP_sha256();
}

enum err der_of_cert(X509 *x, struct buf *out)
{
    uint8_t *der = NULL;
    int len = i2d_X509(x, &der);

    if (len <= 0)
        return err_note_openssl(ERR_NOMEM, "i2d_X509");
    buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return buf_error(out);
}

enum err cert_of_der(struct bytes der, X509 **out)
{
    const uint8_t *p = der.data;
    X509 *x = der.len && der.len <= CERT_DER_MAX ? d2i_X509(NULL, &p, (long)der.len) : NULL;

    if (!x || p != der.data + der.len) {
        X509_free(x);
        return err_note_openssl(ERR_FORMAT, "certificate");
    }
    *out = x;
    return ERR_OK;
}

enum err pem_of(const char *label, struct bytes der, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len;
    enum err e = ERR_OK;

    if (!bio || PEM_write_bio(bio, label, "", der.data, (long)der.len) <= 0)
        e = err_note_openssl(ERR_NOMEM, "PEM");
    len = e ? 0 : BIO_get_mem_data(bio, &text);
    if (len > 0)
        buf_append(out, text, (size_t)len);
    BIO_free(bio);
    return e ? e : buf_error(out);
}
