/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wire_test.c - the witness, told whole dialogues: ">" lines leave, "<" lines come. */
#include "daemon/deliver/body.h"
#include "daemon/deliver/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGES 2

struct dialogue {
    const char *name;
    const char *const *lines; /* NULL-ended; "tls" starts TLS */
    bool tls_required;
    enum job_fault fault;
    uint16_t mail, rcpt, data, end; /* of the first message */
};

struct told {
    struct wire wire;
    struct job_result results[MESSAGES];
    struct job_summary summary;
};

static struct bytes piece(const char *line, size_t at, size_t max)
{
    size_t left = strlen(line) - at;

    return (struct bytes){(const uint8_t *)line + at, left < max ? left : max};
}

static void tell(const struct dialogue *d, size_t step, struct told *t)
{
    *t = (struct told){0};
    wire_init(&t->wire, d->tls_required, t->results, MESSAGES, &t->summary);
    for (size_t i = 0; d->lines[i] && !t->wire.fault; i++) {
        const char *line = d->lines[i];

        if (strcmp(line, "tls") == 0)
            (void)wire_start_tls(&t->wire);
        for (size_t at = 1; line[0] != 't' && at < strlen(line) && !t->wire.fault; at += step) {
            if (line[0] == '>')
                (void)wire_sending(&t->wire, piece(line, at, step));
            else
                (void)wire_received(&t->wire, piece(line, at, step));
        }
    }
}

static void check(const struct dialogue *d, size_t step)
{
    struct told t;

    tell(d, step, &t);
    if (t.wire.fault != d->fault)
        fail_msg("%s, in pieces of %zu: fault %s", d->name, step, job_fault_name(t.wire.fault));
    if (t.results[0].mail_code != d->mail || t.results[0].rcpt_code != d->rcpt ||
        t.results[0].data_code != d->data || t.results[0].end_code != d->end)
        fail_msg("%s, in pieces of %zu: %u %u %u %u", d->name, step, t.results[0].mail_code,
                 t.results[0].rcpt_code, t.results[0].data_code, t.results[0].end_code);
}

#define LINES(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define HELLO   "<220 hop\r\n", ">EHLO us\r\n", "<250-hop\r\n250 PIPELINING\r\n"
#define TO_DATA HELLO, ">MAIL FROM:<a@b>\r\n", "<250 ok\r\n", ">RCPT TO:<c@d>\r\nDATA\r\n"
#define LONG_LINE                                                                                  \
    "<220 "                                                                                        \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaa"

static void replies_belong_to_commands_however_they_are_cut(void **state)
{
    const struct dialogue table[] = {
        {"a message",
         LINES(TO_DATA, "<250 ok\r\n354 go\r\n", ">S: x\r\n\r\n..\r\n.\r\n", "<250 ok\r\n"), false,
         FAULT_NONE, 250, 250, 0, 250},
        {"an empty message", LINES(TO_DATA, "<550 no\r\n354 go\r\n", ">.\r\n", "<250 ok\r\n"),
         false, FAULT_NONE, 250, 550, 0, 250},
        {"content like commands",
         LINES(TO_DATA, "<250 ok\r\n354 go\r\n", ">QUIT\r\n\r\n.\rRSET\r\n\r\n.\r\n",
               "<250 ok\r\n"),
         false, FAULT_NONE, 250, 250, 0, 250},
        {"chunks",
         LINES(HELLO, ">MAIL FROM:<a@b>\r\n", "<250 ok\r\n",
               ">RCPT TO:<c@d>\r\nBDAT 9\r\nQUIT\r\n.\r\nBDAT 12\r\n0123456789AB",
               ">BDAT 0 LAST\r\n", "<250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n"),
         false, FAULT_NONE, 250, 250, 0, 250},
        {"the first refusal of a chunk",
         LINES(HELLO, ">MAIL FROM:<a@b>\r\n", "<250 ok\r\n",
               ">RCPT TO:<c@d>\r\nBDAT 2\r\n..BDAT 2\r\n..BDAT 0 LAST\r\n",
               "<250 ok\r\n452 full\r\n503 no\r\n503 no\r\n"),
         false, FAULT_NONE, 250, 250, 452, 503},
        {"a refused DATA", LINES(TO_DATA, "<250 ok\r\n451 no\r\n", ">RSET\r\nQUIT\r\n"), false,
         FAULT_NONE, 250, 250, 451, 0},
        {"a reply that nothing asked for", LINES(HELLO, "<250 ok\r\n"), false, FAULT_OUT_OF_STEP, 0,
         0, 0, 0},
        {"a reply too many", LINES(TO_DATA, "<250 ok\r\n354 go\r\n250 ok\r\n"), false,
         FAULT_OUT_OF_STEP, 250, 250, 0, 0},
        {"421 and then a command",
         LINES(HELLO, ">MAIL FROM:<a@b>\r\n", "<421 bye\r\n", ">MAIL FROM:<a@b>\r\n"), false,
         FAULT_CLOSING, 421, 0, 0, 0},
        {"421 and then QUIT", LINES(HELLO, ">MAIL FROM:<a@b>\r\n", "<421 bye\r\n", ">QUIT\r\n"),
         false, FAULT_NONE, 421, 0, 0, 0},
        {"no reply", LINES("<hello\r\n"), false, FAULT_BAD_REPLY, 0, 0, 0, 0},
        {"two digits", LINES("<22 hop\r\n"), false, FAULT_BAD_REPLY, 0, 0, 0, 0},
        {"four digits", LINES("<2200 hop\r\n"), false, FAULT_BAD_REPLY, 0, 0, 0, 0},
        {"a sign", LINES("<+220 hop\r\n"), false, FAULT_BAD_REPLY, 0, 0, 0, 0},
        {"class 6", LINES("<620 hop\r\n"), false, FAULT_BAD_REPLY, 0, 0, 0, 0},
        {"two codes", LINES("<220-hop\r\n250 hop\r\n"), false, FAULT_BAD_REPLY, 0, 0, 0, 0},
        {"a long line",
         LINES(LONG_LINE, LONG_LINE, LONG_LINE, LONG_LINE, LONG_LINE, LONG_LINE, LONG_LINE,
               LONG_LINE, LONG_LINE, LONG_LINE, LONG_LINE, LONG_LINE),
         false, FAULT_LONG_REPLY, 0, 0, 0, 0},
        {"required TLS",
         LINES("<220 hop\r\n", ">EHLO us\r\n", "<250 STARTTLS\r\n", ">STARTTLS\r\n", "<220 go\r\n",
               "tls", ">EHLO us\r\n", "<250 hop\r\n", ">MAIL FROM:<a@b>\r\n", "<250 ok\r\n"),
         true, FAULT_NONE, 250, 0, 0, 0},
        {"an envelope before required TLS",
         LINES("<220 hop\r\n", ">EHLO us\r\n", "<250 hop\r\n", ">MAIL FROM:<a@b>\r\n"), true,
         FAULT_CLEARTEXT, 0, 0, 0, 0},
        {"clear text with the reply to STARTTLS",
         LINES("<220 hop\r\n", ">EHLO us\r\n", "<250 STARTTLS\r\n", ">STARTTLS\r\n",
               "<220 go\r\n250 evil\r\n"),
         true, FAULT_INJECTED, 0, 0, 0, 0},
        {"half a line behind the reply to STARTTLS",
         LINES("<220 hop\r\n", ">EHLO us\r\n", "<250 STARTTLS\r\n", ">STARTTLS\r\n",
               "<220 go\r\n2"),
         true, FAULT_INJECTED, 0, 0, 0, 0},
        {"TLS that no reply allows",
         LINES("<220 hop\r\n", ">EHLO us\r\n", "<250 STARTTLS\r\n", ">STARTTLS\r\n", "tls"), true,
         FAULT_INJECTED, 0, 0, 0, 0},
        {"STARTTLS refused",
         LINES("<220 hop\r\n", ">EHLO us\r\n", "<250 STARTTLS\r\n", ">STARTTLS\r\n", "<454 no\r\n"),
         true, FAULT_TLS, 0, 0, 0, 0},
        {"more messages than there are",
         LINES(HELLO, ">MAIL FROM:<>\r\n", "<450 no\r\n", ">MAIL FROM:<>\r\n", "<450 no\r\n",
               ">MAIL FROM:<>\r\n"),
         false, FAULT_LOCAL, 450, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t step = 1; step < 70; step = step * 2 + 1)
            check(&table[i], step);
}

static void good_replies_before_a_fault_are_handed_on(void **state)
{
    struct told t = {0};
    const char *both = "220 hop\r\n250 what\r\n";

    (void)state;
    wire_init(&t.wire, false, t.results, MESSAGES, &t.summary);
    assert_int_equal(wire_received(&t.wire, bytes_of(both)), 9);
    assert_int_equal(t.wire.fault, FAULT_OUT_OF_STEP);
    assert_int_equal(wire_received(&t.wire, bytes_of(both)), 0);
    assert_false(wire_sending(&t.wire, bytes_of("EHLO us\r\n")));
}

static void reply_texts_lose_addresses_and_control_bytes(void **state)
{
    char out[JOB_TEXT_MAX + 1];
    char big[400];

    (void)state;
    job_text_set(out, bytes_of("5.1.1 <a@b.example>: unknown \x1b[31m\r\n user c@d"));
    assert_string_equal(out, "5.1.1 <address> unknown ?[31m?? user <address>");
    memset(big, 'x', sizeof big);
    job_text_set(out, (struct bytes){(uint8_t *)big, sizeof big});
    assert_int_equal(strlen(out), JOB_TEXT_MAX);
    job_text_set(out, (struct bytes){0});
    assert_string_equal(out, "");
}

static void content_is_crlf_and_7_bit_however_it_is_cut(void **state)
{
    static const struct {
        const char *first, *second;
        bool ok;
    } table[] = {{"a\r\nb\r\n", "", true}, {"a\r", "\nb\r\n", true}, {"a\n", "", false},
                 {"a\r", "b\r\n", false},  {"a\r\r\n", "", false},   {"a", "\nb", false},
                 {"\x80", "", false},      {"\x7f\t\r\n", "", true}, {"a\r\n\n", "", false}};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bool cr = false;
        bool ok = body_content_ok(bytes_of(table[i].first), &cr) &&
                  body_content_ok(bytes_of(table[i].second), &cr);

        assert_int_equal(ok, table[i].ok);
    }
    {
        bool cr = false;

        assert_false(body_content_ok((struct bytes){(const uint8_t *)"a\0b", 3}, &cr));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_belong_to_commands_however_they_are_cut),
        cmocka_unit_test(good_replies_before_a_fault_are_handed_on),
        cmocka_unit_test(reply_texts_lose_addresses_and_control_bytes),
        cmocka_unit_test(content_is_crlf_and_7_bit_however_it_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
