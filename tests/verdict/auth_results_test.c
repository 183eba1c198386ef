/* SPDX-License-Identifier: GPL-3.0-or-later */
/* auth_results_test.c - Authentication-Results as filters write it, as RFC 8601 allows it, and as
 * somebody who wants to be believed writes it. */
#include "daemon/verdict/auth_results.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#define UNKNOWN DMARC_POLICY_UNKNOWN

static const struct {
    const char *value;
    enum auth_result spf, dkim, dmarc;
    enum dmarc_policy policy;
    const char *header_from;
} cases[] = {
    /* RFC 8601 appendix B */
    {" example.org 1; none", AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, ""},
    {" example.com;\r\n          spf=pass smtp.mailfrom=example.net", AUTH_PASS, AUTH_NONE,
     AUTH_NONE, UNKNOWN, ""},
    {" example.com;\r\n\tauth=pass (cram-md5) smtp.auth=sender@example.net;\r\n\t"
     "spf=pass smtp.mailfrom=example.net",
     AUTH_PASS, AUTH_NONE, AUTH_NONE, UNKNOWN, ""},
    {" example.com;\r\n dkim=pass (good signature) header.d=example.com", AUTH_NONE, AUTH_PASS,
     AUTH_NONE, UNKNOWN, ""},
    {" foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it)"
     " fail\r\n policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I "
     "wasn't expecting it) 1362471462",
     AUTH_NONE, AUTH_FAIL, AUTH_NONE, UNKNOWN, ""},
    /* as filters write it */
    {" mx.example.com; dmarc=fail (p=reject dis=none) header.from=shop.example.net", AUTH_NONE,
     AUTH_NONE, AUTH_FAIL, DMARC_POLICY_REJECT, "shop.example.net"},
    {" mx.example.com;\r\n\tdkim=pass header.d=a.example header.s=s1 header.b=Abc+/=;\r\n"
     "\tdkim=fail (\"headers rsa verify failed\") header.d=b.example;\r\n"
     "\tspf=softfail (mx.example.com: 192.0.2.1 is neither permitted nor denied by domain of "
     "x@a.example) smtp.mailfrom=x@a.example;\r\n"
     "\tdmarc=pass (policy=quarantine) header.from=a.example",
     AUTH_SOFTFAIL, AUTH_PASS, AUTH_PASS, DMARC_POLICY_QUARANTINE, "a.example"},
    {" mx.example.com; dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=a.example", AUTH_NONE,
     AUTH_NONE, AUTH_PASS, DMARC_POLICY_REJECT, "a.example"},
    {" mx.example.com; dmarc=fail (p=REJECT sp=NONE dis=NONE) header.from=b.a.example", AUTH_NONE,
     AUTH_NONE, AUTH_FAIL, UNKNOWN, "b.a.example"},
    {" mx.example.com; dmarc=fail policy.dmarc=quarantine (p=reject) header.from=a.example",
     AUTH_NONE, AUTH_NONE, AUTH_FAIL, DMARC_POLICY_QUARANTINE, "a.example"},
    {" mx.example.com; dmarc=fail header.from=a.example (p=reject)", AUTH_NONE, AUTH_NONE,
     AUTH_FAIL, DMARC_POLICY_REJECT, "a.example"},
    {" mx.example.com; dmarc=bestguesspass header.from=a.example", AUTH_NONE, AUTH_NONE, AUTH_NONE,
     UNKNOWN, "a.example"},
    {" \"mx.example.com\"; dmarc=pass header.from=\"a.example\"", AUTH_NONE, AUTH_NONE, AUTH_PASS,
     UNKNOWN, "a.example"},
    {" mx.example.com; dmarc=pass header.from=bob@a.example", AUTH_NONE, AUTH_NONE, AUTH_PASS,
     UNKNOWN, "a.example"},
    {" mx.example.com; DMARC=PASS Header.From=A.example", AUTH_NONE, AUTH_NONE, AUTH_PASS, UNKNOWN,
     "A.example"},
    {" mx.example.com; spf=hardfail; dkim=temperror; dmarc=permerror;", AUTH_FAIL, AUTH_TEMPERROR,
     AUTH_PERMERROR, UNKNOWN, ""},
    {" mx.example.com; spf=none smtp.helo=x; spf=pass smtp.mailfrom=y", AUTH_PASS, AUTH_NONE,
     AUTH_NONE, UNKNOWN, ""},
    {" mx.example.com; spf=fail smtp.mailfrom=y; spf=pass smtp.helo=x", AUTH_FAIL, AUTH_NONE,
     AUTH_NONE, UNKNOWN, ""},
    {" mx.example.com; dkim=neutral; dkim=pass; dkim=fail", AUTH_NONE, AUTH_PASS, AUTH_NONE,
     UNKNOWN, ""},
    /* what only looks like a result */
    {" mx.example.com; x-dmarc=pass; dmarcs=pass; iprev=pass", AUTH_NONE, AUTH_NONE, AUTH_NONE,
     UNKNOWN, ""},
    {" mx.example.com; spf=pass reason=\"x; dmarc=pass header.from=a.example\"", AUTH_PASS,
     AUTH_NONE, AUTH_NONE, UNKNOWN, ""},
    {" mx.example.com; spf=fail (; dmarc=pass header.from=a.example;) smtp.mailfrom=x", AUTH_FAIL,
     AUTH_NONE, AUTH_NONE, UNKNOWN, ""},
    {" mx.example.com; spf=fail (\\) ; dmarc=pass) smtp.mailfrom=x", AUTH_FAIL, AUTH_NONE,
     AUTH_NONE, UNKNOWN, ""},
    {" mx.example.com; spf=passed; dkim=\"pass \"", AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, ""},
    {" mx.example.com", AUTH_NONE, AUTH_NONE, AUTH_NONE, UNKNOWN, ""},
};

static void every_field_says_what_its_row_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct auth_results r;
        enum err e = auth_results_parse(bytes_of(cases[i].value), &r);

        if (e)
            fail_msg("case %zu: refused: %s", i, cases[i].value);
        if (r.spf != cases[i].spf || r.dkim != cases[i].dkim || r.dmarc != cases[i].dmarc ||
            r.policy != cases[i].policy || strcmp(r.header_from, cases[i].header_from) != 0)
            fail_msg("case %zu: spf=%s dkim=%s dmarc=%s policy=%s from=%s: %s", i,
                     auth_result_name(r.spf), auth_result_name(r.dkim), auth_result_name(r.dmarc),
                     dmarc_policy_name(r.policy), r.header_from, cases[i].value);
    }
}

static void what_is_malformed_says_nothing(void **state)
{
    static const char *const values[] = {
        "",
        "   ",
        ";",
        "; dmarc=pass",
        "mx.example.com dmarc=pass",
        "mx.example.com x; dmarc=pass",
        "mx.example.com; dmarc",
        "mx.example.com; dmarc=",
        "mx.example.com; dmarc=; spf=pass",
        "mx.example.com; =pass",
        "mx.example.com; dmarc=(pass",
        "mx.example.com; dmarc=pass (",
        "mx.example.com; dmarc=pass \"",
        "mx.example.com; dmarc=pass )",
        "mx.example.com; dmarc=pass header.from",
        "mx.example.com; dmarc=pass header.from=",
        "mx.example.com; dmarc=pass; dmarc=fail",
        "mx.example.com; dmarc=fail; dmarc=pass header.from=a.example",
        "mx.example.com; none none",
        "mx.example.com; none dmarc=pass",
        "mx.example.com; ((((((((((((((((((((x)))))))))))))))))))) dmarc=pass",
        "mx.example.com; dmarc=pa\x80ss",
    };

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct auth_results r;

        if (auth_results_parse(bytes_of(values[i]), &r) != ERR_FORMAT)
            fail_msg("taken: %s", values[i]);
    }
}

static void a_name_is_compared_whole_and_without_case(void **state)
{
    static const struct {
        const char *value;
        bool ours;
    } names[] = {
        {"mx.example.com; none", true},
        {" MX.Example.COM;none", true},
        {"(x) mx.example.com 1", true},
        {"\"mx.example.com\" ; none", true},
        {"mx.example.com", true},
        {"mx.example.com.; none", false},
        {"mx.example.co; none", false},
        {"mx.example.com.evil.example; none", false},
        {"mx.example.com x; none", false},
        {"(mx.example.com); none", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (auth_results_is_by(bytes_of(names[i].value), "mx.example.com") != names[i].ours)
            fail_msg("case %zu: %s", i, names[i].value);
}

#define RECEIVED "Received: from a by b; now\r\n"
#define OURS     "Authentication-Results: mx.example.com; spf=pass\r\n"
#define THEIRS   "Authentication-Results: mx.elsewhere.example; spf=pass\r\n"

static void only_a_field_above_what_came_is_found(void **state)
{
    static const struct {
        const char *header;
        int at; /* index of the field that is believed; -1: none */
    } headers[] = {
        {OURS RECEIVED, 0},
        {RECEIVED OURS, 1},
        {THEIRS OURS RECEIVED, 1},
        {OURS OURS RECEIVED, 0},
        {RECEIVED OURS OURS, 1},
        {RECEIVED THEIRS OURS, -1},
        {RECEIVED "Subject: x\r\n" OURS, -1},
        {RECEIVED RECEIVED OURS, -1},
        {RECEIVED THEIRS, -1},
        {"Subject: x\r\n" OURS RECEIVED, 1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        CLEANUP(message_clear) struct message m = {0};
        const struct message_field *f;

        assert_int_equal(message_parse(bytes_of(headers[i].header), &m), ERR_OK);
        f = auth_results_find(&m, "mx.example.com");
        if ((f ? (int)(f - m.fields) : -1) != headers[i].at)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_says_what_its_row_says),
        cmocka_unit_test(what_is_malformed_says_nothing),
        cmocka_unit_test(a_name_is_compared_whole_and_without_case),
        cmocka_unit_test(only_a_field_above_what_came_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
