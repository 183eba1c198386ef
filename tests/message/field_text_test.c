/* SPDX-License-Identifier: GPL-3.0-or-later */
/* field_text_test.c - dates, Content-Type values, and unstructured text. */
#include "daemon/message/address.h"
#include "daemon/message/content_type.h"
#include "daemon/message/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void dates_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t time_s;
        int offset_min;
    } cases[] = {
        {" Sun, 22 Nov 2026 06:59:06 +0000", 1795330746, 0},
        {" Sun, 22 Nov 2026 08:59:06 +0200", 1795330746, 120},
        {" 22 Nov 2026 06:59 -0000", 1795330740, 0},
        {"Sun, 22 Nov 2026\r\n 01:59:06 (comment (nested)) EST (x", 1795330746, -300},
        {"Sun,22 nov 26 06:59:06 GMT", 1795330746, 0},
        {"Thu, 1 Jan 70 00:00:00 Z", 0, 0},
        {"1 Jan 100 00:00:00 +0000", 946684800, 0},
        {"Sat, 31 Dec 2016 23:59:60 +0000", 1483228800, 0},
        {"29 Feb 2024 00:00:00 FOO", 1709164800, 0},
        {"1 Jan 1960 00:00:00 +0000", -315619200, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct date d = {0};

        assert_int_equal(date_parse(bytes_of(cases[i].text), &d), ERR_OK);
        assert_int_equal(d.time_s, cases[i].time_s);
        assert_int_equal(d.offset_min, cases[i].offset_min);
    }
}

static void what_is_no_date_is_told_so(void **state)
{
    static const char *const cases[] = {
        "",
        "yesterday",
        "2026-11-22T06:59:06Z",
        "Sun Nov 22 06:59:06 2026",
        "32 Jan 2026 00:00:00 +0000",
        "29 Feb 2026 00:00:00 +0000",
        "0 Jan 2026 00:00:00 +0000",
        "1 Jan 2026 24:00:00 +0000",
        "1 Jan 2026 00:60:00 +0000",
        "1 Jan 2026 00:00:61 +0000",
        "1 Jan 2026 00:00:00 +00000",
        "1 Jan 2026 00:00:00 +0090",
        "1 Jan 2026 00:00:00 +0000 more",
        "1 January 2026 00:00:00 +0000",
        "1 Jan 12026 00:00:00 +0000",
        "1 Jan 1000 00:00:00 +0000",
        "1 Jan 2026",
        "1 Jan 2026 00",
        "99999999999 Jan 2026 00:00:00 +0000",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct date d;

        if (date_parse(bytes_of(cases[i]), &d) != ERR_FORMAT)
            fail_msg("%s", cases[i]);
    }
}

static void dates_are_written_as_they_would_be_read(void **state)
{
    static const struct {
        struct date date;
        const char *text;
    } cases[] = {
        {{1795330746, 0}, "Sun, 22 Nov 2026 06:59:06 +0000"},
        {{1795330746, -330}, "Sun, 22 Nov 2026 01:29:06 -0530"},
        {{0, 60}, "Thu, 01 Jan 1970 01:00:00 +0100"},
        {{-315619200, 0}, "Fri, 01 Jan 1960 00:00:00 +0000"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP(buf_clear) struct buf b = {0};
        struct date again = {0};

        date_append(&b, &cases[i].date);
        assert_string_equal(buf_str(&b), cases[i].text);
        assert_int_equal(date_parse(buf_bytes(&b), &again), ERR_OK);
        assert_int_equal(again.time_s, cases[i].date.time_s);
        assert_int_equal(again.offset_min, cases[i].date.offset_min);
    }
}

static void content_types_are_judged_by_the_letter(void **state)
{
    static const struct {
        const char *value;
        bool parses;
    } cases[] = {
        {" text/plain", true},
        {" text/plain; charset=us-ascii", true},
        {"\r\n text/plain;\r\n\tcharset=\"utf-8\"", true},
        {" text / plain (a (nested) \\) one) ; x = \"q\\\"\" (end)", true},
        {" multipart/mixed; boundary=\"----=_Part; 1\"", true},
        {" multipart/mixed; boundary=----=_Part", false},
        {" text/plain;", false},
        {" text/plain;; charset=x", false},
        {" text", false},
        {" text/", false},
        {" /plain", false},
        {"", false},
        {" text/plain charset=x", false},
        {" text/plain; charset", false},
        {" text/plain; charset=", false},
        {" text/plain; =x", false},
        {" text/plain; charset=\"open", false},
        {" text/plain (open", false},
        {" text/plain; name=\"\xe4\"", false},
        {" text/plain; name=\xe4", false},
        {" text/plain; charset=\"a\"b", false},
        {" text/pl\xe4in", false},
        {" text/plain, text/html", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct content_type ct;

        content_type_read(bytes_of(cases[i].value), &ct);
        if (ct.parses != cases[i].parses)
            fail_msg("%s", cases[i].value);
    }
}

static void what_a_content_type_says_is_read_past_faults(void **state)
{
    static const struct {
        const char *value, *type, *subtype, *protocol, *smime_type;
        bool has_hp;
    } cases[] = {
        {" Application/X-PKCS7-Mime; SMIME-Type=Signed-Data", "application", "x-pkcs7-mime", "",
         "signed-data", false},
        {" multipart/signed;; protocol=application/pkcs7-signature; hp=\"clear\"", "multipart",
         "signed", "application/pkcs7-signature", "", true},
        {" application/pkcs7-mime; name=\xe4; smime-type=\"certs-only\"; smime-type=x",
         "application", "pkcs7-mime", "", "certs-only", false},
        {" text/plain; x=\"; smime-type=signed-data\"", "text", "plain", "", "", false},
        {" garbage", "garbage", "", "", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct content_type ct;

        content_type_read(bytes_of(cases[i].value), &ct);
        assert_string_equal(ct.type, cases[i].type);
        assert_string_equal(ct.subtype, cases[i].subtype);
        assert_string_equal(ct.protocol, cases[i].protocol);
        assert_string_equal(ct.smime_type, cases[i].smime_type);
        assert_int_equal(ct.has_hp, cases[i].has_hp);
    }
}

static void unstructured_text_becomes_ascii(void **state)
{
    static const char *const cases[][2] = {
        {" plain words", "plain words"},
        {" =?utf-8?Q?kept?= as =?x?q?it?= is", "=?utf-8?Q?kept?= as =?x?q?it?= is"},
        {" Gr\xc3\xbc\xc3\x9f"
         "e an alle",
         "=?utf-8?B?R3LDvMOfZQ==?= an alle"},
        {" Gr\xfc\xdf"
         "e",
         "=?windows-1252?B?R3L832U=?="},
        {" \xc3\xa4 \xc3\xb6 x", "=?utf-8?B?w6Qgw7Y=?= x"},
        {" =?utf-8?Q?a?= \xc3\xa4 =?utf-8?Q?b?=",
         "=?utf-8?Q?a?= =?utf-8?B?IMOkIA==?= =?utf-8?Q?b?="},
        {" folded\r\n text", "folded text"},
        {" bell\x07", "bell?"},
        {"  ", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP(buf_clear) struct buf b = {0};

        assert_int_equal(unstructured_append(&b, bytes_of(cases[i][0])), ERR_OK);
        assert_string_equal(buf_str(&b), cases[i][1]);
    }
}

static size_t longest_line(const struct buf *b)
{
    size_t longest = 0;
    size_t column = 0;

    for (size_t i = 0; i < b->len; i++) {
        column = b->data[i] == '\n' ? 0 : column + 1;
        longest = column > longest ? column : longest;
    }
    return longest;
}

static void long_text_is_folded_and_bounded(void **state)
{
    CLEANUP(buf_clear) struct buf words = {0};
    CLEANUP(buf_clear) struct buf letters = {0};
    CLEANUP(buf_clear) struct buf b = {0};

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        buf_append_str(&words, i % 7 ? "word " : "w\xc3\xb6rter ");
        buf_append_str(&letters, "x");
    }
    buf_append_str(&b, "Subject: ");
    assert_int_equal(unstructured_append(&b, buf_bytes(&words)), ERR_OK);
    assert_true(longest_line(&b) <= 79);
    assert_true(b.len < 2 * (size_t)UNSTRUCTURED_MAX_BYTES);
    buf_reset(&b);
    buf_append_str(&b, "Subject: ");
    assert_int_equal(unstructured_append(&b, buf_bytes(&letters)), ERR_OK);
    assert_true(longest_line(&b) <= 79);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_read),
        cmocka_unit_test(what_is_no_date_is_told_so),
        cmocka_unit_test(dates_are_written_as_they_would_be_read),
        cmocka_unit_test(content_types_are_judged_by_the_letter),
        cmocka_unit_test(what_a_content_type_says_is_read_past_faults),
        cmocka_unit_test(unstructured_text_becomes_ascii),
        cmocka_unit_test(long_text_is_folded_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
