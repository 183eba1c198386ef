/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open_from_test.c - a good signature under somebody else's address, in all the ways in which two
 * readers could see two different senders. */
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

static void opened(const struct reply_signing *signing, const struct reply_opening *opening,
                   struct reply_opened *o)
{
    CLEANUP(buf_clear) struct buf entity = {0};

    reply_sign(&pki, signing, bytes_of(REPLY_ENTITY), &entity);
    reply_open(&pki, opening, buf_bytes(&entity), o);
}

static void refused(const struct reply_signing *signing, const struct reply_opening *opening,
                    const char *why)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;

    opened(signing, opening, &o);
    reply_is_refused(&o, why);
}

static void accepted(const struct reply_signing *signing, const struct reply_opening *opening)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;

    opened(signing, opening, &o);
    reply_is_opened(&o, OPEN_SIGNED, REPLY_ENTITY);
}

static const struct {
    const char *header;
    const char *why; /* NULL: good */
} from_cases[] = {
    {"From: " TEST_USER "\r\n", NULL},
    {"From: <" TEST_USER ">\r\n", NULL},
    {"FROM: \"U, ser; \\\" <x@y.example>\" (a, <b@c.example>)\r\n <USER@Home.Example>\r\n", NULL},
    {"From: =?utf-8?q?=C3=A4?= <" TEST_USER ">\r\nSender: other@x.example\r\n", NULL},
    {"", "mailbox"},
    {"From:\r\n", "mailbox"},
    {"From: user\r\n", "mailbox"},
    {"From: <>\r\nSender: " TEST_USER "\r\n", "mailbox"},
    {"From: other@x.example\r\nSender: " TEST_USER "\r\n", "signer"},
    {"From: \"" TEST_USER "\" <other@x.example>\r\n", "signer"},
    {"From: " TEST_USER " <other@x.example>\r\n", ""},
    {"From: " TEST_USER "\r\nFrom: " TEST_USER "\r\n", "mailbox"},
    {"From: other@x.example\r\nFrom: " TEST_USER "\r\n", "mailbox"},
    {"From: " TEST_USER ", other@x.example\r\n", "mailbox"},
    {"From: " TEST_USER ", bad\r\n", "mailbox"},
    {"From: " TEST_USER ",\r\n", "mailbox"},
    {"From: us: " TEST_USER ";\r\n", "mailbox"},
    {"From: <other@x.example> <" TEST_USER ">\r\n", "mailbox"},
    {"From: <other@x.example>; <" TEST_USER ">\r\n", "mailbox"},
    {"From: " TEST_USER ".evil.example\r\n", "signer"},
    {"From: x" TEST_USER "\r\n", "signer"},
    {"From: \"open <" TEST_USER ">\r\n", "mailbox"},
};

static void from_must_be_the_signer(void **state)
{
    struct reply_signing signing = {0};

    (void)state;
    for (size_t i = 0; i < sizeof from_cases / sizeof *from_cases; i++) {
        CLEANUP(buf_clear) struct buf header = {0};
        struct reply_opening opening = {0};

        print_message("%s", from_cases[i].header);
        buf_append_str(&header, from_cases[i].header);
        buf_append_str(&header, "To: " TEST_SENDER "\r\n");
        opening.header = buf_str(&header);
        if (from_cases[i].why)
            refused(&signing, &opening, from_cases[i].why);
        else
            accepted(&signing, &opening);
    }
}

static void protected_from_must_be_the_signer_too(void **state)
{
    static const struct {
        const char *entity;
        const char *why;
    } cases[] = {
        {"From: U <User@home.example>\r\nContent-Type: text/plain; hp=\"cipher\"\r\n\r\nx\r\n",
         NULL},
        {"From: other@x.example\r\nContent-Type: text/plain; hp=\"cipher\"\r\n\r\nx\r\n", "signer"},
        {"From: " TEST_USER ", other@x.example\r\n"
         "Content-Type: text/plain; protected-headers=\"v1\"\r\n\r\nx\r\n",
         "mailbox"},
        {"From: " TEST_USER "\r\nFrom: other@x.example\r\nContent-Type: text/plain\r\n\r\nx\r\n",
         "mailbox"},
        {"From:\r\nContent-Type: text/plain\r\n\r\nx\r\n", "mailbox"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(reply_opened_clear) struct reply_opened o;
        CLEANUP(buf_clear) struct buf entity = {0};
        struct reply_signing signing = {.opaque = i % 2 != 0};
        struct reply_opening opening = {0};

        reply_sign(&pki, &signing, bytes_of(cases[i].entity), &entity);
        reply_open(&pki, &opening, buf_bytes(&entity), &o);
        if (cases[i].why)
            reply_is_refused(&o, cases[i].why);
        else
            reply_is_opened(&o, OPEN_SIGNED, cases[i].entity);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_must_be_the_signer),
        cmocka_unit_test(protected_from_must_be_the_signer_too),
    };

    return cmocka_run_group_tests(tests, start, end);
}
