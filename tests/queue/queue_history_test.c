/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue_history_test.c - what became of a message, and of whose failure somebody is still to be
 * told. */
#include "tests/queue/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define NOW     FIXTURE_NOW
#define DAY     INT64_C(86400)
#define ORIGIN  "sealed origin"
#define ASKED   300u
#define UNKNOWN "550 5.1.1 <" FIXTURE_MARKER "@home.example.com>: no mailbox " FIXTURE_MARKER

static struct queue_item show(unsigned n)
{
    struct queue_item item = {.size_bytes = 0};
    id_text id;

    message_id(n, id);
    assert_int_equal(queue_show(fixture.queue, id, &item), ERR_OK);
    return item;
}

static void put_with_origin(unsigned n, enum queue_direction direction, const char *closes,
                            enum err expected)
{
    struct queue_envelope envelope = {.direction = direction,
                                      .profile = FIXTURE_PROFILE,
                                      .hop = "",
                                      .mail_from = "",
                                      .rcpt_to = "to@b.example",
                                      .origin = bytes_of(ORIGIN),
                                      .closes = closes};
    struct queue_writer *w = NULL;

    message_id(n, envelope.id);
    assert_int_equal(queue_begin(fixture.queue, &envelope, NOW, &w), ERR_OK);
    assert_int_equal(queue_write(w, (const uint8_t *)"text\r\n", 6), ERR_OK);
    assert_int_equal(queue_commit(fixture.queue, &w, 1), expected);
}

static void end_at(unsigned n, enum queue_outcome outcome, const char *text, int64_t now_s)
{
    struct queue_result r = {
        .outcome = outcome, .now_s = now_s, .text = text, .hop_id = "4XyZ-9.b"};
    struct queue_item item;
    size_t taken = 0;
    int64_t due;

    assert_int_equal(queue_take(fixture.queue, now_s, NULL, 0, 1, &item, &taken, &due), ERR_OK);
    message_id(n, r.id);
    assert_string_equal(item.id, r.id);
    assert_int_equal(queue_finish(fixture.queue, &r, 1), ERR_OK);
}

static bool report(unsigned n, const char *status)
{
    struct queue_report r = {.now_s = NOW + 60, .sealed = bytes_of("sealed report")};
    bool changed = false;

    message_id(n, r.id);
    memcpy(r.status, status, strlen(status) + 1);
    assert_int_equal(queue_report(fixture.queue, &r, &changed), ERR_OK);
    return changed;
}

/* The only open failure, or none. */
static enum err only_failure(struct queue_failure *out)
{
    CLEANUP(queue_failure_clear) struct queue_failure second = {0};
    enum err e = queue_failure_next(fixture.queue, 0, out);

    if (!e)
        assert_int_equal(queue_failure_next(fixture.queue, out->n, &second), ERR_NOT_FOUND);
    return e;
}

static void a_delivered_message_is_known_by_its_id(void **state)
{
    struct queue_item item;

    (void)state;
    put_with_origin(1, QUEUE_FORWARD, NULL, ERR_OK);
    end_at(1, OUTCOME_DONE, "250 2.0.0 Ok: queued as 4XyZ", NOW + 5);
    for (int again = 0; again < 2; again++) {
        item = show(1);
        assert_int_equal(item.state, QUEUE_DELIVERED);
        assert_string_equal(item.hop_id, "4XyZ-9.b");
        assert_string_equal(item.last_result, "250 2.0.0");
        assert_string_equal(item.profile, FIXTURE_PROFILE);
        assert_string_equal(item.rcpt_to, "");
        assert_int_equal(item.created_s, NOW);
        assert_int_equal(item.finished_s, NOW + 5);
        assert_int_equal(item.attempts, 1);
        assert_int_equal(item.size_bytes, 6);
        fixture_reopen();
    }
}

/* Whoever asks for a message without pause; message n is asked for until it is delivered. */
static void *ask(void *arg)
{
    atomic_uint *unknown = arg;

    for (unsigned n = 1; n <= ASKED; n++) {
        struct queue_item item = {.state = QUEUE_ACTIVE};
        id_text id;

        message_id(n, id);
        while (item.state != QUEUE_DELIVERED && !atomic_load(unknown))
            if (queue_show(fixture.queue, id, &item))
                atomic_fetch_add(unknown, 1);
    }
    return NULL;
}

static void a_message_is_known_at_every_instant_of_its_delivery(void **state)
{
    atomic_uint unknown = 0;
    pthread_t asking;

    (void)state;
    for (unsigned n = 1; n <= ASKED; n++)
        put_with_origin(n, QUEUE_REPLY, NULL, ERR_OK);
    assert_int_equal(pthread_create(&asking, NULL, ask, &unknown), 0);
    for (unsigned n = 1; n <= ASKED; n++)
        end_at(n, OUTCOME_DONE, "250 2.0.0 Ok", NOW + 5);
    assert_int_equal(pthread_join(asking, NULL), 0);
    assert_int_equal(atomic_load(&unknown), 0);
}

static void a_report_fails_a_delivered_message_once(void **state)
{
    CLEANUP(queue_failure_clear) struct queue_failure f = {0};
    CLEANUP(queue_failure_clear) struct queue_failure none = {0};
    struct queue_counts counts;
    struct queue_item item;
    size_t n = 0;

    (void)state;
    put_with_origin(1, QUEUE_FORWARD, NULL, ERR_OK);
    end_at(1, OUTCOME_DONE, "250 2.0.0 Ok", NOW);
    assert_false(report(2, "5.1.1"));
    assert_true(report(1, "5.1.1"));
    assert_false(report(1, "5.2.2"));
    item = show(1);
    assert_int_equal(item.state, QUEUE_FAILED);
    assert_int_equal(item.reported_s, NOW + 60);
    assert_string_equal(item.last_result, "reported failed: 5.1.1");
    assert_int_equal(only_failure(&f), ERR_OK);
    assert_true(f.reported);
    assert_string_equal(f.status, "5.1.1");
    assert_true(bytes_equal(buf_bytes(&f.origin), bytes_of(ORIGIN)));
    assert_true(bytes_equal(buf_bytes(&f.report), bytes_of("sealed report")));
    assert_int_equal(queue_failure_close(fixture.queue, f.id), ERR_OK);
    assert_int_equal(queue_failure_close(fixture.queue, f.id), ERR_WRONG_STATE);
    assert_false(report(1, "5.1.1"));
    assert_int_equal(only_failure(&none), ERR_NOT_FOUND);
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.failures, 1);
    assert_int_equal(queue_failures(fixture.queue, &item, 1, &n), ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(fixture_order(1, ORDER_DROP, NOW), ERR_OK);
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.failures, 0);
    assert_int_equal(show(1).state, QUEUE_FAILED);
}

static void the_origin_of_a_message_is_known_while_it_waits_and_when_it_is_gone(void **state)
{
    id_text id;

    (void)state;
    message_id(1, id);
    put_with_origin(1, QUEUE_REPLY, NULL, ERR_OK);
    put_with_origin(2, QUEUE_FORWARD, NULL, ERR_OK);
    for (int gone = 0; gone < 2; gone++) {
        CLEANUP(buf_clear) struct buf origin = {0};
        enum queue_direction direction = QUEUE_NOTICE;

        if (gone)
            end_at(1, OUTCOME_DONE, "250 2.0.0 Ok", NOW);
        assert_int_equal(queue_origin(fixture.queue, id, &direction, &origin), ERR_OK);
        assert_int_equal(direction, QUEUE_REPLY);
        assert_true(bytes_equal(buf_bytes(&origin), bytes_of(ORIGIN)));
    }
    {
        CLEANUP(buf_clear) struct buf none = {0};
        enum queue_direction direction = QUEUE_NOTICE;

        message_id(3, id);
        assert_int_equal(queue_origin(fixture.queue, id, &direction, &none), ERR_NOT_FOUND);
        assert_int_equal(none.len, 0);
    }
}

static void a_report_may_be_quicker_than_the_answer_to_the_delivery(void **state)
{
    CLEANUP(queue_failure_clear) struct queue_failure f = {0};
    struct queue_item item;

    (void)state;
    put_with_origin(1, QUEUE_FORWARD, NULL, ERR_OK);
    assert_true(report(1, "5.1.1"));
    assert_false(report(1, "5.1.1"));
    assert_int_equal(show(1).state, QUEUE_READY);
    end_at(1, OUTCOME_DONE, "250 2.0.0 Ok", NOW);
    item = show(1);
    assert_int_equal(item.state, QUEUE_FAILED);
    assert_string_equal(item.hop_id, "4XyZ-9.b");
    assert_int_equal(only_failure(&f), ERR_OK);
    assert_string_equal(f.status, "5.1.1");
}

static void our_own_failures_are_open_but_never_those_of_notices(void **state)
{
    static const struct {
        const char *text;
        const char *status;
        const char *result;
    } cases[] = {
        {UNKNOWN, "5.1.1", "550 5.1.1"},
        {"554 no such user", "5.0.0", "554"},
        {"550 4.1.1 odd", "5.0.0", "550"},
        {"550 5.1.1111111111111111 odd", "5.0.0", "550"},
        {"no answer (content, at data)", "", "no answer (content, at data)"},
        {"5500 5.1.1 " FIXTURE_MARKER, "", ""},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(queue_failure_clear) struct queue_failure f = {0};

        put_with_origin(10 + i, QUEUE_FORWARD, NULL, ERR_OK);
        end_at(10 + i, OUTCOME_FAILED, cases[i].text, NOW);
        assert_int_equal(only_failure(&f), ERR_OK);
        assert_false(f.reported);
        assert_string_equal(f.status, cases[i].status);
        assert_string_equal(f.result, cases[i].result);
        assert_int_equal(queue_failure_close(fixture.queue, f.id), ERR_OK);
    }
    put_with_origin(1, QUEUE_NOTICE, NULL, ERR_OK);
    end_at(1, OUTCOME_FAILED, UNKNOWN, NOW);
    assert_false(report(1, "5.1.1"));
    assert_int_equal(queue_failure_next(fixture.queue, 0, &(struct queue_failure){0}),
                     ERR_NOT_FOUND);
    assert_false(scratch_holds(fixture.dir, FIXTURE_MARKER));
}

static void an_entry_tried_again_fails_anew_but_is_told_of_once(void **state)
{
    CLEANUP(queue_failure_clear) struct queue_failure f = {0};
    struct queue_counts counts;

    (void)state;
    put_with_origin(1, QUEUE_FORWARD, NULL, ERR_OK);
    end_at(1, OUTCOME_FAILED, UNKNOWN, NOW);
    assert_int_equal(only_failure(&f), ERR_OK);
    assert_int_equal(queue_failure_close(fixture.queue, f.id), ERR_OK);
    assert_int_equal(fixture_order(1, ORDER_RETRY, NOW), ERR_OK);
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.failures, 0);
    end_at(1, OUTCOME_FAILED, UNKNOWN, NOW);
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.failures, 1);
    assert_int_equal(queue_failure_next(fixture.queue, 0, &(struct queue_failure){0}),
                     ERR_NOT_FOUND);
    assert_int_equal(fixture_order(1, ORDER_RETRY, NOW), ERR_OK);
    end_at(1, OUTCOME_DONE, "250 2.0.0 Ok", NOW);
    assert_int_equal(show(1).state, QUEUE_DELIVERED);
}

static void a_notice_closes_the_failure_it_tells_of_or_is_not_queued(void **state)
{
    id_text failed;
    struct queue_counts counts;

    (void)state;
    message_id(1, failed);
    put_with_origin(1, QUEUE_FORWARD, NULL, ERR_OK);
    put_with_origin(2, QUEUE_NOTICE, failed, ERR_WRONG_STATE);
    end_at(1, OUTCOME_FAILED, UNKNOWN, NOW);
    put_with_origin(3, QUEUE_NOTICE, failed, ERR_OK);
    put_with_origin(4, QUEUE_NOTICE, failed, ERR_WRONG_STATE);
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.ready, 1);
    assert_int_equal(queue_failure_next(fixture.queue, 0, &(struct queue_failure){0}),
                     ERR_NOT_FOUND);
}

static bool is_known(unsigned n)
{
    struct queue_item item;
    id_text id;

    message_id(n, id);
    return queue_show(fixture.queue, id, &item) == ERR_OK;
}

static void the_history_is_bounded_in_age_and_in_rows(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        put_with_origin(n, QUEUE_FORWARD, NULL, ERR_OK);
        end_at(n, OUTCOME_DONE, "250 Ok", NOW + (int64_t)n * DAY);
    }
    put_with_origin(4, QUEUE_FORWARD, NULL, ERR_OK);
    end_at(4, OUTCOME_DONE, "250 Ok", NOW + 16 * DAY);
    assert_false(is_known(1));
    assert_true(is_known(2));
    fixture.options.history_max = 2;
    fixture_reopen();
    put_with_origin(5, QUEUE_FORWARD, NULL, ERR_OK);
    end_at(5, OUTCOME_DONE, "250 Ok", NOW + 16 * DAY);
    assert_false(is_known(3));
    assert_true(is_known(4));
    assert_true(is_known(5));
}

static void a_queue_of_the_first_schema_is_led_to_the_present_one(void **state)
{
    unsigned n = 0;

    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, FIXTURE_SMALL, "", NOW), ERR_OK);
    assert_int_equal(message_put(fixture.queue, 2, FIXTURE_LARGE, "", NOW + 1), ERR_OK);
    queue_close(fixture.queue);
    scratch_sql(fixture.dir, "queue.db",
                "DROP TABLE history; ALTER TABLE entry DROP COLUMN origin; PRAGMA user_version=1");
    assert_int_equal(queue_open(&fixture.options, fixture.hsm, &fixture.queue), ERR_OK);
    for (unsigned i = 1; i <= 2; i++) {
        size_t len = i == 1 ? FIXTURE_SMALL : FIXTURE_LARGE;

        assert_int_equal(take_one(fixture.queue, NOW + 1, &n), ERR_OK);
        assert_int_equal(n, i);
        assert_int_equal(message_check(fixture.queue, n, len), ERR_OK);
        assert_int_equal(finish_one(fixture.queue, n, OUTCOME_DONE, 0, "250 Ok"), ERR_OK);
        assert_int_equal(show(i).state, QUEUE_DELIVERED);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_delivered_message_is_known_by_its_id),
        CASE(a_message_is_known_at_every_instant_of_its_delivery),
        CASE(a_report_fails_a_delivered_message_once),
        CASE(the_origin_of_a_message_is_known_while_it_waits_and_when_it_is_gone),
        CASE(a_report_may_be_quicker_than_the_answer_to_the_delivery),
        CASE(our_own_failures_are_open_but_never_those_of_notices),
        CASE(an_entry_tried_again_fails_anew_but_is_told_of_once),
        CASE(a_notice_closes_the_failure_it_tells_of_or_is_not_queued),
        CASE(the_history_is_bounded_in_age_and_in_rows),
        CASE(a_queue_of_the_first_schema_is_led_to_the_present_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
