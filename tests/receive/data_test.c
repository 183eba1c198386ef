/* SPDX-License-Identifier: GPL-3.0-or-later */
/* data_test.c - where a message ends, however it is cut into reads; dots; what is refused. */
#include "tests/receive/drive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PROLOGUE       "EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
#define PROLOGUE_CODES "250 250 250 354 "
#define HEAD           "Subject: x\r\n\r\nbody"
#define SMUGGLED       "MAIL FROM:<evil@x.test>\r\nRCPT TO:<evil@x.test>\r\nDATA\r\nevil"
#define TAIL           "\r\n.\r\nNOOP\r\n"

/* A look-alike end of data, with NUL inside. */
struct eod_case {
    const char *id;
    struct bytes ending;
    const char *codes; /* of everything behind DATA */
};

#define BYTES(s)                                                                                   \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }
#define SWALLOWED "550 250" /* the message refused at the true end, then NOOP */

static const struct eod_case eod_cases[] = {
    {"lf.crlf", BYTES("\n.\r\n"), SWALLOWED},
    {"lf.lf", BYTES("\n.\n"), SWALLOWED},
    {"cr.cr", BYTES("\r.\r"), SWALLOWED},
    {"cr.crlf", BYTES("\r.\r\n"), SWALLOWED},
    {"crlf.lf", BYTES("\r\n.\n"), SWALLOWED},
    {"crlf.cr", BYTES("\r\n.\r"), SWALLOWED},
    {"cr.lf", BYTES("\r.\n"), SWALLOWED},
    {"crlf nul.crlf", BYTES("\r\n\0.\r\n"), SWALLOWED},
    {"cr nul lf.crlf", BYTES("\r\0\n.\r\n"), SWALLOWED},
    {"crlf.nul crlf", BYTES("\r\n.\0\r\n"), SWALLOWED},
    {"crlf.cr nul lf", BYTES("\r\n.\r\0\n"), SWALLOWED},
    {"crlf.cr crlf", BYTES("\r\n.\r\r\n"), SWALLOWED},
    {"cr crlf.cr crlf", BYTES("\r\r\n.\r\r\n"), SWALLOWED},
    {"lf cr.lf cr", BYTES("\n\r.\n\r"), SWALLOWED},
    {"true end behind nul", BYTES("\0\r\n.\r\n"), "550 250 250 354 250 250"},
    {"true end before nul", BYTES("\r\n.\r\n\0"), "250 500 503 503"},
    {"crlf space.crlf", BYTES("\r\n .\r\n"), "250 250"},
    {"crlf..crlf", BYTES("\r\n..\r\n"), "250 250"},
};

static void compose(struct buf *out, const struct eod_case *c, size_t filler)
{
    buf_reset(out);
    buf_append_str(out, HEAD);
    for (size_t i = 0; i < filler; i++)
        buf_append_str(out, "0123456789");
    buf_append_bytes(out, c->ending);
    buf_append_str(out, SMUGGLED);
    buf_append_str(out, TAIL);
    assert_int_equal(buf_error(out), ERR_OK);
}

/* Feed in, cut once at the place given. */
static void feed_cut(struct drive *d, struct bytes in, size_t cut)
{
    drive_feed(d, (struct bytes){in.data, cut});
    drive_feed(d, (struct bytes){in.data + cut, in.len - cut});
}

static void assert_codes(struct drive *d, const struct eod_case *c, const char *expected,
                         size_t cut)
{
    const char *codes = drive_codes(d);

    if (strcmp(codes, expected) != 0)
        fail_msg("%s cut at %zu: got %s, want %s", c->id, cut, codes, expected);
}

static void only_the_true_end_ends_a_message_wherever_reads_end(void **state)
{
    CLEANUP(buf_clear) struct buf in = {0};

    (void)state;
    for (size_t i = 0; i < sizeof eod_cases / sizeof eod_cases[0]; i++) {
        const struct eod_case *c = &eod_cases[i];

        /* a refused DATA with bytes right behind it closes: not what is asked here */
        bool closes = strstr(c->codes, "503 503") != NULL;

        compose(&in, c, 0);
        for (size_t cut = 0; cut <= in.len && !closes; cut++) {
            struct drive d;

            drive_open(&d, RECEIVE_SMTP);
            drive_say(&d, PROLOGUE);
            (void)drive_codes(&d);
            feed_cut(&d, buf_bytes(&in), cut);
            assert_codes(&d, c, c->codes, cut);
            drive_close(&d);
        }
    }
}

static void commands_behind_a_true_end_and_a_nul_do_not_begin_a_transaction(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, PROLOGUE);
    drive_feed(&d, (struct bytes)BYTES(HEAD "\r\n.\r\n\0MAIL FROM:<evil@x.test>\r\n"
                                            "RCPT TO:<evil@x.test>\r\nDATA\r\nevil"));
    assert_string_equal(drive_codes(&d), PROLOGUE_CODES "250 500 503 503");
    assert_true(d.closed);
    assert_int_equal(d.n_messages, 1);
    drive_close(&d);
}

static void byte_by_byte_gives_the_same_as_one_read(void **state)
{
    CLEANUP(buf_clear) struct buf in = {0};

    (void)state;
    for (size_t i = 0; i < sizeof eod_cases / sizeof eod_cases[0]; i++) {
        const struct eod_case *c = &eod_cases[i];
        struct drive d;

        if (strstr(c->codes, "503 503"))
            continue;
        compose(&in, c, 0);
        drive_open(&d, RECEIVE_SMTP);
        drive_feed_pieces(&d, bytes_of(PROLOGUE), 1);
        (void)drive_codes(&d);
        drive_feed_pieces(&d, buf_bytes(&in), 1);
        assert_codes(&d, c, c->codes, 1);
        drive_close(&d);
    }
}

static void a_message_over_the_limit_is_skipped_by_the_same_rules(void **state)
{
    CLEANUP(buf_clear) struct buf in = {0};

    (void)state;
    for (size_t i = 0; i < sizeof eod_cases / sizeof eod_cases[0]; i++) {
        const struct eod_case *c = &eod_cases[i];

        if (strcmp(c->codes, SWALLOWED) != 0)
            continue;
        compose(&in, c, DRIVE_MESSAGE_MAX / 10);
        for (size_t cut = DRIVE_MESSAGE_MAX; cut <= in.len; cut++) {
            struct drive d;

            drive_open(&d, RECEIVE_SMTP);
            drive_say(&d, PROLOGUE);
            (void)drive_codes(&d);
            feed_cut(&d, buf_bytes(&in), cut);
            assert_codes(&d, c, "552 250", cut);
            assert_int_equal(d.n_messages, 0);
            drive_close(&d);
        }
    }
}

static const struct {
    const char *wire;
    const char *content;
} dot_cases[] = {
    {".\r\n", ""},
    {"\r\n.\r\n", "\r\n"},
    {"..From: x\r\n.\r\n", ".From: x\r\n"},
    {".From: x\r\n.\r\n", "From: x\r\n"},
    {"..\r\n..x\r\n...\r\n.\r\n", ".\r\n.x\r\n..\r\n"},
    {"a.b\r\n.c.d.\r\n .\r\n.\r\n", "a.b\r\nc.d.\r\n .\r\n"},
    {"x.\r\n.\r\n", "x.\r\n"},
    {"\xff\xfe\x01\r\n.\r\n", "\xff\xfe\x01\r\n"},
};

static void exactly_one_leading_dot_is_removed_wherever_reads_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dot_cases / sizeof dot_cases[0]; i++) {
        struct bytes wire = bytes_of(dot_cases[i].wire);

        for (size_t cut = 0; cut <= wire.len; cut++) {
            struct drive d;

            drive_open(&d, RECEIVE_SMTP);
            drive_say(&d, PROLOGUE);
            feed_cut(&d, wire, cut);
            assert_string_equal(drive_codes(&d), PROLOGUE_CODES "250");
            assert_string_equal(buf_str(&d.messages), dot_cases[i].content);
            drive_close(&d);
        }
    }
}

static void stray_line_ends_in_a_header_are_refused(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, PROLOGUE "Subject: a\rBcc: x@y.test\r\n\r\n.\r\n");
    assert_non_null(strstr(buf_str(&d.replies), "550 5.6.0 "));
    assert_string_equal(drive_codes(&d), PROLOGUE_CODES "550");
    assert_int_equal(d.n_messages, 0);
    drive_close(&d);
}

static void the_third_message_with_stray_line_ends_closes(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, "EHLO c.test\r\n");
    for (int i = 0; i < 3; i++) {
        assert_false(d.closed);
        drive_say(&d, "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
        drive_say(&d, "a\nb\r\n.\r\n");
    }
    drive_say(&d, "NOOP\r\n");
    assert_string_equal(drive_codes(&d), "250 250 250 354 550 250 250 354 550 250 250 354 550 421");
    assert_true(d.closed);
    drive_close(&d);
}

static void a_refused_message_is_not_read_on_for_ever(void **state)
{
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    drive_say(&d, PROLOGUE);
    for (int i = 0; i < 1000 && !d.closed; i++)
        drive_say(&d, "0123456789");
    assert_true(d.closed);
    assert_string_equal(drive_codes(&d), PROLOGUE_CODES "552");
    drive_close(&d);
}

static struct reply refuse_alike(void *ctx, struct receive_transaction *t, enum err why)
{
    (void)ctx;
    (void)t;
    (void)why;
    return reply_of(ERR_UNPROVEN);
}

/* Bytes of content behind a line; of over four times the limit nobody waits for the end. */
static void whatever_the_session_refuses_its_handler_words(void **state)
{
    static const struct {
        const char *begin;
        size_t more;
    } cases[] = {
        {"a\rb", 0}, {"a\nb", 0}, {"", 2 * DRIVE_MESSAGE_MAX}, {"", 5 * DRIVE_MESSAGE_MAX}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct drive d;

        drive_open(&d, RECEIVE_SMTP);
        d.handler.refused = refuse_alike;
        drive_say(&d, PROLOGUE);
        buf_reset(&d.replies);
        drive_say(&d, cases[i].begin);
        for (size_t n = 0; n < cases[i].more && !d.closed; n += 10)
            drive_say(&d, "0123456789");
        if (!d.closed)
            drive_say(&d, "\r\n.\r\n");
        assert_string_equal(buf_str(&d.replies), "550 5.7.1 Message refused\r\n");
        drive_close(&d);
    }
}

static void a_message_of_just_the_limit_passes_and_one_more_byte_does_not(void **state)
{
    for (size_t extra = 0; extra < 2; extra++) {
        struct drive d;
        char content[DRIVE_MESSAGE_MAX + 2];

        (void)state;
        memset(content, 'x', sizeof content);
        content[DRIVE_MESSAGE_MAX - 2 + extra] = '\0';
        drive_open(&d, RECEIVE_SMTP);
        drive_say(&d, PROLOGUE);
        drive_say(&d, content);
        drive_say(&d, "\r\n.\r\n");
        assert_string_equal(drive_codes(&d), extra ? PROLOGUE_CODES "552" : PROLOGUE_CODES "250");
        drive_close(&d);
    }
}

static void a_message_without_memory_is_drained_and_refused_for_now(void **state)
{
    struct memory_budget *memory;
    struct body other;
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    memory = &d.memory;
    memory->max = 65536;
    body_init(&other, memory, 0, 1000);
    assert_int_equal(body_append(&other, (const uint8_t *)"x", 1), ERR_OK);
    drive_say(&d, PROLOGUE "content\r\nMAIL FROM:<x@y.test>\r\n.\r\nNOOP\r\n");
    assert_non_null(strstr(buf_str(&d.replies), "452 4.3.1 "));
    assert_string_equal(drive_codes(&d), PROLOGUE_CODES "452 250");
    body_clear(&other);
    drive_say(&d, "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\ncontent\r\n.\r\n");
    assert_string_equal(drive_codes(&d), "250 250 354 250");
    drive_close(&d);
}

static void an_announced_size_without_memory_is_refused_at_mail(void **state)
{
    struct body other;
    struct drive d;

    (void)state;
    drive_open(&d, RECEIVE_SMTP);
    d.memory.max = 65536 + 500;
    body_init(&other, &d.memory, 0, 1000);
    assert_int_equal(body_append(&other, (const uint8_t *)"x", 1), ERR_OK);
    drive_say(&d,
              "EHLO c.test\r\nMAIL FROM:<a@b.test> SIZE=501\r\nMAIL FROM:<a@b.test> SIZE=500\r\n");
    assert_string_equal(drive_codes(&d), "250 452 250");
    body_clear(&other);
    drive_close(&d);
}

static void a_body_never_takes_more_than_its_announced_size_and_a_step(void **state)
{
    struct memory_budget memory = {.max = 1u << 30};
    static const uint8_t chunk[10000];
    struct body b;

    (void)state;
    body_init(&b, &memory, 1000000, 5000000);
    for (int i = 0; i < 100; i++)
        assert_int_equal(body_append(&b, chunk, sizeof chunk), ERR_OK);
    assert_int_equal(body_bytes(&b).len, 1000000);
    assert_in_range(memory_used(&memory), 1000000, 1000000 + 65536);
    for (int i = 0; i < 400; i++) /* it lied, within the limit */
        assert_int_equal(body_append(&b, chunk, sizeof chunk), ERR_OK);
    assert_int_equal(body_append(&b, chunk, 1), ERR_TOO_BIG);
    assert_int_equal(memory_used(&memory), 0);
    body_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_true_end_ends_a_message_wherever_reads_end),
        cmocka_unit_test(commands_behind_a_true_end_and_a_nul_do_not_begin_a_transaction),
        cmocka_unit_test(byte_by_byte_gives_the_same_as_one_read),
        cmocka_unit_test(a_message_over_the_limit_is_skipped_by_the_same_rules),
        cmocka_unit_test(exactly_one_leading_dot_is_removed_wherever_reads_end),
        cmocka_unit_test(stray_line_ends_in_a_header_are_refused),
        cmocka_unit_test(the_third_message_with_stray_line_ends_closes),
        cmocka_unit_test(a_refused_message_is_not_read_on_for_ever),
        cmocka_unit_test(whatever_the_session_refuses_its_handler_words),
        cmocka_unit_test(a_message_of_just_the_limit_passes_and_one_more_byte_does_not),
        cmocka_unit_test(a_message_without_memory_is_drained_and_refused_for_now),
        cmocka_unit_test(an_announced_size_without_memory_is_refused_at_mail),
        cmocka_unit_test(a_body_never_takes_more_than_its_announced_size_and_a_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
