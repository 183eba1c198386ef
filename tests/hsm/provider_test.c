/* SPDX-License-Identifier: GPL-3.0-or-later */
/* provider_test.c - CMS with keys of the provider, judged by OpenSSL with the software key.
 *
 * The key service is a double: hsm_key_use below does each operation with a software key, from the
 * digest up, and counts what it was asked for. */
#include "hsm/provider/provider.h"

#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PROFILE "abcdefghijklmnop"
#define REVERSE "r-abcdefghijklmnop@relay.example"
#define CONTENT "Content-Type: text/plain\r\n\r\nHello.\r\n"

struct hsm {
    EVP_PKEY *software;
    enum err answer; /* instead of the operation */
    unsigned calls;
    enum hsm_mechanism asked;
    char md[16];
    char mgf1_md[16];
};

static const uint8_t blob_bytes[] = {1, 2, 3, 4};
static const struct hsm_key_ref reference = {
    .profile = PROFILE, .reverse = REVERSE, .blob = {blob_bytes, sizeof blob_bytes}};

/* ---- the double ---- */

static int double_sign(struct hsm *h, EVP_PKEY_CTX *context, struct bytes in, uint8_t *out,
                       size_t *len)
{
    return EVP_PKEY_sign_init(context) > 0 &&
           EVP_PKEY_CTX_set_signature_md(context, EVP_get_digestbyname(h->md)) > 0 &&
           EVP_PKEY_sign(context, out, len, in.data, in.len) > 0;
}

static int double_decrypt(struct hsm *h, EVP_PKEY_CTX *context, struct bytes in, uint8_t *out,
                          size_t *len)
{
    bool oaep = h->asked == HSM_DECRYPT_OAEP;

    if (EVP_PKEY_decrypt_init(context) <= 0 ||
        EVP_PKEY_CTX_set_rsa_padding(context, oaep ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING) <=
            0)
        return 0;
    if (oaep && (EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_get_digestbyname(h->md)) <= 0 ||
                 EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_get_digestbyname(h->mgf1_md)) <= 0))
        return 0;
    return EVP_PKEY_decrypt(context, out, len, in.data, in.len) > 0;
}

static int double_derive(struct hsm *h, EVP_PKEY_CTX *context, struct bytes in, uint8_t *out,
                         size_t *len)
{
    EVP_PKEY *peer = EVP_PKEY_new();
    int ok = EVP_PKEY_copy_parameters(peer, h->software) == 1 &&
             EVP_PKEY_set1_encoded_public_key(peer, in.data, in.len) == 1 &&
             EVP_PKEY_derive_init(context) > 0 && EVP_PKEY_derive_set_peer(context, peer) > 0 &&
             EVP_PKEY_derive(context, out, len) > 0;

    EVP_PKEY_free(peer);
    return ok;
}

enum err hsm_key_use(struct hsm *h, const struct hsm_key_ref *key, enum hsm_mechanism mechanism,
                     const char *md, const char *mgf1_md, struct bytes input, struct buf *out)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(h->software, NULL);
    uint8_t result[1024];
    size_t len = sizeof result;
    int ok = 0;

    assert_string_equal(key->profile, PROFILE);
    assert_string_equal(key->reverse, REVERSE);
    assert_true(bytes_equal(key->blob, reference.blob));
    h->calls++;
    h->asked = mechanism;
    (void)snprintf(h->md, sizeof h->md, "%s", md ? md : "");
    (void)snprintf(h->mgf1_md, sizeof h->mgf1_md, "%s", mgf1_md ? mgf1_md : "");
    switch (mechanism) {
    case HSM_SIGN_PKCS1:
    case HSM_SIGN_ECDSA:
        ok = double_sign(h, context, input, result, &len);
        break;
    case HSM_DECRYPT_PKCS1:
    case HSM_DECRYPT_OAEP:
        ok = double_decrypt(h, context, input, result, &len);
        break;
    case HSM_DERIVE_ECDH:
        ok = double_derive(h, context, input, result, &len);
        break;
    }
    EVP_PKEY_CTX_free(context);
    if (h->answer)
        return h->answer;
    if (!ok)
        return ERR_FORMAT;
    buf_append(out, result, len);
    return ERR_OK;
}

/* ---- a key with its certificate ---- */

struct identity {
    struct hsm hsm;
    X509 *cert;
    EVP_PKEY *provided;
};

static X509 *cert_make(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 7), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -60));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const unsigned char *)"test", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(cert, name), 1);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static void identity_make(struct identity *id, bool rsa)
{
    *id = (struct identity){0};
    id->hsm.software = rsa ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
                           : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_non_null(id->hsm.software);
    id->cert = cert_make(id->hsm.software);
    assert_int_equal(provider_key(&id->hsm, &reference, id->cert, &id->provided), ERR_OK);
}

static void identity_clear(struct identity *id)
{
    EVP_PKEY_free(id->provided);
    EVP_PKEY_free(id->hsm.software);
    X509_free(id->cert);
}

/* ---- signing ---- */

/* What a reader has: the DER, without the signer's key. */
static CMS_ContentInfo *cms_reread(CMS_ContentInfo *cms)
{
    unsigned char *der = NULL;
    int len = i2d_CMS_ContentInfo(cms, &der);
    const unsigned char *p = der;
    CMS_ContentInfo *read = d2i_CMS_ContentInfo(NULL, &p, len);

    assert_non_null(read);
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    return read;
}

/* As the relay signs: detached, content streamed in by the caller. */
static CMS_ContentInfo *cms_sign(struct identity *id, const EVP_MD *md)
{
    unsigned flags = CMS_PARTIAL | CMS_DETACHED | CMS_STREAM | CMS_BINARY;
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    BIO *content = BIO_new_mem_buf(CONTENT, -1);

    assert_non_null(cms);
    assert_non_null(CMS_add1_signer(cms, id->cert, id->provided, md, flags));
    assert_int_equal(CMS_final(cms, content, NULL, flags), 1);
    BIO_free(content);
    return cms_reread(cms);
}

static void cms_signature_verifies(bool rsa, const EVP_MD *md, const char *md_name)
{
    struct identity id;
    CMS_ContentInfo *cms;
    BIO *content = BIO_new_mem_buf(CONTENT, -1);
    BIO *altered = BIO_new_mem_buf("Content-Type: text/plain\r\n\r\nHallo.\r\n", -1);

    identity_make(&id, rsa);
    cms = cms_sign(&id, md);
    assert_int_equal(id.hsm.calls, 1);
    assert_int_equal(id.hsm.asked, rsa ? HSM_SIGN_PKCS1 : HSM_SIGN_ECDSA);
    assert_string_equal(id.hsm.md, md_name);
    assert_int_equal(
        CMS_verify(cms, NULL, NULL, content, NULL, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY), 1);
    assert_int_equal(
        CMS_verify(cms, NULL, NULL, altered, NULL, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY), 0);
    ERR_clear_error();
    BIO_free(content);
    BIO_free(altered);
    CMS_ContentInfo_free(cms);
    identity_clear(&id);
}

static void cms_signature_by_a_provided_key_verifies(void **state)
{
    (void)state;
    cms_signature_verifies(true, EVP_sha256(), "SHA256");
    cms_signature_verifies(true, EVP_sha512(), "SHA512");
    cms_signature_verifies(false, EVP_sha256(), "SHA256");
    cms_signature_verifies(false, EVP_sha384(), "SHA384");
}

/* ---- decrypting ---- */

struct sealing {
    const char *what;
    bool rsa;
    const char *oaep_md; /* NULL: PKCS#1 v1.5 or ECDH */
    const char *mgf1_md;
    enum hsm_mechanism asked;
};

static const struct sealing sealings[] = {
    {"RSA PKCS#1 v1.5", true, NULL, NULL, HSM_DECRYPT_PKCS1},
    {"RSA OAEP, SHA-1", true, "SHA1", "SHA1", HSM_DECRYPT_OAEP},
    {"RSA OAEP, SHA-256", true, "SHA256", "SHA256", HSM_DECRYPT_OAEP},
    {"RSA OAEP, SHA-256 with MGF1 SHA-1", true, "SHA256", "SHA1", HSM_DECRYPT_OAEP},
    {"ECDH", false, NULL, NULL, HSM_DERIVE_ECDH},
};

static CMS_ContentInfo *cms_seal(const struct sealing *how, X509 *cert)
{
    BIO *content = BIO_new_mem_buf(CONTENT, -1);
    unsigned flags = CMS_BINARY | CMS_PARTIAL;
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_256_cbc(), flags);
    CMS_RecipientInfo *recipient = CMS_add1_recipient_cert(cms, cert, flags | CMS_KEY_PARAM);
    EVP_PKEY_CTX *context;

    assert_non_null(recipient);
    if (how->oaep_md) {
        context = CMS_RecipientInfo_get0_pkey_ctx(recipient);
        assert_true(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_get_digestbyname(how->oaep_md)) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_get_digestbyname(how->mgf1_md)) > 0);
    }
    assert_int_equal(CMS_final(cms, content, NULL, flags), 1);
    BIO_free(content);
    return cms;
}

static bool cms_opens(CMS_ContentInfo *cms, struct identity *id, bool with_cert)
{
    BIO *plain = BIO_new(BIO_s_mem());
    char *text;
    long len;
    bool same;
    int ok = CMS_decrypt(cms, id->provided, with_cert ? id->cert : NULL, NULL, plain, CMS_BINARY);

    len = BIO_get_mem_data(plain, &text);
    same = ok == 1 && len == (long)strlen(CONTENT) && memcmp(text, CONTENT, (size_t)len) == 0;
    BIO_free(plain);
    ERR_clear_error();
    return same;
}

static void cms_opens_with_a_provided_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sealings / sizeof *sealings; i++) {
        const struct sealing *how = &sealings[i];
        struct identity id;
        CMS_ContentInfo *cms;

        print_message("%s\n", how->what);
        identity_make(&id, how->rsa);
        cms = cms_seal(how, id.cert);
        assert_true(cms_opens(cms, &id, true));
        assert_int_equal(id.hsm.asked, how->asked);
        assert_string_equal(id.hsm.md, how->oaep_md ? how->oaep_md : "");
        assert_string_equal(id.hsm.mgf1_md, how->mgf1_md ? how->mgf1_md : "");
        assert_true(cms_opens(cms, &id, false));
        assert_int_equal(provider_last_error(), ERR_OK);
        CMS_ContentInfo_free(cms);
        identity_clear(&id);
    }
}

/* With the certificate, OpenSSL goes on with a random key; what comes out is never the content. */
static void a_failed_decryption_yields_no_content_and_says_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sealings / sizeof *sealings; i++) {
        struct identity id;
        CMS_ContentInfo *cms;

        identity_make(&id, sealings[i].rsa);
        cms = cms_seal(&sealings[i], id.cert);
        id.hsm.answer = ERR_HSM_AWAY;
        assert_false(cms_opens(cms, &id, true));
        assert_int_equal(provider_last_error(), ERR_HSM_AWAY);
        provider_clear_error();
        assert_int_equal(provider_last_error(), ERR_OK);
        assert_false(cms_opens(cms, &id, false));
        assert_int_equal(provider_last_error(), ERR_HSM_AWAY);
        id.hsm.answer = ERR_OK;
        assert_true(cms_opens(cms, &id, true));
        assert_int_equal(provider_last_error(), ERR_OK);
        CMS_ContentInfo_free(cms);
        identity_clear(&id);
    }
}

/* What one decryption gives where a content key of 16 bytes is expected: its length, 0 if it fails.
 */
static size_t unwrapped_len(struct identity *id, const uint8_t *wrapped, size_t len, uint8_t *out)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(id->provided, NULL);
    size_t out_len = 256;
    bool ok = EVP_PKEY_decrypt_init(context) > 0 &&
              EVP_PKEY_decrypt(context, out, &out_len, wrapped, len) > 0;

    EVP_PKEY_CTX_free(context);
    return ok ? out_len : 0;
}

/* A key of another length is as wrong as no key; nothing of it may come out. */
static void what_does_not_unwrap_gives_a_key_all_the_same(void **state)
{
    static const size_t lengths[] = {16, 24, 8, 0};
    struct identity id;

    (void)state;
    identity_make(&id, true);
    assert_int_equal(provider_key_expect(id.provided, 16), ERR_OK);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(id.hsm.software, NULL);
        uint8_t key[24], wrapped[256], out[256];
        size_t len = sizeof wrapped;

        memset(key, 0xff, sizeof key);
        assert_true(EVP_PKEY_encrypt_init(context) > 0);
        assert_true(EVP_PKEY_encrypt(context, wrapped, &len, key, lengths[i]) > 0);
        EVP_PKEY_CTX_free(context);
        assert_int_equal(unwrapped_len(&id, wrapped, len, out), 16);
        assert_true((memcmp(out, key, 16) == 0) == (lengths[i] == 16));
        assert_true((memcmp(out, key, 4) == 0) == (lengths[i] == 16));
        id.hsm.answer = ERR_FORMAT;
        assert_int_equal(unwrapped_len(&id, wrapped, len, out), 16);
        assert_memory_not_equal(out, key, 4);
        assert_int_equal(provider_last_error(), ERR_OK);
        assert_int_equal(ERR_peek_error(), 0);
        id.hsm.answer = ERR_HSM_AWAY;
        assert_int_equal(unwrapped_len(&id, wrapped, len, out), 0);
        assert_int_equal(provider_last_error(), ERR_HSM_AWAY);
        ERR_clear_error();
        id.hsm.answer = ERR_OK;
    }
    assert_int_equal(provider_key_expect(id.hsm.software, 16), ERR_USAGE);
    err_note_clear();
    identity_clear(&id);
}

static void a_failed_signature_fails_the_cms(void **state)
{
    unsigned flags = CMS_PARTIAL | CMS_DETACHED | CMS_STREAM | CMS_BINARY;
    struct identity id;
    CMS_ContentInfo *cms;
    BIO *content;

    (void)state;
    for (int rsa = 0; rsa < 2; rsa++) {
        identity_make(&id, rsa);
        id.hsm.answer = ERR_BUSY;
        cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
        content = BIO_new_mem_buf(CONTENT, -1);
        assert_non_null(CMS_add1_signer(cms, id.cert, id.provided, EVP_sha256(), flags));
        assert_int_not_equal(CMS_final(cms, content, NULL, flags), 1);
        assert_int_equal(provider_last_error(), ERR_BUSY);
        ERR_clear_error();
        BIO_free(content);
        CMS_ContentInfo_free(cms);
        identity_clear(&id);
    }
}

/* ---- as a key among keys ---- */

static void a_provided_key_matches_its_certificate_only(void **state)
{
    struct identity rsa, other, ec;

    (void)state;
    identity_make(&rsa, true);
    identity_make(&other, true);
    identity_make(&ec, false);
    assert_int_equal(X509_check_private_key(rsa.cert, rsa.provided), 1);
    assert_int_equal(X509_check_private_key(ec.cert, ec.provided), 1);
    assert_int_equal(X509_check_private_key(rsa.cert, other.provided), 0);
    assert_int_equal(X509_check_private_key(ec.cert, rsa.provided), 0);
    ERR_clear_error();
    identity_clear(&rsa);
    identity_clear(&other);
    identity_clear(&ec);
}

static void the_private_half_cannot_be_exported(void **state)
{
    struct identity id;
    OSSL_PARAM *params = NULL;
    BIO *out = BIO_new(BIO_s_mem());

    (void)state;
    identity_make(&id, true);
    assert_int_not_equal(EVP_PKEY_todata(id.provided, EVP_PKEY_KEYPAIR, &params), 1);
    assert_int_not_equal(PEM_write_bio_PrivateKey(out, id.provided, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(EVP_PKEY_todata(id.provided, EVP_PKEY_PUBLIC_KEY, &params), 1);
    assert_non_null(OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_RSA_N));
    OSSL_PARAM_free(params);
    ERR_clear_error();
    BIO_free(out);
    identity_clear(&id);
}

static void pss_is_refused(void **state)
{
    struct identity id;
    EVP_PKEY_CTX *context;

    (void)state;
    identity_make(&id, true);
    context = EVP_PKEY_CTX_new(id.provided, NULL);
    assert_true(EVP_PKEY_sign_init(context) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) <= 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0);
    ERR_clear_error();
    EVP_PKEY_CTX_free(context);
    identity_clear(&id);
}

/* OpenSSL's own keys must not end in the key service, nor fail because it is there. */
static void ordinary_keys_work_beside_the_provider(void **state)
{
    struct identity id;

    (void)state;
    for (size_t i = 0; i < sizeof sealings / sizeof *sealings; i++) {
        CMS_ContentInfo *cms;
        EVP_PKEY *provided;

        identity_make(&id, sealings[i].rsa);
        provided = id.provided;
        id.provided = id.hsm.software;
        cms = cms_sign(&id, EVP_sha256());
        CMS_ContentInfo_free(cms);
        cms = cms_seal(&sealings[i], id.cert);
        assert_true(cms_opens(cms, &id, true));
        CMS_ContentInfo_free(cms);
        assert_int_equal(id.hsm.calls, 0);
        id.provided = provided;
        identity_clear(&id);
    }
}

static int load_provider(void **state)
{
    (void)state;
    return provider_load() == ERR_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cms_signature_by_a_provided_key_verifies),
        cmocka_unit_test(cms_opens_with_a_provided_key),
        cmocka_unit_test(a_failed_decryption_yields_no_content_and_says_why),
        cmocka_unit_test(what_does_not_unwrap_gives_a_key_all_the_same),
        cmocka_unit_test(a_failed_signature_fails_the_cms),
        cmocka_unit_test(a_provided_key_matches_its_certificate_only),
        cmocka_unit_test(the_private_half_cannot_be_exported),
        cmocka_unit_test(pss_is_refused),
        cmocka_unit_test(ordinary_keys_work_beside_the_provider),
    };

    return cmocka_run_group_tests(tests, load_provider, NULL);
}
