/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token_fault_test.c - tokens that refuse the PIN, die, run out of sessions, lack a mechanism or
 * overlook an attribute: SoftHSM behind a module that does all of these on demand. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "tests/hsm/faulty_module.h"
#include "tests/hsm/token_fixture.h"

#include <cjson/cJSON.h>
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct token_fixture fixture;
static struct faulty_control *faulty;
static void *faulty_library;

static int setup(void **state)
{
    (void)state;
    token_fixture_new(&fixture);
    token_close(fixture.token);
    fixture.token = NULL;
    faulty_library = dlopen(FAULTY_MODULE_PATH, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(faulty_library);
    faulty = dlsym(faulty_library, "faulty_control");
    assert_non_null(faulty);
    faulty->module = fixture.hsm.module;
    fixture.options.module = FAULTY_MODULE_PATH;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    token_fixture_free(&fixture);
    (void)dlclose(faulty_library);
    return 0;
}

/* Before each case: no faults, nothing counted. */
static int heal(void **state)
{
    const char *module = faulty->module;

    (void)state;
    memset(faulty, 0, sizeof *faulty);
    faulty->module = module;
    faulty->sessions_left = -1;
    err_note_clear();
    return 0;
}

static int shut(void **state)
{
    (void)state;
    token_close(fixture.token);
    fixture.token = NULL;
    return 0;
}

static void pin_write(const char *pin)
{
    assert_int_equal(file_write_durable(fixture.hsm.pin_file, bytes_of(pin), 0600), ERR_OK);
}

static bool marker_is_there(void)
{
    char path[160];

    (void)snprintf(path, sizeof path, "%s/pin-refused", fixture.hsm.state_dir);
    return access(path, F_OK) == 0;
}

static enum err record_mac(void)
{
    uint8_t mac[32];

    err_note_clear();
    return token_hmac(fixture.token, "test", bytes_of("data"), mac);
}

/* ---- the PIN ---- */

static void a_refused_pin_is_not_tried_again_until_unlocked(void **state)
{
    (void)state;
    pin_write("0000000000");
    assert_int_equal(token_open(&fixture.options, &fixture.token), ERR_PIN);
    assert_non_null(strstr(err_note_get()->detail, "CKR_PIN_INCORRECT"));
    assert_non_null(fixture.token);
    assert_true(marker_is_there());
    assert_int_equal(token_alive(fixture.token), ERR_PIN);
    assert_int_equal(record_mac(), ERR_PIN);
    assert_int_equal(faulty->logins, 1);
    token_close(fixture.token);

    pin_write(SOFTHSM_FIXTURE_PIN); /* mended, but nobody said so */
    assert_int_equal(token_open(&fixture.options, &fixture.token), ERR_PIN);
    assert_int_equal(faulty->logins, 1);

    pin_write("1111111111");
    assert_int_equal(token_unlock(fixture.token), ERR_PIN);
    assert_int_equal(faulty->logins, 2);
    assert_true(marker_is_there());
    assert_int_equal(record_mac(), ERR_PIN);

    pin_write(SOFTHSM_FIXTURE_PIN "\n");
    assert_int_equal(token_unlock(fixture.token), ERR_OK);
    assert_int_equal(faulty->logins, 3);
    assert_false(marker_is_there());
    assert_int_equal(record_mac(), ERR_OK);
}

static void whatever_says_pin_ends_the_trying_and_nothing_else_does(void **state)
{
    static const struct {
        CK_RV answer;
        enum err e;
        bool marker;
    } cases[] = {
        {CKR_PIN_INCORRECT, ERR_PIN, true},         {CKR_PIN_LOCKED, ERR_PIN, true},
        {CKR_PIN_EXPIRED, ERR_PIN, true},           {CKR_PIN_INVALID, ERR_PIN, true},
        {CKR_PIN_LEN_RANGE, ERR_PIN, true},         {CKR_DEVICE_ERROR, ERR_HSM_AWAY, false},
        {CKR_FUNCTION_FAILED, ERR_HSM_AWAY, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        faulty->logins = 0;
        faulty->login_answer = cases[i].answer;
        err_note_clear();
        assert_int_equal(token_open(&fixture.options, &fixture.token), cases[i].e);
        assert_int_equal(marker_is_there(), cases[i].marker);
        faulty->login_answer = CKR_OK;
        if (!cases[i].marker) {
            assert_int_equal(token_open(&fixture.options, &fixture.token), ERR_OK);
            assert_int_equal(faulty->logins, 2);
        } else {
            assert_int_equal(record_mac(), ERR_PIN);
            assert_int_equal(faulty->logins, 1);
            assert_int_equal(token_unlock(fixture.token), ERR_OK);
        }
        assert_int_equal(record_mac(), ERR_OK);
        token_close(fixture.token);
        fixture.token = NULL;
    }
}

static void no_pin_is_tried_that_could_lock_the_token(void **state)
{
    static const struct {
        CK_FLAGS flags;
        enum err answer;
        unsigned logins;
    } cases[] = {
        {CKF_USER_PIN_FINAL_TRY, ERR_PIN, 0},
        {CKF_USER_PIN_LOCKED, ERR_PIN, 0},
        {CKF_USER_PIN_COUNT_LOW, ERR_OK, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        faulty->logins = 0;
        faulty->token_flags = cases[i].flags;
        assert_int_equal(token_open(&fixture.options, &fixture.token), cases[i].answer);
        assert_int_equal(faulty->logins, cases[i].logins);
        assert_int_equal(token_alive(fixture.token), cases[i].answer);
        assert_false(marker_is_there());
        token_close(fixture.token);
    }
    /* Unlocking a token at its final try tries nothing either; once it is well, it does. */
    faulty->token_flags = CKF_USER_PIN_FINAL_TRY;
    faulty->logins = 0;
    assert_int_equal(token_open(&fixture.options, &fixture.token), ERR_PIN);
    assert_int_equal(token_unlock(fixture.token), ERR_PIN);
    assert_int_equal(faulty->logins, 0);
    faulty->token_flags = 0;
    assert_int_equal(token_unlock(fixture.token), ERR_OK);
    assert_int_equal(record_mac(), ERR_OK);
}

/* ---- a dead token ---- */

static void a_dead_token_is_opened_anew_with_fresh_handles(void **state)
{
    static const CK_RV codes[] = {CKR_DEVICE_ERROR,       CKR_DEVICE_REMOVED,
                                  CKR_TOKEN_NOT_PRESENT,  CKR_SESSION_HANDLE_INVALID,
                                  CKR_SESSION_CLOSED,     CKR_USER_NOT_LOGGED_IN,
                                  CKR_KEY_HANDLE_INVALID, CKR_CRYPTOKI_NOT_INITIALIZED};
    struct test_key key;

    (void)state;
    token_fixture_open(&fixture);
    test_key_new(&fixture, PROFILE_A, REVERSE_A, KEY_P256, &key);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        unsigned before = faulty->initialisations;

        assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_OK);
        faulty->sign_answer = codes[i];
        faulty->sign_failures = 1;
        assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_HSM_AWAY);
        assert_non_null(strstr(err_note_get()->detail, "CKR_"));
        assert_int_equal(test_key_sign(fixture.token, PROFILE_A, REVERSE_A, &key), ERR_OK);
        assert_int_equal(faulty->initialisations, before + 1);
    }
    test_key_clear(&key);
}

static void a_vague_answer_kills_the_token_only_if_its_session_is_gone(void **state)
{
    unsigned before;

    (void)state;
    token_fixture_open(&fixture);
    before = faulty->initialisations;
    faulty->sign_answer = CKR_GENERAL_ERROR;
    faulty->sign_failures = 1;
    assert_int_equal(record_mac(), ERR_HSM_AWAY);
    assert_int_equal(record_mac(), ERR_OK);
    assert_int_equal(faulty->initialisations, before);
    faulty->sign_failures = 1;
    faulty->probe_answer = CKR_SESSION_HANDLE_INVALID;
    assert_int_equal(record_mac(), ERR_HSM_AWAY);
    faulty->probe_answer = CKR_OK;
    assert_int_equal(record_mac(), ERR_OK);
    assert_int_equal(faulty->initialisations, before + 1);
}

static void a_token_that_stays_dead_is_asked_less_and_less(void **state)
{
    int64_t until;
    unsigned before;

    (void)state;
    token_fixture_open(&fixture);
    faulty->initialise_answer = CKR_GENERAL_ERROR;
    faulty->sign_answer = CKR_DEVICE_REMOVED;
    faulty->sign_failures = 1;
    assert_int_equal(record_mac(), ERR_HSM_AWAY);
    before = faulty->initialisations;
    until = clock_mono_ms() + 600;
    while (clock_mono_ms() < until)
        assert_int_equal(record_mac(), ERR_HSM_AWAY);
    assert_in_range(faulty->initialisations - before, 1, 2); /* at 0 and 250 ms */
    faulty->initialise_answer = CKR_OK;
    until = clock_mono_ms() + 5000;
    while (record_mac() != ERR_OK && clock_mono_ms() < until)
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_int_equal(record_mac(), ERR_OK);
    assert_int_equal(faulty->logins, 2);
}

/* ---- sessions ---- */

static void *mac_often(void *arg)
{
    for (size_t i = 0; i < 50; i++)
        if (record_mac() != ERR_OK)
            atomic_fetch_add((atomic_int *)arg, 1);
    return NULL;
}

static void threads_wait_for_the_sessions_a_token_has(void **state)
{
    atomic_int failures = 0;
    pthread_t threads[4];

    (void)state;
    faulty->open_answer = CKR_SESSION_COUNT;
    faulty->sessions_left = 2; /* that of the log-in, one more */
    token_fixture_open(&fixture);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mac_often, &failures), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(failures, 0);
}

static void a_session_that_cannot_be_opened_hangs_nobody(void **state)
{
    int64_t start = clock_mono_ms();

    (void)state;
    faulty->open_answer = CKR_DEVICE_ERROR;
    faulty->sessions_left = 0;
    assert_int_equal(token_open(&fixture.options, &fixture.token), ERR_HSM_AWAY);
    assert_null(fixture.token);
    assert_int_equal(faulty->logins, 0);
    assert_true(clock_mono_ms() - start < 5000);
}

/* ---- tokens that can less ---- */

static void without_gcm_data_keys_go_by_cbc_and_the_report_says_so(void **state)
{
    static const uint8_t key[32] = {[31] = 9};
    CLEANUP(buf_clear) struct buf wrapped = {0};
    struct secret secret = {0};
    cJSON *report = NULL;
    char *text;
    uint32_t generation;

    (void)state;
    faulty->hidden = CKM_AES_GCM;
    token_fixture_open(&fixture);
    assert_int_equal(token_spool_rotate(fixture.token, clock_now_s() + 8 * 24 * 3600), ERR_OK);
    assert_int_equal(token_data_wrap(fixture.token, HSM_WRAP_SPOOL, (struct bytes){key, sizeof key},
                                     &wrapped, &generation),
                     ERR_OK);
    assert_int_equal(generation, 2);
    assert_int_equal(token_data_open(fixture.token, HSM_WRAP_SPOOL, buf_bytes(&wrapped), &secret),
                     ERR_OK);
    assert_memory_equal(secret.data, key, sizeof key);
    secret_free(&secret);
    assert_int_equal(token_report(fixture.token, &report), ERR_OK);
    text = cJSON_PrintUnformatted(report);
    assert_non_null(strstr(text, "AES-GCM: CBC is used"));
    cJSON_free(text);
    cJSON_Delete(report);
}

static void a_token_without_ec_refuses_ec_ca_keys(void **state)
{
    EVP_PKEY *public = NULL;

    (void)state;
    faulty->hidden = CKM_EC_KEY_PAIR_GEN;
    token_fixture_open(&fixture);
    assert_int_equal(token_ca_new(fixture.token, "eeeeeeeeeeeeeeee", KEY_P384, &public),
                     ERR_REFUSED);
    assert_int_equal(token_ca_new(fixture.token, "eeeeeeeeeeeeeeee", KEY_RSA_3072, &public),
                     ERR_OK);
    EVP_PKEY_free(public);
}

/* The token's answer to a KEK whose template it does not keep whole: no KEK. */
static void a_kek_has_every_attribute_or_is_not_made(void **state)
{
    static const CK_ATTRIBUTE_TYPE types[] = {
        CKA_DECRYPT,         CKA_ENCRYPT,   CKA_COPYABLE,          CKA_MODIFIABLE,
        CKA_UNWRAP_TEMPLATE, CKA_SENSITIVE, CKA_ALLOWED_MECHANISMS};
    CLEANUP(buf_clear) struct buf blob = {0};
    EVP_PKEY *public = NULL;

    (void)state;
    token_fixture_open(&fixture);
    for (size_t i = 0; i < 2 * sizeof types / sizeof *types; i++) {
        *(i % 2 ? &faulty->ignored : &faulty->unknown) = types[i / 2];
        err_note_clear();
        assert_int_equal(token_kek_new(fixture.token, PROFILE_A, 7), ERR_CONFIG);
        faulty->ignored = 0;
        faulty->unknown = 0;
        assert_int_equal(token_sender_new(fixture.token, PROFILE_A, 7, KEY_P256, REVERSE_A, false,
                                          &blob, &public),
                         ERR_NOT_FOUND);
    }
    assert_int_equal(token_kek_new(fixture.token, PROFILE_A, 7), ERR_OK);
}

static void a_ca_token_need_not_know_newer_attributes(void **state)
{
    static const uint8_t digest[48] = {1};
    CLEANUP(buf_clear) struct buf signature = {0};
    EVP_PKEY *public = NULL;

    (void)state;
    faulty->unknown = CKA_COPYABLE;
    token_fixture_open(&fixture);
    assert_int_equal(token_ca_new(fixture.token, "dddddddddddddddd", KEY_P384, &public), ERR_OK);
    assert_int_equal(token_ca_sign(fixture.token, "dddddddddddddddd", EVP_sha384(),
                                   (struct bytes){digest, sizeof digest}, &signature),
                     ERR_OK);
    EVP_PKEY_free(public);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, heal, shut)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_refused_pin_is_not_tried_again_until_unlocked),
        CASE(whatever_says_pin_ends_the_trying_and_nothing_else_does),
        CASE(no_pin_is_tried_that_could_lock_the_token),
        CASE(a_dead_token_is_opened_anew_with_fresh_handles),
        CASE(a_vague_answer_kills_the_token_only_if_its_session_is_gone),
        CASE(a_token_that_stays_dead_is_asked_less_and_less),
        CASE(threads_wait_for_the_sessions_a_token_has),
        CASE(a_session_that_cannot_be_opened_hangs_nobody),
        CASE(without_gcm_data_keys_go_by_cbc_and_the_report_says_so),
        CASE(a_token_without_ec_refuses_ec_ca_keys),
        CASE(a_kek_has_every_attribute_or_is_not_made),
        CASE(a_ca_token_need_not_know_newer_attributes),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
