/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open_oracle_test.c - whatever is wrong with a ciphertext, all of its content is decrypted, and
 * result, note and the key service's counters are the same. Keys lie in a real key service.
 *
 * The linker puts the two counting functions below between the code under test and OpenSSL. */
#include "daemon/smime/pace.h"
#include "hsm/provider/provider.h"
#include "tests/smime/alias_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS 20000
#define INSIDE  "no entity inside that an enrolled key signed"

/* --wrap gives these names. */
BIO *__real_CMS_dataInit(CMS_ContentInfo *cms, BIO *content);
BIO *__wrap_CMS_dataInit(CMS_ContentInfo *cms, BIO *content);
int __real_BIO_read(BIO *b, void *data, int len);
int __wrap_BIO_read(BIO *b, void *data, int len);

static struct service_fixture service;
static struct hsm *relay, *admin;
static struct test_pki pki;
static struct alias rsa, ec;

static unsigned contents_begun;
static size_t contents_read;

BIO *__wrap_CMS_dataInit(CMS_ContentInfo *cms, BIO *content)
{
    contents_begun += OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed;
    return __real_CMS_dataInit(cms, content);
}

int __wrap_BIO_read(BIO *b, void *data, int len)
{
    int n = __real_BIO_read(b, data, len);

    contents_read += n > 0 ? (size_t)n : 0;
    return n;
}

static int start(void **state)
{
    enum err e = service_fixture_new(&service, "decryptions_per_hour = 100000\n");

    (void)state;
    if (!e)
        e = provider_load();
    relay = service_fixture_open(service.relay_socket, CALL_MS);
    admin = service_fixture_open(service.admin_socket, CALL_MS);
    if (!e)
        e = alias_new(&service, relay, KEY_RSA_2048, &rsa);
    if (!e)
        e = alias_new(&service, relay, KEY_P256, &ec);
    if (e)
        print_error("%s: %s: %s\n", err_name(e), err_note_get()->action, err_note_get()->detail);
    test_pki_new(&pki, false);
    return e != ERR_OK;
}

static int end(void **state)
{
    (void)state;
    alias_clear(&rsa);
    alias_clear(&ec);
    test_pki_free(&pki);
    hsm_free(relay);
    hsm_free(admin);
    return service_fixture_free(&service) ? 0 : -1;
}

/* A good reply's inside. */
static void inside_make(struct buf *inner)
{
    struct reply_signing signing = {0};

    reply_sign(&pki, &signing, bytes_of(REPLY_ENTITY), inner);
}

static void sealed_make(const struct alias *a, const EVP_CIPHER *cipher, struct buf *ber)
{
    CLEANUP(buf_clear) struct buf inner = {0};

    inside_make(&inner);
    reply_encrypt_to(a->cert, cipher, buf_bytes(&inner), ber);
}

static void oaep_make(const EVP_MD *md, struct buf *out)
{
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_128_cbc(), CMS_BINARY | CMS_PARTIAL);
    CMS_RecipientInfo *ri = CMS_add1_recipient_cert(cms, rsa.cert, CMS_KEY_PARAM);
    CLEANUP(buf_clear) struct buf inner = {0};
    unsigned char *der = NULL;
    BIO *content;
    int len;

    inside_make(&inner);
    content = BIO_new_mem_buf(inner.data, (int)inner.len);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(CMS_RecipientInfo_get0_pkey_ctx(ri),
                                             RSA_PKCS1_OAEP_PADDING) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_oaep_md(CMS_RecipientInfo_get0_pkey_ctx(ri), md) > 0);
    assert_int_equal(CMS_final(cms, content, NULL, CMS_BINARY), 1);
    len = i2d_CMS_ContentInfo(cms, &der);
    buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    BIO_free(content);
    CMS_ContentInfo_free(cms);
}

static size_t failures_counted(void)
{
    CLEANUP(buf_clear) struct buf status = {0};
    const char *at;

    assert_int_equal(hsm_status(admin, &status), ERR_OK);
    at = strstr(buf_str(&status), "failed");
    assert_non_null(at);
    return strtoul(at + strcspn(at, "0123456789"), NULL, 10);
}

static void opens(struct alias *a, struct bytes ber)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;

    alias_open(&pki, a, ber, &o);
    reply_is_opened(&o, OPEN_ENCRYPTED_SIGNED, REPLY_ENTITY);
}

/* The dry run and the run; read to its end. Ciphers hold back at most one block. */
static void refused(const char *what, struct alias *a, struct bytes ber, const char *why)
{
    size_t failed = failures_counted();
    int64_t begun_ns;
    CLEANUP(reply_opened_clear) struct reply_opened o;
    CLEANUP(buf_clear) struct buf inner = {0};

    print_message("%s\n", what);
    inside_make(&inner);
    contents_begun = 0;
    contents_read = 0;
    begun_ns = pace_now_ns();
    alias_open(&pki, a, ber, &o);
    assert_true(pace_now_ns() - begun_ns >= (int64_t)PACE_MIN_MS * 1000000);
    reply_is_refused(&o, why);
    assert_int_equal(o.key_loads, 1);
    assert_int_equal(contents_begun, 2);
    assert_true(contents_read + 64 >= inner.len);
    assert_int_equal(failures_counted(), failed);
}

static void good_ones_open(void **state)
{
    CLEANUP(buf_clear) struct buf pkcs1 = {0};
    CLEANUP(buf_clear) struct buf oaep = {0};
    CLEANUP(buf_clear) struct buf agreed = {0};

    (void)state;
    sealed_make(&rsa, EVP_aes_128_cbc(), &pkcs1);
    opens(&rsa, buf_bytes(&pkcs1));
    oaep_make(EVP_sha1(), &oaep);
    opens(&rsa, buf_bytes(&oaep));
    sealed_make(&ec, EVP_aes_256_gcm(), &agreed);
    opens(&ec, buf_bytes(&agreed));
}

static void block_refused(const char *what, const EVP_CIPHER *cipher, size_t n, bool bad)
{
    CLEANUP(buf_clear) struct buf ber = {0};
    CLEANUP(buf_clear) struct buf forged = {0};
    uint8_t block[256];

    sealed_make(&rsa, cipher, &ber);
    alias_block(n, bad, block);
    alias_key_set(&rsa, buf_bytes(&ber), (struct bytes){block, sizeof block}, &forged);
    refused(what, &rsa, buf_bytes(&forged), INSIDE);
}

static void padding_tells_nothing(void **state)
{
    const EVP_CIPHER *const ciphers[] = {EVP_aes_128_cbc(), EVP_aes_256_cbc(), EVP_des_ede3_cbc(),
                                         EVP_aes_256_gcm()};

    (void)state;
    for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
        block_refused("padding wrong", ciphers[i], 32, true);
        block_refused("another key of 32 bytes", ciphers[i], 32, false);
        block_refused("another key of 16 bytes", ciphers[i], 16, false);
        block_refused("no key", ciphers[i], 0, false);
        block_refused("a key of 240 bytes", ciphers[i], 240, false);
    }
}

static void key_refused(const char *what, struct alias *a, struct bytes ber, struct bytes key)
{
    CLEANUP(buf_clear) struct buf forged = {0};

    ber_replace(ber, alias_content_key, 5, key, &forged);
    refused(what, a, buf_bytes(&forged), INSIDE);
}

static void encrypted_key_of_any_form_tells_nothing(void **state)
{
    static const uint8_t zero[300];
    uint8_t ones[256];
    CLEANUP(buf_clear) struct buf pkcs1 = {0};
    CLEANUP(buf_clear) struct buf oaep = {0};

    (void)state;
    memset(ones, 0xff, sizeof ones);
    sealed_make(&rsa, EVP_aes_128_cbc(), &pkcs1);
    oaep_make(EVP_sha1(), &oaep);
    for (int i = 0; i < 2; i++) {
        struct bytes ber = buf_bytes(i ? &oaep : &pkcs1);

        key_refused("greater than the modulus", &rsa, ber, (struct bytes){ones, sizeof ones});
        key_refused("zero", &rsa, ber, (struct bytes){zero, 256});
        key_refused("too short", &rsa, ber, (struct bytes){zero, 255});
        key_refused("too long", &rsa, ber, (struct bytes){zero, 257});
        key_refused("empty", &rsa, ber, (struct bytes){zero, 0});
    }
}

/* info / [0] / EnvelopedData / recipientInfos / [1] / ...: originator's point, wrapped key */
static void key_agreement_tells_nothing(void **state)
{
    static const size_t point[] = {1, 0, 1, 0, 1, 0, 1};
    static const size_t wrapped[] = {1, 0, 1, 0, 3, 0, 1};
    static const struct {
        const char *what;
        const size_t *path;
        size_t at;
    } cases[] = {{"point off the curve", point, 20},
                 {"point of another form", point, 1},
                 {"wrapped key altered", wrapped, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_clear) struct buf ber = {0};
        CLEANUP(buf_clear) struct buf part = {0};
        CLEANUP(buf_clear) struct buf forged = {0};

        sealed_make(&ec, EVP_aes_128_cbc(), &ber);
        buf_append_bytes(&part, ber_find(buf_bytes(&ber), cases[i].path, 7));
        part.data[cases[i].at] ^= 1;
        ber_replace(buf_bytes(&ber), cases[i].path, 7, buf_bytes(&part), &forged);
        refused(cases[i].what, &ec, buf_bytes(&forged), INSIDE);
    }
}

/* info / [0] / EnvelopedData / encryptedContentInfo / [0] */
static void altered_content_tells_nothing(void **state)
{
    static const size_t content[] = {1, 0, 2, 2};
    const EVP_CIPHER *const ciphers[] = {EVP_aes_128_cbc(), EVP_aes_128_gcm()};
    struct alias *const aliases[] = {&rsa, &ec};

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        CLEANUP(buf_clear) struct buf ber = {0};
        CLEANUP(buf_clear) struct buf part = {0};
        CLEANUP(buf_clear) struct buf forged = {0};

        sealed_make(aliases[i % 2], ciphers[i / 2 % 2], &ber);
        buf_append_bytes(&part, ber_find(buf_bytes(&ber), content, 4));
        part.data[i / 4 ? part.len - 1 : 40] ^= 1;
        ber_replace(buf_bytes(&ber), content, 4, buf_bytes(&part), &forged);
        refused(i / 4 ? "end of the content altered" : "content altered", aliases[i % 2],
                buf_bytes(&forged), INSIDE);
    }
}

/* GCM gives the altered text out before it knows the tag is wrong; the signature does not cover the
 * words before the first part, and is good. */
static void altered_content_outside_the_signature_is_refused_too(void **state)
{
    static const size_t content[] = {1, 0, 2, 2};
    CLEANUP(buf_clear) struct buf inner = {0};
    CLEANUP(buf_clear) struct buf ber = {0};
    CLEANUP(buf_clear) struct buf part = {0};
    CLEANUP(buf_clear) struct buf forged = {0};
    const uint8_t *words;

    (void)state;
    inside_make(&inner);
    words = memmem(inner.data, inner.len, "This is an S/MIME", 17);
    assert_non_null(words);
    reply_encrypt_to(ec.cert, EVP_aes_256_gcm(), buf_bytes(&inner), &ber);
    buf_append_bytes(&part, ber_find(buf_bytes(&ber), content, 4));
    part.data[words - inner.data] ^= 1;
    ber_replace(buf_bytes(&ber), content, 4, buf_bytes(&part), &forged);
    refused("words before the first part altered", &ec, buf_bytes(&forged), INSIDE);
}

/* The same ciphertext fares the same way each time, so that repeating it tells nothing either. */
static void substituted_key_depends_on_the_ciphertext_only(void **state)
{
    uint8_t made[3][32];
    uint8_t block[256];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct hsm_key_ref ref = {.profile = rsa.profile,
                                  .reverse = rsa.sender.reverse,
                                  .blob = buf_bytes(&rsa.sender.blob)};
        EVP_PKEY *key = NULL;
        EVP_PKEY_CTX *ctx;
        uint8_t out[256];
        size_t len = sizeof out;

        memset(block, 1, sizeof block);
        block[0] = 0;
        block[200] = i == 2 ? 9 : 8;
        assert_int_equal(provider_key(relay, &ref, rsa.cert, &key), ERR_OK);
        assert_int_equal(provider_key_expect(key, 33), ERR_USAGE);
        err_note_clear();
        assert_int_equal(provider_key_expect(key, 32), ERR_OK);
        ctx = EVP_PKEY_CTX_new(key, NULL);
        assert_true(EVP_PKEY_decrypt_init(ctx) > 0);
        assert_true(EVP_PKEY_decrypt(ctx, out, &len, block, sizeof block) > 0);
        assert_int_equal(len, 32);
        assert_int_equal(provider_last_error(), ERR_OK);
        assert_string_equal(err_note_get()->action, "");
        memcpy(made[i], out, 32);
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(key);
    }
    assert_memory_equal(made[0], made[1], 32);
    assert_memory_not_equal(made[0], made[2], 32);
}

static void answers_come_at_few_instants(void **state)
{
    static const struct {
        int64_t took_ms, end_ms;
    } cases[] = {{0, 16}, {1, 16}, {15, 16}, {16, 16}, {17, 32}, {140, 256}, {3000, 4096}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(pace_end_ns(5, 5 + cases[i].took_ms * 1000000),
                         5 + cases[i].end_ms * 1000000);
}

/* What the token cannot do for anybody is told to the operator, and to nobody else. */
static void unwrapping_the_token_does_not_have_is_refused_with_a_note(void **state)
{
    CLEANUP(buf_clear) struct buf ber = {0};
    CLEANUP(reply_opened_clear) struct reply_opened o;

    (void)state;
    oaep_make(EVP_sha256(), &ber);
    alias_open(&pki, &rsa, buf_bytes(&ber), &o);
    reply_is_refused(&o, "the token has no unwrapping with these parameters");
}

static void a_service_that_is_away_is_no_refusal(void **state)
{
    CLEANUP(buf_clear) struct buf good = {0};
    CLEANUP(buf_clear) struct buf forged = {0};
    struct alias lost = rsa;
    uint8_t block[256];

    (void)state;
    lost.relay = service_fixture_open("/nonexistent/socket", 200);
    sealed_make(&rsa, EVP_aes_128_cbc(), &good);
    alias_block(16, true, block);
    alias_key_set(&rsa, buf_bytes(&good), (struct bytes){block, sizeof block}, &forged);
    for (int i = 0; i < 2; i++) {
        CLEANUP(reply_opened_clear) struct reply_opened o;

        alias_open(&pki, &lost, buf_bytes(i ? &forged : &good), &o);
        assert_int_equal(o.e, ERR_HSM_AWAY);
    }
    hsm_free(lost.relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_open),
        cmocka_unit_test(padding_tells_nothing),
        cmocka_unit_test(encrypted_key_of_any_form_tells_nothing),
        cmocka_unit_test(key_agreement_tells_nothing),
        cmocka_unit_test(altered_content_tells_nothing),
        cmocka_unit_test(altered_content_outside_the_signature_is_refused_too),
        cmocka_unit_test(substituted_key_depends_on_the_ciphertext_only),
        cmocka_unit_test(answers_come_at_few_instants),
        cmocka_unit_test(unwrapping_the_token_does_not_have_is_refused_with_a_note),
        cmocka_unit_test(a_service_that_is_away_is_no_refusal),
    };

    return cmocka_run_group_tests(tests, start, end);
}
