/* SPDX-License-Identifier: GPL-3.0-or-later */
/* path_test.c - addresses and parameters of MAIL and RCPT, through the protocol machine. */
#include "tests/receive/drive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define EHLO "EHLO c.test\r\n"
#define MAIL EHLO "MAIL FROM:<a@b.test>\r\n"

#define L64   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define L256  L64 L64 L64 L64
#define L1024 L256 L256 L256 L256

/* Arguments of MAIL and RCPT, each behind a good EHLO (and MAIL). */
static const struct {
    const char *command;
    int code;
    const char *kept; /* the address as the handler gets it, for code 250 */
} path_cases[] = {
    {"MAIL FROM:<a@b.test>", 250, "a@b.test"},
    {"MAIL FROM:<>", 250, ""},
    {"MAIL FROM: <a@b.test>", 250, "a@b.test"},
    {"MAIL FROM:<a@b.test>   ", 250, "a@b.test"},
    {"MAIL from:<a@b.test>", 250, "a@b.test"},
    {"MAIL", 501, NULL},
    {"MAIL TO:<a@b.test>", 501, NULL},
    {"MAIL FROM:", 501, NULL},
    {"MAIL FROM:a@b.test", 501, NULL},
    {"MAIL FROM:<a@b.test", 501, NULL},
    {"MAIL FROM:<a@b.test>x", 501, NULL},
    {"MAIL FROM:<a>", 501, NULL},
    {"MAIL FROM:<postmaster>", 501, NULL},
    {"MAIL FROM:<a@b.test> SIZE=1000", 250, "a@b.test"},
    {"MAIL FROM:<a@b.test> size=1 body=8bitmime", 250, "a@b.test"},
    {"MAIL FROM:<a@b.test> SIZE=1001", 552, NULL},
    {"MAIL FROM:<a@b.test> SIZE=99999999999999999999", 552, NULL},
    {"MAIL FROM:<a@b.test> SIZE=18446744073709551617", 552, NULL},
    {"MAIL FROM:<a@b.test> SIZE=999999999999999999999", 501, NULL},
    {"MAIL FROM:<a@b.test> SIZE=-1", 501, NULL},
    {"MAIL FROM:<a@b.test> SIZE=", 501, NULL},
    {"MAIL FROM:<a@b.test> SIZE", 501, NULL},
    {"MAIL FROM:<a@b.test> SIZE=1 SIZE=1", 501, NULL},
    {"MAIL FROM:<a@b.test> BODY=7BIT", 250, "a@b.test"},
    {"MAIL FROM:<a@b.test> BODY=BINARYMIME", 501, NULL},
    {"MAIL FROM:<a@b.test> BODY", 501, NULL},
    {"MAIL FROM:<a@b.test> BODY=7BIT BODY=7BIT", 501, NULL},
    {"MAIL FROM:<a@b.test> FOO=BAR", 555, NULL},
    {"MAIL FROM:<a@b.test> NOTIFY=NEVER", 555, NULL},
    {"MAIL FROM:<a@b.test> AUTH=a+0Ab", 501, NULL},
    {"MAIL FROM:<a@b.test> RET=FULL", 501, NULL},
    {"MAIL FROM:<a@b.test> ENVID=x", 501, NULL},
    {"MAIL FROM:<a@b.test> SMTPUTF8", 250, "a@b.test"},
    {"MAIL FROM:<a@b.test> SMTPUTF8=1", 501, NULL},
    {"MAIL FROM:<f\xc3\xb6@b.test>", 550, NULL},
    {"MAIL FROM:<f\xc3\xb6@b.test> SMTPUTF8", 250, "f\xc3\xb6@b.test"},
    {"MAIL FROM:<\"f\xc3\xb6\"@\xc3\xb6.test> SMTPUTF8", 250, "\"f\xc3\xb6\"@\xc3\xb6.test"},
    {"MAIL FROM:<f\xc3@b.test> SMTPUTF8", 501, NULL},
    {"MAIL FROM:<f\xc0\xaf@b.test> SMTPUTF8", 501, NULL},
    {"MAIL FROM:<f\xed\xa0\x80@b.test> SMTPUTF8", 501, NULL},
    {"MAIL FROM:<f\xf4\x90\x80\x80@b.test> SMTPUTF8", 501, NULL},
    {"MAIL FROM:<f\xc2\x85@b.test> SMTPUTF8", 501, NULL},
    {"MAIL FROM:<@x,@y:a@b.test>", 250, "a@b.test"},
    {"MAIL FROM:<@x:a@b.test>", 250, "a@b.test"},
    {"MAIL FROM:<@x,y:a@b.test>", 501, NULL},
    {"MAIL FROM:<@x,@y>", 501, NULL},
    {"MAIL FROM:<@x:>", 501, NULL},
    {"MAIL FROM:<\"a b\\\"c\"@d.test>", 250, "\"a b\\\"c\"@d.test"},
    {"MAIL FROM:<\"a>b\"@d.test>", 250, "\"a>b\"@d.test"},
    {"MAIL FROM:<\"a\tb\"@d.test>", 501, NULL},
    {"MAIL FROM:<\"a\\\tb\"@d.test>", 501, NULL},
    {"MAIL FROM:<\"a\x7f\"@d.test>", 501, NULL},
    {"MAIL FROM:<\"a@d.test>", 501, NULL},
    {"MAIL FROM:<\"a\\", 501, NULL},
    {"MAIL FROM:<a b@d.test>", 501, NULL},
    {"MAIL FROM:<a\tb@d.test>", 501, NULL},
    {"MAIL FROM:<a..b.@d.test>", 250, "a..b.@d.test"},
    {"MAIL FROM:<a@[127.0.0.1]>", 250, "a@[127.0.0.1]"},
    {"MAIL FROM:<a@[IPv6:::1]>", 250, "a@[IPv6:::1]"},
    {"MAIL FROM:<a@[127.0.0.256]>", 501, NULL},
    {"MAIL FROM:<a@[]>", 501, NULL},
    {"MAIL FROM:<a@[", 501, NULL},
    {"MAIL FROM:<a@b..test>", 501, NULL},
    {"MAIL FROM:<a@b.test.>", 501, NULL},
    {"MAIL FROM:<a@.test>", 501, NULL},
    {"MAIL FROM:<a@b test>", 501, NULL},
    {"MAIL FROM:<a@-b.test>", 501, NULL},
    {"MAIL FROM:<a@b-.test>", 501, NULL},
    {"MAIL FROM:<a@b.c->", 501, NULL},
    {"MAIL FROM:<a@b--c._d.test>", 250, "a@b--c._d.test"},
    {"MAIL FROM:<" L64 "@b.test>", 250, L64 "@b.test"},
    {"MAIL FROM:<" L64 "x@b.test>", 501, NULL},
    {"MAIL FROM:<" L256 "@b.test>", 501, NULL},
    {"MAIL FROM:<" L1024 "@b.test>", 501, NULL},
    {"MAIL FROM:<" L1024 L1024 "@b.test>", 500, NULL},
    {"MAIL FROM:<a@" L64 ".test>", 501, NULL},
    {"MAIL FROM:<a@b." L64 "." L64 "." L64 "." L64 ">", 501, NULL},
    {"RCPT TO:<c@d.test>", 250, "c@d.test"},
    {"RCPT TO:<PostMaster>", 250, "PostMaster"},
    {"RCPT TO:<@x,@y:c@d.test>", 250, "c@d.test"},
    {"RCPT TO:<>", 501, NULL},
    {"RCPT TO:<@>", 501, NULL},
    {"RCPT TO:<a@>", 501, NULL},
    {"RCPT TO:<@a>", 501, NULL},
    {"RCPT TO:<a@ >", 501, NULL},
    {"RCPT TO:<c@d.test> SIZE=1", 555, NULL},
    {"RCPT TO:<c@d.test> NOTIFY=NEVER,SUCCESS", 501, NULL},
    {"RCPT TO:<c@d.test> ORCPT=rfc822;a+0Ab", 501, NULL},
    {"RCPT TO:<c@d.test> ORCPT=rfc822;" L64 L64 L64 L64 "+", 501, NULL},
    {"RCPT TO:<c@d.test> FOO", 555, NULL},
    {"RCPT TO:<f\xc3\xb6@d.test>", 550, NULL},
};

/* Run one path case; the envelope the handler saw is compared when it is accepted. */
static void assert_path(const char *command, int code, const char *kept)
{
    bool is_mail = strncmp(command, "MAIL", 4) == 0;
    CLEANUP(buf_clear) struct buf wanted = {0};
    struct drive d;

    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, is_mail ? EHLO : MAIL);
    (void)drive_codes(&d);
    drive_say(&d, command);
    drive_say(&d, "\r\n");
    buf_printf(&wanted, "%d", code);
    if (strcmp(drive_codes(&d), buf_str(&wanted)) != 0)
        fail_msg("%s: not %d", command, code);
    if (kept) {
        drive_say(&d, is_mail ? "RCPT TO:<c@d.test>\r\n" : "NOOP\r\n");
        drive_say(&d, "DATA\r\n.\r\n");
        buf_reset(&wanted);
        buf_printf(&wanted, "%s>%s;", is_mail ? kept : "a@b.test", is_mail ? "c@d.test" : kept);
        assert_string_equal(buf_str(&d.envelopes), buf_str(&wanted));
    }
    drive_close(&d);
}

static void every_address_and_parameter_gets_its_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof path_cases / sizeof path_cases[0]; i++)
        assert_path(path_cases[i].command, path_cases[i].code, path_cases[i].kept);
}

static void a_utf8_recipient_needs_the_parameter_on_mail(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, EHLO "MAIL FROM:<a@b.test> SMTPUTF8\r\nRCPT TO:<f\xc3\xb6@d.test>\r\nRSET\r\n"
                       "MAIL FROM:<a@b.test>\r\n");
    assert_string_equal(drive_codes(&d), "250 250 250 250 250");
    drive_say(&d, "RCPT TO:<f\xc3\xb6@d.test>\r\n");
    assert_non_null(strstr(buf_str(&d.replies), "550 5.6.7 "));
    drive_close(&d);
}

static void a_line_end_inside_quotes_ends_the_line_all_the_same(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, EHLO "MAIL FROM:<\"a\r\nRCPT TO:<x@y.test>\"@d.test>\r\n");
    assert_string_equal(drive_codes(&d), "250 501 503");
    drive_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address_and_parameter_gets_its_code),
        cmocka_unit_test(a_utf8_recipient_needs_the_parameter_on_mail),
        cmocka_unit_test(a_line_end_inside_quotes_ends_the_line_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
