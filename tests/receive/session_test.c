/* SPDX-License-Identifier: GPL-3.0-or-later */
/* session_test.c - commands and states of the protocol machine, as tables of dialogues. */
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
#define LHLO "LHLO c.test\r\n"
#define BYTES(s)                                                                                   \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }

#define L64   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define L256  L64 L64 L64 L64
#define L1024 L256 L256 L256 L256

struct dialogue {
    const char *name;
    struct bytes input;
    const char *codes; /* of all replies, the banner left out */
};

static const struct dialogue smtp_dialogues[] = {
    {"helo without name", BYTES("HELO\r\nHELO \r\n"), "501 501"},
    {"helo", BYTES("HELO c.test\r\n"), "250"},
    {"helo of 600 bytes", BYTES("HELO " L256 L256 L64 "\r\n"), "501"},
    {"ehlo of 8-bit bytes", BYTES("EHLO \xff\xfe\r\n"), "501"},
    {"ehlo of two words", BYTES("EHLO a b\r\n"), "501"},
    {"ehlo with NUL", BYTES("EHLO a\0b\r\nNOOP\r\n"), "500 250"},
    {"lower case verbs", BYTES("ehlo c.test\r\nmail from:<a@b.test>\r\nrset\r\n"), "250 250 250"},
    {"bare LF lines are never run", BYTES("EHLO a\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\n"),
     "500 500 500"},
    {"bare LF spoils up to CRLF", BYTES(EHLO "NOOP\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"),
     "250 500 503"},
    {"bare CR", BYTES("EHLO a\rMAIL FROM:<a@b>\r\nNOOP\r\n"), "500 250"},
    {"CR CR LF", BYTES("NOOP\r\r\nNOOP\r\n"), "500 250"},
    {"empty line", BYTES("\r\n"), "500"},
    {"mail before helo", BYTES("MAIL FROM:<a@b.test>\r\n"), "503"},
    {"rcpt before mail", BYTES(EHLO "RCPT TO:<c@d.test>\r\n"), "250 503"},
    {"data before mail", BYTES(EHLO "DATA\r\n"), "250 503"},
    {"data before rcpt", BYTES(MAIL "DATA\r\n"), "250 250 503"},
    {"nested mail", BYTES(MAIL "MAIL FROM:<x@y.test>\r\n"), "250 250 503"},
    {"data with argument", BYTES(RCPT "DATA foo\r\n"), "250 250 250 501"},
    {"chunking is not offered", BYTES(RCPT "BDAT 10\r\nNOOP\r\n"), "250 250 250 502"},
    {"unknown command", BYTES("FOO\r\nFOO BAR\r\n"), "500 500"},
    {"lhlo in smtp", BYTES("LHLO c.test\r\n"), "500"},
    {"proxy commands", BYTES(EHLO "XCLIENT ADDR=1.2.3.4\r\nXFORWARD NAME=x\r\n"), "250 500 500"},
    {"commands not offered", BYTES(EHLO "AUTH PLAIN AGEAYg==\r\nETRN x\r\nEXPN x\r\n"),
     "250 502 502 502"},
    {"small talk", BYTES("NOOP\r\nNOOP x\r\nVRFY a\r\nVRFY\r\nHELP\r\nRSET\r\nRSET x\r\n"),
     "250 250 252 501 214 250 501"},
    {"quit closes", BYTES("QUIT\r\nNOOP\r\n"), "221"},
    {"quit with argument", BYTES("QUIT now\r\n"), "501"},
    {"a web client", BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "554"},
    {"a web form", BYTES("POST / HTTP/1.1\r\n\r\nEHLO c.test\r\n"), "554"},
    {"http 2", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "554"},
    {"line too long", BYTES(EHLO "NOOP " L1024 L1024 "\r\nNOOP\r\n"), "250 500 250"},
    {"end of long line is no command", BYTES(EHLO "NOOP " L1024 L1024 L1024 "\nNOOP\r\nNOOP\r\n"),
     "250 500 250"},
    {"starttls with argument", BYTES(EHLO "STARTTLS foo\r\n"), "250 501"},
    {"starttls inside names", BYTES(MAIL "RCPT TO:<starttls@d.test>\r\nDATA\r\nstarttls\r\n.\r\n"),
     "250 250 250 354 250"},
    {"ehlo ends the transaction", BYTES(RCPT EHLO "RCPT TO:<c@d.test>\r\n"), "250 250 250 250 503"},
    {"rset ends the transaction", BYTES(RCPT "RSET\r\nRCPT TO:<c@d.test>\r\n"),
     "250 250 250 250 503"},
    {"two messages",
     BYTES(RCPT "DATA\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n"),
     "250 250 250 354 250 250 250 354 250"},
    {"rcpt answers",
     BYTES(MAIL "RCPT TO:<bad@d.test>\r\nRCPT TO:<busy@d.test>\r\n"
                "RCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n"),
     "250 250 550 451 250 354 250"},
    {"rcpt over the limit",
     BYTES(RCPT "RCPT TO:<2@d>\r\nRCPT TO:<3@d>\r\nRCPT TO:<4@d>\r\n"
                "RCPT TO:<5@d>\r\nRCPT TO:<6@d>\r\nDATA\r\nx\r\n.\r\n"),
     "250 250 250 250 250 250 250 452 354 250"},
    {"pipelined body with an accepted recipient", BYTES(RCPT "DATA\r\nNOOP\r\n.\r\nQUIT\r\n"),
     "250 250 250 354 250 221"},
    {"handler fails the message", BYTES(MAIL "RCPT TO:<late@d.test>\r\nDATA\r\nx\r\n.\r\n"),
     "250 250 250 354 450"},
};

static const struct dialogue lmtp_dialogues[] = {
    {"lhlo only", BYTES("HELO c.test\r\nEHLO c.test\r\nLHLO c.test\r\n"), "500 500 250"},
    {"one reply for each accepted recipient, in order",
     BYTES(LHLO "MAIL FROM:<a@b.test>\r\nRCPT TO:<late@d.test>\r\nRCPT TO:<bad@d.test>\r\n"
                "RCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n"),
     "250 250 250 550 250 354 450 250 250"},
    {"no recipient accepted",
     BYTES(LHLO "MAIL FROM:<a@b.test>\r\nRCPT TO:<bad@d.test>\r\nDATA\r\n"), "250 250 550 503"},
    {"a refused message is refused for each",
     BYTES(LHLO "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<e@d.test>\r\n"
                "DATA\r\nx\ny\r\n.\r\nNOOP\r\n"),
     "250 250 250 250 354 550 550 250"},
    {"starttls", BYTES(LHLO "STARTTLS foo\r\n"), "250 501"},
};

static void assert_dialogue(const struct dialogue *c, enum receive_protocol protocol, size_t piece)
{
    struct drive d;
    const char *codes;

    drive_open(&d, protocol);
    drive_feed_pieces(&d, c->input, piece);
    codes = drive_codes(&d);
    if (strcmp(codes, c->codes) != 0)
        fail_msg("%s, %zu bytes a read: got %s, want %s", c->name, piece, codes, c->codes);
    drive_close(&d);
}

static void assert_dialogues(const struct dialogue *cases, size_t n, enum receive_protocol protocol)
{
    static const size_t pieces[] = {1, 2, 3, 7, 100000};

    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++)
            assert_dialogue(&cases[i], protocol, pieces[p]);
}

static void smtp_dialogues_get_their_replies_however_cut(void **state)
{
    (void)state;
    assert_dialogues(smtp_dialogues, sizeof smtp_dialogues / sizeof smtp_dialogues[0],
                     RECEIVE_SMTP);
}

static void lmtp_dialogues_get_their_replies_however_cut(void **state)
{
    (void)state;
    assert_dialogues(lmtp_dialogues, sizeof lmtp_dialogues / sizeof lmtp_dialogues[0],
                     RECEIVE_LMTP);
}

static void ehlo_offers_what_is_implemented_and_nothing_else(void **state)
{
    static const char offer[] = "250-relay.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
                                "250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
                                "250 SMTPUTF8\r\n";
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, EHLO);
    assert_string_equal(buf_str(&d.replies), offer);
    buf_clear(&d.replies);
    drive_say(&d, "STARTTLS\r\n");
    session_tls_started(d.session);
    buf_clear(&d.replies);
    drive_say(&d, EHLO);
    assert_null(strstr(buf_str(&d.replies), "STARTTLS"));
    drive_close(&d);
}

static void plaintext_behind_starttls_closes(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, EHLO "STARTTLS\r\nNOOP\r\n");
    assert_string_equal(drive_codes(&d), "250 554");
    assert_true(d.closed);
    assert_int_equal(d.n_starttls, 0);
    drive_close(&d);

    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, EHLO "STARTTLS\r\n");
    assert_string_equal(drive_codes(&d), "250 220");
    assert_int_equal(d.n_starttls, 1);
    drive_say(&d, "NOOP\r\n");
    assert_true(d.closed);
    assert_string_equal(drive_codes(&d), "554");
    drive_close(&d);
}

static void starttls_forgets_everything(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, RCPT "STARTTLS\r\n");
    assert_int_equal(d.n_ends, 1);
    session_tls_started(d.session);
    (void)drive_codes(&d);
    drive_say(&d, "RCPT TO:<x@d.test>\r\n");
    assert_string_equal(drive_codes(&d), "503");
    drive_say(&d, "DATA\r\n");
    assert_string_equal(drive_codes(&d), "503");
    drive_say(&d, "MAIL FROM:<a@b.test>\r\n");
    assert_string_equal(drive_codes(&d), "503");
    drive_say(&d, EHLO "STARTTLS\r\n");
    assert_string_equal(drive_codes(&d), "250 503");
    drive_close(&d);
}

static void starttls_without_a_certificate_is_not_implemented(void **state)
{
    struct session_options options;
    struct session *s = NULL;
    struct bytes in = bytes_of(EHLO "STARTTLS\r\n");
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    options = d.options;
    options.tls_offered = false;
    assert_int_equal(session_new(&options, &s), ERR_OK);
    assert_int_equal(session_feed(s, &in), SESSION_EVENT_NONE);
    assert_null(strstr(buf_str(session_output(s)), "250-STARTTLS"));
    assert_non_null(strstr(buf_str(session_output(s)), "502 5.5.1"));
    session_free(s);
    drive_close(&d);
}

static void the_handler_hears_of_every_end(void **state)
{
    static const char *const endings[] = {
        "RSET\r\n", "QUIT\r\n", EHLO, "STARTTLS\r\n", "DATA\r\nx\r\n.\r\n", "DATA\r\nQUIT\r\n", ""};

    (void)state;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        struct drive d;

        drive_open(&d, RECEIVE_SMTP);
        drive_say(&d, RCPT);
        assert_int_equal(d.n_ends, 0);
        drive_say(&d, endings[i]);
        session_free(d.session);
        d.session = NULL;
        assert_int_equal(d.n_ends, 1);
        assert_int_equal(d.n_messages, i == 4);
        drive_close(&d);
    }
}

static void the_deadline_reaches_the_handler(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, RCPT "DATA\r\nx\r\n.\r\n");
    assert_int_equal(d.deadline, 20000);
    drive_close(&d);
}

static void dripping_bytes_gains_no_time_but_a_fair_rate_does(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    session_touch(d.session, 1000);
    drive_say(&d, "NOO");
    assert_int_equal(session_deadline_ms(d.session), 301000);
    drive_say(&d, "P\r\n" RCPT "DATA\r\n");
    session_touch(d.session, 2000);
    assert_int_equal(session_deadline_ms(d.session), 302000);
    drive_say(&d, L256 L256);
    assert_int_equal(session_deadline_ms(d.session), 303000);
    drive_close(&d);
}

static struct reply keep_quiet(void *ctx, struct receive_transaction *t, enum err why)
{
    (void)ctx;
    (void)t;
    assert_int_equal(why, ERR_BARE_LINE);
    return (struct reply){250, "2.0.0", "Dropped"};
}

static void the_handler_may_answer_refused_messages(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_LMTP);
    d.handler.refused = keep_quiet;
    drive_say(&d, LHLO "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<e@d.test>\r\n"
                       "DATA\r\nx\ny\r\n.\r\n");
    assert_string_equal(drive_codes(&d), "250 250 250 250 354 250 250");
    assert_int_equal(d.n_messages, 0);
    drive_close(&d);
}

static void say_nothing(void *ctx, struct receive_transaction *t, struct bytes data,
                        int64_t deadline, struct reply *replies)
{
    (void)ctx;
    (void)t;
    (void)data;
    (void)deadline;
    replies[0] = (struct reply){550, "2.0.0", "Confused"};
}

static void a_forgotten_or_confused_answer_is_temporary(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_LMTP);
    d.handler.message = say_nothing;
    drive_say(&d, LHLO "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<e@d.test>\r\n"
                       "DATA\r\nx\r\n.\r\n");
    assert_string_equal(drive_codes(&d), "250 250 250 250 354 451 451");
    drive_close(&d);
}

static void replies_follow_the_class_of_the_error(void **state)
{
    (void)state;
    for (int e = ERR_OK; e < ERR_COUNT; e++) {
        struct reply r = reply_of((enum err)e);

        assert_int_equal(r.status[0] - '0', r.code / 100);
        switch (err_class((enum err)e)) {
        case CLASS_OK:
            assert_int_equal(r.code, 250);
            break;
        case CLASS_PERM:
            assert_in_range(r.code, 500, 599);
            break;
        case CLASS_TEMP:
        case CLASS_OPER:
        case CLASS_BUG:
            assert_in_range(r.code, 400, 499);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smtp_dialogues_get_their_replies_however_cut),
        cmocka_unit_test(lmtp_dialogues_get_their_replies_however_cut),
        cmocka_unit_test(ehlo_offers_what_is_implemented_and_nothing_else),
        cmocka_unit_test(plaintext_behind_starttls_closes),
        cmocka_unit_test(starttls_forgets_everything),
        cmocka_unit_test(starttls_without_a_certificate_is_not_implemented),
        cmocka_unit_test(the_handler_hears_of_every_end),
        cmocka_unit_test(the_deadline_reaches_the_handler),
        cmocka_unit_test(dripping_bytes_gains_no_time_but_a_fair_rate_does),
        cmocka_unit_test(the_handler_may_answer_refused_messages),
        cmocka_unit_test(a_forgotten_or_confused_answer_is_temporary),
        cmocka_unit_test(replies_follow_the_class_of_the_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
