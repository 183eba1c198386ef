/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pem.c - certificates, CRLs and keys to and from bytes. Private keys only ever encrypted. */
#include "provisioning/enroll/pem.h"
#include "daemon/base/codec.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

/* Append what was written to bio, and free it. */
static enum err take_bio(BIO *bio, int written, struct buf *out)
{
    char *text = NULL;
    long len = bio && written == 1 ? BIO_get_mem_data(bio, &text) : 0;

    if (len > 0)
        buf_append(out, text, (size_t)len);
    BIO_free(bio);
    return len > 0 ? buf_error(out) : err_note_openssl(ERR_NOMEM, "encoding");
}

enum err cert_to_pem(const X509 *cert, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return take_bio(bio, bio && PEM_write_bio_X509(bio, cert), out);
}

enum err crl_to_pem(const X509_CRL *crl, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return take_bio(bio, bio && PEM_write_bio_X509_CRL(bio, crl), out);
}

static enum err take_der(uint8_t *der, int len, struct buf *out)
{
    if (len > 0)
        buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return len > 0 ? buf_error(out) : err_note_openssl(ERR_NOMEM, "encoding");
}

enum err cert_to_der(const X509 *cert, struct buf *out)
{
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);

    return take_der(der, len, out);
}

enum err crl_to_der(const X509_CRL *crl, struct buf *out)
{
    uint8_t *der = NULL;
    int len = i2d_X509_CRL(crl, &der);

    return take_der(der, len, out);
}

static bool is_blank_rest(BIO *bio)
{
    char *rest;
    long len = BIO_get_mem_data(bio, &rest);

    for (long i = 0; i < len; i++)
        if (!strchr(" \t\r\n", rest[i]) || !rest[i])
            return false;
    return true;
}

enum err cert_from_pem(struct bytes pem, X509 **cert_out)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    bool starts = pem.len >= sizeof begin && memcmp(pem.data, begin, sizeof begin - 1) == 0;
    BIO *bio = starts && pem.len <= INT32_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    enum err e = ERR_OK;

    if (!cert)
        e = err_note_openssl(ERR_FORMAT, "certificate cannot be read");
    else if (!is_blank_rest(bio))
        e = err_note(ERR_FORMAT, "certificate", "something stands behind it");
    BIO_free(bio);
    if (e)
        X509_free(cert);
    else
        *cert_out = cert;
    return e;
}

enum err key_to_pem(EVP_PKEY *key, const struct secret *passphrase, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return take_bio(bio,
                    bio && PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_256_cbc(),
                                                         (const char *)passphrase->data,
                                                         (int)passphrase->len, NULL, NULL),
                    out);
}

static int give_passphrase(char *out, int size, int writing, void *passphrase)
{
    const struct secret *s = passphrase;

    (void)writing;
    if (s->len > (size_t)size)
        return -1;
    memcpy(out, s->data, s->len);
    return (int)s->len;
}

enum err key_from_pem(struct bytes pem, const struct secret *passphrase, EVP_PKEY **key_out)
{
    static const char begin[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    bool starts = pem.len >= sizeof begin && memcmp(pem.data, begin, sizeof begin - 1) == 0;
    BIO *bio = starts && pem.len <= INT32_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    EVP_PKEY *key;

    if (!bio)
        return err_note(ERR_FORMAT, "private key", "not an encrypted PKCS #8 key");
    key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, (void *)(uintptr_t)passphrase);
    BIO_free(bio);
    if (!key) {
        ERR_clear_error();
        return err_note(ERR_REFUSED, "private key", "the passphrase does not open it");
    }
    *key_out = key;
    return ERR_OK;
}

enum err cert_fingerprint(const X509 *cert, struct buf *out)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (X509_digest(cert, EVP_sha256(), digest, &len) != 1)
        return err_note_openssl(ERR_NOMEM, "X509_digest");
    hex_append(out, (struct bytes){digest, len});
    return buf_error(out);
}

void cert_free(X509 **cert)
{
    X509_free(*cert);
    *cert = NULL;
}
