/* SPDX-License-Identifier: GPL-3.0-or-later */
/* header_test.c - the header a correspondent sees: who the alias writes to, in which thread. */
#include "tests/clean/cleaning.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define TO   "To: " CLEANING_REVERSE "\r\n"
#define NOW  "Sun, 22 Nov 2026 08:00:00 +0000"
#define GONE NULL

struct field_case {
    const char *raw; /* header lines */
    const char *field, *want;
};

static const struct field_case cases[] = {
    {"From: Jane Roe <" CLEANING_MAILBOX ">\r\n" TO, "From", CLEANING_ALIAS},
    /* recipients */
    {TO, "To", CLEANING_REAL},
    {"To: \"Bob - bob at corp.example\" <" CLEANING_REVERSE ">\r\n", "To",
     "\"Bob\" <bob@corp.example>"},
    {"To: \"bob at corp.example\" <R-abcdefghijklmnop@RELAY.example>\r\n", "To", CLEANING_REAL},
    {"To: B\xc3\xb6 <" CLEANING_REVERSE ">\r\n", "To", "=?utf-8?B?QsO2?= <bob@corp.example>"},
    {"To: \"x@y\" <" CLEANING_REVERSE ">\r\n", "To", CLEANING_REAL},
    {"To: \"for jane.roe at home.example\" <" CLEANING_REVERSE ">\r\n", "To", CLEANING_REAL},
    {TO "Cc: " CLEANING_OTHER ", " CLEANING_ALIAS "\r\n", "Cc", "eve@net.example"},
    {TO "Cc: Me <" CLEANING_MAILBOX ">\r\n", "Cc", GONE},
    {TO "Cc: jane.roe+x@home.example\r\n", "Cc", GONE},
    {"To: " CLEANING_ALIAS "\r\nBcc: " CLEANING_REVERSE "\r\n", "To", "undisclosed-recipients:;"},
    {"Bcc: " CLEANING_REVERSE "\r\n", "Bcc", GONE},
    /* Subject */
    {TO "Subject: Re: hello\r\n", "Subject", "Re: hello"},
    {TO "Subject: =?utf-8?Q?jane=2Eroe=40home.example?=\r\n", "Subject", CLEANING_ALIAS},
    {TO "Subject: bob at corp.example\r\n", "Subject", CLEANING_REAL},
    {TO "Subject: =?iso-2022-jp?B?GyRCJDMbKEI=?=\r\n", "Subject", "=?utf-8?B?44GT?="},
    {TO "Subject: \r\n", "Subject", GONE},
    /* Date: in UTC, and now if it is not near */
    {TO "Date: Sun, 22 Nov 2026 09:30:00 +0200\r\n", "Date", "Sun, 22 Nov 2026 07:30:00 +0000"},
    {TO "Date: Sun, 22 Nov 2026 09:00:01 +0000\r\n", "Date", NOW},
    {TO "Date: Sun, 15 Nov 2026 07:59:59 +0000\r\n", "Date", NOW},
    {TO "Date: Sun, 15 Nov 2026 08:00:00 +0000\r\n", "Date", "Sun, 15 Nov 2026 08:00:00 +0000"},
    {TO "Date: yesterday\r\n", "Date", NOW},
    {TO, "Date", NOW},
    /* threads */
    {TO "In-Reply-To: <1@corp.example>\r\n", "In-Reply-To", "<1@corp.example>"},
    {TO "In-Reply-To: <own-1@home.example>\r\n", "In-Reply-To", "<mapped-1@relay.example>"},
    {TO "References: <a@x> <own-1@home.example>\r\n <b@y>\r\n", "References",
     "<a@x> <mapped-1@relay.example> <b@y>"},
    {TO "References: <x@home.example>\r\n", "References", GONE},
    {TO "References: <x@mail.home.example> <a@x>\r\n", "References", "<a@x>"},
    {TO "References: <x@anotherhome.example>\r\n", "References", "<x@anotherhome.example>"},
    {TO "References: <known@home.example>\r\n", "References", "<known@home.example>"},
    {TO "References: <jane.roe=home.example@x>\r\n", "References", GONE},
    {TO "References: <jane.roe@home.example-1@x> <jane.roe@home.example.1@y>\r\n", "References",
     GONE},
    {TO "Message-ID: <1@laptop>\r\nReferences: <2@laptop> <3@other>\r\n", "References",
     "<3@other>"},
    {TO "Message-ID: <1@mail.big.example>\r\nReferences: <2@mail.big.example>\r\n", "References",
     "<2@mail.big.example>"},
    {TO "In-Reply-To: Your message of Monday\r\n", "In-Reply-To", GONE},
    /* what else may stay */
    {TO "Importance: HIGH\r\n", "Importance", "high"},
    {TO "X-Priority: 2 (High)\r\n", "Importance", "high"},
    {TO "X-Priority: 3\r\n", "Importance", GONE},
    {TO "Priority: urgent\r\n", "Priority", "urgent"},
    {TO "Priority: jane\r\n", "Priority", GONE},
    {TO "Auto-Submitted: auto-replied; owner-email=\"jane\"\r\n", "Auto-Submitted", "auto-replied"},
    {TO "Auto-Submitted: no\r\n", "Auto-Submitted", GONE},
    {TO "X-Mailer: x\r\n", "X-Mailer", GONE},
    {TO "Reply-To: x@y.example\r\n", "Reply-To", GONE},
};

static void field_check(const struct clean_output *out, const struct field_case *c)
{
    CLEANUP(message_clear) struct message m = {0};
    CLEANUP(buf_clear) struct buf value = {0};
    const struct message_field *f;

    assert_int_equal(message_parse(buf_bytes(&out->header), &m), ERR_OK);
    f = message_find(&m, c->field, 0);
    if (!f != !c->want)
        print_message("%s", c->raw);
    assert_int_equal(f != NULL, c->want != NULL);
    assert_true(message_count(&m, c->field) <= 1);
    if (!f)
        return;
    assert_int_equal(message_unfold(f->value, &value), ERR_OK);
    assert_string_equal(buf_str(&value), c->want);
}

static void fields_are_written_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP(buf_clear) struct buf raw = {0};
        CLEANUP(clean_output_clear) struct clean_output out = {0};
        struct clean_refusal refusal = {0};

        buf_printf(&raw, "%s\r\nhi\r\n", cases[i].raw);
        assert_int_equal(clean_message(buf_bytes(&raw), &out, &refusal), ERR_OK);
        field_check(&out, &cases[i]);
    }
}

static void a_stranger_among_the_recipients_is_refused(void **state)
{
    static const char *const headers[] = {
        TO "Cc: carol@third.example\r\n\r\n",
        "To: carol@third.example\r\n\r\n",
        "To: r-aaaaaaaaaaaaaaaa@relay.example\r\n\r\n",
        TO "Cc: friends: carol@third.example, " CLEANING_OTHER ";\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct clean_output out = {0};
        struct clean_refusal refusal = {0};

        assert_int_equal(clean_message(bytes_of(headers[i]), &out, &refusal), ERR_REFUSED);
        assert_int_equal(refusal.reason, CLEAN_RECIPIENT);
        assert_null(out.header.data);
    }
}

static void the_new_id_is_told_with_the_one_it_stands_for(void **state)
{
    CLEANUP(clean_output_clear) struct clean_output out = {0};
    struct clean_refusal refusal = {0};

    (void)state;
    assert_int_equal(
        clean_message(bytes_of(TO "Message-ID: <1@home.example>\r\n\r\n"), &out, &refusal), ERR_OK);
    assert_string_equal(out.original_id, "<1@home.example>");
    assert_non_null(strstr(out.message_id, "@" CLEANING_DOMAIN ">"));
    assert_non_null(strstr(buf_str(&out.header), out.message_id));
    assert_null(strstr(buf_str(&out.header), "<1@home.example>"));
}

/* Outside and inside say different things; who counts? */
struct protection_case {
    const char *entity, *field, *want;
};

static const struct protection_case protections[] = {
    /* nothing protected: what looks like a header inside is no header */
    {"Subject: inner\r\nContent-Type: text/plain\r\n\r\nx", "Subject", "outer"},
    /* RFC 9788: inside counts, and what is only outside does not */
    {"Subject: inner\r\nContent-Type: text/plain; hp=\"cipher\"\r\n\r\nx", "Subject", "inner"},
    {"Content-Type: text/plain; hp=\"cipher\"\r\n\r\nx", "Subject", GONE},
    {"To: " CLEANING_OTHER "\r\nContent-Type: text/plain; hp=\"clear\"\r\n\r\nx", "To",
     "eve@net.example"},
    {"Content-Type: text/plain; hp=\"clear\"\r\n\r\nx", "To", CLEANING_REAL},
    {"HP-Outer: Subject: outer\r\nContent-Type: text/plain; hp=\"clear\"\r\n\r\nx", "HP-Outer",
     GONE},
    /* its forerunner: inside first */
    {"Subject: inner\r\nContent-Type: text/plain; protected-headers=\"v1\"\r\n\r\nx", "Subject",
     "inner"},
    {"Content-Type: text/plain; protected-headers=\"v1\"\r\n\r\nx", "Subject", "outer"},
    /* RFC 8551: the whole message inside */
    {"Content-Type: message/rfc822; forwarded=no\r\n\r\nSubject: inner\r\n\r\nx", "Subject",
     "inner"},
    {"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx", "Subject", "outer"},
};

static void protected_fields_count_before_outer_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof protections / sizeof protections[0]; i++) {
        const struct field_case c = {protections[i].entity, protections[i].field,
                                     protections[i].want};
        CLEANUP(clean_output_clear) struct clean_output out = {0};
        struct clean_refusal refusal = {0};

        assert_int_equal(clean_entity(bytes_of(TO "Subject: outer\r\n\r\n"),
                                      bytes_of(protections[i].entity), &out, &refusal),
                         ERR_OK);
        field_check(&out, &c);
        assert_null(strstr(buf_str(&out.entity), "hp="));
        assert_null(strstr(buf_str(&out.entity), "protected"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_written_anew),
        cmocka_unit_test(a_stranger_among_the_recipients_is_refused),
        cmocka_unit_test(the_new_id_is_told_with_the_one_it_stands_for),
        cmocka_unit_test(protected_fields_count_before_outer_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
