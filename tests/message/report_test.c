/* SPDX-License-Identifier: GPL-3.0-or-later */
/* report_test.c - what reports and automatic answers of many systems are taken for. The samples are
 * the seeds of report_fuzz, in REPORT_SAMPLES. */
#include "daemon/message/report.h"

#include "daemon/base/fdio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum report_kind kind;
    const char *status;
    const char *diagnostic;
    bool automatic;
} samples[] = {
    {"postfix-failed", REPORT_FAILED, "5.1.1", "unknown user: \"alice\"", true},
    {"postfix-delayed", REPORT_DELAYED, "4.4.1",
     "connect to mx.home.example.com: Connection refused", true},
    {"postfix-expired", REPORT_FAILED, "4.4.1",
     "connect to mx.home.example.com: Connection timed out", false},
    {"exchange", REPORT_FAILED, "5.1.10",
     "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient alice@home.example.com not found by "
     "SMTP address lookup",
     true},
    {"exim", REPORT_FAILED, "5.0.0", "", true},
    {"exim-old", REPORT_UNPARSED, "", "", false},
    {"qmail", REPORT_UNPARSED, "", "", false},
    {"gmail", REPORT_FAILED, "5.1.1",
     "550-5.1.1 The email account does not exist. Please try 550-5.1.1 double-checking the address "
     "550 5.1.1 x1-gsmtp",
     true},
    {"sendmail-success", REPORT_PASSED, "2.1.5", "", true},
    {"several-recipients", REPORT_FAILED, "5.2.1", "550 disabled", false},
    {"global-base64", REPORT_FAILED, "5.2.2", "", false},
    {"report-without-status", REPORT_UNPARSED, "", "", false},
    {"folded-status", REPORT_FAILED, "5.7.1", "554 5.7.1 refused ? here", false},
    {"read-receipt", REPORT_OTHER, "", "", false},
    {"answer-outlook", REPORT_NONE, "", "", true},
    {"answer-gmail", REPORT_NONE, "", "", true},
    {"answer-sieve", REPORT_NONE, "", "", true},
    {"answer-vacation", REPORT_NONE, "", "", true},
    {"answer-cpanel", REPORT_NONE, "", "", true},
    {"answer-person", REPORT_NONE, "", "", false},
};

static void read_sample(const char *name, struct buf *out)
{
    CLEANUP(buf_clear) struct buf file = {0};
    char path[512];

    (void)snprintf(path, sizeof path, REPORT_SAMPLES "/%s.eml", name);
    assert_int_equal(file_read(path, 1 << 20, &file), ERR_OK);
    for (size_t i = 0; i < file.len; i++)
        buf_append(out, file.data[i] == '\n' ? (const void *)"\r\n" : &file.data[i],
                   file.data[i] == '\n' ? 2 : 1);
    assert_int_equal(buf_error(out), ERR_OK);
}

static void samples_are_what_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        CLEANUP(buf_clear) struct buf raw = {0};
        CLEANUP(message_clear) struct message m = {0};
        struct report r;

        read_sample(samples[i].name, &raw);
        assert_int_equal(message_parse(buf_bytes(&raw), &m), ERR_OK);
        report_read(&m, &r);
        if (r.kind != samples[i].kind || report_is_automatic(&m) != samples[i].automatic)
            fail_msg("%s: %s, automatic %d", samples[i].name, report_kind_name(r.kind),
                     report_is_automatic(&m));
        assert_string_equal(r.status, samples[i].status);
        assert_string_equal(r.diagnostic, samples[i].diagnostic);
    }
}

static void status_of(const char *line, char out[REPORT_STATUS_MAX + 1])
{
    CLEANUP(buf_clear) struct buf raw = {0};
    CLEANUP(message_clear) struct message m = {0};
    struct report r;

    buf_printf(&raw,
               "Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\n"
               "Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n%s\r\n\r\n--x--\r\n",
               line);
    assert_int_equal(message_parse(buf_bytes(&raw), &m), ERR_OK);
    report_read(&m, &r);
    assert_int_equal(r.kind, REPORT_FAILED);
    memcpy(out, r.status, sizeof r.status);
}

static void a_status_is_one_by_the_letter_or_unknown(void **state)
{
    static const char *const cases[][2] = {
        {"Status: 5.1.1", "5.1.1"},
        {"Status: 5.123.456", "5.123.456"},
        {"Status: 4.4.7 (late)", "4.4.7"},
        {"Status: 5.1.1234", "5.0.0"},
        {"Status: 5..1", "5.0.0"},
        {"Status: 6.1.1", "5.0.0"},
        {"Status: 55.1.1", "5.0.0"},
        {"Status: 5.1.", "5.0.0"},
        {"Status: five", "5.0.0"},
        {"Status:", "5.0.0"},
        {"X: y", "5.0.0"},
    };
    char status[REPORT_STATUS_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        status_of(cases[i][0], status);
        assert_string_equal(status, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_what_they_are),
        cmocka_unit_test(a_status_is_one_by_the_letter_or_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
