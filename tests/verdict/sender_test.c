/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sender_test.c - from verdict and policy to answer and marks, and the line the user can read. */
#include "daemon/policy/sender.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#define FAILS(what)                                                                                \
    {                                                                                              \
        .dmarc = AUTH_FAIL, .policy = DMARC_POLICY_##what                                          \
    }
#define LOST                                                                                       \
    {                                                                                              \
        .gap = VERDICT_AWAY                                                                        \
    }
#define ASKED_NOBODY                                                                               \
    {                                                                                              \
        .gap = VERDICT_NOT_ASKED                                                                   \
    }

static const struct {
    struct sender_verdict verdict;
    struct sender_policy policy;
    enum err want;
    bool unverified, spam;
} cases[] = {
    {{.dmarc = AUTH_PASS}, {0}, ERR_OK, false, false},
    {{.dmarc = AUTH_NONE}, {FAILING_REFUSE, 0, UNCHECKED_DEFER}, ERR_OK, false, false},
    {{.dmarc = AUTH_PERMERROR}, {FAILING_REFUSE, 0, UNCHECKED_DEFER}, ERR_OK, false, false},
    {{.spf = AUTH_FAIL, .dkim = AUTH_FAIL}, {FAILING_REFUSE, 0, 0}, ERR_OK, false, false},
    {{.dmarc = AUTH_TEMPERROR}, {0}, ERR_OK, false, false},
    {{.dmarc = AUTH_TEMPERROR}, {0, 0, UNCHECKED_DEFER}, ERR_UNCHECKED, false, false},
    {FAILS(REJECT), {0}, ERR_SENDER_FAILED, false, false},
    {FAILS(QUARANTINE), {0}, ERR_OK, true, false},
    {FAILS(NONE), {0}, ERR_OK, true, false},
    {FAILS(UNKNOWN), {0}, ERR_OK, true, false},
    {FAILS(UNKNOWN), {FAILING_REFUSE, 0, 0}, ERR_SENDER_FAILED, false, false},
    {FAILS(NONE), {FAILING_REFUSE, 0, 0}, ERR_SENDER_FAILED, false, false},
    {FAILS(REJECT), {FAILING_MARK, 0, 0}, ERR_OK, true, false},
    {FAILS(NONE), {FAILING_DEFER, 0, 0}, ERR_SENDER_DEFERRED, false, false},
    {FAILS(REJECT), {FAILING_DEFER, 0, 0}, ERR_SENDER_DEFERRED, false, false},
    /* whoever is shown was not judged: as one who fails, of a domain whose policy is not known */
    {{.unclear = true}, {0}, ERR_OK, true, false},
    {{.unclear = true}, {FAILING_REFUSE, 0, 0}, ERR_SENDER_FAILED, false, false},
    {{.unclear = true}, {FAILING_DEFER, 0, 0}, ERR_SENDER_DEFERRED, false, false},
    {{.spam = SPAM_REJECT}, {0}, ERR_SPAM, false, false},
    {{.spam = SPAM_REJECT}, {0, SPAM_CHOICE_MARK, 0}, ERR_OK, false, true},
    {{.spam = SPAM_MARK}, {0}, ERR_OK, false, true},
    {{.spam = SPAM_DEFER}, {0, SPAM_CHOICE_MARK, 0}, ERR_SENDER_DEFERRED, false, false},
    {LOST, {0}, ERR_OK, false, false},
    {LOST, {FAILING_REFUSE, 0, UNCHECKED_DEFER}, ERR_UNCHECKED, false, false},
    {ASKED_NOBODY, {0}, ERR_OK, false, false},
    {ASKED_NOBODY, {0, 0, UNCHECKED_DEFER}, ERR_UNCHECKED, false, false},
    /* what is left over in a verdict that says it knows nothing is nothing */
    {{.gap = VERDICT_GARBLED, .dmarc = AUTH_FAIL, .policy = DMARC_POLICY_REJECT},
     {FAILING_REFUSE, 0, 0},
     ERR_OK,
     false,
     false},
    /* a refusal wins over a delay, a delay over a mark */
    {{.dmarc = AUTH_FAIL, .policy = DMARC_POLICY_REJECT, .spam = SPAM_DEFER},
     {0},
     ERR_SENDER_FAILED,
     false,
     false},
    {{.dmarc = AUTH_FAIL, .spam = SPAM_REJECT}, {FAILING_DEFER, 0, 0}, ERR_SPAM, false, false},
    {{.dmarc = AUTH_FAIL, .spam = SPAM_MARK},
     {FAILING_DEFER, 0, 0},
     ERR_SENDER_DEFERRED,
     false,
     false},
    {{.dmarc = AUTH_FAIL, .spam = SPAM_MARK}, {FAILING_MARK, 0, 0}, ERR_OK, true, true},
};

static void every_verdict_meets_every_policy_as_its_row_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sender_marks marks = {0};
        enum err e = policy_sender(&cases[i].verdict, &cases[i].policy, &marks);

        if (e != cases[i].want || marks.unverified != cases[i].unverified ||
            marks.spam != cases[i].spam)
            fail_msg("case %zu: %s unverified=%d spam=%d", i, err_name(e), marks.unverified,
                     marks.spam);
    }
}

static void only_a_dmarc_pass_that_was_checked_is_aligned(void **state)
{
    (void)state;
    for (enum verdict_gap gap = VERDICT_CHECKED; gap <= VERDICT_NO_FIELD; gap++)
        for (enum auth_result r = AUTH_NONE; r <= AUTH_PERMERROR; r++) {
            struct sender_verdict v = {.gap = gap, .dmarc = r, .spf = AUTH_PASS, .dkim = AUTH_PASS};

            assert_int_equal(sender_verdict_aligned(&v), gap == VERDICT_CHECKED && r == AUTH_PASS);
            assert_int_equal(sender_verdict_failed(&v), gap == VERDICT_CHECKED && r == AUTH_FAIL);
            v.unclear = true;
            assert_false(sender_verdict_aligned(&v));
            assert_int_equal(sender_verdict_failed(&v), gap == VERDICT_CHECKED);
        }
}

static void the_line_follows_its_grammar(void **state)
{
    static const struct {
        struct sender_verdict verdict;
        const char *line;
    } lines[] = {
        {{.gap = VERDICT_NOT_ASKED, .domain = "a.example"}, "unchecked"},
        {{.gap = VERDICT_AWAY, .dmarc = AUTH_PASS}, "unchecked; reason=rspamd-away"},
        {{.gap = VERDICT_SLOW}, "unchecked; reason=rspamd-slow"},
        {{.gap = VERDICT_GARBLED}, "unchecked; reason=garbled"},
        {{.gap = VERDICT_NO_FIELD}, "unchecked; reason=no-field"},
        {{.dmarc = AUTH_PASS,
          .spf = AUTH_PASS,
          .policy = DMARC_POLICY_REJECT,
          .domain = "a.example"},
         "pass; dmarc=pass policy=reject spf=pass dkim=none; from=a.example"},
        {{.dmarc = AUTH_FAIL, .dkim = AUTH_SOFTFAIL, .policy = DMARC_POLICY_QUARANTINE},
         "fail; dmarc=fail policy=quarantine spf=none dkim=softfail"},
        {{.dmarc = AUTH_TEMPERROR, .spf = AUTH_NEUTRAL, .dkim = AUTH_PERMERROR},
         "none; dmarc=temperror spf=neutral dkim=permerror"},
        {{.spf = AUTH_PASS, .dkim = AUTH_PASS}, "none; dmarc=none spf=pass dkim=pass"},
        {{.spf = AUTH_PASS, .unclear = true, .domain = "a.example"},
         "fail; dmarc=none spf=pass dkim=none; from=unclear"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        CLEANUP(buf_clear) struct buf line = {0};

        verdict_line_append(&line, &lines[i].verdict);
        assert_int_equal(strncmp(buf_str(&line), "Sealrelay-Verdict: ", 19), 0);
        assert_string_equal(buf_str(&line) + 19, lines[i].line);
    }
}

static void a_score_is_shown_within_bounds(void **state)
{
    static const struct {
        double score, required;
        const char *line;
    } scores[] = {
        {7.3, 15, "yes; score=7.30; required=15.00"},
        {-2.555, 6, "yes; score=-2.56; required=6.00"},
        {1e300, -1e300, "yes; score=9999.99; required=-9999.99"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
        struct sender_verdict v = {.score = scores[i].score, .required = scores[i].required};
        CLEANUP(buf_clear) struct buf line = {0};

        verdict_spam_line_append(&line, &v);
        assert_int_equal(strncmp(buf_str(&line), "Sealrelay-Spam: ", 16), 0);
        assert_string_equal(buf_str(&line) + 16, scores[i].line);
    }
}

static void only_a_domain_of_harmless_letters_is_named(void **state)
{
    static const struct {
        const char *from, *domain;
    } froms[] = {
        {"bob@shop.example.net", "shop.example.net"},
        {"\"a@b\"@xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"bob@with_underscore.example", "with_underscore.example"},
        {NULL, ""},
        {"bob", ""},
        {"bob@", ""},
        {"bob@localhost", ""},
        {"bob@a..b", ""},
        {"bob@.a", ""},
        {"bob@a.", ""},
        {"bob@a;from=b.example", ""},
        {"bob@a b.example", ""},
        {"bob@b\xc3\xbc"
         "cher.example",
         ""},
        {"bob@[192.0.2.1]", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof froms / sizeof *froms; i++) {
        struct verdict_request r = {.from = froms[i].from};
        struct sender_verdict v = {.dmarc = AUTH_PASS};

        verdict_check(NULL, &r, &v);
        assert_string_equal(v.domain, froms[i].domain);
        assert_int_equal(v.gap, VERDICT_NOT_ASKED);
        assert_int_equal(v.dmarc, AUTH_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verdict_meets_every_policy_as_its_row_says),
        cmocka_unit_test(only_a_dmarc_pass_that_was_checked_is_aligned),
        cmocka_unit_test(the_line_follows_its_grammar),
        cmocka_unit_test(a_score_is_shown_within_bounds),
        cmocka_unit_test(only_a_domain_of_harmless_letters_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
