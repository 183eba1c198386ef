/* SPDX-License-Identifier: GPL-3.0-or-later */
/* message_test.c - header and body are split by lines and colons alone. */
#include "daemon/message/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fields are told as "name=value|". */
struct split_case {
    const char *raw, *fields, *body;
};

static const struct split_case split_cases[] = {
    {"A: b\r\n\r\nbody\r\n", "A= b|", "body\r\n"},
    {"A: b\r\n c\r\n\td\r\nE:f\r\n\r\n", "A= b\r\n c\r\n\td|E=f|", ""},
    {"A: b\r\n \r\nC: d\r\n\r\nx", "A= b\r\n |C= d|", "x"},
    {"A \t: b\r\n\r\n", "A= b|", ""},
    {"A: b\r\nno colon\r\n c: d\r\nE: f\r\n\r\n", "A= b|E= f|", ""},
    {" first: blank\r\n more\r\nA: b\r\n\r\n", "A= b|", ""},
    {"\r\nA: b\r\n\r\nx", "", "A: b\r\n\r\nx"},
    {"A: b\r\n", "A= b|", ""},
    {"A: b", "A= b|", ""},
    {": nameless\r\nA: b\r\n\r\n", "A= b|", ""},
    {"From a@b Sat Jan  1 00:00:00 2000\r\nA: b\r\n\r\n", "From a@b Sat Jan  1 00=00:00 2000|A= b|",
     ""},
    {"X-\xe4: b\r\nContent-Odd name: c\r\n\r\n", "X-\xe4= b|Content-Odd name= c|", ""},
    {"", "", ""},
};

static void messages_are_split_at_the_first_empty_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof split_cases / sizeof split_cases[0]; i++) {
        CLEANUP(message_clear) struct message m = {0};
        CLEANUP(buf_clear) struct buf told = {0};

        assert_int_equal(message_parse(bytes_of(split_cases[i].raw), &m), ERR_OK);
        for (size_t f = 0; f < m.n_fields; f++) {
            buf_append_bytes(&told, m.fields[f].name);
            buf_append_str(&told, "=");
            buf_append_bytes(&told, m.fields[f].value);
            buf_append_str(&told, "|");
        }
        assert_string_equal(buf_str(&told), split_cases[i].fields);
        assert_true(bytes_equal(m.body, bytes_of(split_cases[i].body)));
    }
}

static void whole_field_is_its_lines_with_crlf(void **state)
{
    CLEANUP(message_clear) struct message m = {0};

    (void)state;
    assert_int_equal(message_parse(bytes_of("A: b\r\nC: d\r\n e\r\nF: g\r\n\r\n"), &m), ERR_OK);
    assert_true(bytes_equal(m.fields[1].whole, bytes_of("C: d\r\n e\r\n")));
}

static void bare_line_ends_and_nul_in_the_header_are_refused(void **state)
{
    static const struct bytes cases[] = {
        {(const uint8_t *)"A: b\nC: d\r\n\r\n", 14},
        {(const uint8_t *)"A: b\rC: d\r\n\r\n", 14},
        {(const uint8_t *)"A: b\r\r\n\r\n", 9},
        {(const uint8_t *)"A: b\0C\r\n\r\n", 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message m = {0};

        assert_int_equal(message_parse(cases[i], &m), ERR_BARE_LINE);
        assert_null(m.fields);
    }
    err_note_clear();
}

static void header_over_its_limits_is_refused(void **state)
{
    CLEANUP(buf_clear) struct buf many = {0};
    CLEANUP(buf_clear) struct buf large = {0};
    struct message m = {0};

    (void)state;
    for (unsigned i = 0; i <= MESSAGE_FIELDS_MAX; i++)
        buf_append_str(&many, "A: b\r\n");
    assert_int_equal(message_parse(buf_bytes(&many), &m), ERR_HEADER);
    many.len -= 6;
    assert_int_equal(message_parse(buf_bytes(&many), &m), ERR_OK);
    message_clear(&m);
    buf_append_str(&large, "A: ");
    while (large.len <= MESSAGE_HEADER_MAX_BYTES)
        buf_append_str(&large, "0123456789\r\n ");
    buf_append_str(&large, "\r\n\r\n");
    assert_int_equal(message_parse(buf_bytes(&large), &m), ERR_HEADER);
    err_note_clear();
}

static void fields_are_found_by_name_without_case(void **state)
{
    CLEANUP(message_clear) struct message m = {0};

    (void)state;
    assert_int_equal(message_parse(bytes_of("to: a\r\nTO : b\r\nTok: c\r\n\r\n"), &m), ERR_OK);
    assert_int_equal(message_count(&m, "To"), 2);
    assert_true(bytes_equal(message_find(&m, "To", 1)->value, bytes_of(" b")));
    assert_null(message_find(&m, "To", 2));
    assert_ptr_equal(message_next(&m, "To", NULL), message_find(&m, "To", 0));
    assert_ptr_equal(message_next(&m, "to", message_find(&m, "To", 0)), message_find(&m, "To", 1));
    assert_null(message_next(&m, "To", message_find(&m, "To", 1)));
    assert_null(message_next(&m, "Cc", NULL));
}

static void unfolding_joins_lines_and_masks_control_bytes(void **state)
{
    static const char *const cases[][2] = {
        {"  a\r\n b\r\n\tc  ", "a b c"},
        {"\r\n a", "a"},
        {" \t ", ""},
        {"a\x01\x7f\x1b"
         "b",
         "a???b"},
        {"\xe4\xff", "\xe4\xff"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP(buf_clear) struct buf b = {0};

        assert_int_equal(message_unfold(bytes_of(cases[i][0]), &b), ERR_OK);
        assert_string_equal(buf_str(&b), cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_split_at_the_first_empty_line),
        cmocka_unit_test(whole_field_is_its_lines_with_crlf),
        cmocka_unit_test(bare_line_ends_and_nul_in_the_header_are_refused),
        cmocka_unit_test(header_over_its_limits_is_refused),
        cmocka_unit_test(fields_are_found_by_name_without_case),
        cmocka_unit_test(unfolding_joins_lines_and_masks_control_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
