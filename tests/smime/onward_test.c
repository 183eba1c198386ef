/* SPDX-License-Identifier: GPL-3.0-or-later */
/* onward_test.c - messages encrypted to a correspondent's own certificate, read by other people's
 * programs, and which certificates are fit for it. */
#include "daemon/base/codec.h"
#include "daemon/smime/onward.h"
#include "daemon/smime/own_cert.h"
#include "tests/smime/sealing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#define HEADER                                                                                     \
    "From: shop@relay.example\r\nTo: <user@home.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?="  \
    "\r\nMIME-Version: 1.0\r\nMessage-ID: <m1@relay.example>\r\n"
#define ENTITY                                                                                     \
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable"       \
    "\r\n\r\n" SEALING_MARKER " =C3=A4\r\n"
#define INNER                                                                                      \
    "From: shop@relay.example\r\nTo: <user@home.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?="  \
    "\r\nMessage-ID: <m1@relay.example>\r\n"                                                       \
    "HP-Outer: From: shop@relay.example\r\nHP-Outer: To: <user@home.example>\r\n"                  \
    "HP-Outer: Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"                                           \
    "HP-Outer: Message-ID: <m1@relay.example>\r\n"                                                 \
    "Content-Type: text/plain; charset=utf-8; hp=\"cipher\"\r\n"                                   \
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n" SEALING_MARKER " =C3=A4\r\n"

/* The message as dir/onward.eml, its CMS as dir/onward.der. */
static void onward_to_file(const struct test_pki *p, bool aes_128)
{
    struct onward_job job = {.header = bytes_of(HEADER),
                             .entity = bytes_of(ENTITY),
                             .recipient = p->user,
                             .aes_128 = aes_128};
    CLEANUP(buf_clear) struct buf out = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    const uint8_t *body;

    assert_int_equal(onward_run(&job, sealing_to_buf, &out), ERR_OK);
    test_write(p, "onward.eml", buf_bytes(&out));
    body = memmem(out.data, out.len, "\r\n\r\n", 4);
    assert_non_null(body);
    assert_int_equal(
        base64_decode((struct bytes){body + 4, out.len - (size_t)(body + 4 - out.data)}, &der),
        ERR_OK);
    test_write(p, "onward.der", buf_bytes(&der));
}

static void file_is_inner(const struct test_pki *p, const char *name)
{
    CLEANUP(buf_clear) struct buf text = {0};

    test_read(p, name, &text);
    assert_int_equal(text.len, strlen(INNER));
    assert_memory_equal(text.data, INNER, text.len);
}

static void openssl_reads_it(const struct test_pki *p)
{
    const char *argv[] = {"openssl", "cms",      "-decrypt", "-in",      "onward.eml",
                          "-recip",  "user.pem", "-inkey",   "user.key", "-binary",
                          "-out",    "clear",    NULL};

    assert_int_equal(test_run(p, "", argv), 0);
    file_is_inner(p, "clear");
}

static void openssl_reads_what_leaves_byte_for_byte(void **state)
{
    (void)state;
    onward_to_file(&sealing_rsa, false);
    openssl_reads_it(&sealing_rsa);
    onward_to_file(&sealing_rsa, true);
    openssl_reads_it(&sealing_rsa);
    onward_to_file(&sealing_ec, false);
    openssl_reads_it(&sealing_ec);
}

static void the_header_stays_outside_and_the_content_does_not(void **state)
{
    CLEANUP(buf_clear) struct buf text = {0};

    (void)state;
    onward_to_file(&sealing_rsa, false);
    test_read(&sealing_rsa, "onward.eml", &text);
    assert_memory_equal(text.data, "From: shop@relay.example\r\nTo: ", 30);
    assert_non_null(strstr(buf_str(&text), "Subject: =?utf-8?q?Gr"));
    assert_null(strstr(buf_str(&text), SEALING_MARKER));
    assert_null(strstr(buf_str(&text), "HP-Outer"));
    assert_null(strstr(strstr(buf_str(&text), "MIME-Version") + 1, "MIME-Version"));
}

static void is_in(const char *name, const char *oid, bool wanted)
{
    CLEANUP(buf_clear) struct buf der = {0};
    ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);

    test_read(&sealing_rsa, name, &der);
    assert_int_equal(memmem(der.data, der.len, OBJ_get0_data(obj), OBJ_length(obj)) != NULL,
                     wanted);
    ASN1_OBJECT_free(obj);
}

static void aes_128_is_used_only_for_those_who_know_nothing_longer(void **state)
{
    (void)state;
    onward_to_file(&sealing_rsa, false);
    is_in("onward.der", "2.16.840.1.101.3.4.1.42", true);
    onward_to_file(&sealing_rsa, true);
    is_in("onward.der", "2.16.840.1.101.3.4.1.2", true);
    is_in("onward.der", "2.16.840.1.101.3.4.1.42", false);
}

static void nss_reads_it(void **state)
{
    const struct test_pki *p = &sealing_rsa;
    const char *make[] = {"certutil", "-N", "-d", "sql:.", "--empty-password", NULL};
    const char *import[] = {"pk12util", "-i", "user.p12", "-d", "sql:.", "-W", "secret", NULL};
    const char *read[] = {"cmsutil", "-D", "-d", "sql:.", "-i", "onward.der", "-o", "clear", NULL};

    (void)state;
    onward_to_file(p, false);
    assert_int_equal(test_run(p, "", make), 0);
    assert_int_equal(test_run(p, "", import), 0);
    assert_int_equal(test_run(p, "", read), 0);
    file_is_inner(p, "clear");
}

static void gpgsm_reads_it(void **state)
{
    const struct test_pki *p = &sealing_rsa;
    const char *folder[] = {"mkdir", "-p", "-m", "700", "gnupg", NULL};
    const char *import[] = {"gpgsm", "--batch",  "--pinentry-mode", "loopback", "--passphrase-fd",
                            "0",     "--import", "user.p12",        NULL};
    const char *read[] = {"gpgsm",    "--batch",         "--yes",      "--pinentry-mode",
                          "loopback", "--passphrase-fd", "0",          "--output",
                          "clear",    "--decrypt",       "onward.der", NULL};
    const char *end[] = {"gpgconf", "--kill", "all", NULL};

    (void)state;
    onward_to_file(p, false);
    assert_int_equal(test_run(p, "", folder), 0);
    assert_int_equal(test_run(p, "secret\n", import), 0);
    assert_int_equal(test_run(p, "secret\n", read), 0);
    file_is_inner(p, "clear");
    assert_int_equal(test_run(p, "", end), 0);
}

static enum err full(void *ctx, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return ERR_NOSPACE;
}

static void an_error_of_the_sink_is_the_answer(void **state)
{
    struct onward_job job = {
        .header = bytes_of(HEADER), .entity = bytes_of(ENTITY), .recipient = sealing_rsa.user};

    (void)state;
    assert_int_equal(onward_run(&job, full, NULL), ERR_NOSPACE);
}

static void a_certificate_is_fit_for_its_address_its_time_and_its_purpose(void **state)
{
    const int64_t now_s = time(NULL);
    const struct {
        X509 *cert;
        const char *address;
        int64_t now_s;
        enum err want;
    } rows[] = {
        {sealing_rsa.user, TEST_USER, now_s, ERR_OK},
        {sealing_ec.user, TEST_USER, now_s, ERR_OK},
        {sealing_rsa.user, "User@HOME.example", now_s, ERR_OK},
        {sealing_rsa.user, "user@home.example.org", now_s, ERR_REFUSED},
        {sealing_rsa.user, "", now_s, ERR_REFUSED},
        {sealing_rsa.user, TEST_SENDER, now_s, ERR_REFUSED},
        {sealing_rsa.inter, TEST_USER, now_s, ERR_REFUSED},
        {sealing_rsa.user, TEST_USER, now_s + 601 * 86400, ERR_EXPIRED},
        {sealing_rsa.user, TEST_USER, now_s - 31 * 86400, ERR_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(own_cert_check(rows[i].cert, rows[i].address, rows[i].now_s),
                         rows[i].want);
        err_note_clear();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_reads_what_leaves_byte_for_byte),
        cmocka_unit_test(the_header_stays_outside_and_the_content_does_not),
        cmocka_unit_test(aes_128_is_used_only_for_those_who_know_nothing_longer),
        cmocka_unit_test(nss_reads_it),
        cmocka_unit_test(gpgsm_reads_it),
        cmocka_unit_test(an_error_of_the_sink_is_the_answer),
        cmocka_unit_test(a_certificate_is_fit_for_its_address_its_time_and_its_purpose),
    };

    return cmocka_run_group_tests(tests, sealing_start, sealing_end);
}
