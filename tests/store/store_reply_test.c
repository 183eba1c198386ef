/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_reply_test.c - what the store keeps for replies: policies, claims, failures, threads. */
#include "daemon/store/replay.h"
#include "daemon/store/reply_policy.h"
#include "daemon/store/thread.h"
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
#define PROFILE "abcdefghabcdefgh"

static void both_proofs_cannot_be_waived_and_plain_needs_the_signature_waived(void **state)
{
    static const struct {
        const char *words[4]; /* pass, signature, plain, onward */
        enum err expected;
    } cases[] = {
        {{"required", "required", "no", "when-known"}, ERR_OK},
        {{"waived", "required", "no", "never"}, ERR_OK},
        {{"required", "waived", "no", "required"}, ERR_OK},
        {{"required", "waived", "yes", "when-known"}, ERR_OK},
        {{"waived", "waived", "no", "when-known"}, ERR_USAGE},
        {{"required", "required", "yes", "when-known"}, ERR_USAGE},
        {{"waived", "required", "yes", "when-known"}, ERR_USAGE},
        {{"maybe", "required", "no", "never"}, ERR_USAGE},
        {{"required", "", "no", "never"}, ERR_USAGE},
        {{"required", "waived", "true", "never"}, ERR_USAGE},
        {{"required", "waived", "no", "always"}, ERR_USAGE},
    };
    static const char *const names[] = {"reply_pass", "reply_signature", "plain", "onward"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply_policy p = {0};
        struct reply_policy kept;
        enum err e = ERR_OK;

        for (size_t w = 0; !e && w < 4; w++)
            e = reply_policy_set_word(&p, names[w], cases[i].words[w]);
        e = e ? e : store_reply_policy_set(fixture.store, PROFILE, &p);
        assert_int_equal(e, cases[i].expected);
        if (e)
            continue;
        assert_int_equal(store_reply_policy_get(fixture.store, PROFILE, &kept), ERR_OK);
        assert_string_equal(reply_proof_name(kept.pass), cases[i].words[0]);
        assert_string_equal(reply_proof_name(kept.signature), cases[i].words[1]);
        assert_string_equal(reply_plain_name(kept.plain), cases[i].words[2]);
        assert_string_equal(onward_choice_name(kept.onward), cases[i].words[3]);
    }
}

static void
a_profile_that_said_nothing_requires_both_proofs_and_so_does_a_forgotten_one(void **state)
{
    struct reply_policy p = {.pass = REPLY_WAIVED};

    (void)state;
    assert_int_equal(store_reply_policy_set(fixture.store, PROFILE, &p), ERR_OK);
    assert_int_equal(store_profile_forget(fixture.store, PROFILE), ERR_OK);
    assert_int_equal(store_reply_policy_get(fixture.store, PROFILE, &p), ERR_OK);
    assert_int_equal(p.pass, REPLY_REQUIRED);
    assert_int_equal(p.signature, REPLY_REQUIRED);
    assert_false(p.plain);
    assert_int_equal(store_reply_policy_set(fixture.store, "x", &p), ERR_FORMAT);
}

/* ---- claims ---- */

static struct store_claim claim_of(char blob, const char *reverse, char envelope)
{
    struct store_claim c = {.named = true};

    memset(c.blob, blob, sizeof c.blob);
    memset(c.envelope, envelope, sizeof c.envelope);
    (void)snprintf(c.reverse, sizeof c.reverse, "%s", reverse);
    assert_int_equal(id_new(c.entry), ERR_OK);
    return c;
}

static enum store_claim_answer ask(const struct store_claim *c, const char *lost, int64_t now_s,
                                   id_text entry)
{
    enum store_claim_answer answer = CLAIM_FOREIGN;

    assert_int_equal(store_claim(fixture.store, c, lost, now_s, &answer, entry), ERR_OK);
    return answer;
}

static void a_claim_is_busy_then_a_repeat_and_free_again_after_its_release(void **state)
{
    struct store_claim c = claim_of('b', FIXTURE_REVERSE, 'e');
    struct store_claim again = claim_of('b', FIXTURE_REVERSE, 'x');
    id_text entry = "";

    (void)state;
    assert_int_equal(ask(&c, "", NOW, entry), CLAIM_GRANTED);
    assert_int_equal(ask(&again, "", NOW + 1, entry), CLAIM_BUSY);
    assert_int_equal(store_claim_release(fixture.store, &again), ERR_OK); /* not its own */
    assert_int_equal(ask(&again, "", NOW + 1, entry), CLAIM_BUSY);
    assert_int_equal(store_claim_release(fixture.store, &c), ERR_OK);
    assert_int_equal(ask(&again, "", NOW + 1, entry), CLAIM_GRANTED);
    assert_int_equal(store_claim_settle(fixture.store, &again), ERR_OK);
    assert_int_equal(store_claim_release(fixture.store, &again), ERR_OK); /* it is settled */
    assert_int_equal(ask(&c, "", NOW + 7 * 86400, entry), CLAIM_REPEAT);
    assert_int_equal(ask(&c, "", NOW + 9 * 86400, entry), CLAIM_GRANTED);
}

static void a_claim_of_a_dead_session_names_its_entry_and_is_taken_over(void **state)
{
    struct store_claim c = claim_of('b', FIXTURE_REVERSE, 'e');
    struct store_claim again = claim_of('b', FIXTURE_REVERSE, 'e');
    id_text entry = "";

    (void)state;
    assert_int_equal(ask(&c, "", NOW, entry), CLAIM_GRANTED);
    assert_int_equal(ask(&again, "", NOW + STORE_CLAIM_WORK_S, entry), CLAIM_ORPHAN);
    fixture_reopen();
    assert_int_equal(ask(&again, "", NOW + 1, entry), CLAIM_ORPHAN);
    assert_string_equal(entry, c.entry);
    assert_int_equal(ask(&again, "aaaaaaaaaaaaaaaa", NOW + 1, entry), CLAIM_ORPHAN);
    assert_int_equal(ask(&again, c.entry, NOW + 1, entry), CLAIM_GRANTED);
    assert_int_equal(ask(&c, "", NOW + 1, entry), CLAIM_BUSY);
}

static void another_alias_needs_the_same_envelope_and_a_name_in_it(void **state)
{
    static const struct {
        char second_envelope;
        bool named;
        int64_t later_s;
        enum store_claim_answer expected;
    } cases[] = {
        {'e', true, 1, CLAIM_GRANTED},
        {'e', true, 6 * 86400, CLAIM_GRANTED},
        {'e', false, 1, CLAIM_FOREIGN},
        {'f', true, 1, CLAIM_FOREIGN},
    };
    id_text entry = "";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char blob = (char)('A' + i);
        struct store_claim first = claim_of(blob, FIXTURE_REVERSE, 'e');
        struct store_claim second = claim_of(blob, FIXTURE_OTHER, cases[i].second_envelope);

        second.named = cases[i].named;
        assert_int_equal(ask(&first, "", NOW, entry), CLAIM_GRANTED);
        assert_int_equal(store_claim_settle(fixture.store, &first), ERR_OK);
        assert_int_equal(ask(&second, "", NOW + cases[i].later_s, entry), cases[i].expected);
    }
}

static void failures_are_counted_for_one_reverse_alias_and_hour(void **state)
{
    unsigned n = 9;
    int64_t hour = NOW - NOW % 3600;

    (void)state;
    assert_int_equal(store_failure_count(fixture.store, FIXTURE_REVERSE, hour, &n), ERR_OK);
    assert_int_equal(n, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(store_failure_add(fixture.store, FIXTURE_REVERSE, hour + i), ERR_OK);
    assert_int_equal(store_failure_count(fixture.store, FIXTURE_REVERSE, hour + 5, &n), ERR_OK);
    assert_int_equal(n, 3);
    assert_int_equal(store_failure_count(fixture.store, FIXTURE_OTHER, hour, &n), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(store_failure_count(fixture.store, FIXTURE_REVERSE, hour + 3600, &n), ERR_OK);
    assert_int_equal(n, 0);
}

static void a_thread_is_found_under_both_names_of_its_own_alias(void **state)
{
    struct store_alias a = fixture_alias("shop@relay.example");
    struct store_alias b = fixture_alias("bank@relay.example");
    message_id_text got;

    (void)state;
    assert_int_equal(
        store_thread_add(fixture.store, a.id, "<1@home.example>", "<x@relay.example>", NOW, got),
        ERR_OK);
    assert_string_equal(got, "<x@relay.example>");
    assert_int_equal(
        store_thread_add(fixture.store, a.id, "<1@home.example>", "<y@relay.example>", NOW, got),
        ERR_OK);
    assert_string_equal(got, "<x@relay.example>");
    fixture_reopen();
    assert_int_equal(store_thread_outer(fixture.store, a.id, "<1@home.example>", got), ERR_OK);
    assert_string_equal(got, "<x@relay.example>");
    assert_int_equal(store_thread_own(fixture.store, a.id, "<x@relay.example>", got), ERR_OK);
    assert_string_equal(got, "<1@home.example>");
    assert_int_equal(store_thread_own(fixture.store, a.id, "<1@home.example>", got), ERR_NOT_FOUND);
    assert_int_equal(store_thread_outer(fixture.store, b.id, "<1@home.example>", got),
                     ERR_NOT_FOUND);
    assert_int_equal(store_thread_add(fixture.store, a.id, "<1 2@h>", "<x@y>", NOW, got),
                     ERR_FORMAT);
    assert_int_equal(store_thread_add(fixture.store, 999, "<12@h>", "<x@y>", NOW, got),
                     ERR_NOT_FOUND);
    assert_int_equal(store_alias_remove(fixture.store, "shop@relay.example"), ERR_OK);
    assert_int_equal(store_thread_own(fixture.store, a.id, "<x@relay.example>", got),
                     ERR_NOT_FOUND);
}

static void a_message_sent_under_another_alias_of_the_user_is_known_as_such(void **state)
{
    struct store_alias a = fixture_alias("shop@relay.example");
    struct store_alias b = fixture_alias("bank@relay.example");
    message_id_text got;
    bool elsewhere = true;

    (void)state;
    assert_int_equal(store_thread_elsewhere(fixture.store, a.id, "<1@home.example>", &elsewhere),
                     ERR_OK);
    assert_false(elsewhere);
    assert_int_equal(
        store_thread_add(fixture.store, b.id, "<1@home.example>", "<x@relay.example>", NOW, got),
        ERR_OK);
    assert_int_equal(store_thread_elsewhere(fixture.store, a.id, "<1@home.example>", &elsewhere),
                     ERR_OK);
    assert_true(elsewhere);
    assert_int_equal(store_thread_elsewhere(fixture.store, b.id, "<1@home.example>", &elsewhere),
                     ERR_OK);
    assert_false(elsewhere);
    assert_int_equal(store_thread_add(fixture.store, b.id, "<2@h>", "<2@h>", NOW, got), ERR_OK);
    assert_int_equal(store_thread_elsewhere(fixture.store, a.id, "<2@h>", &elsewhere), ERR_OK);
    assert_false(elsewhere);
}

/* "<xxx...x@h>" of that many bytes. */
static void long_id(size_t len, char fill, char *out)
{
    memset(out, fill, len);
    out[0] = '<';
    memcpy(out + len - 3, "@h>", 4);
}

static void ids_of_any_length_that_a_field_holds_have_two_names(void **state)
{
    static const size_t lengths[] = {3 + 2, 63, 64, 254, 255, 256, 512, STORE_MESSAGE_ID_MAX};
    struct store_alias a = fixture_alias("shop@relay.example");
    char own[STORE_MESSAGE_ID_MAX + 2];
    char outer[STORE_MESSAGE_ID_MAX + 2];
    message_id_text got;

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        long_id(lengths[i], 'u', own);
        long_id(lengths[i], '\xc3', outer);
        assert_int_equal(store_thread_add(fixture.store, a.id, own, outer, NOW, got), ERR_OK);
    }
    fixture_reopen();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        long_id(lengths[i], 'u', own);
        long_id(lengths[i], '\xc3', outer);
        assert_int_equal(store_thread_outer(fixture.store, a.id, own, got), ERR_OK);
        assert_string_equal(got, outer);
        assert_int_equal(store_thread_own(fixture.store, a.id, outer, got), ERR_OK);
        assert_string_equal(got, own);
        assert_int_equal(store_thread_add(fixture.store, a.id, "<other@h>", outer, NOW, got),
                         ERR_EXISTS);
    }
    long_id(STORE_MESSAGE_ID_MAX + 1, 'u', own);
    assert_int_equal(store_thread_add(fixture.store, a.id, own, "<x@y>", NOW, got), ERR_FORMAT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_start, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(both_proofs_cannot_be_waived_and_plain_needs_the_signature_waived),
        CASE(a_profile_that_said_nothing_requires_both_proofs_and_so_does_a_forgotten_one),
        CASE(a_claim_is_busy_then_a_repeat_and_free_again_after_its_release),
        CASE(a_claim_of_a_dead_session_names_its_entry_and_is_taken_over),
        CASE(another_alias_needs_the_same_envelope_and_a_name_in_it),
        CASE(failures_are_counted_for_one_reverse_alias_and_hour),
        CASE(a_thread_is_found_under_both_names_of_its_own_alias),
        CASE(a_message_sent_under_another_alias_of_the_user_is_known_as_such),
        CASE(ids_of_any_length_that_a_field_holds_have_two_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
