/* SPDX-License-Identifier: GPL-3.0-or-later */
/* outcome_test.c - verdicts, waits, and the frames that carry facts. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/deliver/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Everything as it should be. */
static const struct job_result good = {.mail_code = 250,
                                       .rcpt_code = 250,
                                       .end_code = 250,
                                       .message_code = 250,
                                       .recipient_code = 250,
                                       .complete = true,
                                       .stage = STAGE_ANSWERED,
                                       .text = "ok"};

static enum queue_outcome outcome_of(const struct job_result *r)
{
    struct verdict v;

    outcome_judge(r, &v);
    return v.outcome;
}

static void done_needs_every_sign_at_once(void **state)
{
    struct job_result r = good;

    (void)state;
    assert_int_equal(outcome_of(&r), OUTCOME_DONE);
#define WITHOUT(member, value)                                                                     \
    r = good;                                                                                      \
    r.member = value;                                                                              \
    assert_int_equal(outcome_of(&r), OUTCOME_RETRY)
    WITHOUT(mail_code, 0);
    WITHOUT(mail_code, 354);
    WITHOUT(rcpt_code, 0);
    WITHOUT(rcpt_code, 450);
    WITHOUT(data_code, 452);
    WITHOUT(end_code, 0);
    WITHOUT(end_code, 354);
    WITHOUT(message_code, 0);
    WITHOUT(message_code, 354);
    WITHOUT(message_code, 503);
    WITHOUT(recipient_code, 0);
    WITHOUT(complete, false);
    WITHOUT(stage, STAGE_DOT);
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        r = good;
        r.fault = (enum job_fault)fault;
        assert_int_not_equal(outcome_of(&r), OUTCOME_DONE);
    }
#undef WITHOUT
}

static void only_a_clean_5xx_about_the_message_is_final(void **state)
{
    static const struct {
        struct job_result facts;
        enum queue_outcome outcome;
    } table[] = {
        {{.mail_code = 553, .stage = STAGE_MAIL}, OUTCOME_FAILED},
        {{.mail_code = 250, .rcpt_code = 550, .stage = STAGE_RCPT}, OUTCOME_FAILED},
        {{.mail_code = 250, .rcpt_code = 550, .fault = FAULT_DROPPED}, OUTCOME_FAILED},
        {{.mail_code = 250, .rcpt_code = 550, .fault = FAULT_OUT_OF_STEP}, OUTCOME_RETRY},
        {{.mail_code = 250, .rcpt_code = 450, .data_code = 554}, OUTCOME_RETRY},
        {{.mail_code = 250, .rcpt_code = 250, .data_code = 554, .end_code = 554}, OUTCOME_FAILED},
        {{.mail_code = 250, .rcpt_code = 250, .data_code = 452, .end_code = 503}, OUTCOME_RETRY},
        {{.mail_code = 250, .rcpt_code = 250, .data_code = 503, .end_code = 503}, OUTCOME_RETRY},
        {{.mail_code = 530}, OUTCOME_RETRY},
        {{.mail_code = 421}, OUTCOME_RETRY},
        {{.fault = FAULT_CONTENT, .stage = STAGE_DATA, .mail_code = 250, .rcpt_code = 250},
         OUTCOME_FAILED},
        {{.stage = STAGE_NONE}, OUTCOME_RETRY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(outcome_of(&table[i].facts), table[i].outcome);
}

static void waits_double_to_the_most_and_are_spread(void **state)
{
    (void)state;
    for (unsigned random = 0; random < 5000; random += 7) {
        unsigned first = backoff_s(1, 60, 3600, random);
        unsigned third = backoff_s(3, 60, 3600, random);
        unsigned most = backoff_s(1000, 60, 3600, random);

        assert_in_range(first, 45, 75);
        assert_in_range(third, 180, 300);
        assert_in_range(most, 2700, 4500);
        assert_int_equal(backoff_s(9, 0, 0, random), 1);
    }
    assert_int_not_equal(backoff_s(3, 60, 3600, 1), backoff_s(3, 60, 3600, 77));
}

/* ---- frames ---- */

static void frames_arrive_whole_or_not_at_all(void **state)
{
    static uint8_t big[JOB_CHUNK_MAX];
    struct frame f = {0};
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(frame_send(pair[0], FRAME_CHUNK, 7, (struct bytes){big, sizeof big},
                                clock_mono_ms() + 1000),
                     ERR_OK);
    assert_int_equal(frame_recv(pair[1], &f, clock_mono_ms() + 1000), ERR_OK);
    assert_int_equal(f.index, 7);
    assert_int_equal(f.payload.len, sizeof big);
    assert_int_equal(frame_send(pair[0], FRAME_CHUNK, 0, (struct bytes){big, sizeof big + 1}, 0),
                     ERR_BUG);
    assert_int_equal(frame_recv(pair[1], &f, clock_mono_ms() + 20), ERR_TIMEOUT);
    assert_int_equal(write(pair[0], "\x05\x01\x00\x00\x00", 5), 5);
    assert_int_equal(frame_recv(pair[1], &f, clock_mono_ms() + 20), ERR_TIMEOUT);
    fd_close(&pair[0]);
    assert_int_equal(frame_recv(pair[1], &f, clock_mono_ms() + 20), ERR_NET);
    fd_close(&pair[1]);
    buf_clear(&f.payload);
}

static void malformed_frames_are_refused(void **state)
{
    static const char *const bad[] = {"\x00\x01\x00\x00\x00\x00\x00\x00", /* type */
                                      "\x0a\x01\x00\x00\x00\x00\x00\x00", /* type */
                                      "\x05\x02\x00\x00\x00\x00\x00\x00", /* version */
                                      "\x05\x01\x00\x00\x00\x00\x80\x01", /* length */
                                      "\x05\x01\x00\x00\xff\xff\xff\xff"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct frame f = {0};
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        assert_int_equal(write(pair[0], bad[i], 8), 8);
        assert_int_equal(frame_recv(pair[1], &f, clock_mono_ms() + 1000), ERR_FORMAT);
        buf_clear(&f.payload);
        fd_close(&pair[0]);
        fd_close(&pair[1]);
    }
}

static void payloads_survive_the_way_and_nothing_shorter_or_longer_does(void **state)
{
    CLEANUP(buf_clear) struct buf b = {0};
    struct job_result back;
    struct job_result r = good;

    (void)state;
    r.stage = STAGE_DOT;
    r.fault = FAULT_STALL;
    assert_int_equal(job_encode_result(&r, &b), ERR_OK);
    assert_int_equal(job_decode_result(buf_bytes(&b), &back), ERR_OK);
    assert_memory_equal(&back, &r, sizeof r);
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(job_decode_result((struct bytes){b.data, len}, &back), ERR_FORMAT);
    buf_append_str(&b, "x");
    assert_int_equal(job_decode_result(buf_bytes(&b), &back), ERR_FORMAT);
    for (size_t i = 0; i < b.len - 1; i++) { /* any byte may be anything: no crash */
        uint8_t was = b.data[i];

        b.data[i] = 0xff;
        (void)job_decode_result((struct bytes){b.data, b.len - 1}, &back);
        b.data[i] = was;
    }
}

static void heads_and_envelopes_are_checked_when_they_are_read(void **state)
{
    static const struct {
        const char *from, *to;
        bool ok;
    } table[] = {
        {"", "a@b", true},
        {"\"x y\"@b", "a@[192.0.2.1]", true},
        {"a@b\r\nRSET", "a@b", false},
        {"a@b", "", false},
        {"a@b", "a@b>", false},
        {"a@b", "\"a@b", false},
        {"a@b", "a\x7f@b", false},
        {"a@b", "@b", false},
    };
    char host[] = "mx.example";
    char evil[] = "mx.example\r\n";
    struct job job = {.host = host, .port = 25, .deadline_s = 9, .n_messages = 2};
    struct job back;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CLEANUP(buf_clear) struct buf b = {0};
        struct job_message m = {.id = "aaaaaaaaaaaaaaaa",
                                .mail_from = (char *)(uintptr_t)table[i].from,
                                .rcpt_to = (char *)(uintptr_t)table[i].to};
        struct job_message got[1] = {0};

        assert_int_equal(job_encode_message(&m, &b), ERR_OK);
        assert_int_equal(job_decode_message(buf_bytes(&b), got), table[i].ok ? ERR_OK : ERR_FORMAT);
        free(got[0].mail_from);
        free(got[0].rcpt_to);
    }
    for (int bad = 0; bad < 2; bad++) {
        CLEANUP(buf_clear) struct buf b = {0};

        job.host = bad ? evil : host;
        assert_int_equal(job_encode_head(&job, &b), ERR_OK);
        assert_int_equal(job_decode_head(buf_bytes(&b), &back), bad ? ERR_FORMAT : ERR_OK);
        job_clear(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_needs_every_sign_at_once),
        cmocka_unit_test(only_a_clean_5xx_about_the_message_is_final),
        cmocka_unit_test(waits_double_to_the_most_and_are_spread),
        cmocka_unit_test(frames_arrive_whole_or_not_at_all),
        cmocka_unit_test(malformed_frames_are_refused),
        cmocka_unit_test(payloads_survive_the_way_and_nothing_shorter_or_longer_does),
        cmocka_unit_test(heads_and_envelopes_are_checked_when_they_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
