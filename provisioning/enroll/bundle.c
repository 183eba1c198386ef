/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bundle.c - PKCS #12 files. Apple's reader takes any PBES2 for AES-256 with HMAC-SHA-256 and
 * knows no PBMAC1, so both flavours stay on what all of them read. */
#include "provisioning/enroll/bundle.h"
#include "provisioning/enroll/old_reader.h"

#include <openssl/pkcs12.h>

#define ITERATIONS 10000 /* the passphrase has 128 bits; more would only slow importers down */
#define TRIES      20    /* one in fifty is not for old readers */

static STACK_OF(X509) * chain_of(const struct bundle *b)
{
    STACK_OF(X509) *chain = sk_X509_new_null();

    for (size_t i = 0; chain && i < 2; i++)
        if (b->chain[i])
            (void)sk_X509_push(chain, b->chain[i]);
    return chain;
}

/* In the old form until old readers take it: the salt is another one each time. */
static PKCS12 *p12_create(const struct bundle *b, bool modern, const char *pass)
{
    int nid = modern ? NID_aes_256_cbc : NID_pbe_WithSHA1And3_Key_TripleDES_CBC;
    STACK_OF(X509) *chain = chain_of(b);
    PKCS12 *p12 = NULL;

    for (int i = 0; i < TRIES; i++) {
        p12 = PKCS12_create(pass, b->name, b->key, b->cert, chain, nid, nid, ITERATIONS,
                            -1 /* no MAC yet */, 0);
        if (!p12 || modern || old_reader_takes(p12, pass))
            break;
        PKCS12_free(p12);
        p12 = NULL;
    }
    sk_X509_free(chain);
    return p12;
}

enum err bundle_make(const struct bundle *b, enum bundle_flavour flavour,
                     const struct secret *passphrase, struct buf *out)
{
    const char *pass = (const char *)passphrase->data;
    bool modern = flavour == BUNDLE_MODERN;
    PKCS12 *p12 = p12_create(b, modern, pass);
    uint8_t *der = NULL;
    int len = 0;

    if (p12 &&
        PKCS12_set_mac(p12, pass, -1, NULL, 0, ITERATIONS, modern ? EVP_sha256() : EVP_sha1()) == 1)
        len = i2d_PKCS12(p12, &der);
    PKCS12_free(p12);
    if (len <= 0)
        return err_note_openssl(ERR_NOMEM, "PKCS #12");
    buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return buf_error(out);
}

static bool holds(const struct bundle *b, EVP_PKEY *key, X509 *cert, const STACK_OF(X509) * others)
{
    int wanted = 0;

    if (EVP_PKEY_eq(key, b->key) != 1 || X509_cmp(cert, b->cert) != 0)
        return false;
    for (size_t i = 0; i < 2; i++) {
        bool found = !b->chain[i];

        wanted += b->chain[i] != NULL;
        for (int at = 0; !found && at < sk_X509_num(others); at++)
            found = X509_cmp(sk_X509_value(others, at), b->chain[i]) == 0;
        if (!found)
            return false;
    }
    return wanted == (others ? sk_X509_num(others) : 0);
}

enum err bundle_check(const struct bundle *b, const struct secret *passphrase, struct bytes der)
{
    const uint8_t *at = der.data;
    PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)der.len);
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    STACK_OF(X509) *others = NULL;
    enum err e = ERR_OK;

    if (!p12 || PKCS12_parse(p12, (const char *)passphrase->data, &key, &cert, &others) != 1)
        e = err_note_openssl(ERR_TAMPERED, "PKCS #12 does not open");
    else if (!holds(b, key, cert, others))
        e = err_note(ERR_TAMPERED, "PKCS #12", "holds something else than was put in");
    EVP_PKEY_free(key);
    X509_free(cert);
    sk_X509_pop_free(others, X509_free);
    PKCS12_free(p12);
    return e;
}
