/* SPDX-License-Identifier: GPL-3.0-or-later */
/* abuse_test.c - clients that flood, guess, or send a body nobody asked for. */
#include "tests/receive/drive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define EHLO "EHLO c.test\r\n"
#define MAIL EHLO "MAIL FROM:<a@b.test>\r\n"
#define RCPT MAIL "RCPT TO:<c@d.test>\r\n"

static void the_twentieth_error_closes(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    for (int i = 0; i < 19; i++) {
        drive_say(&d, "FOO\r\n");
        assert_string_equal(drive_codes(&d), "500");
    }
    drive_say(&d, "FOO\r\nFOO\r\n");
    assert_string_equal(drive_codes(&d), "421");
    assert_true(d.closed);
    drive_close(&d);
}

static void no_part_of_a_line_too_long_is_run(void **state)
{
    (void)state;
    for (size_t len = COMMAND_MAX_BYTES - 10; len < COMMAND_MAX_BYTES + 10; len++) {
        CLEANUP(buf_clear) struct buf in = {0};
        bool fits = len + strlen("QUIT\r") <= COMMAND_MAX_BYTES;
        struct drive d;

        buf_append_str(&in, "NOOP ");
        while (in.len < len)
            buf_append_str(&in, "x");
        buf_append_str(&in, "QUIT\r\nRSET\r\n");
        drive_open(&d, RECEIVE_SMTP);
        drive_feed(&d, buf_bytes(&in));
        assert_string_equal(drive_codes(&d), fits ? "250 250" : "500 250");
        drive_close(&d);
    }
}

static void refused_recipients_are_no_errors_of_the_client(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, MAIL);
    for (int i = 0; i < 50; i++)
        drive_say(&d, "RCPT TO:<bad@d.test>\r\n");
    assert_false(d.closed);
    buf_clear(&d.replies);
    drive_say(&d, "RCPT TO:<c@d.test>\r\n");
    assert_string_equal(drive_codes(&d), "250");
    drive_close(&d);
}

static void guessing_recipients_ends_in_time(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, MAIL);
    for (unsigned i = 0; i < RCPT_REFUSED_MAX; i++)
        drive_say(&d, "RCPT TO:<bad@d.test>\r\n");
    assert_false(d.closed);
    buf_clear(&d.replies);
    drive_say(&d, "RCPT TO:<bad@d.test>\r\n");
    assert_string_equal(drive_codes(&d), "421");
    assert_true(d.closed);
    drive_close(&d);
}

static void recipients_pipelined_behind_a_refused_mail_are_no_errors(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, EHLO "MAIL FROM:<a@b.test> SIZE=5000\r\n");
    for (int i = 0; i < 50; i++)
        drive_say(&d, "RCPT TO:<c@d.test>\r\n");
    drive_say(&d, "DATA\r\n");
    assert_false(d.closed);
    drive_close(&d);
}

static void endless_small_talk_closes(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    for (unsigned i = 0; i < JUNK_MAX; i++)
        drive_say(&d, "NOOP\r\n");
    assert_false(d.closed);
    drive_say(&d, "NOOP\r\n");
    assert_true(d.closed);
    drive_close(&d);
}

static void a_body_pipelined_behind_a_refused_data_is_never_run(void **state)
{
    static const char *const refused[] = {
        MAIL "RCPT TO:<bad@d.test>\r\nDATA\r\n",
        MAIL "DATA\r\n",
        RCPT "DATA foo\r\n",
        EHLO "MAIL FROM:<a@b.test> SIZE=5000\r\nRCPT TO:<c@d.test>\r\nDATA\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CLEANUP(buf_clear) struct buf in = {0};
        struct drive d;

        buf_append_str(&in, refused[i]);
        buf_append_str(&in,
                       "RSET\r\nMAIL FROM:<evil@x.test>\r\nRCPT TO:<e@x.test>\r\nDATA\r\n.\r\n");
        drive_open(&d, RECEIVE_SMTP);
        drive_feed(&d, buf_bytes(&in));
        assert_true(d.closed);
        assert_int_equal(d.n_messages, 0);
        assert_null(strstr(drive_codes(&d), "354"));
        drive_close(&d);
    }
}

static void a_body_sent_later_behind_a_refused_data_closes_at_its_first_line(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, MAIL "RCPT TO:<bad@d.test>\r\nDATA\r\n");
    assert_false(d.closed);
    assert_true(session_expects_silence(d.session));
    (void)drive_codes(&d);
    drive_say(&d, "Subject: x\r\nMAIL FROM:<evil@x.test>\r\n");
    assert_string_equal(drive_codes(&d), "554");
    assert_true(d.closed);
    drive_close(&d);
}

static void a_refused_data_does_not_hinder_the_next_transaction(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, MAIL "RCPT TO:<bad@d.test>\r\nDATA\r\n");
    drive_say(&d, "RSET\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
    drive_say(&d, "x\r\n.\r\n");
    assert_string_equal(drive_codes(&d), "250 250 550 554 250 250 250 354 250");
    drive_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_twentieth_error_closes),
        cmocka_unit_test(no_part_of_a_line_too_long_is_run),
        cmocka_unit_test(refused_recipients_are_no_errors_of_the_client),
        cmocka_unit_test(guessing_recipients_ends_in_time),
        cmocka_unit_test(recipients_pipelined_behind_a_refused_mail_are_no_errors),
        cmocka_unit_test(endless_small_talk_closes),
        cmocka_unit_test(a_body_pipelined_behind_a_refused_data_is_never_run),
        cmocka_unit_test(a_body_sent_later_behind_a_refused_data_closes_at_its_first_line),
        cmocka_unit_test(a_refused_data_does_not_hinder_the_next_transaction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
