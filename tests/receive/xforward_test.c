/* SPDX-License-Identifier: GPL-3.0-or-later */
/* xforward_test.c - what a front may say about its client, who may say it, and for how long. */
#include "daemon/receive/xforward.h"
#include "tests/receive/drive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define L64  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define L256 L64 L64 L64 L64

#define FORWARD  "XFORWARD NAME=mx.test ADDR=192.0.2.9 HELO=mx HELO=mx.test IDENT=4XyZ\r\n"
#define ENVELOPE "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"
#define MESSAGE  ENVELOPE "DATA\r\nx\r\n.\r\n"

static void attributes_are_taken_as_they_are_meant(void **state)
{
    static const struct {
        const char *argument;
        enum xforward_result result;
        const char *facts; /* address|name|helo|ident */
    } cases[] = {
        {"NAME=mx.test ADDR=192.0.2.9 PORT=25 PROTO=ESMTP HELO=h IDENT=4XyZ SOURCE=REMOTE",
         XFORWARD_OK, "192.0.2.9|mx.test|h|4XyZ"},
        {"name=mx.test addr=192.0.2.9 source=local", XFORWARD_OK, "192.0.2.9|mx.test|before|b"},
        {"ADDR=IPV6:2001:DB8::1", XFORWARD_OK, "2001:db8::1|before|before|b"},
        {"ADDR=IPv6:::ffff:192.0.2.9", XFORWARD_OK, "192.0.2.9|before|before|b"},
        {"ADDR=2001:db8::1", XFORWARD_OK, "2001:db8::1|before|before|b"},
        {"NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] HELO=[TEMPUNAVAIL] IDENT=[UNAVAILABLE] "
         "PORT=[UNAVAILABLE] PROTO=[UNAVAILABLE] SOURCE=[UNAVAILABLE]",
         XFORWARD_OK, "|||"},
        {"NAME=+5BUNAVAILABLE+5D", XFORWARD_OK, "1.2.3.4||before|b"}, /* as Postfix encodes it */
        {"HELO=a+20b+3C+0D+0A+00+FFc", XFORWARD_OK, "1.2.3.4|before|a?b?????c|b"},
        {"HELO=[192.0.2.1]", XFORWARD_OK, "1.2.3.4|before|[192.0.2.1]|b"},
        {"IDENT=a/b+20c=d", XFORWARD_OK, "1.2.3.4|before|before|a?b?c?d"},
        {"IDENT=" L64 "y", XFORWARD_OK, "1.2.3.4|before|before|" L64},
        {"HELO=  NAME=n", XFORWARD_OK, "1.2.3.4|n||b"},
        {"NAME", XFORWARD_SYNTAX, NULL},
        {"=x", XFORWARD_SYNTAX, NULL},
        {"NAME=x LOGIN=y", XFORWARD_NAME, NULL},
        {"ADDR=192.0.2.300", XFORWARD_BAD_VALUE, NULL},
        {"ADDR=mx.test", XFORWARD_BAD_VALUE, NULL},
        {"ADDR=IPV6:192.0.2.1x", XFORWARD_BAD_VALUE, NULL},
        {"ADDR=192.0.2.1+00", XFORWARD_BAD_VALUE, NULL},
        {"NAME=ok ADDR=bad", XFORWARD_BAD_VALUE, NULL},
        {"PORT=65536", XFORWARD_BAD_VALUE, NULL},
        {"PORT=-1", XFORWARD_BAD_VALUE, NULL},
        {"PORT=000025", XFORWARD_BAD_VALUE, NULL},
        {"SOURCE=MARS", XFORWARD_BAD_VALUE, NULL},
        {"PROTO=" L64 "y", XFORWARD_BAD_VALUE, NULL},
        {"HELO=a+2", XFORWARD_BAD_VALUE, NULL},
        {"HELO=a+GG", XFORWARD_BAD_VALUE, NULL},
        {"HELO=a\tb", XFORWARD_BAD_VALUE, NULL},
        {"HELO=a\xff", XFORWARD_BAD_VALUE, NULL},
        {"NAME=" L256, XFORWARD_BAD_VALUE, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct xforward x = {
            .address = "1.2.3.4", .name = "before", .helo = "before", .ident = "b"};
        char facts[1024];
        const char *want = cases[i].facts ? cases[i].facts : "1.2.3.4|before|before|b";
        enum xforward_result result = xforward_parse(bytes_of(cases[i].argument), &x);

        (void)snprintf(facts, sizeof facts, "%s|%s|%s|%s", x.address, x.name, x.helo, x.ident);
        if (result != cases[i].result || strcmp(facts, want) != 0)
            fail_msg("%s: result %d, %s", cases[i].argument, (int)result, facts);
        assert_int_equal(x.given, result == XFORWARD_OK);
    }
}

struct dialogue {
    const char *input;
    const char *codes;
    const char *clients;
};

static void assert_trusted(const struct dialogue *c, enum receive_protocol protocol)
{
    struct drive d;
    const char *codes;

    drive_open_trusted(&d, protocol);
    drive_feed_pieces(&d, bytes_of(c->input), 7);
    codes = drive_codes(&d);
    if (strcmp(codes, c->codes) != 0 || strcmp(buf_str(&d.clients), c->clients) != 0)
        fail_msg("%s: got %s, want %s; clients %s", c->input, codes, c->codes, buf_str(&d.clients));
    drive_close(&d);
}

static void the_client_of_a_transaction_is_whom_its_front_names(void **state)
{
    static const struct dialogue cases[] = {
        {"EHLO f\r\n" MESSAGE, "250 250 250 354 250", "192.0.2.1||f||own;"},
        {"EHLO f\r\n" FORWARD MESSAGE, "250 250 250 250 354 250",
         "192.0.2.9|mx.test|mx.test|4XyZ|forwarded;"},
        {"EHLO f\r\nXFORWARD ADDR=192.0.2.9\r\nXFORWARD HELO=h\r\n" MESSAGE,
         "250 250 250 250 250 354 250", "192.0.2.9||h||forwarded;"},
        {"EHLO f\r\nXFORWARD SOURCE=LOCAL\r\n" MESSAGE, "250 250 250 250 354 250",
         "||||forwarded;"},
        {"EHLO f\r\nXFORWARD HELO=h\r\nXFORWARD ADDR=bad\r\n" MESSAGE,
         "250 250 501 250 250 354 250", "||h||forwarded;"},
        {"EHLO f\r\n" FORWARD MESSAGE MESSAGE, "250 250 250 250 354 250 250 250 354 250",
         "192.0.2.9|mx.test|mx.test|4XyZ|forwarded;192.0.2.1||f||own;"},
        {"EHLO f\r\n" FORWARD "RSET\r\n" MESSAGE, "250 250 250 250 250 354 250",
         "192.0.2.1||f||own;"},
        {"EHLO f\r\n" FORWARD "EHLO g\r\n" MESSAGE, "250 250 250 250 250 354 250",
         "192.0.2.1||g||own;"},
        {"EHLO f\r\n" ENVELOPE FORWARD "DATA\r\nx\r\n.\r\n", "250 250 250 503 354 250",
         "192.0.2.1||f||own;"},
        {FORWARD, "503", ""},
        {"EHLO f\r\nXFORWARD\r\nXFORWARD \r\nXFORWARD X=1\r\nXFORWARD Y\r\n", "250 501 501 501 501",
         ""},
    };
    static const struct dialogue lmtp = {"LHLO f\r\n" FORWARD MESSAGE, "250 250 250 250 354 250",
                                         "192.0.2.9|mx.test|mx.test|4XyZ|forwarded;"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_trusted(&cases[i], RECEIVE_SMTP);
    assert_trusted(&lmtp, RECEIVE_LMTP);
}

static void starttls_forgets_what_was_forwarded(void **state)
{
    struct drive d;

    (void)state;
    drive_open_trusted(&d, RECEIVE_SMTP);
    drive_say(&d, "EHLO f\r\n" FORWARD "STARTTLS\r\n");
    session_tls_started(d.session);
    drive_say(&d, "EHLO g\r\n" MESSAGE);
    assert_string_equal(buf_str(&d.clients), "192.0.2.1||g||own;");
    drive_close(&d);
}

static void only_a_trusted_peer_is_offered_it(void **state)
{
    struct drive d;

    (void)state;
    drive_open_trusted(&d, RECEIVE_SMTP);
    drive_say(&d, "EHLO f\r\n");
    assert_non_null(strstr(buf_str(&d.replies), "250-XFORWARD NAME ADDR PORT PROTO HELO IDENT "
                                                "SOURCE\r\n"));
    drive_close(&d);
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, "EHLO f\r\n");
    assert_null(strstr(buf_str(&d.replies), "XFORWARD"));
    (void)drive_codes(&d);
    drive_say(&d, FORWARD MESSAGE);
    assert_string_equal(drive_codes(&d), "500 250 250 354 250");
    assert_string_equal(buf_str(&d.clients), "192.0.2.1||f||own;");
    drive_close(&d);
}

static void the_answer_to_a_message_says_its_id(void **state)
{
    static const struct {
        enum receive_protocol protocol;
        const char *input;
        const char *format; /* of everything said after 354 */
    } cases[] = {
        {RECEIVE_SMTP, "EHLO f\r\n" MESSAGE, "250 2.0.0 Done: queued as %s\r\n"},
        {RECEIVE_LMTP,
         "LHLO f\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nRCPT TO:<late@d>\r\nDATA\r\nx\r\n.\r\n",
         "250 2.0.0 Done: queued as %s\r\n"
         "450 4.2.1 Mailbox is not ready to take mail, try again later\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct drive d;
        char want[256];
        const char *said;

        drive_open(&d, cases[i].protocol);
        drive_say(&d, cases[i].input);
        (void)snprintf(want, sizeof want, cases[i].format, d.last_id);
        said = strstr(buf_str(&d.replies), "354 ");
        assert_non_null(said);
        assert_string_equal(strchr(said, '\n') + 1, want);
        drive_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_are_taken_as_they_are_meant),
        cmocka_unit_test(the_client_of_a_transaction_is_whom_its_front_names),
        cmocka_unit_test(starttls_forgets_what_was_forwarded),
        cmocka_unit_test(only_a_trusted_peer_is_offered_it),
        cmocka_unit_test(the_answer_to_a_message_says_its_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
