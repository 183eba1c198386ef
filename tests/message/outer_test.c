/* SPDX-License-Identifier: GPL-3.0-or-later */
/* outer_test.c - the header a mailbox provider sees: who, what, and nothing more. */
#include "tests/message/rewritten.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct field_case {
    const char *raw; /* header lines of the original, each with CRLF */
    const char *field, *want;
};

static const struct field_case cases[] = {
    /* the sender: real address readable, never as an address */
    {"From: Alice <alice@shop.example>\r\n", "From",
     "\"Alice - alice at shop.example\" <" REWRITTEN_REVERSE ">"},
    {"From: alice@shop.example\r\n", "From", "\"alice at shop.example\" <" REWRITTEN_REVERSE ">"},
    {"From: \"alice@shop.example\" <alice@shop.example>\r\n", "From",
     "\"alice at shop.example\" <" REWRITTEN_REVERSE ">"},
    {"From: \"boss@bank.example\" <eve@x.example>\r\n", "From",
     "\"boss at bank.example - eve at x.example\" <" REWRITTEN_REVERSE ">"},
    {"From: \"Boss <boss@bank.example>\" <eve@x.example>\r\n", "From",
     "\"Boss (boss at bank.example) - eve at x.example\" <" REWRITTEN_REVERSE ">"},
    {"From: =?utf-8?Q?a=EF=BC=A0b?= <eve@x.example>\r\n", "From",
     "\"a at b - eve at x.example\" <" REWRITTEN_REVERSE ">"},
    {"From: =?utf-8?Q?=E2=80=AEtxt=0D=0AX=3A_y?= <eve@x.example>\r\n", "From",
     "\"txt  X: y - eve at x.example\" <" REWRITTEN_REVERSE ">"},
    {"From: J\xc3\xb6rg <j@x.example>\r\n", "From",
     "=?utf-8?B?SsO2cmcgLSBqIGF0IHguZXhhbXBsZQ==?= <" REWRITTEN_REVERSE ">"},
    {"From : A <a@x.example>, B <b@y.example>\r\n", "From",
     "\"A - a at x.example\" <" REWRITTEN_REVERSE ">"},
    {"From: nobody usable\r\n", "From", "\"unknown sender\" <" REWRITTEN_REVERSE ">"},
    {"", "From", "\"unknown sender\" <" REWRITTEN_REVERSE ">"},
    /* the others: mapped, or left out */
    {"", "To", REWRITTEN_ALIAS},
    {"To: Shop <SHOP@relay.example>\r\n", "To", "\"Shop\" <" REWRITTEN_ALIAS ">"},
    {"To: bob@b.example\r\n", "To",
     "\"bob at b.example\" <r-bob-b.example@relay.example>, " REWRITTEN_ALIAS},
    {"To: bob@b.example\r\nCc: shop@relay.example\r\n", "To",
     "\"bob at b.example\" <r-bob-b.example@relay.example>"},
    {"To: bob@nomap.example\r\nCc: shop@relay.example\r\n", "To", REWRITTEN_ALIAS},
    {"To: bob@nomap.example\r\nTo: c@c.example\r\n", "To",
     "\"c at c.example\" <r-c-c.example@relay.example>, " REWRITTEN_ALIAS},
    {"To: undisclosed-recipients:;\r\n", "To", REWRITTEN_ALIAS},
    {"Cc: bob@nomap.example\r\n", "Cc", "-"},
    {"Cc: Bob <bob@b.example>, x\r\n", "Cc",
     "\"Bob - bob at b.example\" <r-bob-b.example@relay.example>"},
    {"From: a@x.example\r\nCc: a@x.example\r\n", "Cc",
     "\"a at x.example\" <r-a-x.example@relay.example>"},
    {"From: a@nomap.example\r\nCc: a@nomap.example\r\n", "Cc",
     "\"a at nomap.example\" <" REWRITTEN_REVERSE ">"},
    {"Reply-To: List <l@l.example>\r\n", "Reply-To",
     "\"List - l at l.example\" <r-l-l.example@relay.example>"},
    {"Reply-To: l@nomap.example, shop@relay.example\r\n", "Reply-To", "-"},
    /* the subject */
    {"Subject: Hello world\r\n", "Subject", "Hello world"},
    {"Subject: =?utf-8?Q?h=C3=A4?=\r\n =?utf-8?Q?llo?=\r\n", "Subject",
     "=?utf-8?Q?h=C3=A4?= =?utf-8?Q?llo?="},
    {"Subject: one\r\nSubject: two\r\n", "Subject", "one"},
    {"Subject:  \r\n", "Subject", "-"},
    {"", "Subject", "-"},
    /* Date within the certificate's life stays, anything else is now */
    {"Date: Sun, 22 Nov 2026 05:00:00 +0100\r\n", "Date", "Sun, 22 Nov 2026 05:00:00 +0100"},
    {"Date: 22 Nov 26 05:00 MET\r\n", "Date", "Sun, 22 Nov 2026 05:00:00 +0000"},
    {"Date: Sun, 22 Nov 2026 07:59:06 +0000\r\n", "Date", "Sun, 22 Nov 2026 07:59:06 +0000"},
    {"Date: Sun, 22 Nov 2026 07:59:07 +0000\r\n", "Date", "Sun, 22 Nov 2026 06:59:06 +0000"},
    {"Date: Fri, 23 Oct 2026 06:59:06 +0000\r\n", "Date", "Fri, 23 Oct 2026 06:59:06 +0000"},
    {"Date: Fri, 23 Oct 2026 06:59:05 +0000\r\n", "Date", "Sun, 22 Nov 2026 06:59:06 +0000"},
    {"Date: yesterday\r\n", "Date", "Sun, 22 Nov 2026 06:59:06 +0000"},
    {"", "Date", "Sun, 22 Nov 2026 06:59:06 +0000"},
    /* threading */
    {"Message-ID: <1@x.example>\r\n", "Message-ID", "<1@x.example>"},
    {"Message-Id:\r\n <1@x.example>\r\n", "Message-ID", "<1@x.example>"},
    {"In-Reply-To: <1@x> (yours) <2@y>\r\n", "In-Reply-To", "<1@x> <2@y>"},
    {"References: <1@x>\r\n\t<2\xc3\xa4@y> <3@z> <4@ z> <<5@z>\r\n", "References",
     "<1@x> <3@z> <5@z>"},
    {"References: none\r\n", "References", "-"},
    /* lists and robots */
    {"List-Id: My list <l.example>\r\n", "List-Id", "My list <l.example>"},
    {"List-Unsubscribe: <mailto:u@l.example>, <https://l.example/u?\r\n x=1>\r\n",
     "List-Unsubscribe", "<https://l.example/u?x=1>"},
    {"List-Unsubscribe: <mailto:u@l.example>\r\n", "List-Unsubscribe", "-"},
    {"List-Unsubscribe: <HTTP://l.example/>, <ftp://l.example/>\r\n", "List-Unsubscribe",
     "<HTTP://l.example/>"},
    {"List-Unsubscribe: <https://l.example/u>\r\n"
     "List-Unsubscribe-Post: list-unsubscribe=one-click\r\n",
     "List-Unsubscribe-Post", "List-Unsubscribe=One-Click"},
    {"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", "List-Unsubscribe-Post", "-"},
    {"List-Unsubscribe: <mailto:u@l.example>\r\n"
     "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
     "List-Unsubscribe-Post", "-"},
    {"Auto-Submitted: auto-replied\r\n", "Auto-Submitted", "auto-replied"},
    {"Precedence: bulk\r\n", "Precedence", "bulk"},
    /* everything else stays behind */
    {"Received: from home by x\r\n", "Received", "-"},
    {"X-Mailer: x\r\n", "X-Mailer", "-"},
    {"Sender: s@x.example\r\n", "Sender", "-"},
    {"Bcc: b@x.example\r\n", "Bcc", "-"},
    {"Sealrelay-Verdict: pass\r\n", "Sealrelay-Verdict", "-"},
    {"HP-Outer: Subject: x\r\n", "HP-Outer", "-"},
    {"Content-Type: text/plain\r\n", "Content-Type", "-"},
    {"", "Sealrelay-Loop", "relay1"},
};

static void fields_are_written_as_the_user_shall_see_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP(buf_clear) struct buf raw = {0};
        CLEANUP(rewritten_clear) struct rewritten r;

        buf_append_str(&raw, cases[i].raw);
        buf_append_str(&raw, "\r\nbody\r\n");
        rewritten_make(buf_str(&raw), false, &r);
        if (strcmp(rewritten_value(&r.outer, cases[i].field), cases[i].want) != 0)
            fail_msg("%s became %s", cases[i].raw, rewritten_value(&r.outer, cases[i].field));
    }
}

static void unusable_message_ids_are_replaced(void **state)
{
    static const char *const bad[] = {
        "\r\nx",
        "Message-ID: \r\n\r\nx",
        "Message-ID: <a b@c>\r\n\r\nx",
        "Message-ID: <\xc3\xa4@b.example>\r\n\r\nx",
        "Message-ID: 1@x.example\r\n\r\nx",
        "Message-ID: <>\r\n\r\nx",
        "Message-ID: <1@x> <2@y>\r\n\r\nx",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CLEANUP(rewritten_clear) struct rewritten r;

        rewritten_make(bad[i], false, &r);
        assert_non_null(r.out.made_message_id);
        assert_string_equal(rewritten_value(&r.outer, "Message-ID"), r.out.made_message_id);
        assert_non_null(strstr(r.out.made_message_id, "@relay.example>"));
    }
}

static void signing_time_goes_with_the_outer_date(void **state)
{
    CLEANUP(rewritten_clear) struct rewritten kept, replaced;

    (void)state;
    rewritten_make("Date: Sun, 22 Nov 2026 05:00:00 +0100\r\n\r\n", false, &kept);
    rewritten_make("Date: Sun, 22 Nov 2006 05:00:00 +0100\r\n\r\n", false, &replaced);
    assert_int_equal(kept.out.signing_time_s, 1795320000);
    assert_int_equal(replaced.out.signing_time_s, REWRITTEN_NOW_S);
}

static size_t at_signs(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += *s == '@' ? 1 : 0;
    return n;
}

static void at_most_twenty_addresses_are_mapped(void **state)
{
    CLEANUP(buf_clear) struct buf raw = {0};
    CLEANUP(rewritten_clear) struct rewritten r;

    (void)state;
    buf_append_str(&raw, "To: a@b.example");
    for (unsigned i = 0; i < 14; i++)
        buf_printf(&raw, ",\r\n a%u@b.example", i);
    buf_append_str(&raw, "\r\nCc: z@b.example");
    for (unsigned i = 0; i < 30; i++)
        buf_printf(&raw, ", z%u@b.example", i);
    buf_append_str(&raw, "\r\n\r\n");
    rewritten_make(buf_str(&raw), false, &r);
    assert_int_equal(at_signs(rewritten_value(&r.outer, "To")), 15 + 1);
    assert_int_equal(at_signs(rewritten_value(&r.outer, "Cc")), REWRITE_ADDRESSES_MAX - 15);
}

static void outer_header_is_short_lines_of_ascii(void **state)
{
    CLEANUP(buf_clear) struct buf raw = {0};
    CLEANUP(rewritten_clear) struct rewritten r;
    size_t column = 0;

    (void)state;
    buf_append_str(&raw, "From: \"");
    for (unsigned i = 0; i < 400; i++)
        buf_append_str(&raw, "\\\"n\xc3\xa4me ");
    buf_append_str(&raw, "\" <a@x.example>\r\nSubject: ");
    for (unsigned i = 0; i < 3000; i++)
        buf_append_str(&raw, "=?utf-8?Q?x?=\xff");
    buf_append_str(&raw, "\r\nReferences:");
    for (unsigned i = 0; i < 300; i++)
        buf_printf(&raw, " <%u@x.example>", i);
    buf_append_str(&raw, "\r\n\r\n");
    rewritten_make(buf_str(&raw), false, &r);
    for (size_t i = 0; i < r.out.outer.len; i++) {
        uint8_t c = r.out.outer.data[i];

        assert_true(c == '\r' || c == '\n' || (c >= 0x20 && c < 0x7f));
        column = c == '\n' ? 0 : column + 1;
        assert_true(column <= 120);
    }
    assert_true(r.out.outer.len < 40000);
    assert_int_equal(at_signs(rewritten_value(&r.outer, "References")), 32);
    assert_non_null(
        strstr(rewritten_value(&r.outer, "References"), "<0@x.example> <269@x.example>"));
}

static void earlier_passages_stay_in_the_loop_fields(void **state)
{
    CLEANUP(rewritten_clear) struct rewritten r;

    (void)state;
    rewritten_make("Sealrelay-Loop: relay1\r\nSealrelay-Loop: other\r\nSealrelay-Loop: a b\r\n\r\n",
                   false, &r);
    assert_int_equal(message_count(&r.outer, "Sealrelay-Loop"), 3);
}

static void repeat(struct buf *out, const char *line, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_append_str(out, line);
}

static void what_must_not_pass_is_refused(void **state)
{
    static const struct {
        const char *line;
        unsigned n;
        enum err want;
    } refused[] = {
        {"From: a@b.example\r\n", 1, ERR_OK},
        {"From: a@b.example\r\n", 2, ERR_TWO_FROM},
        {"fRoM : a@b.example\r\n", 2, ERR_TWO_FROM},
        {"Received: x\r\n", 50, ERR_OK},
        {"Received: x\r\n", 51, ERR_HOPS},
        {"Sealrelay-Loop: relay1\r\n", 4, ERR_OK},
        {"Sealrelay-Loop: relay1\r\n", 5, ERR_LOOP},
        {"Sealrelay-Loop: other\r\n", 25, ERR_OK},
        {"Sealrelay-Loop: other\r\n", 26, ERR_LOOP},
        {"From: r-abcdefghijklmnop@RELAY.example\r\n", 1, ERR_LOOP},
        {"From: r-abcdefghijklmnop@other.example\r\n", 1, ERR_OK},
        {"From: info@relay.example\r\n", 1, ERR_OK},
    };
    static const char *const domains[] = {"x.example", "relay.example"};

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CLEANUP(buf_clear) struct buf raw = {0};
        CLEANUP(message_clear) struct message m = {0};
        CLEANUP(rewrite_parties_clear) struct rewrite_parties p = {0};

        repeat(&raw, refused[i].line, refused[i].n);
        assert_int_equal(message_parse(buf_bytes(&raw), &m), ERR_OK);
        assert_int_equal(rewrite_parties_find(&m, "relay1", domains, 2, &p), refused[i].want);
        err_note_clear();
    }
}

static void doubtful_senders_and_spam_are_marked_where_clients_and_filters_look(void **state)
{
    static const struct {
        const char *raw;
        bool unverified, spam;
        const char *from, *flag;
    } marked[] = {
        {"From: Al <al@x.example>\r\n", false, false, "\"Al - al at x.example\"", "-"},
        {"From: Al <al@x.example>\r\n", true, false, "\"[unverified] Al - al at x.example\"", "-"},
        {"From: al@x.example\r\n", true, true, "\"[unverified] al at x.example\"", "YES"},
        {"Subject: nobody\r\n", true, false, "\"[unverified] unknown sender\"", "-"},
        {"From: Al <al@x.example>\r\nX-Spam-Flag: NO\r\n", false, true, "\"Al - al at x.example\"",
         "YES"},
        {"From: Al <al@x.example>\r\nX-Spam-Flag: YES\r\n", false, false,
         "\"Al - al at x.example\"", "-"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof marked / sizeof marked[0]; i++) {
        CLEANUP(rewritten_clear) struct rewritten r;
        size_t len = strlen(marked[i].from);

        rewritten_make_marked(marked[i].raw, marked[i].unverified, marked[i].spam, &r);
        assert_int_equal(strncmp(rewritten_value(&r.outer, "From"), marked[i].from, len), 0);
        assert_int_equal(strncmp(rewritten_value(&r.inner, "From"), marked[i].from, len), 0);
        assert_string_equal(rewritten_value(&r.outer, "X-Spam-Flag"), marked[i].flag);
        assert_string_equal(rewritten_value(&r.inner, "X-Spam-Flag"), marked[i].flag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_written_as_the_user_shall_see_them),
        cmocka_unit_test(unusable_message_ids_are_replaced),
        cmocka_unit_test(signing_time_goes_with_the_outer_date),
        cmocka_unit_test(at_most_twenty_addresses_are_mapped),
        cmocka_unit_test(outer_header_is_short_lines_of_ascii),
        cmocka_unit_test(earlier_passages_stay_in_the_loop_fields),
        cmocka_unit_test(what_must_not_pass_is_refused),
        cmocka_unit_test(doubtful_senders_and_spam_are_marked_where_clients_and_filters_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
