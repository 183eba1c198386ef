/* SPDX-License-Identifier: GPL-3.0-or-later */
/* answer_test.c - enhanced status and queue id out of replies as servers really give them, and as
 * a hostile one might. */
#include "daemon/deliver/answer.h"
#include "daemon/deliver/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void queue_ids_are_found_as_each_server_tells_them(void **state)
{
    static const struct {
        const char *text, *hop_id;
    } table[] = {
        {"2.0.0 Ok: queued as 4XyZ1b2c3dz9", "4XyZ1b2c3dz9"}, /* Postfix */
        {"2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as AB12", "AB12"},
        {"OK id=1rXyZ-000Abc-2d", "1rXyZ-000Abc-2d"},                 /* Exim */
        {"2.0.0 1a2b3c4d Message accepted for delivery", "1a2b3c4d"}, /* OpenSMTPD */
        {"2.0.0: 1a2b3c4d Message accepted for delivery", "1a2b3c4d"},
        {"2.0.0 3AM7Ab12-004711 Message accepted for delivery", "3AM7Ab12-004711"}, /* Sendmail */
        {"Message accepted for delivery: 0f9e8d7c", "0f9e8d7c"},
        {"2.0.0 Done: queued as aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa"}, /* one of ours */
        {"2.0.0 Ok: queued as 12345.", "12345"},
        {"2.0.0 (queued as 12345)", "12345"},
        {"ok 1732269600 qp 4711", ""},
        {"2.0.0 Message accepted for delivery", ""},
        {"Message accepted for delivery", ""},
        {"2.0.0 Ok: queued as", ""},
        {"2.0.0 Ok: queued as ", ""},
        {"2.0.0 Ok: queued as <address>", ""},
        {"2.0.0 Ok: queued as bob@shop.example.net", ""},
        {"2.0.0 Ok: queued as x?y", ""},
        {"2.0.0 Ok: queued as ../../etc", ""},
        {"2.0.0 Ok: queued as ...", ""},
        {"bob@x Message accepted for delivery", ""},
        {"OK id=x=y", ""},
        {"", ""},
    };
    char out[ANSWER_HOP_ID_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(answer_hop_id(table[i].text, out), table[i].hop_id[0] != '\0');
        assert_string_equal(out, table[i].hop_id);
    }
}

static void a_queue_id_beyond_its_bound_or_cut_off_is_none(void **state)
{
    char out[ANSWER_HOP_ID_MAX + 1];
    char text[200] = "queued as ";
    struct job_result r = {.mail_code = 250,
                           .rcpt_code = 250,
                           .end_code = 250,
                           .message_code = 250,
                           .recipient_code = 250,
                           .complete = true,
                           .stage = STAGE_ANSWERED};
    struct verdict v;

    (void)state;
    memset(text + 10, 'a', ANSWER_HOP_ID_MAX);
    assert_true(answer_hop_id(text, out));
    assert_int_equal(strlen(out), ANSWER_HOP_ID_MAX);
    text[10 + ANSWER_HOP_ID_MAX] = 'a';
    assert_false(answer_hop_id(text, out));
    for (int cut = 0; cut < 2; cut++) {
        (void)snprintf(r.text, sizeof r.text, "%*squeued as 4XyZ", JOB_TEXT_MAX - 14 - !cut, "");
        outcome_judge(&r, &v);
        assert_int_equal(v.outcome, OUTCOME_DONE);
        assert_string_equal(v.hop_id, cut ? "" : "4XyZ");
    }
}

static void the_enhanced_status_counts_only_where_it_fits_the_code(void **state)
{
    static const struct {
        uint16_t code;
        const char *text, *status;
    } table[] = {
        {250, "2.0.0 Ok: queued as 1", "2.0.0"},
        {550, "5.1.1 unknown", "5.1.1"},
        {550, "5.123.456", "5.123.456"},
        {452, "4.3.1 disk full", "4.3.1"},
        {550, "4.1.1 unknown", ""},
        {250, "Ok", ""},
        {550, "5.1 unknown", ""},
        {550, "5.1.1: unknown", ""},
        {550, "5.1234.1 unknown", ""},
        {550, "5.1.1234 unknown", ""},
        {550, "5..1 unknown", ""},
        {550, "5.1.", ""},
        {0, "2.0.0", ""},
        {550, "", ""},
    };
    char out[ANSWER_STATUS_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        answer_status(table[i].code, table[i].text, out);
        assert_string_equal(out, table[i].status);
    }
}

static void a_verdict_carries_status_and_queue_id_of_the_reply_that_decided(void **state)
{
    struct job_result r = {.mail_code = 250, .rcpt_code = 550, .text = "5.1.1 queued as nothing"};
    struct verdict v;

    (void)state;
    outcome_judge(&r, &v);
    assert_int_equal(v.outcome, OUTCOME_FAILED);
    assert_string_equal(v.status, "5.1.1");
    assert_string_equal(v.hop_id, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_ids_are_found_as_each_server_tells_them),
        cmocka_unit_test(a_queue_id_beyond_its_bound_or_cut_off_is_none),
        cmocka_unit_test(the_enhanced_status_counts_only_where_it_fits_the_code),
        cmocka_unit_test(a_verdict_carries_status_and_queue_id_of_the_reply_that_decided),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
