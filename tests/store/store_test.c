/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_test.c - users, aliases, correspondents and keys, over daemon/store/store.h. */
#include "daemon/store/store.h"

#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

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

#define NOW     1800000000
#define REVERSE "r-abcdefgh234567ab@relay.example"
#define OTHER   "r-zzzzzzzz234567ab@relay.example"
#define PROFILE "abcdefghabcdefgh"

static scratch_path dir;
static scratch_path path;
static struct hsm *hsm;
static struct store *store;
static id_text user;

static int setup(void **state)
{
    static const char *const mailboxes[] = {"Anna@Home.Example", "anna@work.example"};

    (void)state;
    scratch_new(dir);
    scratch_join(dir, "store.db", path);
    hsm = hsm_double_new();
    assert_int_equal(store_open(path, hsm, &store), ERR_OK);
    assert_int_equal(store_user_add(store, "anna", mailboxes, 2, NOW, user), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_close(store);
    hsm_double_free(hsm);
    scratch_remove(dir);
    return 0;
}

static void reopen(void)
{
    store_close(store);
    store = NULL;
    assert_int_equal(store_open(path, hsm, &store), ERR_OK);
}

static struct store_alias add_alias(const char *address)
{
    struct store_alias a = {0};

    assert_int_equal(store_alias_add(store, "anna", address, NULL, NOW, &a), ERR_OK);
    return a;
}

static void a_user_is_found_by_name_and_id_with_mailboxes_in_order(void **state)
{
    struct store_user u = {0};

    (void)state;
    reopen();
    assert_int_equal(store_user_find(store, "Anna", &u), ERR_OK);
    assert_string_equal(u.user, user);
    assert_int_equal(u.n_mailboxes, 2);
    assert_string_equal(u.mailboxes[0], "anna@home.example");
    assert_string_equal(u.mailboxes[1], "anna@work.example");
    store_user_clear(&u);
    assert_int_equal(store_user_find(store, user, &u), ERR_OK);
    assert_string_equal(u.name, "anna");
    assert_int_equal(u.created_s, NOW);
    store_user_clear(&u);
    assert_int_equal(store_user_find(store, "nobody", &u), ERR_NOT_FOUND);
}

static void bad_users_are_refused(void **state)
{
    static const struct {
        const char *name;
        const char *mailbox;
        enum err expected;
    } cases[] = {
        {"ANNA", "x@y.example", ERR_EXISTS},
        {"", "x@y.example", ERR_FORMAT},
        {" bob", "x@y.example", ERR_FORMAT},
        {"bo\nb", "x@y.example", ERR_FORMAT},
        {"b\xc3", "x@y.example", ERR_FORMAT},
        {"abcdefghabcdefgh", "x@y.example", ERR_FORMAT}, /* would pass as an id */
        {"bob", "x", ERR_FORMAT},
        {"bob", "x@y.example\r\n", ERR_FORMAT},
        {"bob", "x y@y.example", ERR_FORMAT},
        {"bob", "x@-y.example", ERR_FORMAT},
        {"bob", REVERSE, ERR_FORMAT},
        {"bob", "b-1234@relay.example", ERR_FORMAT},
        {"J\xc3\xbcrgen", "x@y.example", ERR_OK},
    };
    id_text id;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(store_user_add(store, cases[i].name, &cases[i].mailbox, 1, NOW, id),
                         cases[i].expected);
}

static enum err count_user(void *ctx, const struct store_user *u)
{
    assert_true(u->n_mailboxes > 0);
    ++*(int *)ctx;
    return ERR_OK;
}

static void every_user_is_listed_once(void **state)
{
    const char *mailbox = "x@y.example";
    id_text id;
    int n = 0;

    (void)state;
    assert_int_equal(store_user_add(store, "Bob", &mailbox, 1, NOW, id), ERR_OK);
    assert_int_equal(store_user_add(store, "carol", &mailbox, 1, NOW, id), ERR_OK);
    assert_int_equal(store_user_each(store, count_user, &n), ERR_OK);
    assert_int_equal(n, 3);
}

static void aliases_have_the_forms_an_alias_may_have(void **state)
{
    static const struct {
        const char *address;
        enum err expected;
    } cases[] = {
        {"Shop@Relay.Example", ERR_OK},
        {"shop@relay.example", ERR_EXISTS},
        {"*@sub.relay.example", ERR_OK},
        {"a*@sub.relay.example", ERR_OK},
        {"*", ERR_FORMAT},
        {"*@", ERR_FORMAT},
        {"shop", ERR_FORMAT},
        {"@relay.example", ERR_FORMAT},
        {"sh op@relay.example", ERR_FORMAT},
        {"shop@relay..example", ERR_FORMAT},
        {"shop.@relay.example", ERR_FORMAT},
        {"\"shop\"@relay.example", ERR_FORMAT},
        {"shop@relay.example\n", ERR_FORMAT},
        {"sh\xc3\xb6p@relay.example", ERR_FORMAT},
        {REVERSE, ERR_FORMAT},
        {"R-ABCDEFGH234567AB@relay.example", ERR_FORMAT},
        {"r-abc@relay.example", ERR_OK}, /* not the form: too short */
        {"b-anything@relay.example", ERR_FORMAT},
        {"", ERR_FORMAT},
    };
    struct store_alias a;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(store_alias_add(store, "anna", cases[i].address, NULL, NOW, &a),
                         cases[i].expected);
    assert_int_equal(store_alias_add(store, "bob", "x@relay.example", NULL, NOW, &a),
                     ERR_NOT_FOUND);
    assert_int_equal(store_alias_add(store, "anna", "x@relay.example", "bob@home.example", NOW, &a),
                     ERR_NOT_FOUND);
}

static void an_alias_is_found_exactly_before_its_catch_all(void **state)
{
    struct store_alias a;

    (void)state;
    assert_int_equal(
        store_alias_add(store, user, "*@sub.relay.example", "ANNA@work.example", NOW, &a), ERR_OK);
    assert_true(a.catch_all);
    add_alias("shop@sub.relay.example");
    reopen();
    assert_int_equal(store_alias_find(store, "SHOP@sub.relay.example", &a), ERR_OK);
    assert_false(a.catch_all);
    assert_string_equal(a.mailbox, "anna@home.example");
    assert_int_equal(store_alias_find(store, "new@sub.relay.example", &a), ERR_OK);
    assert_true(a.catch_all);
    assert_string_equal(a.address, "*@sub.relay.example");
    assert_string_equal(a.mailbox, "anna@work.example");
    assert_int_equal(store_alias_find(store, "new@relay.example", &a), ERR_NO_ALIAS);
    assert_int_equal(store_alias_find(store, "*@sub.relay.example", &a), ERR_NO_ALIAS);
    assert_int_equal(store_alias_find(store, "new@x.sub.relay.example", &a), ERR_NO_ALIAS);
}

static void a_catch_all_takes_no_reverse_alias_and_no_return_path(void **state)
{
    struct store_alias a;

    (void)state;
    add_alias("*@relay.example");
    assert_int_equal(store_alias_find(store, REVERSE, &a), ERR_NO_ALIAS);
    assert_int_equal(store_alias_find(store, "b-abc@relay.example", &a), ERR_NO_ALIAS);
    assert_int_equal(store_alias_find(store, "a b@relay.example", &a), ERR_NO_ALIAS);
}

static void a_catch_all_makes_aliases_up_to_the_days_limit(void **state)
{
    struct store_alias all = add_alias("*@sub.relay.example");
    struct store_alias one;
    struct store_alias again;

    (void)state;
    assert_int_equal(store_alias_materialise(store, &all, "One@sub.relay.example", 2, NOW, &one),
                     ERR_OK);
    assert_true(one.made_by_catch_all);
    assert_false(one.catch_all);
    assert_string_equal(one.mailbox, "anna@home.example");
    assert_int_equal(store_alias_materialise(store, &all, "two@sub.relay.example", 2, NOW, &again),
                     ERR_OK);
    assert_int_equal(
        store_alias_materialise(store, &all, "three@sub.relay.example", 2, NOW, &again), ERR_LIMIT);
    assert_int_equal(store_alias_materialise(store, &all, "one@sub.relay.example", 2, NOW, &again),
                     ERR_OK);
    assert_int_equal(again.id, one.id);
    assert_int_equal(
        store_alias_materialise(store, &all, "three@sub.relay.example", 2, NOW + 86401, &again),
        ERR_OK);
    assert_int_equal(store_alias_materialise(store, &all, "x@other.example", 2, NOW, &again),
                     ERR_FORMAT);
    assert_int_equal(store_alias_remove(store, "*@sub.relay.example"), ERR_OK);
    assert_int_equal(store_alias_materialise(store, &all, "four@sub.relay.example", 9, NOW, &again),
                     ERR_NO_ALIAS);
    assert_int_equal(store_alias_find(store, "one@sub.relay.example", &again), ERR_OK);
}

static void a_removed_alias_is_not_made_again_by_its_catch_all(void **state)
{
    struct store_alias a;

    (void)state;
    add_alias("*@sub.relay.example");
    add_alias("shop@sub.relay.example");
    assert_int_equal(store_alias_remove(store, "Shop@sub.relay.example"), ERR_OK);
    assert_int_equal(store_alias_find(store, "shop@sub.relay.example", &a), ERR_NO_ALIAS);
    assert_int_equal(store_alias_remove(store, "shop@sub.relay.example"), ERR_NOT_FOUND);
    add_alias("shop@sub.relay.example");
    assert_int_equal(store_alias_find(store, "shop@sub.relay.example", &a), ERR_OK);
}

static enum err count_alias(void *ctx, const struct store_alias *a)
{
    struct store_alias again;

    /* the store can be asked from inside */
    assert_int_equal(store_alias_find(store, a->address, &again), ERR_OK);
    ++*(int *)ctx;
    return ERR_OK;
}

static void aliases_are_listed_by_user(void **state)
{
    const char *mailbox = "x@y.example";
    struct store_alias a;
    id_text bob;
    int n = 0;

    (void)state;
    assert_int_equal(store_user_add(store, "bob", &mailbox, 1, NOW, bob), ERR_OK);
    add_alias("one@relay.example");
    add_alias("two@relay.example");
    assert_int_equal(store_alias_add(store, bob, "bob@relay.example", NULL, NOW, &a), ERR_OK);
    assert_int_equal(store_alias_each(store, NULL, count_alias, &n), ERR_OK);
    assert_int_equal(n, 3);
    n = 0;
    assert_int_equal(store_alias_each(store, "anna", count_alias, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(store_alias_each(store, "carol", count_alias, &n), ERR_NOT_FOUND);
}

static void a_correspondent_is_found_by_address_and_by_reverse(void **state)
{
    int64_t alias = add_alias("shop@relay.example").id;
    struct store_correspondent c;

    (void)state;
    assert_int_equal(store_correspondent_find(store, alias, "Bob@Far.Example", &c), ERR_NOT_FOUND);
    assert_int_equal(store_correspondent_add(store, alias, "Bob@Far.Example", REVERSE, NOW, &c),
                     ERR_OK);
    reopen();
    assert_int_equal(store_correspondent_find(store, alias, "Bob@FAR.example", &c), ERR_OK);
    assert_string_equal(c.address, "Bob@far.example");
    assert_string_equal(c.reverse, REVERSE);
    assert_int_equal(store_correspondent_find(store, alias, "bob@far.example", &c), ERR_NOT_FOUND);
    assert_int_equal(store_correspondent_by_reverse(store, "R-abcdefgh234567ab@RELAY.example", &c),
                     ERR_OK);
    assert_string_equal(c.address, "Bob@far.example");
    assert_int_equal(store_correspondent_by_reverse(store, OTHER, &c), ERR_NOT_FOUND);
    assert_int_equal(store_correspondent_seen(store, c.id, NOW + 5), ERR_OK);
    assert_int_equal(store_correspondent_seen(store, c.id, NOW + 6), ERR_OK);
    assert_int_equal(store_correspondent_find(store, alias, "Bob@far.example", &c), ERR_OK);
    assert_int_equal(c.messages, 2);
    assert_int_equal(c.last_seen_s, NOW + 6);
}

static void the_second_to_add_a_correspondent_gets_the_firsts(void **state)
{
    int64_t alias = add_alias("shop@relay.example").id;
    struct store_correspondent c = {0};

    (void)state;
    assert_int_equal(store_correspondent_add(store, alias, "bob@far.example", REVERSE, NOW, &c),
                     ERR_OK);
    assert_int_equal(store_correspondent_add(store, alias, "bob@FAR.example", OTHER, NOW, &c),
                     ERR_EXISTS);
    assert_string_equal(c.reverse, REVERSE);
    assert_int_equal(store_correspondent_add(store, alias, "eve@far.example", REVERSE, NOW, &c),
                     ERR_TAMPERED);
    assert_int_equal(store_correspondent_add(store, alias + 9, "eve@far.example", OTHER, NOW, &c),
                     ERR_NOT_FOUND);
    assert_int_equal(
        store_correspondent_add(store, alias, "eve@far.example", "eve@x.example", NOW, &c),
        ERR_FORMAT);
    assert_int_equal(store_correspondent_add(store, alias, "unknown-sender", OTHER, NOW, &c),
                     ERR_OK);
}

static void deleting_an_alias_ends_its_reverse_addresses_and_keys(void **state)
{
    int64_t alias = add_alias("shop@relay.example").id;
    struct store_correspondent c;
    struct store_sender_key key = {.not_after_s = NOW};

    (void)state;
    buf_append_str(&key.cert, "certificate");
    buf_append_str(&key.blob, "blob");
    assert_int_equal(store_correspondent_add(store, alias, "bob@far.example", REVERSE, NOW, &c),
                     ERR_OK);
    assert_int_equal(store_sender_key_add(store, c.id, PROFILE, &key), ERR_OK);
    assert_int_equal(store_alias_remove(store, "shop@relay.example"), ERR_OK);
    assert_int_equal(store_correspondent_by_reverse(store, REVERSE, &c), ERR_NOT_FOUND);
    store_sender_key_clear(&key);
    assert_int_equal(store_sender_key_get(store, c.id, PROFILE, &key), ERR_NOT_FOUND);
    assert_int_not_equal(add_alias("shop@relay.example").id, alias);
}

static enum err join_keys(void *ctx, const struct store_sender_key *k)
{
    buf_append_bytes(ctx, buf_bytes(&k->cert));
    return ERR_OK;
}

static void the_newest_key_signs_and_all_are_kept_until_the_profile_is_forgotten(void **state)
{
    CLEANUP(buf_clear) struct buf all = {0};
    int64_t alias = add_alias("shop@relay.example").id;
    struct store_correspondent c;
    struct store_sender_key key = {.not_after_s = NOW};

    (void)state;
    assert_int_equal(store_correspondent_add(store, alias, "bob@far.example", REVERSE, NOW, &c),
                     ERR_OK);
    assert_int_equal(store_sender_key_get(store, c.id, PROFILE, &key), ERR_NOT_FOUND);
    buf_append_str(&key.blob, "blob");
    for (const char *name = "123"; *name; name++) {
        buf_reset(&key.cert);
        buf_append(&key.cert, name, 1);
        key.not_after_s++;
        assert_int_equal(store_sender_key_add(store, c.id, PROFILE, &key), ERR_OK);
    }
    store_sender_key_clear(&key);
    assert_int_equal(store_sender_key_get(store, c.id, PROFILE, &key), ERR_OK);
    assert_string_equal(buf_str(&key.cert), "3");
    assert_string_equal(buf_str(&key.blob), "blob");
    assert_int_equal(key.not_after_s, NOW + 3);
    assert_int_equal(store_sender_key_each(store, c.id, PROFILE, join_keys, &all), ERR_OK);
    assert_string_equal(buf_str(&all), "321");
    store_sender_key_clear(&key);
    assert_int_equal(store_sender_key_get(store, c.id, "zzzzzzzzzzzzzzzz", &key), ERR_NOT_FOUND);
    assert_int_equal(store_profile_forget(store, PROFILE), ERR_OK);
    assert_int_equal(store_sender_key_get(store, c.id, PROFILE, &key), ERR_NOT_FOUND);
}

static void a_profiles_notice_key_is_replaced_and_forgotten_with_it(void **state)
{
    struct hsm_sender key = {.reverse = REVERSE};
    struct hsm_sender got = {0};

    (void)state;
    assert_int_equal(store_notice_key_get(store, PROFILE, &got), ERR_NOT_FOUND);
    buf_append_str(&key.cert, "certificate");
    buf_append_str(&key.blob, "blob");
    assert_int_equal(store_notice_key_set(store, PROFILE, &key), ERR_OK);
    buf_append_str(&key.blob, " anew");
    assert_int_equal(store_notice_key_set(store, PROFILE, &key), ERR_OK);
    reopen();
    assert_int_equal(store_notice_key_get(store, PROFILE, &got), ERR_OK);
    assert_string_equal(got.reverse, REVERSE);
    assert_string_equal(buf_str(&got.blob), "blob anew");
    hsm_sender_clear(&got);
    hsm_sender_clear(&key);
    assert_int_equal(store_profile_forget(store, PROFILE), ERR_OK);
    assert_int_equal(store_notice_key_get(store, PROFILE, &got), ERR_NOT_FOUND);
}

static void real_addresses_lie_nowhere_in_clear(void **state)
{
    int64_t alias = add_alias("shop@relay.example").id;
    struct store_correspondent c;

    (void)state;
    assert_int_equal(
        store_correspondent_add(store, alias, "MARKER-bob@far.example", REVERSE, NOW, &c), ERR_OK);
    assert_false(scratch_holds(dir, "MARKER-bob"));
    assert_false(scratch_holds(dir, "far.example"));
    assert_false(scratch_holds(dir, "home.example"));
    assert_true(scratch_holds(dir, "shop@relay.example"));
    assert_int_equal(store_checkpoint(store), ERR_OK);
    assert_false(scratch_holds(dir, "MARKER-bob"));
    assert_true(scratch_holds(dir, "shop@relay.example"));
}

static void equal_addresses_of_two_aliases_do_not_look_equal(void **state)
{
    int64_t one = add_alias("one@relay.example").id;
    int64_t two = add_alias("two@relay.example").id;
    struct store_correspondent c;

    (void)state;
    assert_int_equal(store_correspondent_add(store, one, "bob@far.example", REVERSE, NOW, &c),
                     ERR_OK);
    assert_int_equal(store_correspondent_add(store, two, "bob@far.example", OTHER, NOW, &c),
                     ERR_OK);
    /* fails here if the HMACs were equal */
    scratch_sql(dir, "store.db", "CREATE UNIQUE INDEX probe ON correspondent (look)");
    scratch_sql(dir, "store.db", "CREATE UNIQUE INDEX probe2 ON correspondent (address)");
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
        int64_t alias = add_alias("shop@relay.example").id;

        add_alias("other@relay.example");
        assert_int_equal(store_correspondent_add(store, alias, "bob@far.example", REVERSE, NOW, &c),
                         ERR_OK);
        assert_int_equal(store_correspondent_add(store, alias, "eve@far.example", OTHER, NOW, &c),
                         ERR_OK);
        scratch_sql(dir, "store.db", changes[i]);
        assert_int_equal(store_correspondent_by_reverse(store, REVERSE, &c), ERR_TAMPERED);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void without_the_key_service_known_aliases_wait_and_unknown_ones_are_unknown(void **state)
{
    struct timespec moment = {1, 100000000};
    struct store_alias a;

    (void)state;
    add_alias("shop@relay.example");
    hsm_double_fail(hsm, ERR_HSM_AWAY);
    reopen();
    assert_int_equal(store_alias_find(store, "shop@relay.example", &a), ERR_HSM_AWAY);
    assert_int_equal(store_alias_find(store, "other@relay.example", &a), ERR_NO_ALIAS);
    /* callers that come right behind a failure do not wait for the service one by one */
    assert_int_equal(hsm_double_attempts(hsm), 2);
    hsm_double_fail(hsm, ERR_OK);
    (void)nanosleep(&moment, NULL);
    assert_int_equal(store_alias_find(store, "shop@relay.example", &a), ERR_OK);
}

static void the_data_key_is_made_once_and_derived_keys_stay(void **state)
{
    uint8_t first[32];
    uint8_t again[32];
    uint8_t other[32];

    (void)state;
    assert_int_equal(store_derived_key(store, "verp", first), ERR_OK);
    assert_int_equal(store_derived_key(store, "other", other), ERR_OK);
    reopen();
    assert_int_equal(store_derived_key(store, "verp", again), ERR_OK);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
    assert_int_equal(hsm_double_made(hsm), 1);
}

static void a_lost_data_key_is_not_replaced_in_silence(void **state)
{
    (void)state;
    scratch_sql(dir, "store.db", "DELETE FROM meta");
    store_close(store);
    store = NULL;
    assert_int_equal(store_open(path, hsm, &store), ERR_TAMPERED);
    assert_int_equal(hsm_double_made(hsm), 1);
}

static void a_second_relay_is_refused(void **state)
{
    struct store *second = NULL;

    (void)state;
    assert_int_equal(store_open(path, hsm, &second), ERR_CONFIG);
    assert_null(second);
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    store_close(store);
    store = NULL;
    scratch_sql(dir, "store.db", "PRAGMA user_version=99");
    assert_int_equal(store_open(path, hsm, &store), ERR_CONFIG);
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
        enum err e = store_correspondent_add(store, 1, address, reverse, NOW, &c);

        if (e != ERR_OK && e != ERR_EXISTS)
            return "failed";
        if (store_correspondent_seen(store, c.id, NOW) != ERR_OK)
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
    assert_int_equal(add_alias("shop@relay.example").id, 1);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, names[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed = NULL;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(store_correspondent_each(store, 1, check_messages, &n), ERR_OK);
    assert_int_equal(n, 20);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_user_is_found_by_name_and_id_with_mailboxes_in_order),
        CASE(bad_users_are_refused),
        CASE(every_user_is_listed_once),
        CASE(aliases_have_the_forms_an_alias_may_have),
        CASE(an_alias_is_found_exactly_before_its_catch_all),
        CASE(a_catch_all_takes_no_reverse_alias_and_no_return_path),
        CASE(a_catch_all_makes_aliases_up_to_the_days_limit),
        CASE(a_removed_alias_is_not_made_again_by_its_catch_all),
        CASE(aliases_are_listed_by_user),
        CASE(a_correspondent_is_found_by_address_and_by_reverse),
        CASE(the_second_to_add_a_correspondent_gets_the_firsts),
        CASE(deleting_an_alias_ends_its_reverse_addresses_and_keys),
        CASE(the_newest_key_signs_and_all_are_kept_until_the_profile_is_forgotten),
        CASE(a_profiles_notice_key_is_replaced_and_forgotten_with_it),
        CASE(real_addresses_lie_nowhere_in_clear),
        CASE(equal_addresses_of_two_aliases_do_not_look_equal),
        CASE(rows_changed_in_the_database_do_not_open),
        CASE(without_the_key_service_known_aliases_wait_and_unknown_ones_are_unknown),
        CASE(the_data_key_is_made_once_and_derived_keys_stay),
        CASE(a_lost_data_key_is_not_replaced_in_silence),
        CASE(a_second_relay_is_refused),
        CASE(a_newer_schema_is_refused),
        CASE(sessions_in_parallel_make_each_correspondent_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
