/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_test.c - users, aliases, correspondents and keys, over daemon/store/store.h. */
#include "daemon/store/sender_policy.h"
#include "tests/store/fixture.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

#define NOW     FIXTURE_NOW
#define REVERSE FIXTURE_REVERSE
#define OTHER   FIXTURE_OTHER
#define PROFILE "abcdefghabcdefgh"

static void a_user_is_found_by_name_and_id_with_mailboxes_in_order(void **state)
{
    struct store_user u = {0};

    (void)state;
    fixture_reopen();
    assert_int_equal(store_user_find(fixture.store, "Anna", &u), ERR_OK);
    assert_string_equal(u.user, fixture.user);
    assert_int_equal(u.n_mailboxes, 2);
    assert_string_equal(u.mailboxes[0], "anna@home.example");
    assert_string_equal(u.mailboxes[1], "anna@work.example");
    store_user_clear(&u);
    assert_int_equal(store_user_find(fixture.store, fixture.user, &u), ERR_OK);
    assert_string_equal(u.name, "anna");
    assert_int_equal(u.created_s, NOW);
    store_user_clear(&u);
    assert_int_equal(store_user_find(fixture.store, "nobody", &u), ERR_NOT_FOUND);
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
        assert_int_equal(
            store_user_add(fixture.store, cases[i].name, &cases[i].mailbox, 1, NOW, id),
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
    assert_int_equal(store_user_add(fixture.store, "Bob", &mailbox, 1, NOW, id), ERR_OK);
    assert_int_equal(store_user_add(fixture.store, "carol", &mailbox, 1, NOW, id), ERR_OK);
    assert_int_equal(store_user_each(fixture.store, count_user, &n), ERR_OK);
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
        assert_int_equal(store_alias_add(fixture.store, "anna", cases[i].address, NULL, NOW, &a),
                         cases[i].expected);
    assert_int_equal(store_alias_add(fixture.store, "bob", "x@relay.example", NULL, NOW, &a),
                     ERR_NOT_FOUND);
    assert_int_equal(
        store_alias_add(fixture.store, "anna", "x@relay.example", "bob@home.example", NOW, &a),
        ERR_NOT_FOUND);
}

static void an_alias_is_found_exactly_before_its_catch_all(void **state)
{
    struct store_alias a;

    (void)state;
    assert_int_equal(store_alias_add(fixture.store, fixture.user, "*@sub.relay.example",
                                     "ANNA@work.example", NOW, &a),
                     ERR_OK);
    assert_true(a.catch_all);
    fixture_alias("shop@sub.relay.example");
    fixture_reopen();
    assert_int_equal(store_alias_find(fixture.store, "SHOP@sub.relay.example", &a), ERR_OK);
    assert_false(a.catch_all);
    assert_string_equal(a.mailbox, "anna@home.example");
    assert_int_equal(store_alias_find(fixture.store, "new@sub.relay.example", &a), ERR_OK);
    assert_true(a.catch_all);
    assert_string_equal(a.address, "*@sub.relay.example");
    assert_string_equal(a.mailbox, "anna@work.example");
    assert_int_equal(store_alias_find(fixture.store, "new@relay.example", &a), ERR_NO_ALIAS);
    assert_int_equal(store_alias_find(fixture.store, "*@sub.relay.example", &a), ERR_NO_ALIAS);
    assert_int_equal(store_alias_find(fixture.store, "new@x.sub.relay.example", &a), ERR_NO_ALIAS);
}

static void a_catch_all_takes_no_reverse_alias_and_no_return_path(void **state)
{
    struct store_alias a;

    (void)state;
    fixture_alias("*@relay.example");
    assert_int_equal(store_alias_find(fixture.store, REVERSE, &a), ERR_NO_ALIAS);
    assert_int_equal(store_alias_find(fixture.store, "b-abc@relay.example", &a), ERR_NO_ALIAS);
    assert_int_equal(store_alias_find(fixture.store, "a b@relay.example", &a), ERR_NO_ALIAS);
}

static void a_catch_all_makes_aliases_up_to_the_days_limit(void **state)
{
    struct store_alias all = fixture_alias("*@sub.relay.example");
    struct store_alias one;
    struct store_alias again;

    (void)state;
    assert_int_equal(
        store_alias_materialise(fixture.store, &all, "One@sub.relay.example", 2, NOW, &one),
        ERR_OK);
    assert_true(one.made_by_catch_all);
    assert_false(one.catch_all);
    assert_string_equal(one.mailbox, "anna@home.example");
    assert_int_equal(
        store_alias_materialise(fixture.store, &all, "two@sub.relay.example", 2, NOW, &again),
        ERR_OK);
    assert_int_equal(
        store_alias_materialise(fixture.store, &all, "three@sub.relay.example", 2, NOW, &again),
        ERR_LIMIT);
    assert_int_equal(
        store_alias_materialise(fixture.store, &all, "one@sub.relay.example", 2, NOW, &again),
        ERR_OK);
    assert_int_equal(again.id, one.id);
    assert_int_equal(store_alias_materialise(fixture.store, &all, "three@sub.relay.example", 2,
                                             NOW + 86401, &again),
                     ERR_OK);
    assert_int_equal(
        store_alias_materialise(fixture.store, &all, "x@other.example", 2, NOW, &again),
        ERR_FORMAT);
    assert_int_equal(store_alias_remove(fixture.store, "*@sub.relay.example"), ERR_OK);
    assert_int_equal(
        store_alias_materialise(fixture.store, &all, "four@sub.relay.example", 9, NOW, &again),
        ERR_NO_ALIAS);
    assert_int_equal(store_alias_find(fixture.store, "one@sub.relay.example", &again), ERR_OK);
}

static void a_removed_alias_is_not_made_again_by_its_catch_all(void **state)
{
    struct store_alias a;

    (void)state;
    fixture_alias("*@sub.relay.example");
    fixture_alias("shop@sub.relay.example");
    assert_int_equal(store_alias_remove(fixture.store, "Shop@sub.relay.example"), ERR_OK);
    assert_int_equal(store_alias_find(fixture.store, "shop@sub.relay.example", &a), ERR_NO_ALIAS);
    assert_int_equal(store_alias_remove(fixture.store, "shop@sub.relay.example"), ERR_NOT_FOUND);
    fixture_alias("shop@sub.relay.example");
    assert_int_equal(store_alias_find(fixture.store, "shop@sub.relay.example", &a), ERR_OK);
}

static enum err count_alias(void *ctx, const struct store_alias *a)
{
    struct store_alias again;

    /* the store can be asked from inside */
    assert_int_equal(store_alias_find(fixture.store, a->address, &again), ERR_OK);
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
    assert_int_equal(store_user_add(fixture.store, "bob", &mailbox, 1, NOW, bob), ERR_OK);
    fixture_alias("one@relay.example");
    fixture_alias("two@relay.example");
    assert_int_equal(store_alias_add(fixture.store, bob, "bob@relay.example", NULL, NOW, &a),
                     ERR_OK);
    assert_int_equal(store_alias_each(fixture.store, NULL, count_alias, &n), ERR_OK);
    assert_int_equal(n, 3);
    n = 0;
    assert_int_equal(store_alias_each(fixture.store, "anna", count_alias, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(store_alias_each(fixture.store, "carol", count_alias, &n), ERR_NOT_FOUND);
}

static void a_correspondent_is_found_by_address_and_by_reverse(void **state)
{
    int64_t alias = fixture_alias("shop@relay.example").id;
    struct store_correspondent c;

    (void)state;
    assert_int_equal(store_correspondent_find(fixture.store, alias, "Bob@Far.Example", &c),
                     ERR_NOT_FOUND);
    assert_int_equal(
        store_correspondent_add(fixture.store, alias, "Bob@Far.Example", REVERSE, NOW, &c), ERR_OK);
    fixture_reopen();
    assert_int_equal(store_correspondent_find(fixture.store, alias, "Bob@FAR.example", &c), ERR_OK);
    assert_string_equal(c.address, "Bob@far.example");
    assert_string_equal(c.reverse, REVERSE);
    assert_int_equal(store_correspondent_find(fixture.store, alias, "bob@far.example", &c),
                     ERR_NOT_FOUND);
    assert_int_equal(
        store_correspondent_by_reverse(fixture.store, "R-abcdefgh234567ab@RELAY.example", &c),
        ERR_OK);
    assert_string_equal(c.address, "Bob@far.example");
    assert_int_equal(store_correspondent_by_reverse(fixture.store, OTHER, &c), ERR_NOT_FOUND);
    assert_int_equal(store_correspondent_seen(fixture.store, c.id, NOW + 5), ERR_OK);
    assert_int_equal(store_correspondent_seen(fixture.store, c.id, NOW + 6), ERR_OK);
    assert_int_equal(store_correspondent_find(fixture.store, alias, "Bob@far.example", &c), ERR_OK);
    assert_int_equal(c.messages, 2);
    assert_int_equal(c.last_seen_s, NOW + 6);
}

static void the_second_to_add_a_correspondent_gets_the_firsts(void **state)
{
    int64_t alias = fixture_alias("shop@relay.example").id;
    struct store_correspondent c = {0};

    (void)state;
    assert_int_equal(
        store_correspondent_add(fixture.store, alias, "bob@far.example", REVERSE, NOW, &c), ERR_OK);
    assert_int_equal(
        store_correspondent_add(fixture.store, alias, "bob@FAR.example", OTHER, NOW, &c),
        ERR_EXISTS);
    assert_string_equal(c.reverse, REVERSE);
    assert_int_equal(
        store_correspondent_add(fixture.store, alias, "eve@far.example", REVERSE, NOW, &c),
        ERR_TAMPERED);
    assert_int_equal(
        store_correspondent_add(fixture.store, alias + 9, "eve@far.example", OTHER, NOW, &c),
        ERR_NOT_FOUND);
    assert_int_equal(
        store_correspondent_add(fixture.store, alias, "eve@far.example", "eve@x.example", NOW, &c),
        ERR_FORMAT);
    assert_int_equal(
        store_correspondent_add(fixture.store, alias, "unknown-sender", OTHER, NOW, &c), ERR_OK);
}

static void deleting_an_alias_ends_its_reverse_addresses_and_keys(void **state)
{
    int64_t alias = fixture_alias("shop@relay.example").id;
    struct store_correspondent c;
    struct store_sender_key key = {.not_after_s = NOW};

    (void)state;
    buf_append_str(&key.cert, "certificate");
    buf_append_str(&key.blob, "blob");
    assert_int_equal(
        store_correspondent_add(fixture.store, alias, "bob@far.example", REVERSE, NOW, &c), ERR_OK);
    assert_int_equal(store_sender_key_add(fixture.store, c.id, PROFILE, &key), ERR_OK);
    assert_int_equal(store_alias_remove(fixture.store, "shop@relay.example"), ERR_OK);
    assert_int_equal(store_correspondent_by_reverse(fixture.store, REVERSE, &c), ERR_NOT_FOUND);
    store_sender_key_clear(&key);
    assert_int_equal(store_sender_key_get(fixture.store, c.id, PROFILE, &key), ERR_NOT_FOUND);
    assert_int_not_equal(fixture_alias("shop@relay.example").id, alias);
}

static enum err join_keys(void *ctx, const struct store_sender_key *k)
{
    buf_append_bytes(ctx, buf_bytes(&k->cert));
    return ERR_OK;
}

static void the_newest_key_signs_and_all_are_kept_until_the_profile_is_forgotten(void **state)
{
    CLEANUP(buf_clear) struct buf all = {0};
    int64_t alias = fixture_alias("shop@relay.example").id;
    struct store_correspondent c;
    struct store_sender_key key = {.not_after_s = NOW};

    (void)state;
    assert_int_equal(
        store_correspondent_add(fixture.store, alias, "bob@far.example", REVERSE, NOW, &c), ERR_OK);
    assert_int_equal(store_sender_key_get(fixture.store, c.id, PROFILE, &key), ERR_NOT_FOUND);
    buf_append_str(&key.blob, "blob");
    for (const char *name = "123"; *name; name++) {
        buf_reset(&key.cert);
        buf_append(&key.cert, name, 1);
        key.not_after_s++;
        assert_int_equal(store_sender_key_add(fixture.store, c.id, PROFILE, &key), ERR_OK);
    }
    store_sender_key_clear(&key);
    assert_int_equal(store_sender_key_get(fixture.store, c.id, PROFILE, &key), ERR_OK);
    assert_string_equal(buf_str(&key.cert), "3");
    assert_string_equal(buf_str(&key.blob), "blob");
    assert_int_equal(key.not_after_s, NOW + 3);
    assert_int_equal(store_sender_key_each(fixture.store, c.id, PROFILE, join_keys, &all), ERR_OK);
    assert_string_equal(buf_str(&all), "321");
    store_sender_key_clear(&key);
    assert_int_equal(store_sender_key_get(fixture.store, c.id, "zzzzzzzzzzzzzzzz", &key),
                     ERR_NOT_FOUND);
    assert_int_equal(store_profile_forget(fixture.store, PROFILE), ERR_OK);
    assert_int_equal(store_sender_key_get(fixture.store, c.id, PROFILE, &key), ERR_NOT_FOUND);
}

static void a_profiles_notice_key_is_replaced_and_forgotten_with_it(void **state)
{
    struct hsm_sender key = {.reverse = REVERSE};
    struct hsm_sender got = {0};

    (void)state;
    assert_int_equal(store_notice_key_get(fixture.store, PROFILE, &got), ERR_NOT_FOUND);
    buf_append_str(&key.cert, "certificate");
    buf_append_str(&key.blob, "blob");
    assert_int_equal(store_notice_key_set(fixture.store, PROFILE, &key), ERR_OK);
    buf_append_str(&key.blob, " anew");
    assert_int_equal(store_notice_key_set(fixture.store, PROFILE, &key), ERR_OK);
    fixture_reopen();
    assert_int_equal(store_notice_key_get(fixture.store, PROFILE, &got), ERR_OK);
    assert_string_equal(got.reverse, REVERSE);
    assert_string_equal(buf_str(&got.blob), "blob anew");
    hsm_sender_clear(&got);
    hsm_sender_clear(&key);
    assert_int_equal(store_profile_forget(fixture.store, PROFILE), ERR_OK);
    assert_int_equal(store_notice_key_get(fixture.store, PROFILE, &got), ERR_NOT_FOUND);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_start, fixture_end)
static void a_profile_has_the_defaults_until_its_policy_is_set(void **state)
{
    struct sender_policy p = {FAILING_DEFER, SPAM_CHOICE_MARK, UNCHECKED_DEFER};

    (void)state;
    assert_int_equal(store_policy_get(fixture.store, PROFILE, &p), ERR_OK);
    assert_int_equal(p.failing, FAILING_BY_DOMAIN);
    assert_int_equal(p.spam, SPAM_CHOICE_REFUSE);
    assert_int_equal(p.unchecked, UNCHECKED_ACCEPT);
    for (enum failing_action f = FAILING_BY_DOMAIN; f <= FAILING_DEFER; f++) {
        struct sender_policy set = {f, SPAM_CHOICE_MARK, UNCHECKED_DEFER};

        assert_int_equal(store_policy_set(fixture.store, PROFILE, &set), ERR_OK);
        fixture_reopen();
        assert_int_equal(store_policy_get(fixture.store, PROFILE, &p), ERR_OK);
        assert_memory_equal(&p, &set, sizeof p);
    }
    assert_int_equal(store_policy_get(fixture.store, "bbbbbbbbbbbbbbbb", &p), ERR_OK);
    assert_int_equal(p.failing, FAILING_BY_DOMAIN);
    assert_int_equal(store_policy_set(fixture.store, "no id", &p), ERR_FORMAT);
}

static void a_forgotten_profile_has_no_policy(void **state)
{
    struct sender_policy p = {FAILING_DEFER, SPAM_CHOICE_MARK, UNCHECKED_DEFER};

    (void)state;
    assert_int_equal(store_policy_set(fixture.store, PROFILE, &p), ERR_OK);
    assert_int_equal(store_profile_forget(fixture.store, PROFILE), ERR_OK);
    assert_int_equal(store_policy_get(fixture.store, PROFILE, &p), ERR_OK);
    assert_int_equal(p.failing, FAILING_BY_DOMAIN);
}

static void a_policy_is_set_by_its_words_only(void **state)
{
    static const struct {
        const char *name, *word;
        enum err want;
    } words[] = {
        {"failing", "policy", ERR_OK},    {"failing", "refuse", ERR_OK},
        {"failing", "mark", ERR_OK},      {"failing", "defer", ERR_OK},
        {"failing", "accept", ERR_USAGE}, {"failing", "", ERR_USAGE},
        {"spam", "refuse", ERR_OK},       {"spam", "mark", ERR_OK},
        {"spam", "defer", ERR_USAGE},     {"unchecked", "accept", ERR_OK},
        {"unchecked", "defer", ERR_OK},   {"unchecked", "refuse", ERR_USAGE},
        {"colour", "mark", ERR_USAGE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct sender_policy p = {0};

        assert_int_equal(sender_policy_set_word(&p, words[i].name, words[i].word), words[i].want);
    }
}

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
        CASE(a_profile_has_the_defaults_until_its_policy_is_set),
        CASE(a_forgotten_profile_has_no_policy),
        CASE(a_policy_is_set_by_its_words_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
