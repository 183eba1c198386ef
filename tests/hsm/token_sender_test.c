/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token_sender_test.c - sender keys on a private SoftHSM: from the pool to their use, a cache too
 * small for them, and four threads at once. */
#include "tests/hsm/token_fixture.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

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

/* ---- sender keys ---- */

static void a_sender_key_signs_under_no_other_keys_certificate(void **state)
{
    static const uint8_t digest[32] = {1};
    const struct bytes input = {digest, sizeof digest};
    struct test_key key, other;
    struct hsm_key_ref ref = {.profile = PROFILE_A, .reverse = REVERSE_A};

    (void)state;
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_P256, &key);
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_P256, &other);
    ref.blob = buf_bytes(&key.blob);
    for (int own = 0; own < 2; own++) {
        CLEANUP(buf_clear) struct buf out = {0};
        unsigned char *spki = NULL;
        int len = i2d_PUBKEY(own ? key.public : other.public, &spki);

        assert_true(len > 0);
        ref.spki = (struct bytes){spki, (size_t)len};
        assert_int_equal(
            token_sender_use(fixture.token, &ref, HSM_SIGN_ECDSA, "SHA256", NULL, input, &out),
            own ? ERR_OK : ERR_TAMPERED);
        OPENSSL_free(spki);
    }
    test_key_clear(&key);
    test_key_clear(&other);
}

static void a_sender_key_of_every_type_signs_and_tells_its_public_half(void **state)
{
    static const enum key_type types[] = {KEY_RSA_2048, KEY_RSA_3072, KEY_P256};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct test_key key;
        struct sender_blob read;
        struct hsm_key_ref ref = {.profile = PROFILE_A, .reverse = REVERSE_A};
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
        const struct hsm_key_ref ref = {
            .profile = PROFILE_A, .reverse = REVERSE_A, .blob = buf_bytes(&key.blob)};
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
    struct hsm_key_ref ref = {.profile = PROFILE_A, .reverse = REVERSE_A};
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
        const struct hsm_key_ref ref = {
            .profile = PROFILE_A, .reverse = REVERSE_A, .blob = buf_bytes(&key.blob)};
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

#define TURNS 2000

static atomic_uint turns, repeats;
static atomic_uintptr_t last;

static void *mac_by_turns(void *arg)
{
    static const uint8_t data[4] = {1};
    uint8_t mac[32];

    while (atomic_fetch_add(&turns, 1) < TURNS) {
        if (token_hmac(fixture.token, "x", (struct bytes){data, sizeof data}, mac))
            atomic_fetch_add(&failures, 1);
        if (atomic_exchange(&last, (uintptr_t)arg) == (uintptr_t)arg)
            atomic_fetch_add(&repeats, 1);
    }
    return NULL;
}

/* Who gives a session back and asks again must not get it before those who wait: where calls take
 * long, they would wait until they fail. */
static void a_session_goes_to_whoever_waits_for_it(void **state)
{
    struct token_options options = fixture.options;
    pthread_t threads[THREADS];

    (void)state;
    options.sessions_max = 1;
    assert_int_equal(reopen(&options), ERR_OK);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mac_by_turns, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&failures), 0);
    print_message("    one thread twice in a row: %u of %u\n", atomic_load(&repeats), TURNS);
    assert_in_range(atomic_load(&repeats), 0, TURNS / 2);
    assert_int_equal(reopen(&fixture.options), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sender_key_signs_under_no_other_keys_certificate),
        cmocka_unit_test(a_sender_key_of_every_type_signs_and_tells_its_public_half),
        cmocka_unit_test(decryption_tells_padding_from_a_digest_the_token_lacks),
        cmocka_unit_test(ecdh_agrees_with_openssl_and_refuses_points_off_the_curve),
        cmocka_unit_test(a_mechanism_or_digest_that_does_not_fit_is_refused),
        cmocka_unit_test(a_profile_over_its_share_waits_alone_until_the_pool_is_full),
        cmocka_unit_test(more_keys_than_the_cache_holds_all_work),
        cmocka_unit_test(four_threads_share_fewer_sessions_and_a_small_cache),
        cmocka_unit_test(a_session_goes_to_whoever_waits_for_it),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
