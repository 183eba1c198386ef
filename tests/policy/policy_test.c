/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy_test.c - what a reverse alias is answered at RCPT, over a true store and a double of the
 * key service that has whatever profiles a case gives it. */
#include "daemon/policy/policy.h"
#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW_S   1800000000
#define REVERSE "r-aaaaaaaaaaaaaaaa@relay.example.com"
#define UNKNOWN "r-zzzzzzzzzzzzzzzz@relay.example.com"
#define OLD     "aaaaaaaaaaaaaaaa"
#define NEW     "bbbbbbbbbbbbbbbb"

static struct {
    scratch_path dir;
    struct hsm *hsm;
    struct store *store;
    struct policy policy;
    id_text alice, mallory;
    /* the key service's profiles, and what it answers instead */
    struct {
        const char *id, *user;
        enum profile_state state;
    } profiles[2];
    size_t n_profiles;
    enum err fail;
} t;

/* ---- the rest of the key service's double ---- */

enum err hsm_profile_get(struct hsm *h, const char *profile, struct hsm_profile *out)
{
    (void)h;
    if (t.fail)
        return t.fail;
    for (size_t i = 0; i < t.n_profiles; i++) {
        if (strcmp(profile, t.profiles[i].id) != 0)
            continue;
        *out = (struct hsm_profile){.state = t.profiles[i].state};
        (void)snprintf(out->profile, sizeof out->profile, "%s", profile);
        (void)snprintf(out->user, sizeof out->user, "%s", t.profiles[i].user);
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

enum err hsm_user_profile(struct hsm *h, const char *user, struct hsm_profile *out)
{
    (void)h;
    (void)user;
    (void)out;
    return t.fail ? t.fail : ERR_NOT_ACTIVE;
}

/* ---- */

static void profile_is(const char *id, const char *user, enum profile_state state)
{
    t.profiles[t.n_profiles].id = id;
    t.profiles[t.n_profiles].user = user;
    t.profiles[t.n_profiles++].state = state;
}

static void key_add(const struct store_correspondent *c, const char *profile, int64_t not_after_s)
{
    struct store_sender_key key = {.not_after_s = not_after_s};

    buf_append_str(&key.cert, "certificate");
    buf_append_str(&key.blob, "blob");
    assert_int_equal(store_sender_key_add(t.store, c->id, profile, &key), ERR_OK);
    store_sender_key_clear(&key);
}

/* A correspondent of alice's alias, who has a key in one profile. */
static void correspondent_add(const char *address, const char *reverse)
{
    struct store_correspondent c;
    struct store_alias alias;

    assert_int_equal(store_alias_find(t.store, "shop@relay.example.com", &alias), ERR_OK);
    assert_int_equal(store_correspondent_add(t.store, alias.id, address, reverse, NOW_S, &c),
                     ERR_OK);
    key_add(&c, OLD, NOW_S + 1000);
}

static int setup(void **state)
{
    static const char *const domains[] = {"relay.example.com", "other.example.com"};
    static const char *const hers[] = {"alice@home.example.com"};
    static const char *const his[] = {"mallory@home.example.com"};
    scratch_path path;
    struct store_alias alias;

    (void)state;
    memset(&t, 0, sizeof t);
    scratch_new(t.dir);
    scratch_join(t.dir, "store.db", path);
    t.hsm = hsm_double_new();
    assert_int_equal(store_open(path, t.hsm, &t.store), ERR_OK);
    assert_int_equal(store_user_add(t.store, "alice", hers, 1, NOW_S, t.alice), ERR_OK);
    assert_int_equal(store_user_add(t.store, "mallory", his, 1, NOW_S, t.mallory), ERR_OK);
    assert_int_equal(
        store_alias_add(t.store, "alice", "shop@relay.example.com", NULL, NOW_S, &alias), ERR_OK);
    t.policy = (struct policy){.store = t.store, .hsm = t.hsm, .domains = domains, .n_domains = 2};
    err_note_clear();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_close(t.store);
    hsm_double_free(t.hsm);
    scratch_remove(t.dir);
    return 0;
}

static enum err asked(const char *address)
{
    struct policy_route route;

    err_note_clear();
    return policy_recipient(&t.policy, address, NOW_S, &route);
}

static void a_reverse_alias_leads_to_its_correspondent_and_its_alias(void **state)
{
    struct policy_route route;

    (void)state;
    correspondent_add("Bob@shop.example.net", REVERSE);
    profile_is(OLD, t.alice, PROFILE_ACTIVE);
    assert_int_equal(
        policy_recipient(&t.policy, "R-AAAAaaaaaaaaaaaa@Relay.Example.Com", NOW_S, &route), ERR_OK);
    assert_int_equal(route.kind, POLICY_REVERSE);
    assert_string_equal(route.address, REVERSE);
    assert_string_equal(route.correspondent.address, "Bob@shop.example.net");
    assert_string_equal(route.alias.address, "shop@relay.example.com");
    assert_string_equal(route.alias.user, t.alice);
}

static void one_that_nobody_has_is_unknown_whatever_the_key_service_says(void **state)
{
    static const char *const addresses[] = {
        UNKNOWN,
        "r-zzzzzzzzzzzzzzzz@other.example.com",
        "r-aaaaaaaaaaaaaaaa@other.example.com",
        "r-aaaaaaaaaaaaaaaa@relay.example.com.",
        "r-aaaaaaaaaaaaaaaa@sub.relay.example.com",
        "r-aaaaaaaaaaaaaaaa@elsewhere.example.org",
        "r-aaaaaaaaaaaaaaaaa@relay.example.com",
        "r-aaaaaaaaaaaaaaa@relay.example.com",
        "r-@relay.example.com",
        "r-aaaaaaaaaaaaaaa1@relay.example.com",
        "r-aaaaaaaaaaaaaaaa+x@relay.example.com",
    };
    static const enum err services[] = {ERR_OK, ERR_HSM_AWAY, ERR_TIMEOUT};

    (void)state;
    correspondent_add("bob@shop.example.net", REVERSE);
    profile_is(OLD, t.alice, PROFILE_ACTIVE);
    assert_int_equal(asked(REVERSE), ERR_OK);
    for (size_t k = 0; k < sizeof services / sizeof *services; k++) {
        t.fail = services[k];
        for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
            if (asked(addresses[i]) != ERR_NO_ALIAS)
                fail_msg("%s: %s", addresses[i], err_name(asked(addresses[i])));
    }
}

static void one_ends_with_its_alias(void **state)
{
    (void)state;
    correspondent_add("bob@shop.example.net", REVERSE);
    profile_is(OLD, t.alice, PROFILE_ACTIVE);
    assert_int_equal(asked(REVERSE), ERR_OK);
    assert_int_equal(store_alias_remove(t.store, "shop@relay.example.com"), ERR_OK);
    assert_int_equal(asked(REVERSE), ERR_NO_ALIAS);
}

static void what_a_profile_in_each_state_makes_of_it(void **state)
{
    static const struct {
        enum profile_state state;
        enum err expected;
    } cases[] = {
        {PROFILE_PENDING, ERR_NOT_ACTIVE}, {PROFILE_READY, ERR_OK},
        {PROFILE_ACTIVE, ERR_OK},          {PROFILE_SUSPENDED, ERR_NOT_ACTIVE},
        {PROFILE_DELETED, ERR_NOT_ACTIVE},
    };

    (void)state;
    correspondent_add("bob@shop.example.net", REVERSE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t.n_profiles = 0;
        profile_is(OLD, t.alice, cases[i].state);
        assert_int_equal(asked(REVERSE), cases[i].expected);
    }
    t.n_profiles = 0; /* and one that the key service knows nothing of */
    assert_int_equal(asked(REVERSE), ERR_NOT_ACTIVE);
}

static void a_profile_of_somebody_else_opens_nothing(void **state)
{
    (void)state;
    correspondent_add("bob@shop.example.net", REVERSE);
    profile_is(OLD, t.mallory, PROFILE_ACTIVE);
    assert_int_equal(asked(REVERSE), ERR_NOT_ACTIVE);
}

static void a_profile_without_a_key_for_the_correspondent_opens_nothing(void **state)
{
    struct store_correspondent c;

    (void)state;
    correspondent_add("bob@shop.example.net", REVERSE);
    profile_is(NEW, t.alice, PROFILE_ACTIVE);
    assert_int_equal(asked(REVERSE), ERR_NOT_ACTIVE);
    assert_int_equal(store_correspondent_by_reverse(t.store, REVERSE, &c), ERR_OK);
    key_add(&c, NEW, NOW_S + 2000);
    assert_int_equal(asked(REVERSE), ERR_OK);
    assert_int_equal(store_profile_forget(t.store, NEW), ERR_OK);
    assert_int_equal(asked(REVERSE), ERR_NOT_ACTIVE);
}

static void one_usable_profile_of_several_is_enough(void **state)
{
    struct store_correspondent c;

    (void)state;
    correspondent_add("bob@shop.example.net", REVERSE);
    assert_int_equal(store_correspondent_by_reverse(t.store, REVERSE, &c), ERR_OK);
    key_add(&c, NEW, NOW_S + 2000);
    profile_is(OLD, t.alice, PROFILE_READY);
    assert_int_equal(asked(REVERSE), ERR_OK); /* the other was deleted */
    profile_is(NEW, t.alice, PROFILE_SUSPENDED);
    assert_int_equal(asked(REVERSE), ERR_OK);
    t.profiles[0].state = PROFILE_SUSPENDED;
    assert_int_equal(asked(REVERSE), ERR_NOT_ACTIVE);
    t.profiles[1].state = PROFILE_ACTIVE;
    assert_int_equal(asked(REVERSE), ERR_OK);
}

static void who_cannot_be_written_to_in_ascii_is_refused_for_good(void **state)
{
    static const struct {
        const char *address;
        enum err expected;
    } cases[] = {
        {"b\xc3\xbcro@shop.example.net", ERR_NOT_ASCII},
        {"bob@caf\xc3\xa9.example.net", ERR_NOT_ASCII},
        {"unknown-sender@invalid", ERR_NO_ALIAS},
    };

    (void)state;
    profile_is(OLD, t.alice, PROFILE_ACTIVE);
    correspondent_add("bob@shop.example.net", REVERSE);
    assert_int_equal(asked(REVERSE), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        address_text reverse;

        (void)snprintf(reverse, sizeof reverse, "r-bbbbbbbbbbbbbbb%c@relay.example.com",
                       'a' + (int)i);
        correspondent_add(cases[i].address, reverse);
        if (asked(reverse) != cases[i].expected)
            fail_msg("%s: %s", cases[i].address, err_name(asked(reverse)));
        t.fail = ERR_HSM_AWAY; /* no outage makes it another answer */
        assert_int_equal(asked(reverse), cases[i].expected);
        t.fail = ERR_OK;
    }
}

static void an_outage_is_never_a_refusal_for_good(void **state)
{
    static const enum err outages[] = {ERR_HSM_AWAY, ERR_TIMEOUT, ERR_NET,      ERR_PIN,
                                       ERR_BUSY,     ERR_IO,      ERR_TAMPERED, ERR_NOMEM};

    (void)state;
    correspondent_add("bob@shop.example.net", REVERSE);
    profile_is(OLD, t.alice, PROFILE_ACTIVE);
    for (size_t i = 0; i < sizeof outages / sizeof *outages; i++) {
        t.fail = outages[i];
        assert_int_equal(asked(REVERSE), outages[i]);
        assert_true(err_class(outages[i]) != CLASS_PERM);
    }
    t.fail = ERR_OK;
    assert_int_equal(asked(REVERSE), ERR_OK);
}

/* The store's data key is opened by the token: until then no address can be looked at. */
static void a_store_that_is_not_open_yet_says_try_again(void **state)
{
    scratch_path path;

    (void)state;
    correspondent_add("bob@shop.example.net", REVERSE);
    profile_is(OLD, t.alice, PROFILE_ACTIVE);
    store_close(t.store);
    hsm_double_fail(t.hsm, ERR_HSM_AWAY);
    scratch_join(t.dir, "store.db", path);
    assert_int_equal(store_open(path, t.hsm, &t.store), ERR_OK);
    t.policy.store = t.store;
    assert_int_equal(asked(REVERSE), ERR_HSM_AWAY);
    hsm_double_fail(t.hsm, ERR_OK);
    for (int i = 0; i < 100 && asked(REVERSE) != ERR_OK; i++) /* not asked again at once */
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    assert_int_equal(asked(REVERSE), ERR_OK);
}

static void an_alias_of_the_form_of_a_reverse_alias_cannot_be_had(void **state)
{
    struct store_alias alias;

    (void)state;
    assert_int_equal(store_alias_add(t.store, "mallory", REVERSE, NULL, NOW_S, &alias), ERR_FORMAT);
    assert_int_equal(
        store_alias_add(t.store, "mallory", "*@sub.relay.example.com", NULL, NOW_S, &alias),
        ERR_OK);
    assert_int_equal(asked("r-aaaaaaaaaaaaaaaa@sub.relay.example.com"), ERR_NO_ALIAS);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_reverse_alias_leads_to_its_correspondent_and_its_alias),
        CASE(one_that_nobody_has_is_unknown_whatever_the_key_service_says),
        CASE(one_ends_with_its_alias),
        CASE(what_a_profile_in_each_state_makes_of_it),
        CASE(a_profile_of_somebody_else_opens_nothing),
        CASE(a_profile_without_a_key_for_the_correspondent_opens_nothing),
        CASE(one_usable_profile_of_several_is_enough),
        CASE(who_cannot_be_written_to_in_ascii_is_refused_for_good),
        CASE(an_outage_is_never_a_refusal_for_good),
        CASE(a_store_that_is_not_open_yet_says_try_again),
        CASE(an_alias_of_the_form_of_a_reverse_alias_cannot_be_had),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
