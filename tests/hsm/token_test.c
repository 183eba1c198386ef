/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token_test.c - the token as the key service uses it, on a private SoftHSM: finding it, its keys,
 * sender keys from pool to use, data keys, parallel calls, destruction, report. */
#include "tests/hsm/token_fixture.h"

#include <cjson/cJSON.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WEEK_S (7 * 24 * 3600)

static struct token_fixture fixture;

static int setup(void **state)
{
    (void)state;
    token_fixture_new(&fixture);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    token_fixture_free(&fixture);
    return 0;
}

/* Close the fixture's token and open it with other options. */
static enum err reopen(const struct token_options *options)
{
    token_close(fixture.token);
    err_note_clear();
    return token_open(options, &fixture.token);
}

/* ---- finding the token ---- */

static void no_token_but_the_named_one_is_taken(void **state)
{
    static const struct {
        const char *uri;
        const char *said;
    } cases[] = {
        {"pkcs11:token=absent", "no token is pkcs11:token=absent; there are: \""},
        {"pkcs11:token=sealrelay-test;serial=0000", "no token is"},
        {"pkcs11:token=sealrelay-test;slot-id=1", "no token is"},
        {"pkcs11:token=sealrelay-test;model=YubiHSM", "no token is"},
        {"pkcs11:", "needs token=, serial= or slot-id="},
        {"pkcs11:manufacturer=SoftHSM%20project", "needs token=, serial= or slot-id="},
        {"pkcs11:token=sealrelay-test?pin-value=1234", "the PIN belongs in the PIN file"},
        {"pkcs11:token=sealrelay-test;object=key", "names more than a token"},
        {"sealrelay-test", "URI"},
        {"pkcs11:token=twin", "matches 2 tokens"},
    };

    (void)state;
    token_close(fixture.token);
    fixture.token = NULL;
    assert_int_equal(softhsm_fixture_add_token(&fixture.hsm, "twin"), ERR_OK);
    assert_int_equal(softhsm_fixture_add_token(&fixture.hsm, "twin"), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct token_options options = fixture.options;
        struct token *token;

        options.sender_uri = cases[i].uri;
        err_note_clear();
        assert_int_equal(token_open(&options, &token), ERR_CONFIG);
        assert_null(token);
        if (!strstr(err_note_get()->detail, cases[i].said) &&
            !strstr(err_note_get()->action, cases[i].said))
            fail_msg("%s: %s", cases[i].uri, err_note_get()->detail);
    }
    token_fixture_open(&fixture);
}

static void a_missing_module_or_pin_file_is_a_configuration_error(void **state)
{
    struct token_options options = fixture.options;
    struct token *token;

    (void)state;
    options.module = "/nowhere/libpkcs11.so";
    assert_int_equal(token_open(&options, &token), ERR_CONFIG);
    options.module = "/lib/x86_64-linux-gnu/libm.so.6";
    if (access(options.module, R_OK) == 0)
        assert_int_equal(token_open(&options, &token), ERR_CONFIG);
    options = fixture.options;
    options.pin_file = "/nowhere/pin";
    assert_int_equal(token_open(&options, &token), ERR_CONFIG);
}

/* ---- two tokens ---- */

static void ca_keys_and_sender_keys_may_live_in_two_tokens(void **state)
{
    struct token_options options = fixture.options;
    EVP_PKEY *public = NULL;
    struct test_key key;

    (void)state;
    token_close(fixture.token);
    assert_int_equal(softhsm_fixture_add_token(&fixture.hsm, "ca-token"), ERR_OK);
    options.ca_uri = "pkcs11:token=ca-token";
    assert_int_equal(token_open(&options, &fixture.token), ERR_OK);
    assert_int_equal(token_ca_new(fixture.token, PROFILE_A, KEY_RSA_3072, &public), ERR_OK);
    EVP_PKEY_free(public);
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_P256, &key);
    assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_OK);
    /* The CA key there is not the one of the sender token. */
    assert_int_equal(reopen(&fixture.options), ERR_OK);
    public = NULL;
    assert_int_equal(token_ca_new(fixture.token, PROFILE_A, KEY_RSA_3072, &public), ERR_EXISTS);
    assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_OK);
    test_key_clear(&key);
}

/* ---- CA and service keys ---- */

static void a_ca_key_is_handed_out_again_after_a_restart(void **state)
{
    EVP_PKEY *before = NULL, *after = NULL;
    static const uint8_t digest[48] = {1};
    CLEANUP(buf_clear) struct buf signature = {0};
    EVP_PKEY_CTX *context;

    (void)state;
    assert_int_equal(token_ca_new(fixture.token, PROFILE_A, KEY_P384, &before), ERR_OK);
    assert_int_equal(reopen(&fixture.options), ERR_OK);
    assert_int_equal(token_ca_new(fixture.token, PROFILE_A, KEY_P384, &after), ERR_OK);
    assert_int_equal(EVP_PKEY_eq(before, after), 1);
    assert_int_equal(token_ca_sign(fixture.token, PROFILE_A, EVP_sha384(),
                                   (struct bytes){digest, sizeof digest}, &signature),
                     ERR_OK);
    context = EVP_PKEY_CTX_new(after, NULL);
    assert_true(EVP_PKEY_verify_init(context) > 0);
    assert_int_equal(EVP_PKEY_verify(context, signature.data, signature.len, digest, sizeof digest),
                     1);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(before);
    EVP_PKEY_free(after);
}

static void the_journal_signs_and_the_record_key_separates_labels(void **state)
{
    static const uint8_t text[] = "line";
    struct bytes data = {text, sizeof text};
    CLEANUP(buf_clear) struct buf signature = {0};
    EVP_PKEY *public = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t one[32], same[32], other[32];

    (void)state;
    assert_int_equal(token_journal_sign(fixture.token, data, &signature), ERR_OK);
    assert_int_equal(token_journal_public(fixture.token, &public), ERR_OK);
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, public), 1);
    assert_int_equal(EVP_DigestVerify(context, signature.data, signature.len, text, sizeof text),
                     1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(public);
    assert_int_equal(token_hmac(fixture.token, "a", data, one), ERR_OK);
    assert_int_equal(token_init(fixture.token), ERR_OK); /* makes nothing anew */
    assert_int_equal(token_hmac(fixture.token, "a", data, same), ERR_OK);
    assert_int_equal(token_hmac(fixture.token, "ab", data, other), ERR_OK);
    assert_memory_equal(one, same, sizeof one);
    assert_memory_not_equal(one, other, sizeof one);
}

/* ---- data keys ---- */

static enum err open_data(enum hsm_wrap_key under, const struct buf *wrapped)
{
    struct secret secret = {0};
    enum err e;

    err_note_clear();
    e = token_data_open(fixture.token, under, buf_bytes(wrapped), &secret);
    if (!e) {
        assert_int_equal(secret.len, 32);
        assert_int_equal(secret.data[31], 9);
    }
    secret_free(&secret);
    return e;
}

static void a_data_key_opens_under_its_own_key_and_unaltered_only(void **state)
{
    static const uint8_t key[32] = {[31] = 9};
    CLEANUP(buf_clear) struct buf wrapped = {0};
    uint32_t generation = 0;

    (void)state;
    assert_int_equal(token_data_wrap(fixture.token, HSM_WRAP_STORE, (struct bytes){key, sizeof key},
                                     &wrapped, &generation),
                     ERR_OK);
    assert_int_equal(generation, 1);
    assert_int_equal(open_data(HSM_WRAP_STORE, &wrapped), ERR_OK);
    assert_int_equal(open_data(HSM_WRAP_SPOOL, &wrapped), ERR_TAMPERED);
    for (size_t i = 0; i < wrapped.len; i++) {
        wrapped.data[i] ^= 0x80;
        assert_int_equal(open_data(HSM_WRAP_STORE, &wrapped), ERR_TAMPERED);
        wrapped.data[i] ^= 0x80;
    }
    for (size_t whole = wrapped.len; wrapped.len > 0;) {
        wrapped.len--;
        assert_int_equal(open_data(HSM_WRAP_STORE, &wrapped), ERR_TAMPERED);
        if (wrapped.len < whole / 2)
            break;
    }
}

static void the_spool_key_changes_weekly_and_old_ones_are_destroyed(void **state)
{
    static const uint8_t key[32] = {[31] = 9};
    CLEANUP(buf_clear) struct buf old = {0};
    CLEANUP(buf_clear) struct buf new = {0};
    struct bytes data = {key, sizeof key};
    int64_t now = time(NULL);
    uint32_t generation;

    (void)state;
    assert_int_equal(token_data_wrap(fixture.token, HSM_WRAP_SPOOL, data, &old, &generation),
                     ERR_OK);
    assert_int_equal(generation, 1);
    assert_int_equal(token_spool_rotate(fixture.token, now + WEEK_S - 60), ERR_OK);
    assert_int_equal(token_spool_rotate(fixture.token, now + WEEK_S + 60), ERR_OK);
    assert_int_equal(token_spool_rotate(fixture.token, now + WEEK_S + 60), ERR_OK);
    assert_int_equal(reopen(&fixture.options), ERR_OK);
    assert_int_equal(token_data_wrap(fixture.token, HSM_WRAP_SPOOL, data, &new, &generation),
                     ERR_OK);
    assert_int_equal(generation, 2);
    assert_int_equal(open_data(HSM_WRAP_SPOOL, &old), ERR_OK);
    assert_int_equal(token_spool_destroy(fixture.token, 100), ERR_OK);
    assert_int_equal(open_data(HSM_WRAP_SPOOL, &old), ERR_NOT_FOUND);
    assert_int_equal(open_data(HSM_WRAP_SPOOL, &new), ERR_OK); /* the newest stays */
}

/* ---- sender keys ---- */

static void a_sender_key_of_every_type_signs_and_tells_its_public_half(void **state)
{
    static const enum key_type types[] = {KEY_RSA_2048, KEY_RSA_3072, KEY_P256};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct test_key key;
        struct sender_blob read;
        struct hsm_key_ref ref = {PROFILE_A, REVERSE_A, {0}};
        EVP_PKEY *public = NULL;

        test_key_new(&fixture, PROFILE_A, REVERSE_A, types[i], &key);
        ref.blob = buf_bytes(&key.blob);
        assert_int_equal(token_sender_read(fixture.token, &ref, &read, &public), ERR_OK);
        assert_int_equal(EVP_PKEY_eq(public, key.public), 1);
        assert_int_equal(read.type, types[i]);
        assert_int_equal(read.kek_generation, 1);
        assert_string_equal(read.profile, PROFILE_A);
        assert_string_equal(read.reverse, REVERSE_A);
        EVP_PKEY_free(public);
        assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_OK);
        assert_int_equal(reopen(&fixture.options), ERR_OK);
        assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_OK);
        test_key_clear(&key);
    }
}

static size_t encrypt_to(EVP_PKEY *public, int padding, const char *md, uint8_t out[384])
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(public, NULL);
    size_t len = 384;

    assert_true(EVP_PKEY_encrypt_init(context) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, padding) > 0);
    if (md)
        assert_true(EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_get_digestbyname(md)) > 0);
    assert_true(EVP_PKEY_encrypt(context, out, &len, (const uint8_t *)"content key", 11) > 0);
    EVP_PKEY_CTX_free(context);
    return len;
}

/* SoftHSM 2.6.1 has OAEP with SHA-1 alone. */
static void decryption_tells_padding_from_a_digest_the_token_lacks(void **state)
{
    static const struct {
        enum hsm_mechanism mechanism;
        int padding;
        const char *md;
        enum err answer;
    } cases[] = {
        {HSM_DECRYPT_PKCS1, RSA_PKCS1_PADDING, NULL, ERR_OK},
        {HSM_DECRYPT_OAEP, RSA_PKCS1_OAEP_PADDING, "SHA1", ERR_OK},
        {HSM_DECRYPT_OAEP, RSA_PKCS1_OAEP_PADDING, "SHA256", ERR_REFUSED},
        {HSM_DECRYPT_OAEP, RSA_PKCS1_PADDING, "SHA1", ERR_FORMAT},
        {HSM_DECRYPT_PKCS1, RSA_PKCS1_OAEP_PADDING, NULL, ERR_FORMAT},
    };
    struct test_key key;

    (void)state;
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_RSA_2048, &key);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct hsm_key_ref ref = {PROFILE_A, REVERSE_A, buf_bytes(&key.blob)};
        const char *oaep = cases[i].padding == RSA_PKCS1_OAEP_PADDING ? cases[i].md : NULL;
        CLEANUP(buf_clear) struct buf out = {0};
        uint8_t cipher[384];
        size_t len = encrypt_to(key.public, cases[i].padding, oaep, cipher);

        err_note_clear();
        assert_int_equal(token_sender_use(fixture.token, &ref, cases[i].mechanism, cases[i].md,
                                          NULL, (struct bytes){cipher, len}, &out),
                         cases[i].answer);
        if (cases[i].answer == ERR_OK)
            assert_true(bytes_equal(buf_bytes(&out), bytes_of("content key")));
        assert_int_equal(token_alive(fixture.token), ERR_OK);
    }
    test_key_clear(&key);
}

static void ecdh_agrees_with_openssl_and_refuses_points_off_the_curve(void **state)
{
    EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(peer, NULL);
    CLEANUP(buf_clear) struct buf out = {0};
    struct test_key key;
    struct hsm_key_ref ref = {PROFILE_A, REVERSE_A, {0}};
    uint8_t *point = NULL, shared[32];
    size_t point_len = EVP_PKEY_get1_encoded_public_key(peer, &point), len = sizeof shared;

    (void)state;
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_P256, &key);
    ref.blob = buf_bytes(&key.blob);
    assert_true(EVP_PKEY_derive_init(context) > 0);
    assert_true(EVP_PKEY_derive_set_peer(context, key.public) > 0);
    assert_true(EVP_PKEY_derive(context, shared, &len) > 0);
    assert_int_equal(token_sender_use(fixture.token, &ref, HSM_DERIVE_ECDH, NULL, NULL,
                                      (struct bytes){point, point_len}, &out),
                     ERR_OK);
    assert_true(bytes_equal(buf_bytes(&out), (struct bytes){shared, len}));
    point[point_len - 1] ^= 1;
    assert_int_equal(token_sender_use(fixture.token, &ref, HSM_DERIVE_ECDH, NULL, NULL,
                                      (struct bytes){point, point_len}, &out),
                     ERR_FORMAT);
    assert_int_equal(token_sender_use(fixture.token, &ref, HSM_DERIVE_ECDH, NULL, NULL,
                                      (struct bytes){point, 33}, &out),
                     ERR_FORMAT);
    OPENSSL_free(point);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    test_key_clear(&key);
}

static void a_mechanism_or_digest_that_does_not_fit_is_refused(void **state)
{
    static const uint8_t input[64] = {0};
    static const struct {
        enum hsm_mechanism mechanism;
        const char *md;
        size_t len;
    } cases[] = {
        {HSM_SIGN_PKCS1, "SHA256", 32}, {HSM_DECRYPT_PKCS1, NULL, 64},
        {HSM_DECRYPT_OAEP, "SHA1", 64}, {HSM_SIGN_ECDSA, "SHA1", 20},
        {HSM_SIGN_ECDSA, "MD5", 16},    {HSM_SIGN_ECDSA, NULL, 32},
        {HSM_SIGN_ECDSA, "SHA256", 31}, {HSM_SIGN_ECDSA, "SHA256", 64},
    };
    struct test_key key;

    (void)state;
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_P256, &key);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct hsm_key_ref ref = {PROFILE_A, REVERSE_A, buf_bytes(&key.blob)};
        CLEANUP(buf_clear) struct buf out = {0};

        assert_int_equal(token_sender_use(fixture.token, &ref, cases[i].mechanism, cases[i].md,
                                          NULL, (struct bytes){input, cases[i].len}, &out),
                         ERR_REFUSED);
        assert_int_equal(out.len, 0);
    }
    test_key_clear(&key);
}

/* ---- pool, cache ---- */

static enum err take(const char *profile, bool idle_only)
{
    CLEANUP(buf_clear) struct buf blob = {0};
    EVP_PKEY *public = NULL;
    enum err e;

    err_note_clear();
    e = token_sender_new(fixture.token, profile, 1, KEY_P256, REVERSE_A, idle_only, &blob, &public);
    EVP_PKEY_free(public);
    return e;
}

static unsigned fill(void)
{
    bool more = true;
    unsigned made = 0;

    while (more && made < 100) {
        assert_int_equal(token_pool_fill(fixture.token, &more), ERR_OK);
        made += more;
    }
    return made;
}

static void a_profile_over_its_share_waits_alone_until_the_pool_is_full(void **state)
{
    struct token_options options = fixture.options;

    (void)state;
    options.pool_size = 4;
    options.pool_share = 2;
    assert_int_equal(reopen(&options), ERR_OK);
    assert_int_equal(take(PROFILE_A, true), ERR_SHARE); /* nothing is ready yet */
    token_pool_types(fixture.token, false, false, true);
    assert_int_equal(fill(), 4);
    assert_int_equal(fill(), 0);
    assert_int_equal(take(PROFILE_A, true), ERR_OK);
    assert_int_equal(take(PROFILE_A, true), ERR_OK);
    assert_int_equal(take(PROFILE_A, true), ERR_SHARE);
    assert_int_equal(take(PROFILE_A, false), ERR_SHARE);
    assert_int_equal(take(PROFILE_B, true), ERR_OK);
    assert_int_equal(take(PROFILE_B, false), ERR_OK);
    assert_int_equal(take(PROFILE_B, true), ERR_SHARE);
    assert_int_equal(fill(), 4);
    assert_int_equal(take(PROFILE_A, false), ERR_OK);
    assert_int_equal(reopen(&fixture.options), ERR_OK);
}

static void more_keys_than_the_cache_holds_all_work(void **state)
{
    struct token_options options = fixture.options;
    struct test_key keys[6];

    (void)state;
    options.cache_size = 2;
    assert_int_equal(reopen(&options), ERR_OK);
    for (size_t i = 0; i < 6; i++)
        test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_P256, &keys[i]);
    for (size_t i = 0; i < 60; i++)
        assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &keys[i * 5 % 6]),
                         ERR_OK);
    for (size_t i = 0; i < 6; i++)
        test_key_clear(&keys[i]);
    assert_int_equal(reopen(&fixture.options), ERR_OK);
}

/* ---- in parallel ---- */

#define THREADS 4
#define KEYS    5

static struct test_key shared_keys[KEYS];
static atomic_int failures;

static void *work(void *arg)
{
    uintptr_t me = (uintptr_t)arg;
    static const uint8_t digest[48] = {3};

    for (size_t i = 0; i < 40; i++) {
        CLEANUP(buf_clear) struct buf out = {0};
        uint8_t mac[32];
        bool more;

        if (test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &shared_keys[(i + me) % KEYS]) ||
            token_hmac(fixture.token, "x", (struct bytes){digest, 4}, mac) ||
            token_ca_sign(fixture.token, PROFILE_A, EVP_sha384(),
                          (struct bytes){digest, sizeof digest}, &out) ||
            token_pool_fill(fixture.token, &more) ||
            (i % 8 == me && take(i % 2 ? PROFILE_A : PROFILE_B, false)))
            atomic_fetch_add(&failures, 1);
    }
    return NULL;
}

static void four_threads_share_fewer_sessions_and_a_small_cache(void **state)
{
    struct token_options options = fixture.options;
    pthread_t threads[THREADS];

    (void)state;
    options.cache_size = 2;
    options.sessions_max = 3;
    assert_int_equal(reopen(&options), ERR_OK);
    for (size_t i = 0; i < KEYS; i++)
        test_key_new(&fixture, PROFILE_A, REVERSE_A, i ? KEY_P256 : KEY_RSA_2048, &shared_keys[i]);
    /* RSA keys made meanwhile could hold all three sessions for longer than a call waits. */
    token_pool_types(fixture.token, false, false, true);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&failures), 0);
    for (size_t i = 0; i < KEYS; i++)
        test_key_clear(&shared_keys[i]);
    assert_int_equal(reopen(&fixture.options), ERR_OK);
}

/* ---- destruction ---- */

static void a_destroyed_profile_takes_its_keys_and_nobody_elses(void **state)
{
    static const uint8_t digest[48] = {1};
    CLEANUP(buf_clear) struct buf out = {0};
    struct test_key gone, stays;

    (void)state;
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_P256, &gone);
    test_key_new(&fixture, PROFILE_B, REVERSE_B, KEY_P256, &stays);
    assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &gone), ERR_OK);
    assert_int_equal(token_profile_destroy(fixture.token, PROFILE_A), ERR_OK);
    assert_int_equal(token_profile_destroy(fixture.token, PROFILE_A), ERR_OK); /* run again */
    assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &gone), ERR_NOT_FOUND);
    assert_int_equal(token_ca_sign(fixture.token, PROFILE_A, EVP_sha384(),
                                   (struct bytes){digest, sizeof digest}, &out),
                     ERR_NOT_FOUND);
    assert_int_equal(test_key_sign(fixture.token, PROFILE_B, REVERSE_B, &stays), ERR_OK);
    /* A KEK of the same name made later opens no old blob. */
    assert_int_equal(token_kek_new(fixture.token, PROFILE_A, 1), ERR_OK);
    assert_int_not_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &gone), ERR_OK);
    assert_int_equal(token_alive(fixture.token), ERR_OK);
    test_key_clear(&gone);
    test_key_clear(&stays);
}

static void a_kek_generation_is_destroyed_alone(void **state)
{
    CLEANUP(buf_clear) struct buf blob = {0};
    EVP_PKEY *public = NULL;
    struct test_key old, new;

    (void)state;
    test_key_new(&fixture, PROFILE_B, REVERSE_B, KEY_P256, &old);
    assert_int_equal(token_kek_new(fixture.token, PROFILE_B, 2), ERR_OK);
    assert_int_equal(
        token_sender_new(fixture.token, PROFILE_B, 2, KEY_P256, REVERSE_B, false, &blob, &public),
        ERR_OK);
    new = (struct test_key){blob, public};
    blob = (struct buf){0};
    assert_int_equal(test_key_sign(fixture.token, PROFILE_B, REVERSE_B, &old), ERR_OK);
    assert_int_equal(token_kek_destroy(fixture.token, PROFILE_B, 1), ERR_OK);
    assert_int_equal(test_key_sign(fixture.token, PROFILE_B, REVERSE_B, &old), ERR_NOT_FOUND);
    assert_int_equal(test_key_sign(fixture.token, PROFILE_B, REVERSE_B, &new), ERR_OK);
    test_key_clear(&old);
    test_key_clear(&new);
}

/* ---- report ---- */

static void the_report_names_every_key_and_what_its_loss_means(void **state)
{
    static const char *const kinds[] = {"CA key",      "KEK",       "record key",
                                        "journal key", "spool key", "store key"};
    cJSON *report = NULL;
    const cJSON *keys, *key, *token;

    (void)state;
    assert_int_equal(token_report(fixture.token, &report), ERR_OK);
    token = cJSON_GetArrayItem(cJSON_GetObjectItem(report, "tokens"), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(token, "wrap_mechanism")),
                        "CKM_AES_KEY_WRAP_PAD");
    keys = cJSON_GetObjectItem(token, "keys");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        unsigned n = 0;

        cJSON_ArrayForEach(key, keys)
        {
            const cJSON *attributes = cJSON_GetObjectItem(key, "attributes");

            n += strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(key, "kind")), kinds[i]) == 0;
            assert_true(cJSON_IsTrue(cJSON_GetObjectItem(key, "as_required")));
            assert_true(cJSON_IsFalse(cJSON_GetObjectItem(attributes, "CKA_EXTRACTABLE")));
            assert_true(cJSON_IsFalse(cJSON_GetObjectItem(attributes, "CKA_MODIFIABLE")));
            assert_non_null(cJSON_GetStringValue(cJSON_GetObjectItem(key, "loss")));
        }
        assert_true(n > 0);
    }
    cJSON_Delete(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_token_but_the_named_one_is_taken),
        cmocka_unit_test(a_missing_module_or_pin_file_is_a_configuration_error),
        cmocka_unit_test(ca_keys_and_sender_keys_may_live_in_two_tokens),
        cmocka_unit_test(a_ca_key_is_handed_out_again_after_a_restart),
        cmocka_unit_test(the_journal_signs_and_the_record_key_separates_labels),
        cmocka_unit_test(a_data_key_opens_under_its_own_key_and_unaltered_only),
        cmocka_unit_test(the_spool_key_changes_weekly_and_old_ones_are_destroyed),
        cmocka_unit_test(a_sender_key_of_every_type_signs_and_tells_its_public_half),
        cmocka_unit_test(decryption_tells_padding_from_a_digest_the_token_lacks),
        cmocka_unit_test(ecdh_agrees_with_openssl_and_refuses_points_off_the_curve),
        cmocka_unit_test(a_mechanism_or_digest_that_does_not_fit_is_refused),
        cmocka_unit_test(a_profile_over_its_share_waits_alone_until_the_pool_is_full),
        cmocka_unit_test(more_keys_than_the_cache_holds_all_work),
        cmocka_unit_test(four_threads_share_fewer_sessions_and_a_small_cache),
        cmocka_unit_test(the_report_names_every_key_and_what_its_loss_means),
        cmocka_unit_test(a_destroyed_profile_takes_its_keys_and_nobody_elses),
        cmocka_unit_test(a_kek_generation_is_destroyed_alone),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
