/* SPDX-License-Identifier: GPL-3.0-or-later */
/* address_test.c - addresses read, judged, and written as header fields. */
#include "daemon/message/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Mailboxes are told as "name<addr>|". */
static void list_tell(const char *value, struct buf *told)
{
    CLEANUP(mailbox_list_clear) struct mailbox_list l = {0};

    assert_int_equal(mailbox_list_parse(bytes_of(value), &l), ERR_OK);
    for (size_t i = 0; i < l.n; i++)
        buf_printf(told, "%s<%s>|", l.items[i].name ? l.items[i].name : "", l.items[i].addr);
}

static const char *const list_cases[][2] = {
    {" alice@example.com", "<alice@example.com>|"},
    {" Alice <Alice@Example.COM>", "Alice<Alice@example.com>|"},
    {" \"B, \\\"b\\\"\" <b@x.example>, c@y.example", "B, \"b\"<b@x.example>|<c@y.example>|"},
    {" =?utf-8?Q?J=C3=B6rg?= <j@x.example>", "J\xc3\xb6rg<j@x.example>|"},
    {" Team: a@x.example, B <b@x.example>;, c@y.example",
     "<a@x.example>|B<b@x.example>|<c@y.example>|"},
    {" undisclosed-recipients:;", ""},
    {" root", ""},
    {" ", ""},
    {" <>", ""},
    {" a@x.example,\r\n b@y.example", "<a@x.example>|<b@y.example>|"},
    {" a@[192.0.2.1]", ""},
    {" M\xc3\xbcller <m@b\xc3\xbc"
     "cher.example>",
     "M\xc3\xbcller<m@xn--bcher-kva.example>|"},
    {" <m@xn--bcher-kva.example>, n@XN--BCHER-KVA.example",
     "<m@xn--bcher-kva.example>|<n@xn--bcher-kva.example>|"},
    {" m@xn--no-punycode-at-all\xff", ""},
};

static void address_lists_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof list_cases / sizeof list_cases[0]; i++) {
        CLEANUP(buf_clear) struct buf told = {0};

        list_tell(list_cases[i][0], &told);
        assert_string_equal(buf_str(&told), list_cases[i][1]);
    }
}

static void names_are_utf8_whatever_was_written(void **state)
{
    CLEANUP(buf_clear) struct buf told = {0};

    (void)state;
    list_tell(" M\xfcller \xff <m@x.example>", &told);
    assert_non_null(strstr(buf_str(&told), "<m@x.example>|"));
    assert_null(strstr(buf_str(&told), "\xfc"));
}

static void addresses_are_judged(void **state)
{
    static const struct {
        const char *address;
        bool valid;
    } cases[] = {
        {"a@b", true},
        {"first.last+tag@sub.example.com", true},
        {"\"a b\"@example.com", true},
        {"\"a\\\"b\"@example.com", true},
        {"m\xc3\xbcller@b\xc3\xbc"
         "cher.example",
         true},
        {"a@xn--bcher-kva.example", true},
        {NULL, false},
        {"", false},
        {"a", false},
        {"@b", false},
        {"a@", false},
        {"a b@c.example", false},
        {"a@b c.example", false},
        {"a@b..c", false},
        {"a@.b", false},
        {"a@b.", false},
        {"a@-b.example", false},
        {"a@b_c.example", true},
        {"a@[192.0.2.1]", false},
        {"a,b@c.example", false},
        {"<a@b.example>", false},
        {"\"a\"b\"@c.example", false},
        {"\"a\r\nb\"@c.example", false},
        {"a\x01@b.example", false},
        {"\xff@b.example", false},
        {"a@b.example\r\nX: y", false},
        {"0123456789012345678901234567890123456789012345678901234567890123@b.example", true},
        {"01234567890123456789012345678901234567890123456789012345678901234@b.example", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (address_is_valid(cases[i].address) != cases[i].valid)
            fail_msg("%s", cases[i].address ? cases[i].address : "NULL");
}

static void reverse_aliases_are_known_by_their_form(void **state)
{
    static const struct {
        const char *address;
        bool reverse;
    } cases[] = {
        {"r-abcdefghijklmnop@relay.example", true},
        {"R-ABCDEFGHIJKLM234@relay.example", true},
        {"r-abcdefghijklmno@relay.example", false},
        {"r-abcdefghijklmnopq@relay.example", false},
        {"r-abcdefghijklmno1@relay.example", false},
        {"s-abcdefghijklmnop@relay.example", false},
        {"r-abcdefghijklmnop", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (address_is_reverse(cases[i].address) != cases[i].reverse)
            fail_msg("%s", cases[i].address);
}

static void a_first_mail_names_alias_and_recipient(void **state)
{
    static const struct {
        const char *address;
        const char *alias;
        const char *to; /* NULL: not of that form */
    } cases[] = {
        {"shop+bob=example.net@relay.example", "shop@relay.example", "bob@example.net"},
        {"shop+bob+x=y=example.net@relay.example", "shop@relay.example", "bob+x=y@example.net"},
        {"shop+bob=xn--bcher-kva.example@relay.example", "shop@relay.example",
         "bob@xn--bcher-kva.example"},
        {"shop+bob@relay.example", "", NULL},
        {"shop=bob+x@relay.example", "", NULL},
        {"bob=example.net@relay.example", "", NULL},
        {"+bob=example.net@relay.example", "", NULL},
        {"shop+=example.net@relay.example", "", NULL},
        {"shop+bob=@relay.example", "", NULL},
        {"shop+bob=-@relay.example", "", NULL},
        {"shop+bob=example.net", "", NULL},
        {"", "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char alias[64];
        char to[64];

        if (address_first_split(cases[i].address, alias, to) != !!cases[i].to)
            fail_msg("%s", cases[i].address);
        if (!cases[i].to)
            continue;
        assert_string_equal(alias, cases[i].alias);
        assert_string_equal(to, cases[i].to);
    }
}

static void domains_are_behind_the_last_at(void **state)
{
    char folded[] = "A.B@C.Example";

    (void)state;
    assert_string_equal(address_domain("\"a@b\"@c.example"), "c.example");
    assert_string_equal(address_domain("nothing"), "");
    address_fold(folded);
    assert_string_equal(folded, "a.b@c.example");
}

static void mailboxes_are_written_as_ascii(void **state)
{
    static const char *const cases[][3] = {
        {NULL, "a@b.example", "a@b.example"},
        {"", "a@b.example", "a@b.example"},
        {"Alice", "a@b.example", "\"Alice\" <a@b.example>"},
        {"A \"q\" \\", "a@b.example", "\"A \\\"q\\\" \\\\\" <a@b.example>"},
        {"J\xc3\xb6rg", "a@b.example", "=?utf-8?B?SsO2cmc=?= <a@b.example>"},
        {"=?utf-8?Q?x=40y?=", "a@b.example", "=?utf-8?B?PT91dGYtOD9RP3g9NDB5Pz0=?= <a@b.example>"},
        {"two\r\nlines", "a@b.example", "\"two  lines\" <a@b.example>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP(buf_clear) struct buf b = {0};

        assert_int_equal(mailbox_append(&b, cases[i][0], cases[i][1]), ERR_OK);
        assert_string_equal(buf_str(&b), cases[i][2]);
    }
}

static void mailbox_address_outside_ascii_is_refused(void **state)
{
    CLEANUP(buf_clear) struct buf b = {0};

    (void)state;
    assert_int_equal(mailbox_append(&b, "x", "a@b\xc3\xbc.example"), ERR_FORMAT);
    assert_int_equal(mailbox_append(&b, "x", "a@b.example\r\nX: y"), ERR_FORMAT);
    err_note_clear();
}

static void *parse_often(void *arg)
{
    for (unsigned i = 0; i < 500; i++) {
        CLEANUP(mailbox_list_clear) struct mailbox_list l = {0};

        if (mailbox_list_parse(
                bytes_of(" =?iso-8859-1?Q?J=F6rg?= <j@x.example>, \xe4 <y@z.example>"), &l) ||
            l.n != 2)
            *(bool *)arg = true;
    }
    return NULL;
}

static void lists_are_read_by_many_threads_at_once(void **state)
{
    pthread_t threads[4];
    bool failed[4] = {false};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, parse_often, &failed[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(failed[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_lists_are_read),
        cmocka_unit_test(names_are_utf8_whatever_was_written),
        cmocka_unit_test(addresses_are_judged),
        cmocka_unit_test(reverse_aliases_are_known_by_their_form),
        cmocka_unit_test(a_first_mail_names_alias_and_recipient),
        cmocka_unit_test(domains_are_behind_the_last_at),
        cmocka_unit_test(mailboxes_are_written_as_ascii),
        cmocka_unit_test(mailbox_address_outside_ascii_is_refused),
        cmocka_unit_test(lists_are_read_by_many_threads_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
