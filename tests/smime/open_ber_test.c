/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open_ber_test.c - CMS that is no BER, or too deep, or too wide, is refused before OpenSSL builds
 * objects of it; a string in a million pieces is content like any other. */
#include "daemon/smime/ber.h"
#include "tests/smime/reply_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static struct test_pki pki;

static int start(void **state)
{
    (void)state;
    test_pki_new(&pki, false);
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_pki_free(&pki);
    return 0;
}

static void entity_refused(struct bytes entity, unsigned key_loads, const char *why)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;
    struct reply_opening opening = {.unsigned_allowed = true};

    reply_open(&pki, &opening, entity, &o);
    reply_is_refused(&o, why);
    assert_int_equal(o.key_loads, key_loads);
}

/* A good reply's CMS, encrypted to the alias. */
static void good_make(struct buf *der)
{
    CLEANUP(buf_clear) struct buf inner = {0};
    struct reply_signing signing = {0};

    reply_sign(&pki, &signing, bytes_of(REPLY_ENTITY), &inner);
    reply_encrypt_to(pki.sender, EVP_aes_128_cbc(), buf_bytes(&inner), der);
}

static void der_refused(struct bytes der, const char *why)
{
    CLEANUP(buf_clear) struct buf entity = {0};

    reply_cms_append(der, &entity);
    entity_refused(buf_bytes(&entity), 0, why);
}

static void damaged_ber_is_refused(void **state)
{
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf more = {0};
    static const uint8_t huge[] = {0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x06};

    (void)state;
    good_make(&der);
    buf_append_bytes(&more, buf_bytes(&der));
    buf_append(&more, "\0", 1);
    der_refused(buf_bytes(&more), "behind its end");
    der_refused((struct bytes){der.data, der.len - 1}, "not BER");
    der_refused((struct bytes){huge, sizeof huge}, "not BER");
    der_refused((struct bytes){der.data, 0}, "not BER");
    der_refused(bytes_of("MIME"), "not BER");
}

static void nesting_and_elements_are_bounded(void **state)
{
    CLEANUP(buf_clear) struct buf deep = {0};
    CLEANUP(buf_clear) struct buf wide = {0};
    static const uint8_t indefinite[] = {0x30, 0x80};

    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        buf_append(&deep, indefinite, 2);
    der_refused(buf_bytes(&deep), "not BER");
    buf_append(&wide, indefinite, 2);
    for (unsigned i = 0; i < BER_ELEMENTS_MAX; i++)
        buf_append(&wide, "\x05\0", 2);
    buf_append(&wide, "\0\0", 2);
    der_refused(buf_bytes(&wide), "not BER");
}

/* Everything in parent but the child with these contents. */
static void others_append(const struct ber *parent, const struct ber *but, struct buf *out)
{
    struct bytes rest = parent->contents;

    while (rest.len) {
        const uint8_t *at = rest.data;
        struct ber child = {0};

        assert_true(ber_next(&rest, &child));
        if (child.contents.data != but->contents.data)
            buf_append(out, at, (size_t)(rest.data - at));
    }
}

/* An EnvelopedData with its content in pieces of one byte, below indefinite lengths only. */
static void pieces_make(struct bytes der, struct buf *out)
{
    static const uint8_t sequence[] = {0x30, 0x80}, explicit_0[] = {0xa0, 0x80};
    struct ber info = {0}, wrapper = {0}, data = {0}, content = {0}, string = {0};

    assert_true(ber_next(&der, &info) && ber_child(&info, 1, BER_CONTEXT_0, &wrapper) &&
                ber_child(&wrapper, 0, BER_SEQUENCE, &data) &&
                ber_child(&data, 2, BER_SEQUENCE, &content) &&
                ber_child(&content, 2, 0x80, &string));
    buf_append(out, sequence, 2);
    others_append(&info, &wrapper, out);
    buf_append(out, explicit_0, 2);
    buf_append(out, sequence, 2);
    others_append(&data, &content, out);
    buf_append(out, sequence, 2);
    others_append(&content, &string, out);
    buf_append(out, explicit_0, 2);
    for (size_t i = 0; i < string.contents.len; i++) {
        buf_append(out, "\x04\x01", 2);
        buf_append(out, string.contents.data + i, 1);
    }
    buf_append(out, "\0\0\0\0\0\0\0\0\0\0", 10);
}

/* Content like any other, read in a moment. */
static void string_in_a_million_pieces_opens(void **state)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;
    CLEANUP(buf_clear) struct buf big = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf ber = {0};
    CLEANUP(buf_clear) struct buf entity = {0};
    struct reply_opening opening = {.unsigned_allowed = true};

    (void)state;
    buf_append_str(&big, "Content-Type: text/plain\r\n\r\n");
    while (big.len < 1000000)
        buf_append_str(&big, "one million pieces\r\n");
    reply_encrypt_to(pki.sender, EVP_aes_128_cbc(), buf_bytes(&big), &der);
    pieces_make(buf_bytes(&der), &ber);
    reply_cms_append(buf_bytes(&ber), &entity);
    reply_open(&pki, &opening, buf_bytes(&entity), &o);
    assert_int_equal(o.e, ERR_OK);
    assert_true(bytes_equal(o.result.entity, buf_bytes(&big)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_ber_is_refused),
        cmocka_unit_test(nesting_and_elements_are_bounded),
        cmocka_unit_test(string_in_a_million_pieces_opens),
    };

    return cmocka_run_group_tests(tests, start, end);
}
