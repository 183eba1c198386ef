/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dsn_test.c - whom a failure may be told, and with which words. */
#include "daemon/flow/bounce.h"
#include "daemon/flow/dsn.h"
#include "daemon/flow/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static const char *const domains[] = {"relay.example.com"};

static void only_words_of_a_closed_list_pass(void **state)
{
    static const char *const cases[][2] = {
        {"550 5.1.1 <alice@home.example.com>: User unknown in virtual mailbox table",
         "550 5.1.1 User unknown in virtual mailbox table"},
        {"550 5.1.1 alice mx.home.example.com 192.0.2.1 quota exceeded",
         "550 5.1.1 quota exceeded"},
        {"mailbox alice is full: over quota, 550 4.2.2", "mailbox is full over quota"},
        {"alice=home.example.com", ""},
        {"550-5.1.1 The user", "The user"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_clear) struct buf out = {0};

        dsn_diagnostic_append(&out, cases[i][0]);
        assert_string_equal(buf_str(&out), cases[i][1]);
    }
}

static void content_and_policy_suspend_nobody(void **state)
{
    static const char *const hard[] = {"5.1.1", "5.1.10", "5.2.1", "5.2.2", "5.3.0", "5.4.4"};
    static const char *const soft[] = {"5.2.3", "5.3.4", "5.6.0", "5.7.1", "5.7.26",
                                       "5.0.0", "4.2.2", "2.0.0", "",      "50.1.1"};

    (void)state;
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
        assert_true(bounce_is_hard(hard[i]));
    for (size_t i = 0; i < sizeof soft / sizeof *soft; i++)
        assert_false(bounce_is_hard(soft[i]));
}

static bool may_tell(const char *header, const struct sender_verdict *v, const char *mail_from,
                     struct origin *out)
{
    CLEANUP(message_clear) struct message m = {0};

    assert_int_equal(message_parse(bytes_of(header), &m), ERR_OK);
    return origin_of(&m, v, mail_from, domains, 1, out);
}

static void only_a_proven_person_is_told(void **state)
{
    const struct sender_verdict dkim = {
        .dmarc = AUTH_PASS, .spf = AUTH_FAIL, .domain = "shop.example.net"};
    const struct sender_verdict spf = {
        .dmarc = AUTH_PASS, .spf = AUTH_PASS, .domain = "shop.example.net"};
    const struct sender_verdict none = {.spf = AUTH_PASS, .domain = "shop.example.net"};
    static const char plain[] = "Message-ID: <m1@shop.example.net>\r\n\r\n";
    struct origin o;

    (void)state;
    assert_true(may_tell(plain, &dkim, "bob@shop.example.net", &o));
    assert_string_equal(o.sender, "bob@shop.example.net");
    assert_string_equal(o.message_id, "<m1@shop.example.net>");
    assert_true(may_tell(plain, &spf, "b-1@bounces.example.net", &o));
    assert_false(may_tell(plain, &dkim, "victim@other.example.org", &o));
    assert_false(may_tell(plain, &none, "bob@shop.example.net", &o));
    assert_false(may_tell(plain, &dkim, "", &o));
    assert_false(may_tell(plain, &spf, "shop@relay.example.com", &o));
    assert_false(may_tell(plain, &spf, "x@sub.relay.example.com", &o));
    assert_false(may_tell(plain, &spf, "news-request@shop.example.net", &o));
    assert_false(may_tell(plain, &spf, "Owner-news@shop.example.net", &o));
    assert_false(may_tell(plain, &spf, "MAILER-DAEMON@shop.example.net", &o));
    assert_false(may_tell("List-Post: x\r\n\r\n", &spf, "bob@shop.example.net", &o));
    assert_false(may_tell("Precedence: list\r\n\r\n", &spf, "bob@shop.example.net", &o));
    assert_false(may_tell("Auto-Submitted: auto-replied\r\n\r\n", &spf, "b@shop.example.net", &o));
    assert_true(may_tell("Message-ID: <a b@c>\r\n\r\n", &spf, "bob@shop.example.net", &o));
    assert_string_equal(o.message_id, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_words_of_a_closed_list_pass),
        cmocka_unit_test(content_and_policy_suspend_nobody),
        cmocka_unit_test(only_a_proven_person_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
