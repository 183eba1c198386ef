/* SPDX-License-Identifier: GPL-3.0-or-later */
/* json_test.c - the strict reader of the files that relay and user's tool exchange. */
#include "provisioning/enroll/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct target {
    char *text;
    int64_t number;
    struct json_list list;
};

static const struct json_key keys[] = {
    {"text", offsetof(struct target, text), JSON_STRING, true},
    {"number", offsetof(struct target, number), JSON_NUMBER, false},
    {"list", offsetof(struct target, list), JSON_LIST, false},
};

static enum err read_text(const char *json, struct target *out)
{
    err_note_clear();
    return json_read(bytes_of(json), keys, 3, out);
}

static void reads_every_type_with_blanks_anywhere(void **state)
{
    struct target t = {0};

    (void)state;
    assert_int_equal(
        read_text(" {\t\"list\" : [ \"a\" ,\"b\"],\r\n\"number\":42 , \"text\":\"x\"} ", &t),
        ERR_OK);
    assert_string_equal(t.text, "x");
    assert_int_equal(t.number, 42);
    assert_int_equal(t.list.n, 2);
    assert_string_equal(t.list.items[1], "b");
    json_clear(keys, 3, &t);
}

static void escapes_become_their_characters(void **state)
{
    static const struct {
        const char *json;
        const char *wanted;
    } cases[] = {
        {"{\"text\":\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"}", "a\n\t\"\\/\b\f\r"},
        {"{\"text\":\"\\u00fc\\u20AC\\ud83d\\ude00\"}", "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"{\"text\":\"\xc3\xbc\"}", "\xc3\xbc"},
        {"{\"text\":\"\"}", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target t = {0};

        assert_int_equal(read_text(cases[i].json, &t), ERR_OK);
        assert_string_equal(t.text, cases[i].wanted);
        json_clear(keys, 3, &t);
    }
}

static void anything_else_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "{",
        "}",
        "[]",
        "null",
        "{}",
        "{\"text\"}",
        "{\"text\":}",
        "{\"text\":\"x\"",
        "{\"text\":\"x}",
        "{\"text\":\"x\",}",
        "{\"text\":\"x\"} {}",
        "{\"text\":\"x\"}\x01",
        "{\"text\":\"x\",\"text\":\"y\"}",
        "{\"text\":\"x\",\"Text\":\"y\"}",
        "{\"text\":\"x\",\"more\":{}}",
        "{\"text\":null}",
        "{\"text\":1}",
        "{\"text\":[\"x\"]}",
        "{\"text\":\"\\x\"}",
        "{\"text\":\"\\u12\"}",
        "{\"text\":\"\\u0000\"}",
        "{\"text\":\"\\ud800\"}",
        "{\"text\":\"\\ud800\\u0041\"}",
        "{\"text\":\"\\udc00\"}",
        "{\"text\":\"a\nb\"}",
        "{\"text\":\"\xff\"}",
        "{\"text\":\"\xc0\x80\"}",
        "{\"text\":\"\xed\xa0\x80\"}",
        "{\"text\":\"\xf4\x90\x80\x80\"}",
        "{\"text\":\"\xc3\"}",
        "{\"text\":\"x\",\"number\":-1}",
        "{\"text\":\"x\",\"number\":1.0}",
        "{\"text\":\"x\",\"number\":01}",
        "{\"text\":\"x\",\"number\":1e2}",
        "{\"text\":\"x\",\"number\":}",
        "{\"text\":\"x\",\"number\":1234567890123456}",
        "{\"text\":\"x\",\"number\":\"1\"}",
        "{\"text\":\"x\",\"list\":\"a\"}",
        "{\"text\":\"x\",\"list\":[1]}",
        "{\"text\":\"x\",\"list\":[\"a\",]}",
        "{\"text\":\"x\",\"list\":[\"a\" \"b\"]}",
        "{\"text\":\"x\",\"list\":[[\"a\"]]}",
        "{\"text\":\"x\",\"list\":[\"a\"",
        "{'text':'x'}",
        "// {\"text\":\"x\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target t = {0};

        if (read_text(cases[i], &t) != ERR_FORMAT)
            fail_msg("accepted: %s", cases[i]);
        json_clear(keys, 3, &t);
    }
}

static void nul_in_the_text_is_refused(void **state)
{
    static const char json[] = "{\"text\":\"a\0b\"}";
    struct target t = {0};

    (void)state;
    assert_int_equal(json_read((struct bytes){(const uint8_t *)json, sizeof json - 1}, keys, 3, &t),
                     ERR_FORMAT);
    json_clear(keys, 3, &t);
}

static void list_has_a_bound(void **state)
{
    CLEANUP(buf_clear) struct buf json = {0};
    struct target t = {0};

    (void)state;
    buf_append_str(&json, "{\"text\":\"x\",\"list\":[\"0\"");
    for (int i = 0; i < JSON_LIST_MAX; i++)
        buf_append_str(&json, ",\"1\"");
    buf_append_str(&json, "]}");
    assert_int_equal(read_text(buf_str(&json), &t), ERR_FORMAT);
    json_clear(keys, 3, &t);
}

static void what_is_written_reads_back(void **state)
{
    static const char text[] = "a\"\\\n\t\x1f \xc3\xbc/\x7f";
    CLEANUP(buf_clear) struct buf json = {0};
    struct target t = {0};

    (void)state;
    buf_append_str(&json, "{");
    json_add_string(&json, "text", bytes_of(text));
    buf_append_str(&json, "\n}\n");
    assert_int_equal(read_text(buf_str(&json), &t), ERR_OK);
    assert_string_equal(t.text, text);
    json_clear(keys, 3, &t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type_with_blanks_anywhere),
        cmocka_unit_test(escapes_become_their_characters),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(nul_in_the_text_is_refused),
        cmocka_unit_test(list_has_a_bound),
        cmocka_unit_test(what_is_written_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
