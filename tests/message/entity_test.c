/* SPDX-License-Identifier: GPL-3.0-or-later */
/* entity_test.c - what gets signed: protected fields, HP-Outer lines, and the original's own bytes.
 */
#include "tests/message/rewritten.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void whole_entity_is_as_the_design_says(void **state)
{
    static const char raw[] = "Received: from home\r\n"
                              "From: Alice <alice@shop.example>\r\n"
                              "To: shop@relay.example\r\n"
                              "Subject: Offer\r\n"
                              "Date: Mon, 20 Nov 2006 10:00:00 +0100\r\n"
                              "Message-ID: <1@shop.example>\r\n"
                              "X-Mailer: x\r\n"
                              "MIME-Version: 1.0\r\n"
                              "content-type: text/plain;\r\n\tcharset=utf-8 \r\n"
                              "Content-Language:  de\r\n"
                              "\r\n"
                              "Body \xff\r\n\r\n";
    static const char want[] =
        "Sealrelay-Loop: relay1\r\n"
        "Date: Mon, 20 Nov 2006 10:00:00 +0100\r\n"
        "From: \"Alice - alice at shop.example\" <r-abcdefghijklmnop@relay.example>\r\n"
        "To: shop@relay.example\r\n"
        "Subject: Offer\r\n"
        "Message-ID: <1@shop.example>\r\n"
        "Sealrelay-Verdict: unchecked\r\n"
        "HP-Outer: Sealrelay-Loop: relay1\r\n"
        "HP-Outer: Date: Sun, 22 Nov 2026 06:59:06 +0000\r\n"
        "HP-Outer: From: \"Alice - alice at shop.example\" <r-abcdefghijklmnop@relay.example>\r\n"
        "HP-Outer: To: shop@relay.example\r\n"
        "HP-Outer: Subject: Offer\r\n"
        "HP-Outer: Message-ID: <1@shop.example>\r\n"
        "content-type: text/plain;\r\n\tcharset=utf-8 ; hp=\"cipher\"\r\n"
        "Content-Language:  de\r\n"
        "\r\n"
        "Body \xff\r\n\r\n";
    CLEANUP(rewritten_clear) struct rewritten r;

    (void)state;
    rewritten_make(raw, false, &r);
    assert_string_equal(buf_str(&r.entity), want);
}

/* Content-* fields of the original and of the entity, as one text. */
static const struct {
    const char *original, *want;
} content_cases[] = {
    {"", "Content-Type: text/plain; hp=\"cipher\"\r\n"},
    {"Content-Language: de\r\n",
     "Content-Type: text/plain; hp=\"cipher\"\r\nContent-Language: de\r\n"},
    {"Content-Type: text/html\r\n", "Content-Type: text/html; hp=\"cipher\"\r\n"},
    {"CONTENT-TYPE :text/html (x)\r\n \r\n", "CONTENT-TYPE :text/html (x)\r\n ; hp=\"cipher\"\r\n"},
    {"Content-Type: text/html;\r\n", "Content-Type: text/html;\r\n"},
    {"Content-Type: garbage\r\n", "Content-Type: garbage\r\n"},
    {"Content-Type: text/plain; name=\"\xe4\"\r\n", "Content-Type: text/plain; name=\"\xe4\"\r\n"},
    {"Content-Type: text/plain; hp=\"clear\"\r\n", "Content-Type: text/plain; hp=\"clear\"\r\n"},
    {"Content-Type: text/plain\r\nContent-Type: text/html\r\n",
     "Content-Type: text/plain\r\nContent-Type: text/html\r\n"},
    {"Content-Type: text/plain\r\nno colon\r\n charset=x\r\nContent-ID: <x>\r\n",
     "Content-Type: text/plain; hp=\"cipher\"\r\nContent-ID: <x>\r\n"},
    {"Content-Transfer-Encoding: 8bit\r\nX: y\r\nContent-X-\xe4: \xe4\r\nContent-Type: a/b\r\n",
     "Content-Transfer-Encoding: 8bit\r\nContent-X-\xe4: \xe4\r\n"
     "Content-Type: a/b; hp=\"cipher\"\r\n"},
};

static void content_fields_are_kept_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof content_cases / sizeof content_cases[0]; i++) {
        CLEANUP(rewritten_clear) struct rewritten r;
        CLEANUP(buf_clear) struct buf raw = {0};
        CLEANUP(buf_clear) struct buf got = {0};

        buf_append_str(&raw, content_cases[i].original);
        buf_append_str(&raw, "\r\nbody");
        rewritten_make(buf_str(&raw), false, &r);
        for (size_t f = 0; f < r.inner.n_fields; f++)
            if (r.inner.fields[f].name.len > 8 &&
                strncasecmp((const char *)r.inner.fields[f].name.data, "Content-", 8) == 0)
                buf_append_bytes(&got, r.inner.fields[f].whole);
        assert_string_equal(buf_str(&got), content_cases[i].want);
        assert_true(bytes_equal(r.inner.body, bytes_of("body")));
    }
}

static void hp_outer_lines_repeat_the_outer_header(void **state)
{
    CLEANUP(rewritten_clear) struct rewritten r;
    CLEANUP(buf_clear) struct buf repeated = {0};

    (void)state;
    rewritten_make(
        "From: J\xc3\xb6rg <j@x.example>\r\nTo: a@b.example, c@d.example\r\n"
        "Cc: e@f.example\r\nSubject: \xff long enough to be folded, so long that it goes on\r\n"
        "References: <1@x> <2@y>\r\nList-Id: <l.example>\r\n\r\n",
        true, &r);
    for (size_t i = 0; message_find(&r.inner, "HP-Outer", i); i++) {
        struct bytes value = message_find(&r.inner, "HP-Outer", i)->value;

        buf_append(&repeated, value.data + 1, value.len - 1);
        buf_append_str(&repeated, "\r\n");
    }
    assert_string_equal(buf_str(&repeated), buf_str(&r.out.outer));
}

static void hidden_subject_is_told_inside_only(void **state)
{
    CLEANUP(rewritten_clear) struct rewritten r, none;

    (void)state;
    rewritten_make("Subject: Diagnosis\r\n\r\n", true, &r);
    assert_string_equal(rewritten_value(&r.outer, "Subject"), "[...]");
    assert_string_equal(rewritten_value(&r.inner, "Subject"), "Diagnosis");
    assert_null(strstr(buf_str(&r.out.outer), "Diagnosis"));
    rewritten_make("\r\n", true, &none);
    assert_string_equal(rewritten_value(&none.outer, "Subject"), "-");
    assert_string_equal(rewritten_value(&none.inner, "Subject"), "-");
}

static void original_date_is_protected(void **state)
{
    static const struct {
        const char *raw, *date, *original;
    } cases[] = {
        {"Date: 1 Jan 99 10:00 EST (x)\r\n\r\n", "1 Jan 99 10:00 EST (x)", "-"},
        {"Date: 1 Jan 99 10:00 EST (\xe4)\r\n\r\n", "Fri, 01 Jan 1999 10:00:00 -0500", "-"},
        {"Date: y\xe4r\r\n\r\n", "Sun, 22 Nov 2026 06:59:06 +0000", "=?windows-1252?B?eeRy?="},
        {"Date: \r\n\r\n", "Sun, 22 Nov 2026 06:59:06 +0000", "-"},
        {"\r\n", "Sun, 22 Nov 2026 06:59:06 +0000", "-"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP(rewritten_clear) struct rewritten r;

        rewritten_make(cases[i].raw, false, &r);
        assert_string_equal(rewritten_value(&r.outer, "Date"), "Sun, 22 Nov 2026 06:59:06 +0000");
        assert_string_equal(rewritten_value(&r.inner, "Date"), cases[i].date);
        assert_string_equal(rewritten_value(&r.inner, "Sealrelay-Original-Date"),
                            cases[i].original);
    }
}

/* The boundary of the entity's own Content-Type. */
static void boundary_get(const struct rewritten *r, char out[33])
{
    const char *at = strstr(rewritten_value(&r->inner, "Content-Type"), "boundary=\"");

    assert_non_null(at);
    memcpy(out, at + 10, 32);
    out[32] = '\0';
}

static void signed_mail_is_the_only_child_of_a_multipart(void **state)
{
    static const char *const types[] = {
        "multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x",
        "Multipart/Signed; micalg=sha1; protocol=application/x-pkcs7-signature; boundary=x",
        "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m",
        "application/x-pkcs7-mime; name=\"\xe4\"; smime-type=\"Certs-Only\"",
        "multipart/signed; protocol*0=application/pk; protocol*1=cs7-signature; boundary=x",
        "multipart/signed; protocol*=us-ascii''application%2Fpkcs7-signature; boundary=x",
        "multipart/signed; protocol=x; protocol=\"application/pkcs7-signature\"; boundary=x",
        "text/plain\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data",
    };

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        CLEANUP(rewritten_clear) struct rewritten r;
        CLEANUP(buf_clear) struct buf raw = {0};
        CLEANUP(buf_clear) struct buf want = {0};
        char b[33];

        buf_printf(&raw,
                   "From: a@b.example\r\nContent-Type: %s\r\nContent-Language: de\r\n\r\n--x\r\n",
                   types[i]);
        rewritten_make(buf_str(&raw), false, &r);
        boundary_get(&r, b);
        buf_printf(&want, "multipart/mixed; boundary=\"%s\"; hp=\"cipher\"", b);
        assert_string_equal(rewritten_value(&r.inner, "Content-Type"), buf_str(&want));
        buf_reset(&want);
        buf_printf(&want,
                   "--%s\r\nContent-Type: %s\r\nContent-Language: de\r\n\r\n--x\r\n\r\n--%s--\r\n",
                   b, types[i], b);
        assert_true(bytes_equal(r.inner.body, buf_bytes(&want)));
    }
}

static void other_pkcs7_mail_is_attached_beside_an_explanation(void **state)
{
    static const char *const types[] = {
        "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
        "application/x-pkcs7-mime",
        "Application/PKCS7-MIME; smime-type=unheard-of",
        "application/pkcs7-mime; smime-type=authEnveloped-data;",
    };

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        CLEANUP(rewritten_clear) struct rewritten r;
        CLEANUP(buf_clear) struct buf raw = {0};
        CLEANUP(buf_clear) struct buf want = {0};
        char b[33];

        buf_printf(&raw, "Subject: Hi\r\nContent-Type: %s\r\n\r\nMIIB\r\n", types[i]);
        rewritten_make(buf_str(&raw), true, &r);
        boundary_get(&r, b);
        buf_printf(&want,
                   "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
                   "This message was S/MIME-protected already when it reached the relay.\r\n"
                   "It is attached as it came.\r\n\r\n"
                   "--%s\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"
                   "Content-Disposition: attachment; filename=\"message.eml\"\r\n\r\n"
                   "Date: Sun, 22 Nov 2026 06:59:06 +0000\r\n"
                   "From: \"unknown sender\" <" REWRITTEN_REVERSE ">\r\n"
                   "Subject: Hi\r\nMIME-Version: 1.0\r\nContent-Type: %s\r\n\r\nMIIB\r\n"
                   "\r\n--%s--\r\n",
                   b, b, types[i], b);
        assert_true(bytes_equal(r.inner.body, buf_bytes(&want)));
    }
}

static void other_content_is_never_wrapped(void **state)
{
    static const char *const types[] = {
        "multipart/signed; protocol=\"application/pgp-signature\"; boundary=x",
        "multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=x",
        "multipart/mixed; boundary=\"pkcs7\"",
        "application/pkcs7-signature",
        "application/octet-stream; name=smime.p7m",
    };

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        CLEANUP(rewritten_clear) struct rewritten r;
        CLEANUP(buf_clear) struct buf raw = {0};

        buf_printf(&raw, "Content-Type: %s\r\n\r\nbody", types[i]);
        rewritten_make(buf_str(&raw), false, &r);
        assert_true(bytes_equal(r.inner.body, bytes_of("body")));
        assert_int_equal(r.out.inner_tail.len, 0);
    }
}

static void verdict_that_is_no_single_line_is_a_bug(void **state)
{
    static const char *const bad[] = {"Verdict: a\r\nX: y", "no colon", "", "Verdict: \xe4"};
    CLEANUP(message_clear) struct message m = {0};
    struct rewrite_parties parties = {0};
    struct rewrite_input in = {.message = &m,
                               .parties = &parties,
                               .relay_id = "relay1",
                               .alias = REWRITTEN_ALIAS,
                               .sender_reverse = REWRITTEN_REVERSE,
                               .n_verdict = 1,
                               .message_id_domain = "relay.example"};

    (void)state;
    assert_int_equal(message_parse(bytes_of("\r\n"), &m), ERR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rewrite_output out = {0};

        in.verdict = &bad[i];
        assert_int_equal(rewrite_forward(&in, &out), ERR_BUG);
        assert_null(out.outer.data);
    }
    err_note_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_entity_is_as_the_design_says),
        cmocka_unit_test(content_fields_are_kept_byte_for_byte),
        cmocka_unit_test(hp_outer_lines_repeat_the_outer_header),
        cmocka_unit_test(hidden_subject_is_told_inside_only),
        cmocka_unit_test(original_date_is_protected),
        cmocka_unit_test(signed_mail_is_the_only_child_of_a_multipart),
        cmocka_unit_test(other_pkcs7_mail_is_attached_beside_an_explanation),
        cmocka_unit_test(other_content_is_never_wrapped),
        cmocka_unit_test(verdict_that_is_no_single_line_is_a_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
