/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base_test.c - buffers, encodings, identifiers, secrets, durable files. */
#include "daemon/base/buf.h"
#include "daemon/base/codec.h"
#include "daemon/base/domain.h"
#include "daemon/base/fdio.h"
#include "daemon/base/id.h"
#include "daemon/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef void (*encode_fn)(struct buf *, struct bytes);
typedef enum err (*decode_fn)(struct bytes, struct buf *);

static void encodings_match_rfc_4648(void **state)
{
    static const struct {
        encode_fn encode;
        decode_fn decode;
        const char *plain, *text;
    } cases[] = {
        {hex_append, hex_decode, "foobar", "666f6f626172"},
        {hex_append, hex_decode, "", ""},
        {base32_append, base32_decode, "f", "my"},
        {base32_append, base32_decode, "fo", "mzxq"},
        {base32_append, base32_decode, "foo", "mzxw6"},
        {base32_append, base32_decode, "foob", "mzxw6yq"},
        {base32_append, base32_decode, "fooba", "mzxw6ytb"},
        {base32_append, base32_decode, "foobar", "mzxw6ytboi"},
        {base64_append, base64_decode, "f", "Zg=="},
        {base64_append, base64_decode, "fo", "Zm8="},
        {base64_append, base64_decode, "foo", "Zm9v"},
        {base64_append, base64_decode, "foobar", "Zm9vYmFy"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_clear) struct buf text = {0};
        CLEANUP(buf_clear) struct buf plain = {0};

        cases[i].encode(&text, bytes_of(cases[i].plain));
        assert_int_equal(buf_error(&text), ERR_OK);
        assert_string_equal(buf_str(&text), cases[i].text);
        assert_int_equal(cases[i].decode(bytes_of(cases[i].text), &plain), ERR_OK);
        assert_string_equal(buf_str(&plain), cases[i].plain);
    }
}

static void what_is_no_encoding_is_refused_and_leaves_the_buffer_alone(void **state)
{
    static const struct {
        decode_fn decode;
        const char *text;
    } cases[] = {
        {hex_decode, "1"},         {hex_decode, "1g"},       {base32_decode, "a"},
        {base32_decode, "my1"},    {base32_decode, "mz"},    {base64_decode, "Zg="},
        {base64_decode, "Zg==Zg"}, {base64_decode, "Z"},     {base64_decode, "===="},
        {base64_decode, "Zm9v!"},  {base64_decode, "Zg==="},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_clear) struct buf out = {0};

        buf_append_str(&out, "kept");
        assert_int_equal(cases[i].decode(bytes_of(cases[i].text), &out), ERR_FORMAT);
        assert_string_equal(buf_str(&out), "kept");
    }
}

static void a_buffer_grows_and_remembers_failure(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    assert_int_equal(buf_error(&b), ERR_OK);
    assert_int_equal(b.len, 3890);
    buf_reserve(&b, SIZE_MAX - 10);
    assert_int_equal(buf_error(&b), ERR_NOMEM);
    buf_clear(&b);
    assert_int_equal(buf_error(&b), ERR_OK);
}

static void identifiers_are_sixteen_letters_and_differ(void **state)
{
    id_text a, b;

    (void)state;
    assert_int_equal(id_new(a), ERR_OK);
    assert_int_equal(id_new(b), ERR_OK);
    assert_true(id_is_valid(a));
    assert_string_not_equal(a, b);
    assert_false(id_is_valid("short"));
    assert_false(id_is_valid("aaaaaaaaaaaaaaa1"));
    assert_false(id_is_valid("aaaaaaaaaaaaaaaaa"));
    assert_false(id_is_valid("../../../etc/pas"));
    assert_false(id_is_valid(NULL));
}

static void a_secret_file_must_be_private_and_of_fair_size(void **state)
{
    char path[] = "/tmp/base_test.XXXXXX";
    struct secret s = {0};
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "12345678\n", 9), 9);
    assert_int_equal(close(fd), 0);
    assert_int_equal(secret_read_file(path, 64, &s), ERR_OK);
    assert_int_equal(s.len, 8);
    assert_memory_equal(s.data, "12345678", 8);
    secret_free(&s);
    assert_null(s.data);
    assert_int_equal(secret_read_file(path, 7, &s), ERR_CONFIG);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(secret_read_file(path, 64, &s), ERR_CONFIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(secret_read_file(path, 64, &s), ERR_CONFIG);
}

static void a_durable_file_replaces_the_old_one_whole(void **state)
{
    char dir[] = "/tmp/base_test.XXXXXX";
    char path[64];
    CLEANUP(buf_clear) struct buf got = {0};

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/file", dir);
    assert_int_equal(file_write_durable(path, bytes_of("old"), 0600), ERR_OK);
    assert_int_equal(file_write_durable(path, bytes_of("new content"), 0600), ERR_OK);
    assert_int_equal(file_read(path, 100, &got), ERR_OK);
    assert_string_equal(buf_str(&got), "new content");
    assert_int_equal(file_read(path, 3, &got), ERR_TOO_BIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* no temporary file is left */
    assert_int_equal(file_write_durable(path, bytes_of("x"), 0600), ERR_IO);
}

static void the_first_note_wins_and_is_printable(void **state)
{
    (void)state;
    err_note_clear();
    assert_int_equal(err_note(ERR_IO, "read", "bad\r\nbyte %d", 7), ERR_IO);
    assert_int_equal(err_note(ERR_BUG, "later", "other"), ERR_BUG);
    assert_string_equal(err_note_get()->action, "read");
    assert_string_equal(err_note_get()->detail, "bad??byte 7");
    err_note_clear();
    assert_string_equal(err_note_get()->action, "");
}

static void a_domain_lies_within_its_parents_label_by_label(void **state)
{
    static const struct {
        const char *domain, *parent;
        bool within;
    } cases[] = {
        {"example.com", "example.com", true},
        {"Example.COM", "example.com", true},
        {"mail.example.com", "example.com", true},
        {"a.b.example.com", "example.com", true},
        {"notexample.com", "example.com", false},
        {".example.com", "example.com", false},
        {"example.com", "mail.example.com", false},
        {"example.com.net", "example.com", false},
        {"", "example.com", false},
        {"example.com", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(domain_is_within(cases[i].domain, cases[i].parent), cases[i].within);
}

static void the_longest_parent_encloses_a_domain(void **state)
{
    static const char *const parents[] = {"example.com", "eu.example.com", "example.net"};

    (void)state;
    assert_ptr_equal(domain_enclosing("x.eu.example.com", parents, 3), parents[1]);
    assert_ptr_equal(domain_enclosing("eu.example.com", parents, 3), parents[1]);
    assert_ptr_equal(domain_enclosing("x.example.com", parents, 3), parents[0]);
    assert_null(domain_enclosing("example.org", parents, 3));
    assert_null(domain_enclosing("example.com", parents, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodings_match_rfc_4648),
        cmocka_unit_test(what_is_no_encoding_is_refused_and_leaves_the_buffer_alone),
        cmocka_unit_test(a_buffer_grows_and_remembers_failure),
        cmocka_unit_test(identifiers_are_sixteen_letters_and_differ),
        cmocka_unit_test(a_secret_file_must_be_private_and_of_fair_size),
        cmocka_unit_test(a_durable_file_replaces_the_old_one_whole),
        cmocka_unit_test(the_first_note_wins_and_is_printable),
        cmocka_unit_test(a_domain_lies_within_its_parents_label_by_label),
        cmocka_unit_test(the_longest_parent_encloses_a_domain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
