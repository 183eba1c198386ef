/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token_test.c - the token as the key service uses it, on a private SoftHSM: finding it, its
 * keys, data keys, destruction, report. */
#include "tests/hsm/token_fixture.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
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
        enum err e;
        const char *said;
    } cases[] = {
        {"pkcs11:token=absent", ERR_HSM_AWAY, "no token is pkcs11:token=absent; there are: \""},
        {"pkcs11:token=sealrelay-test;serial=0000", ERR_HSM_AWAY, "no token is"},
        {"pkcs11:token=sealrelay-test;slot-id=1", ERR_HSM_AWAY, "no token is"},
        {"pkcs11:token=sealrelay-test;model=YubiHSM", ERR_HSM_AWAY, "no token is"},
        {"pkcs11:", ERR_CONFIG, "needs token=, serial= or slot-id="},
        {"pkcs11:manufacturer=SoftHSM%20project", ERR_CONFIG, "needs token=, serial= or slot-id="},
        {"pkcs11:token=sealrelay-test?pin-value=1", ERR_CONFIG, "the PIN belongs in the PIN file"},
        {"pkcs11:token=sealrelay-test;object=key", ERR_CONFIG, "names more than a token"},
        {"sealrelay-test", ERR_CONFIG, "URI"},
        {"pkcs11:token=twin", ERR_CONFIG, "matches 2 tokens"},
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
        assert_int_equal(token_open(&options, &token), cases[i].e);
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
            assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(key, "allowed_mechanisms")) > 0);
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
        cmocka_unit_test(the_report_names_every_key_and_what_its_loss_means),
        cmocka_unit_test(a_destroyed_profile_takes_its_keys_and_nobody_elses),
        cmocka_unit_test(a_kek_generation_is_destroyed_alone),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
