/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keys.c - keys and CSRs; the secure heap below OpenSSL's big numbers. */
#include "provisioning/enroll/keys.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#define SECURE_HEAP_BYTES (256u * 1024)
#define SECURE_HEAP_LEAST 16
#define CN_MAX            64 /* X.520 upper bound of a common name */

static const struct key_kind {
    const char *type;
    size_t rsa_bits;
    const char *group;
} kinds[] = {
    {"rsa-2048", 2048, NULL},
    {"rsa-3072", 3072, NULL},
    {"p-256", 0, "prime256v1"},
    {"p-384", 0, "secp384r1"},
};

static const struct key_kind *kind_of(const char *type)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return &kinds[i];
    return NULL;
}

enum err keys_start(bool *locked_out)
{
    int made = CRYPTO_secure_malloc_initialized()
                   ? 1
                   : CRYPTO_secure_malloc_init(SECURE_HEAP_BYTES, SECURE_HEAP_LEAST);

    if (made == 0)
        return err_note_openssl(ERR_NOMEM, "secure heap");
    *locked_out = made == 1;
    return ERR_OK;
}

enum err key_new(const char *type, EVP_PKEY **key_out)
{
    const struct key_kind *kind = kind_of(type);
    EVP_PKEY *key;

    if (!kind)
        return err_note(ERR_USAGE, "key type", "rsa-2048, rsa-3072, p-256 or p-384 expected");
    key = kind->group ? EVP_EC_gen(kind->group) : EVP_RSA_gen(kind->rsa_bits);
    if (!key)
        return err_note_openssl(ERR_NOMEM, "key generation");
    *key_out = key;
    return ERR_OK;
}

static bool has_usual_exponent(EVP_PKEY *key)
{
    BIGNUM *exponent = NULL;
    bool usual = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
                 BN_is_word(exponent, RSA_F4) == 1;

    BN_free(exponent);
    return usual;
}

bool key_is_type(EVP_PKEY *key, const char *type)
{
    const struct key_kind *kind = kind_of(type);
    char group[32];

    if (!kind)
        return false;
    if (kind->group)
        return EVP_PKEY_is_a(key, "EC") &&
               EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
               strcmp(group, kind->group) == 0;
    return EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) == (int)kind->rsa_bits &&
           has_usual_exponent(key);
}

enum err key_of_csr(struct bytes pem, EVP_PKEY **key_out)
{
    BIO *bio = pem.len <= INT32_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    X509_REQ *csr = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = csr ? X509_REQ_get_pubkey(csr) : NULL;
    enum err e = ERR_OK;

    if (!key)
        e = err_note_openssl(ERR_FORMAT, "CSR cannot be read");
    else if (X509_REQ_verify(csr, key) != 1)
        e = err_note_openssl(ERR_FORMAT, "CSR's signature does not fit its key");
    X509_REQ_free(csr);
    BIO_free(bio);
    if (e) {
        EVP_PKEY_free(key);
        return e;
    }
    *key_out = key;
    return ERR_OK;
}

static X509_EXTENSION *address_extension(const char *const *addresses, size_t n)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    X509_EXTENSION *extension = NULL;
    bool good = names != NULL;

    for (size_t i = 0; good && i < n; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();

        good = name && text && ASN1_STRING_set(text, addresses[i], -1) == 1 &&
               sk_GENERAL_NAME_push(names, name) > 0;
        if (good) {
            GENERAL_NAME_set0_value(name, GEN_EMAIL, text);
        } else {
            GENERAL_NAME_free(name);
            ASN1_IA5STRING_free(text);
        }
    }
    if (good)
        extension = X509V3_EXT_i2d(NID_subject_alt_name, 0, names);
    GENERAL_NAMES_free(names);
    return extension;
}

static bool csr_fill(X509_REQ *csr, EVP_PKEY *key, const char *const *addresses, size_t n)
{
    X509_NAME *subject = X509_REQ_get_subject_name(csr);
    X509_EXTENSION *extension = address_extension(addresses, n);
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    /* An address too long for a common name stands in the extension alone. */
    bool good =
        extension && extensions && sk_X509_EXTENSION_push(extensions, extension) > 0 &&
        (strlen(addresses[0]) > CN_MAX ||
         X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                    (const uint8_t *)addresses[0], -1, -1, 0) == 1) &&
        X509_REQ_set_version(csr, X509_REQ_VERSION_1) == 1 && X509_REQ_set_pubkey(csr, key) == 1 &&
        X509_REQ_add_extensions(csr, extensions) == 1 && X509_REQ_sign(csr, key, EVP_sha256()) > 0;

    sk_X509_EXTENSION_free(extensions);
    X509_EXTENSION_free(extension);
    return good;
}

enum err csr_new(EVP_PKEY *key, const char *const *addresses, size_t n_addresses, struct buf *pem)
{
    X509_REQ *csr = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    enum err e = ERR_NOMEM;
    char *text;
    long len;

    if (csr && bio && n_addresses > 0)
        e = csr_fill(csr, key, addresses, n_addresses) && PEM_write_bio_X509_REQ(bio, csr) == 1
                ? ERR_OK
                : err_note_openssl(ERR_FORMAT, "CSR");
    if (!e && (len = BIO_get_mem_data(bio, &text)) > 0) {
        buf_append(pem, text, (size_t)len);
        e = buf_error(pem);
    }
    BIO_free(bio);
    X509_REQ_free(csr);
    return e;
}

void key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}
