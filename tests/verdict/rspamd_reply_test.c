/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rspamd_reply_test.c - rspamd's answers as verdicts: what is claimed, and above all what not. */
#include "daemon/verdict/rspamd_reply.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

#define HEAD             "{\"score\":1.5,\"required_score\":15.0,\"action\":\"no action\",\"symbols\":{"
#define TAIL             "}}"
#define SYMBOL           "\":{\"score\":0}"
#define ALLOW            "\"DMARC_POLICY_ALLOW\":{\"options\":[\"example.net\",\"reject\"]}"
#define SAYS(kind, text) "\"DMARC_POLICY_" kind "\":{\"options\":[\"" text "\"]}"
#define UNKNOWN          DMARC_POLICY_UNKNOWN

static const struct {
    const char *symbols;
    enum auth_result spf, dkim, dmarc;
    enum dmarc_policy policy;
    bool clear; /* it is the shown sender's domain that was judged */
} cases[] = {
    {"", AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    {"\"R_SPF_ALLOW" SYMBOL, AUTH_PASS, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    {"\"R_SPF_FAIL" SYMBOL, AUTH_FAIL, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    {"\"R_SPF_SOFTFAIL" SYMBOL, AUTH_SOFTFAIL, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    {"\"R_SPF_NEUTRAL" SYMBOL, AUTH_NEUTRAL, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    {"\"R_SPF_DNSFAIL" SYMBOL, AUTH_TEMPERROR, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    {"\"R_SPF_PERMFAIL" SYMBOL, AUTH_PERMERROR, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    {"\"R_SPF_NA" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    {"\"R_DKIM_ALLOW" SYMBOL, AUTH_NONE, AUTH_PASS, AUTH_NONE, UNKNOWN, true},
    {"\"R_DKIM_REJECT" SYMBOL, AUTH_NONE, AUTH_FAIL, AUTH_NONE, UNKNOWN, true},
    {"\"R_DKIM_TEMPFAIL" SYMBOL, AUTH_NONE, AUTH_TEMPERROR, AUTH_NONE, UNKNOWN, true},
    {"\"R_DKIM_PERMFAIL" SYMBOL, AUTH_NONE, AUTH_PERMERROR, AUTH_NONE, UNKNOWN, true},
    {"\"R_DKIM_NA" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    /* two of a kind: one good signature is enough, two SPF results are a failure */
    {"\"R_DKIM_REJECT" SYMBOL ",\"R_DKIM_ALLOW" SYMBOL, AUTH_NONE, AUTH_PASS, AUTH_NONE, UNKNOWN,
     true},
    {"\"R_SPF_ALLOW" SYMBOL ",\"R_SPF_FAIL" SYMBOL, AUTH_FAIL, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    {ALLOW ",\"DMARC_POLICY_REJECT" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_FAIL, DMARC_POLICY_REJECT,
     false},
    /* a pass speaks of the domain that is shown, or of one above it */
    {ALLOW, AUTH_NONE, AUTH_NONE, AUTH_PASS, DMARC_POLICY_REJECT, true},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":[\"SHOP.example.NET\",\"None\"]}", AUTH_NONE, AUTH_NONE,
     AUTH_PASS, DMARC_POLICY_NONE, true},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":[\"shop.example.net\"]}", AUTH_NONE, AUTH_NONE, AUTH_PASS,
     UNKNOWN, true},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":[\"shop.example.net\",\"mystery\"]}", AUTH_NONE,
     AUTH_NONE, AUTH_PASS, UNKNOWN, true},
    {"\"DMARC_POLICY_ALLOW" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, false},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":[]}", AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, false},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":[7,8]}", AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, false},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":\"shop.example.net\"}", AUTH_NONE, AUTH_NONE, AUTH_NONE,
     UNKNOWN, false},
    {"\"DMARC_POLICY_ALLOW\":\"shop.example.net\"", AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN,
     false},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":[\"evil.example\"]}", AUTH_NONE, AUTH_NONE, AUTH_NONE,
     UNKNOWN, false},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":[\"a.shop.example.net\"]}", AUTH_NONE, AUTH_NONE,
     AUTH_NONE, UNKNOWN, false},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":[\"ample.net\"]}", AUTH_NONE, AUTH_NONE, AUTH_NONE,
     UNKNOWN, false},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":[\"net\"]}", AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN,
     false},
    {"\"DMARC_POLICY_ALLOW\":{\"options\":[\"\"]}", AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN,
     false},
    {"\"DMARC_POLICY_REJECT" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_FAIL, DMARC_POLICY_REJECT, false},
    {"\"DMARC_POLICY_QUARANTINE" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_FAIL, DMARC_POLICY_QUARANTINE,
     false},
    {"\"DMARC_POLICY_SOFTFAIL" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_FAIL, DMARC_POLICY_NONE, false},
    {"\"DMARC_DNSFAIL" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_TEMPERROR, UNKNOWN, false},
    {"\"DMARC_BAD_POLICY" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_PERMERROR, UNKNOWN, false},
    {"\"DMARC_NA" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, false},
    {SAYS("REJECT", "shop.example.net : No valid SPF"), AUTH_NONE, AUTH_NONE, AUTH_FAIL,
     DMARC_POLICY_REJECT, true},
    {SAYS("QUARANTINE", "example.net : No valid SPF"), AUTH_NONE, AUTH_NONE, AUTH_FAIL,
     DMARC_POLICY_QUARANTINE, true},
    {SAYS("SOFTFAIL", "evil.example : No valid SPF"), AUTH_NONE, AUTH_NONE, AUTH_FAIL,
     DMARC_POLICY_NONE, false},
    {"\"DMARC_NA\":{\"options\":[\"shop.example.net: no valid DMARC record\"]}", AUTH_NONE,
     AUTH_NONE, AUTH_NONE, UNKNOWN, true},
    {"\"DMARC_NA\":{\"options\":[\"evil.example\"]}", AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN,
     false},
    {"\"DMARC_NA\":{\"options\":[\"Duplicate From header\"]}", AUTH_NONE, AUTH_NONE, AUTH_NONE,
     UNKNOWN, false},
    /* nothing that only looks like one */
    {"\"r_spf_allow" SYMBOL ",\"R_SPF_ALLOW_" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN,
     true},
    {"\"DMARC_POLICY_ALLOW_WITH_FAILURES" SYMBOL, AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, true},
};

static void every_symbol_claims_what_its_row_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sender_verdict v = {.domain = "shop.example.net"};
        char json[1024];

        (void)snprintf(json, sizeof json, HEAD "%s" TAIL, cases[i].symbols);
        if (rspamd_reply_parse(bytes_of(json), &v) || v.spf != cases[i].spf ||
            v.dkim != cases[i].dkim || v.dmarc != cases[i].dmarc || v.policy != cases[i].policy ||
            v.unclear == cases[i].clear)
            fail_msg("case %zu: %s: spf=%s dkim=%s dmarc=%s policy=%s", i, json,
                     auth_result_name(v.spf), auth_result_name(v.dkim), auth_result_name(v.dmarc),
                     dmarc_policy_name(v.policy));
    }
}

static void every_action_is_known_or_a_mark(void **state)
{
    static const struct {
        const char *action;
        enum spam_action want;
    } actions[] = {
        {"no action", SPAM_NO},
        {"greylist", SPAM_NO},
        {"soft reject", SPAM_DEFER},
        {"add header", SPAM_MARK},
        {"rewrite subject", SPAM_MARK},
        {"quarantine", SPAM_MARK},
        {"reject", SPAM_REJECT},
        {"discard", SPAM_REJECT},
        {"made up here", SPAM_MARK},
        {"NO ACTION", SPAM_MARK},
        {"", SPAM_MARK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        struct sender_verdict v = {0};
        char json[256];

        (void)snprintf(json, sizeof json,
                       "{\"score\":-2,\"required_score\":7.5,\"action\":\"%s\",\"symbols\":{}}",
                       actions[i].action);
        assert_int_equal(rspamd_reply_parse(bytes_of(json), &v), ERR_OK);
        assert_int_equal(v.spam, actions[i].want);
        assert_true(v.score == -2 && v.required == 7.5);
    }
}

static void what_is_no_such_answer_is_refused_and_changes_nothing(void **state)
{
    static const char *const texts[] = {
        "",
        "pong",
        "[]",
        "null",
        "{}",
        "{\"error\":\"no\"}",
        HEAD,
        "{\"score\":1,\"required_score\":2,\"action\":\"no action\"}",
        "{\"score\":1,\"required_score\":2,\"symbols\":{}}",
        "{\"score\":1,\"required_score\":2,\"action\":7,\"symbols\":{}}",
        "{\"score\":1,\"required_score\":2,\"action\":\"no action\",\"symbols\":[]}",
        "{\"score\":\"1\",\"required_score\":2,\"action\":\"no action\",\"symbols\":{}}",
        "{\"score\":1e999,\"required_score\":2,\"action\":\"no action\",\"symbols\":{}}",
        "{\"score\":1,\"action\":\"no action\",\"symbols\":{}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct sender_verdict v = {.spf = AUTH_NEUTRAL, .spam = SPAM_DEFER, .score = 3};

        if (rspamd_reply_parse(bytes_of(texts[i]), &v) != ERR_FORMAT || v.spf != AUTH_NEUTRAL ||
            v.spam != SPAM_DEFER || v.score != 3)
            fail_msg("taken: %s", texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_symbol_claims_what_its_row_says),
        cmocka_unit_test(every_action_is_known_or_a_mark),
        cmocka_unit_test(what_is_no_such_answer_is_refused_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
