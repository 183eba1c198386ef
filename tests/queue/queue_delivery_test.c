/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue_delivery_test.c - taking entries and finishing them: results, waits, lifetimes, a clock
 * that jumps, over daemon/queue/queue.h. */
#include "tests/queue/fixture.h"
#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <pthread.h>
#include <string.h>
#include <time.h>

#define NOW FIXTURE_NOW
#define DAY INT64_C(86400)

static void the_longest_waiting_is_taken_first_and_of_one_hop_only(void **state)
{
    static const char *const busy[] = {"b.example", ""};
    struct queue_item items[10];
    int64_t due_in_s = 0;
    size_t n = 0;

    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, 10, "b.example", NOW + 5), ERR_OK);
    assert_int_equal(message_put(fixture.queue, 2, 10, "a.example", NOW + 4), ERR_OK);
    assert_int_equal(message_put(fixture.queue, 3, 10, "b.example", NOW + 1), ERR_OK);
    assert_int_equal(message_put(fixture.queue, 4, 10, "", NOW + 2), ERR_OK);
    assert_int_equal(queue_take(fixture.queue, NOW, NULL, 0, 10, items, &n, &due_in_s),
                     ERR_NOT_FOUND);
    assert_int_equal(n, 0);
    assert_int_equal(due_in_s, 1);
    assert_int_equal(queue_take(fixture.queue, NOW, busy, 2, 10, items, &n, &due_in_s),
                     ERR_NOT_FOUND);
    assert_int_equal(due_in_s, 4);
    assert_int_equal(queue_take(fixture.queue, NOW + 9, busy, 2, 10, items, &n, &due_in_s), ERR_OK);
    assert_int_equal(n, 1);
    assert_string_equal(items[0].hop, "a.example");
    assert_int_equal(items[0].state, QUEUE_ACTIVE);
    assert_int_equal(items[0].attempts, 1);
    assert_int_equal(queue_take(fixture.queue, NOW + 9, NULL, 0, 10, items, &n, &due_in_s), ERR_OK);
    assert_int_equal(n, 2);
    assert_string_equal(items[0].rcpt_to, FIXTURE_MARKER "-rcpt-3@b.example");
    assert_string_equal(items[1].rcpt_to, FIXTURE_MARKER "-rcpt-1@b.example");
    assert_int_equal(queue_take(fixture.queue, NOW + 9, NULL, 0, 10, items, &n, &due_in_s), ERR_OK);
    assert_string_equal(items[0].hop, "");
    assert_int_equal(queue_take(fixture.queue, NOW + 9, NULL, 0, 10, items, &n, &due_in_s),
                     ERR_NOT_FOUND);
    assert_int_equal(due_in_s, 60);
}

static void results_end_or_put_off_or_fail_an_entry(void **state)
{
    unsigned n = 0;
    struct queue_item item;
    struct queue_counts counts;

    (void)state;
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(message_put(fixture.queue, i, i == 1 ? FIXTURE_LARGE : 10, "", NOW + i),
                         ERR_OK);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(take_one(fixture.queue, NOW + 5, &n), ERR_OK);
        assert_int_equal(n, i);
    }
    assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_DONE, 0, "250 ok"), ERR_OK);
    assert_int_equal(finish_one(fixture.queue, 2, OUTCOME_RETRY, NOW + 100, "451 later"), ERR_OK);
    assert_int_equal(finish_one(fixture.queue, 3, OUTCOME_FAILED, 0,
                                "550 <Eve@x.example> no\r\nsuch \x01 \xc3\xa4 user eve@x.example"),
                     ERR_OK);
    assert_int_equal(scratch_files(fixture.dir, "body"), 0);
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.ready + counts.active + counts.held + counts.failed, 2);
    item = fixture_show(2);
    assert_int_equal(item.state, QUEUE_READY);
    assert_int_equal(item.next_attempt_s, NOW + 100);
    assert_string_equal(item.last_result, "451 later");
    item = fixture_show(3);
    assert_int_equal(item.state, QUEUE_FAILED);
    assert_string_equal(item.last_result, "550 <[address]> no  such ? ?? user [address]");
    assert_false(scratch_holds(fixture.dir, "451 later"));
    assert_int_equal(take_one(fixture.queue, NOW + 99, &n), ERR_NOT_FOUND);
    assert_int_equal(take_one(fixture.queue, NOW + 100, &n), ERR_OK);
    assert_int_equal(fixture_show(2).attempts, 2);
}

static void results_for_entries_not_being_delivered_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, 10, "", NOW), ERR_OK);
    assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_DONE, 0, NULL), ERR_OK);
    assert_int_equal(finish_one(fixture.queue, 9, OUTCOME_DONE, 0, NULL), ERR_OK);
    assert_int_equal(message_check(fixture.queue, 1, 10), ERR_OK);
}

static void entries_of_a_dead_process_wait_longer_each_time(void **state)
{
    int64_t now_s = NOW;
    unsigned n;

    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, 10, "", NOW), ERR_OK);
    for (unsigned attempt = 1; attempt <= 12; attempt++) {
        assert_int_equal(take_one(fixture.queue, now_s, &n), ERR_OK);
        fixture_reopen();
        assert_int_equal(fixture_state_of(1), QUEUE_ACTIVE);
        assert_int_equal(queue_release_active(fixture.queue), ERR_OK);
        assert_int_equal(fixture_show(1).attempts, attempt);
        if (attempt == 1)
            continue;
        assert_int_equal(take_one(fixture.queue, now_s + 59, &n), ERR_NOT_FOUND);
        now_s = fixture_show(1).next_attempt_s;
    }
    assert_true(now_s - NOW > 4 * 3600);
    assert_true(now_s - NOW < 8 * 3600);
}

static void a_lifetime_that_is_over_fails_the_entry_which_is_kept(void **state)
{
    unsigned n;

    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, 10, "", NOW), ERR_OK);
    assert_int_equal(take_one(fixture.queue, NOW + 4 * DAY, &n), ERR_OK);
    assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_RETRY, NOW + 5 * DAY - 1, "451 x"),
                     ERR_OK);
    assert_int_equal(take_one(fixture.queue, NOW + 5 * DAY - 1, &n), ERR_OK);
    assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_RETRY, NOW + 5 * DAY, "451 x"), ERR_OK);
    assert_int_equal(fixture_state_of(1), QUEUE_FAILED);
    assert_string_equal(fixture_show(1).last_result, "lifetime is over: 451 x");
    assert_int_equal(take_one(fixture.queue, NOW + 6 * DAY, &n), ERR_NOT_FOUND);
    /* tried again by the operator it has a life before it */
    assert_int_equal(fixture_order(1, ORDER_RETRY, NOW + 6 * DAY), ERR_OK);
    assert_int_equal(take_one(fixture.queue, NOW + 6 * DAY, &n), ERR_OK);
    assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_RETRY, NOW + 6 * DAY + 60, "451 x"),
                     ERR_OK);
    assert_int_equal(fixture_state_of(1), QUEUE_READY);
    assert_int_equal(fixture_show(1).created_s, NOW);
}

static void clock_jumps_neither_fail_nor_freeze_the_queue(void **state)
{
    static const struct {
        int64_t made_s;
        int64_t wrong_s;
        int64_t right_s;
    } cases[] = {
        {NOW, NOW + DAY, NOW + 60},  {NOW, NOW - DAY, NOW + 60},
        {NOW, 0, NOW + 60},          {0, 60, NOW},
        {NOW + DAY, NOW + DAY, NOW}, {NOW - DAY, NOW - DAY, NOW},
        {NOW, NOW + 400 * DAY, NOW},
    };
    unsigned n = 0;

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(message_put(fixture.queue, 1, 10, "", cases[i].made_s), ERR_OK);
        assert_int_equal(take_one(fixture.queue, cases[i].wrong_s, &n), ERR_OK);
        assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_RETRY, cases[i].wrong_s + 3600, ""),
                         ERR_OK);
        assert_int_equal(fixture_state_of(1), QUEUE_READY);
        /* at most the longest back-off later it is tried */
        assert_int_equal(take_one(fixture.queue, cases[i].right_s + QUEUE_BACKOFF_MAX_S, &n),
                         ERR_OK);
        assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_RETRY,
                                    cases[i].right_s + QUEUE_BACKOFF_MAX_S + 60, ""),
                         ERR_OK);
        assert_int_equal(fixture_state_of(1), QUEUE_READY);
        assert_int_equal(fixture_order(1, ORDER_DROP, NOW), ERR_OK);
    }
    /* the clock jumps while the entry is being delivered */
    assert_int_equal(message_put(fixture.queue, 1, 10, "", 0), ERR_OK);
    assert_int_equal(take_one(fixture.queue, 10, &n), ERR_OK);
    assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_RETRY, NOW, ""), ERR_OK);
    assert_int_equal(fixture_state_of(1), QUEUE_READY);
}

static void an_entry_of_a_wrong_clock_lives_no_longer_than_others(void **state)
{
    static const int64_t made_s[] = {0, NOW + 400 * DAY};
    unsigned n;

    (void)state;
    for (size_t i = 0; i < sizeof made_s / sizeof made_s[0]; i++) {
        assert_int_equal(message_put(fixture.queue, 1, 10, "", made_s[i]), ERR_OK);
        assert_int_equal(take_one(fixture.queue, NOW, &n), ERR_OK);
        assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_RETRY, NOW + 5 * DAY - 60, ""),
                         ERR_OK);
        assert_int_equal(take_one(fixture.queue, NOW + 5 * DAY - 60, &n), ERR_OK);
        assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_RETRY, NOW + 5 * DAY, ""), ERR_OK);
        assert_int_equal(fixture_state_of(1), QUEUE_FAILED);
        assert_int_equal(fixture_order(1, ORDER_DROP, NOW), ERR_OK);
    }
}

static void *commit_soon(void *arg)
{
    struct timespec moment = {0, 100000000};

    (void)arg;
    (void)nanosleep(&moment, NULL);
    return message_put(fixture.queue, 1, 10, "", NOW) ? "failed" : NULL;
}

static void a_commit_wakes_the_runner_even_when_it_comes_first(void **state)
{
    struct timespec before;
    struct timespec after;
    pthread_t thread;

    (void)state;
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(pthread_create(&thread, NULL, commit_soon, NULL), 0);
    queue_wake(fixture.queue, 20000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(message_put(fixture.queue, 2, 10, "", NOW), ERR_OK);
    queue_wake(fixture.queue, 20000);
    queue_kick(fixture.queue);
    queue_wake(fixture.queue, 20000);
    queue_wake(fixture.queue, 10);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 15);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_start, fixture_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_longest_waiting_is_taken_first_and_of_one_hop_only),
        CASE(results_end_or_put_off_or_fail_an_entry),
        CASE(results_for_entries_not_being_delivered_change_nothing),
        CASE(entries_of_a_dead_process_wait_longer_each_time),
        CASE(a_lifetime_that_is_over_fails_the_entry_which_is_kept),
        CASE(clock_jumps_neither_fail_nor_freeze_the_queue),
        CASE(an_entry_of_a_wrong_clock_lives_no_longer_than_others),
        CASE(a_commit_wakes_the_runner_even_when_it_comes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
