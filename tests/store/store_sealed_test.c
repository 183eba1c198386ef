/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_sealed_test.c - what lies sealed in the store and what a changed or copied database is
 * worth; opening, and sessions in parallel; over daemon/store/store.h. */
#include "daemon/store/sender_policy.h"
#include "tests/store/fixture.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NOW     FIXTURE_NOW
#define REVERSE FIXTURE_REVERSE
#define OTHER   FIXTURE_OTHER

static void real_addresses_lie_nowhere_in_clear(void **state)
{
    int64_t alias = fixture_alias("shop@relay.example").id;
    struct store_correspondent c;

    (void)state;
    assert_int_equal(
        store_correspondent_add(fixture.store, alias, "MARKER-bob@far.example", REVERSE, NOW, &c),
        ERR_OK);
    assert_false(scratch_holds(fixture.dir, "MARKER-bob"));
    assert_false(scratch_holds(fixture.dir, "far.example"));
    assert_false(scratch_holds(fixture.dir, "home.example"));
    assert_true(scratch_holds(fixture.dir, "shop@relay.example"));
    assert_int_equal(store_checkpoint(fixture.store), ERR_OK);
    assert_false(scratch_holds(fixture.dir, "MARKER-bob"));
    assert_true(scratch_holds(fixture.dir, "shop@relay.example"));
}

static void equal_addresses_of_two_aliases_do_not_look_equal(void **state)
{
    int64_t one = fixture_alias("one@relay.example").id;
    int64_t two = fixture_alias("two@relay.example").id;
    struct store_correspondent c;

    (void)state;
    assert_int_equal(
        store_correspondent_add(fixture.store, one, "bob@far.example", REVERSE, NOW, &c), ERR_OK);
    assert_int_equal(store_correspondent_add(fixture.store, two, "bob@far.example", OTHER, NOW, &c),
                     ERR_OK);
    /* fails here if the HMACs were equal */
    scratch_sql(fixture.dir, "store.db", "CREATE UNIQUE INDEX probe ON correspondent (look)");
    scratch_sql(fixture.dir, "store.db", "CREATE UNIQUE INDEX probe2 ON correspondent (address)");
}

static void rows_changed_in_the_database_do_not_open(void **state)
{
    static const char *const changes[] = {
        /* the two correspondents' reverse addresses exchanged */
        "UPDATE correspondent SET reverse = reverse || 'x';"
        "UPDATE correspondent SET reverse = '" OTHER "' WHERE id = 1;"
        "UPDATE correspondent SET reverse = '" REVERSE "' WHERE id = 2",
        "UPDATE correspondent SET address = (SELECT address FROM correspondent WHERE id = 2)",
        "UPDATE correspondent SET address = substr(address, 1, 40)",
        "UPDATE correspondent SET address = x''",
        "UPDATE correspondent SET address = CAST(x'02' || substr(address, 2) AS BLOB)",
        "UPDATE correspondent SET alias = 2",
    };
    struct store_correspondent c;

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        int64_t alias = fixture_alias("shop@relay.example").id;

        fixture_alias("other@relay.example");
        assert_int_equal(
            store_correspondent_add(fixture.store, alias, "bob@far.example", REVERSE, NOW, &c),
            ERR_OK);
        assert_int_equal(
            store_correspondent_add(fixture.store, alias, "eve@far.example", OTHER, NOW, &c),
            ERR_OK);
        scratch_sql(fixture.dir, "store.db", changes[i]);
        assert_int_equal(store_correspondent_by_reverse(fixture.store, REVERSE, &c), ERR_TAMPERED);
        (void)fixture_end(state);
        (void)fixture_start(state);
    }
}

static void without_the_key_service_known_aliases_wait_and_unknown_ones_are_unknown(void **state)
{
    struct timespec moment = {1, 100000000};
    struct store_alias a;

    (void)state;
    fixture_alias("shop@relay.example");
    hsm_double_fail(fixture.hsm, ERR_HSM_AWAY);
    fixture_reopen();
    assert_int_equal(store_alias_find(fixture.store, "shop@relay.example", &a), ERR_HSM_AWAY);
    assert_int_equal(store_alias_find(fixture.store, "other@relay.example", &a), ERR_NO_ALIAS);
    /* callers that come right behind a failure do not wait for the service one by one */
    assert_int_equal(hsm_double_attempts(fixture.hsm), 2);
    hsm_double_fail(fixture.hsm, ERR_OK);
    (void)nanosleep(&moment, NULL);
    assert_int_equal(store_alias_find(fixture.store, "shop@relay.example", &a), ERR_OK);
}

static void the_data_key_is_made_once_and_derived_keys_stay(void **state)
{
    uint8_t first[32];
    uint8_t again[32];
    uint8_t other[32];

    (void)state;
    assert_int_equal(store_derived_key(fixture.store, "verp", first), ERR_OK);
    assert_int_equal(store_derived_key(fixture.store, "other", other), ERR_OK);
    fixture_reopen();
    assert_int_equal(store_derived_key(fixture.store, "verp", again), ERR_OK);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
    assert_int_equal(hsm_double_made(fixture.hsm), 1);
}

static void a_lost_data_key_is_not_replaced_in_silence(void **state)
{
    (void)state;
    scratch_sql(fixture.dir, "store.db", "DELETE FROM meta");
    store_close(fixture.store);
    fixture.store = NULL;
    assert_int_equal(store_open(fixture.path, fixture.hsm, &fixture.store), ERR_TAMPERED);
    assert_int_equal(hsm_double_made(fixture.hsm), 1);
}

static void a_second_relay_is_refused(void **state)
{
    struct store *second = NULL;

    (void)state;
    assert_int_equal(store_open(fixture.path, fixture.hsm, &second), ERR_CONFIG);
    assert_null(second);
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    store_close(fixture.store);
    fixture.store = NULL;
    scratch_sql(fixture.dir, "store.db", "PRAGMA user_version=99");
    assert_int_equal(store_open(fixture.path, fixture.hsm, &fixture.store), ERR_CONFIG);
}

/* What was kept by a relay that knew no policies is kept on. */
static void an_older_schema_is_led_to_the_present_one(void **state)
{
    struct sender_policy p = {0};
    struct store_user u = {0};

    (void)state;
    store_close(fixture.store);
    fixture.store = NULL;
    scratch_sql(fixture.dir, "store.db",
                "DROP TABLE sender_policy; DROP TABLE bounce; DROP TABLE suspension;"
                " DROP TABLE told; DROP TABLE reply_policy; DROP TABLE reply_claim;"
                " DROP TABLE reply_failure; DROP TABLE thread; DROP TABLE correspondent_cert;"
                " DROP TABLE greeting; DROP TABLE alias_cert; PRAGMA user_version=1");
    assert_int_equal(store_open(fixture.path, fixture.hsm, &fixture.store), ERR_OK);
    assert_int_equal(store_user_find(fixture.store, "anna", &u), ERR_OK);
    assert_string_equal(u.mailboxes[0], "anna@home.example");
    store_user_clear(&u);
    p.failing = FAILING_MARK;
    assert_int_equal(store_policy_set(fixture.store, fixture.user, &p), ERR_OK);
    fixture_reopen();
    assert_int_equal(store_policy_get(fixture.store, fixture.user, &p), ERR_OK);
    assert_int_equal(p.failing, FAILING_MARK);
}

static void a_word_that_no_relay_wrote_is_no_policy(void **state)
{
    static const char *const changes[] = {
        "UPDATE sender_policy SET failing = 'accept'",
        "UPDATE sender_policy SET failing = 'mark', spam = 'policy'",
        "UPDATE sender_policy SET spam = 'mark', unchecked = ''",
        "UPDATE sender_policy SET unchecked = 'acceptacceptacceptaccept'",
    };
    struct sender_policy p = {0};

    (void)state;
    assert_int_equal(store_policy_set(fixture.store, fixture.user, &p), ERR_OK);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        scratch_sql(fixture.dir, "store.db", changes[i]);
        assert_int_equal(store_policy_get(fixture.store, fixture.user, &p), ERR_TAMPERED);
        err_note_clear();
    }
}

static void *add_many(void *arg)
{
    const char *who = arg;
    struct store_correspondent c;
    char address[64];
    char reverse[64];

    for (int i = 0; i < 20; i++) {
        /* all threads want the same correspondents under reverse addresses of their own */
        (void)snprintf(address, sizeof address, "c%d@far.example", i);
        (void)snprintf(reverse, sizeof reverse, "r-%saaaaaaaaaaaaa%c%c@relay.example", who,
                       'a' + i / 10, 'a' + i % 10);
        enum err e = store_correspondent_add(fixture.store, 1, address, reverse, NOW, &c);

        if (e != ERR_OK && e != ERR_EXISTS)
            return "failed";
        if (store_correspondent_seen(fixture.store, c.id, NOW) != ERR_OK)
            return "not seen";
    }
    return NULL;
}

static enum err check_messages(void *ctx, const struct store_correspondent *c)
{
    assert_int_equal(c->messages, 4);
    ++*(int *)ctx;
    return ERR_OK;
}

static void sessions_in_parallel_make_each_correspondent_once(void **state)
{
    static char names[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    int n = 0;

    (void)state;
    assert_int_equal(fixture_alias("shop@relay.example").id, 1);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, names[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed = NULL;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(store_correspondent_each(fixture.store, 1, check_messages, &n), ERR_OK);
    assert_int_equal(n, 20);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_start, fixture_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(real_addresses_lie_nowhere_in_clear),
        CASE(equal_addresses_of_two_aliases_do_not_look_equal),
        CASE(rows_changed_in_the_database_do_not_open),
        CASE(without_the_key_service_known_aliases_wait_and_unknown_ones_are_unknown),
        CASE(the_data_key_is_made_once_and_derived_keys_stay),
        CASE(a_lost_data_key_is_not_replaced_in_silence),
        CASE(a_second_relay_is_refused),
        CASE(a_newer_schema_is_refused),
        CASE(an_older_schema_is_led_to_the_present_one),
        CASE(a_word_that_no_relay_wrote_is_no_policy),
        CASE(sessions_in_parallel_make_each_correspondent_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
