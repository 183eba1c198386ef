/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue_test.c - accepting, taking, finishing, orders and keys, over daemon/queue/queue.h. */
#include "tests/queue/fixture.h"
#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NOW FIXTURE_NOW
#define DAY INT64_C(86400)

static scratch_path dir;
static struct hsm *hsm;
static struct queue *queue;
static struct queue_options options;

static int setup(void **state)
{
    (void)state;
    scratch_new(dir);
    hsm = hsm_double_new();
    options = (struct queue_options){.dir = dir};
    assert_int_equal(queue_open(&options, hsm, &queue), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    queue_close(queue);
    hsm_double_free(hsm);
    scratch_remove(dir);
    return 0;
}

static void reopen(void)
{
    queue_close(queue);
    queue = NULL;
    assert_int_equal(queue_open(&options, hsm, &queue), ERR_OK);
}

static struct queue_item show(unsigned n)
{
    struct queue_item item;
    id_text id;

    message_id(n, id);
    assert_int_equal(queue_show(queue, id, &item), ERR_OK);
    return item;
}

static enum queue_state state_of(unsigned n)
{
    return show(n).state;
}

static enum err order(unsigned n, enum queue_order o, int64_t now_s)
{
    size_t changed;
    id_text id;

    message_id(n, id);
    return queue_order(queue, id, o, now_s, &changed);
}

/* ---- accepting ---- */

static void a_message_of_any_size_comes_back_whole(void **state)
{
    static const size_t sizes[] = {0,      1,      79,     65535,  65536,  65537,   131072,
                                   196607, 262079, 262080, 262081, 327680, 1000000, 3000001};

    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(message_put(queue, i + 1, sizes[i], "", NOW), ERR_OK);
    reopen();
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(message_check(queue, i + 1, sizes[i]), ERR_OK);
    assert_int_equal(scratch_files(dir, "body"), 4); /* those over 256 KiB when sealed */
}

static void nothing_of_a_message_lies_in_clear(void **state)
{
    struct queue_writer *w = NULL;

    (void)state;
    assert_int_equal(message_put(queue, 1, FIXTURE_SMALL, "hop.example", NOW), ERR_OK);
    assert_int_equal(message_put(queue, 2, FIXTURE_LARGE, "hop.example", NOW), ERR_OK);
    assert_int_equal(message_writer(queue, 3, FIXTURE_LARGE, "", NOW, &w), ERR_OK);
    assert_false(scratch_holds(dir, FIXTURE_MARKER));
    queue_abort(w);
    reopen();
    assert_false(scratch_holds(dir, FIXTURE_MARKER));
    assert_true(scratch_holds(dir, "hop.example"));
}

static void a_batch_is_there_whole_or_not_at_all(void **state)
{
    struct queue_writer *batch[3] = {0};
    struct queue_counts counts;

    (void)state;
    assert_int_equal(message_put(queue, 2, FIXTURE_SMALL, "", NOW), ERR_OK);
    assert_int_equal(message_writer(queue, 1, FIXTURE_SMALL, "", NOW, &batch[0]), ERR_OK);
    assert_int_equal(message_writer(queue, 3, FIXTURE_LARGE, "", NOW, &batch[1]), ERR_OK);
    assert_int_equal(message_writer(queue, 2, FIXTURE_SMALL, "", NOW, &batch[2]), ERR_OK);
    assert_int_equal(queue_commit(queue, batch, 3), ERR_BUG);
    assert_int_equal(queue_count(queue, &counts), ERR_OK);
    assert_int_equal(counts.ready, 1);
    assert_int_equal(scratch_files(dir, "body"), 0);
    assert_int_equal(message_writer(queue, 1, FIXTURE_SMALL, "", NOW, &batch[0]), ERR_OK);
    assert_int_equal(message_writer(queue, 3, FIXTURE_LARGE, "", NOW, &batch[1]), ERR_OK);
    assert_int_equal(queue_commit(queue, batch, 2), ERR_OK);
    assert_int_equal(queue_count(queue, &counts), ERR_OK);
    assert_int_equal(counts.ready, 3);
    assert_int_equal(counts.bytes, 2 * FIXTURE_SMALL + FIXTURE_LARGE);
    assert_int_equal(counts.oldest_s, NOW);
}

static void the_id_of_a_waiting_file_is_not_taken_over(void **state)
{
    struct queue_writer *w = NULL;

    (void)state;
    assert_int_equal(message_put(queue, 1, FIXTURE_LARGE, "", NOW), ERR_OK);
    assert_int_equal(message_writer(queue, 1, FIXTURE_LARGE, "", NOW, &w), ERR_BUG);
    assert_int_equal(message_check(queue, 1, FIXTURE_LARGE), ERR_OK);
}

static void bad_envelopes_are_refused(void **state)
{
    char over[300];
    struct queue_envelope good = {.id = "aaaaaaaaaaaaaaaa",
                                  .profile = FIXTURE_PROFILE,
                                  .hop = "",
                                  .mail_from = "",
                                  .rcpt_to = "a@b.example"};
    struct queue_envelope bad[7];
    struct queue_writer *w = NULL;

    (void)state;
    memset(over, 'x', sizeof over);
    over[sizeof over - 1] = '\0';
    for (size_t i = 0; i < 7; i++)
        bad[i] = good;
    memcpy(bad[0].id, "../../etc/passwd", sizeof bad[0].id);
    bad[1].profile = "x";
    bad[2].hop = over;
    bad[3].mail_from = "a@b.example\r\nRCPT TO:<x@y>";
    bad[4].rcpt_to = over;
    bad[5].rcpt_to = "";
    bad[6].rcpt_to = "a\nb@c.example";
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(queue_begin(queue, &bad[i], NOW, &w), ERR_FORMAT);
    assert_int_equal(queue_begin(queue, &good, NOW, &w), ERR_OK);
    queue_abort(w);
}

static void too_little_space_is_told_before_a_message_is_read(void **state)
{
    (void)state;
    options.free_min_bytes = UINT64_MAX / 2;
    reopen();
    assert_int_equal(message_put(queue, 1, FIXTURE_SMALL, "", NOW), ERR_NOSPACE);
}

static void without_the_key_service_mail_is_put_off_and_comes_in_later(void **state)
{
    struct timespec moment = {1, 100000000};

    (void)state;
    hsm_double_fail(hsm, ERR_HSM_AWAY);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(message_put(queue, 1, FIXTURE_SMALL, "", NOW), ERR_HSM_AWAY);
    /* ten sessions did not wait for it one after the other */
    assert_true(hsm_double_attempts(hsm) <= 2);
    hsm_double_fail(hsm, ERR_OK);
    (void)nanosleep(&moment, NULL);
    assert_int_equal(message_put(queue, 1, FIXTURE_SMALL, "", NOW), ERR_OK);
}

/* ---- delivering ---- */

static void the_longest_waiting_is_taken_first_and_of_one_hop_only(void **state)
{
    static const char *const busy[] = {"b.example", ""};
    struct queue_item items[10];
    int64_t due_in_s = 0;
    size_t n = 0;

    (void)state;
    assert_int_equal(message_put(queue, 1, 10, "b.example", NOW + 5), ERR_OK);
    assert_int_equal(message_put(queue, 2, 10, "a.example", NOW + 4), ERR_OK);
    assert_int_equal(message_put(queue, 3, 10, "b.example", NOW + 1), ERR_OK);
    assert_int_equal(message_put(queue, 4, 10, "", NOW + 2), ERR_OK);
    assert_int_equal(queue_take(queue, NOW, NULL, 0, 10, items, &n, &due_in_s), ERR_NOT_FOUND);
    assert_int_equal(n, 0);
    assert_int_equal(due_in_s, 1);
    assert_int_equal(queue_take(queue, NOW, busy, 2, 10, items, &n, &due_in_s), ERR_NOT_FOUND);
    assert_int_equal(due_in_s, 4);
    assert_int_equal(queue_take(queue, NOW + 9, busy, 2, 10, items, &n, &due_in_s), ERR_OK);
    assert_int_equal(n, 1);
    assert_string_equal(items[0].hop, "a.example");
    assert_int_equal(items[0].state, QUEUE_ACTIVE);
    assert_int_equal(items[0].attempts, 1);
    assert_int_equal(queue_take(queue, NOW + 9, NULL, 0, 10, items, &n, &due_in_s), ERR_OK);
    assert_int_equal(n, 2);
    assert_string_equal(items[0].rcpt_to, FIXTURE_MARKER "-rcpt-3@b.example");
    assert_string_equal(items[1].rcpt_to, FIXTURE_MARKER "-rcpt-1@b.example");
    assert_int_equal(queue_take(queue, NOW + 9, NULL, 0, 10, items, &n, &due_in_s), ERR_OK);
    assert_string_equal(items[0].hop, "");
    assert_int_equal(queue_take(queue, NOW + 9, NULL, 0, 10, items, &n, &due_in_s), ERR_NOT_FOUND);
    assert_int_equal(due_in_s, 60);
}

static void results_end_or_put_off_or_fail_an_entry(void **state)
{
    unsigned n = 0;
    struct queue_item item;
    struct queue_counts counts;

    (void)state;
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(message_put(queue, i, i == 1 ? FIXTURE_LARGE : 10, "", NOW + i), ERR_OK);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(take_one(queue, NOW + 5, &n), ERR_OK);
        assert_int_equal(n, i);
    }
    assert_int_equal(finish_one(queue, 1, OUTCOME_DONE, 0, "250 ok"), ERR_OK);
    assert_int_equal(finish_one(queue, 2, OUTCOME_RETRY, NOW + 100, "451 later"), ERR_OK);
    assert_int_equal(finish_one(queue, 3, OUTCOME_FAILED, 0,
                                "550 <Eve@x.example> no\r\nsuch \x01 \xc3\xa4 user eve@x.example"),
                     ERR_OK);
    assert_int_equal(scratch_files(dir, "body"), 0);
    assert_int_equal(queue_count(queue, &counts), ERR_OK);
    assert_int_equal(counts.ready + counts.active + counts.held + counts.failed, 2);
    item = show(2);
    assert_int_equal(item.state, QUEUE_READY);
    assert_int_equal(item.next_attempt_s, NOW + 100);
    assert_string_equal(item.last_result, "451 later");
    item = show(3);
    assert_int_equal(item.state, QUEUE_FAILED);
    assert_string_equal(item.last_result, "550 <[address]> no  such ? ?? user [address]");
    assert_false(scratch_holds(dir, "451 later"));
    assert_int_equal(take_one(queue, NOW + 99, &n), ERR_NOT_FOUND);
    assert_int_equal(take_one(queue, NOW + 100, &n), ERR_OK);
    assert_int_equal(show(2).attempts, 2);
}

static void results_for_entries_not_being_delivered_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(message_put(queue, 1, 10, "", NOW), ERR_OK);
    assert_int_equal(finish_one(queue, 1, OUTCOME_DONE, 0, NULL), ERR_OK);
    assert_int_equal(finish_one(queue, 9, OUTCOME_DONE, 0, NULL), ERR_OK);
    assert_int_equal(message_check(queue, 1, 10), ERR_OK);
}

static void entries_of_a_dead_process_wait_longer_each_time(void **state)
{
    int64_t now_s = NOW;
    unsigned n;

    (void)state;
    assert_int_equal(message_put(queue, 1, 10, "", NOW), ERR_OK);
    for (unsigned attempt = 1; attempt <= 12; attempt++) {
        assert_int_equal(take_one(queue, now_s, &n), ERR_OK);
        reopen();
        assert_int_equal(state_of(1), QUEUE_ACTIVE);
        assert_int_equal(queue_release_active(queue), ERR_OK);
        assert_int_equal(show(1).attempts, attempt);
        if (attempt == 1)
            continue;
        assert_int_equal(take_one(queue, now_s + 59, &n), ERR_NOT_FOUND);
        now_s = show(1).next_attempt_s;
    }
    assert_true(now_s - NOW > 4 * 3600);
    assert_true(now_s - NOW < 8 * 3600);
}

static void a_lifetime_that_is_over_fails_the_entry_which_is_kept(void **state)
{
    unsigned n;

    (void)state;
    assert_int_equal(message_put(queue, 1, 10, "", NOW), ERR_OK);
    assert_int_equal(take_one(queue, NOW + 4 * DAY, &n), ERR_OK);
    assert_int_equal(finish_one(queue, 1, OUTCOME_RETRY, NOW + 5 * DAY - 1, "451 x"), ERR_OK);
    assert_int_equal(take_one(queue, NOW + 5 * DAY - 1, &n), ERR_OK);
    assert_int_equal(finish_one(queue, 1, OUTCOME_RETRY, NOW + 5 * DAY, "451 x"), ERR_OK);
    assert_int_equal(state_of(1), QUEUE_FAILED);
    assert_string_equal(show(1).last_result, "lifetime is over: 451 x");
    assert_int_equal(take_one(queue, NOW + 6 * DAY, &n), ERR_NOT_FOUND);
    /* tried again by the operator it has a life before it */
    assert_int_equal(order(1, ORDER_RETRY, NOW + 6 * DAY), ERR_OK);
    assert_int_equal(take_one(queue, NOW + 6 * DAY, &n), ERR_OK);
    assert_int_equal(finish_one(queue, 1, OUTCOME_RETRY, NOW + 6 * DAY + 60, "451 x"), ERR_OK);
    assert_int_equal(state_of(1), QUEUE_READY);
    assert_int_equal(show(1).created_s, NOW);
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
        assert_int_equal(message_put(queue, 1, 10, "", cases[i].made_s), ERR_OK);
        assert_int_equal(take_one(queue, cases[i].wrong_s, &n), ERR_OK);
        assert_int_equal(finish_one(queue, 1, OUTCOME_RETRY, cases[i].wrong_s + 3600, ""), ERR_OK);
        assert_int_equal(state_of(1), QUEUE_READY);
        /* at most the longest back-off later it is tried */
        assert_int_equal(take_one(queue, cases[i].right_s + QUEUE_BACKOFF_MAX_S, &n), ERR_OK);
        assert_int_equal(
            finish_one(queue, 1, OUTCOME_RETRY, cases[i].right_s + QUEUE_BACKOFF_MAX_S + 60, ""),
            ERR_OK);
        assert_int_equal(state_of(1), QUEUE_READY);
        assert_int_equal(order(1, ORDER_DROP, NOW), ERR_OK);
    }
    /* the clock jumps while the entry is being delivered */
    assert_int_equal(message_put(queue, 1, 10, "", 0), ERR_OK);
    assert_int_equal(take_one(queue, 10, &n), ERR_OK);
    assert_int_equal(finish_one(queue, 1, OUTCOME_RETRY, NOW, ""), ERR_OK);
    assert_int_equal(state_of(1), QUEUE_READY);
}

static void an_entry_of_a_wrong_clock_lives_no_longer_than_others(void **state)
{
    static const int64_t made_s[] = {0, NOW + 400 * DAY};
    unsigned n;

    (void)state;
    for (size_t i = 0; i < sizeof made_s / sizeof made_s[0]; i++) {
        assert_int_equal(message_put(queue, 1, 10, "", made_s[i]), ERR_OK);
        assert_int_equal(take_one(queue, NOW, &n), ERR_OK);
        assert_int_equal(finish_one(queue, 1, OUTCOME_RETRY, NOW + 5 * DAY - 60, ""), ERR_OK);
        assert_int_equal(take_one(queue, NOW + 5 * DAY - 60, &n), ERR_OK);
        assert_int_equal(finish_one(queue, 1, OUTCOME_RETRY, NOW + 5 * DAY, ""), ERR_OK);
        assert_int_equal(state_of(1), QUEUE_FAILED);
        assert_int_equal(order(1, ORDER_DROP, NOW), ERR_OK);
    }
}

static void *commit_soon(void *arg)
{
    struct timespec moment = {0, 100000000};

    (void)arg;
    (void)nanosleep(&moment, NULL);
    return message_put(queue, 1, 10, "", NOW) ? "failed" : NULL;
}

static void a_commit_wakes_the_runner_even_when_it_comes_first(void **state)
{
    struct timespec before;
    struct timespec after;
    pthread_t thread;

    (void)state;
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(pthread_create(&thread, NULL, commit_soon, NULL), 0);
    queue_wake(queue, 20000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(message_put(queue, 2, 10, "", NOW), ERR_OK);
    queue_wake(queue, 20000);
    queue_kick(queue);
    queue_wake(queue, 20000);
    queue_wake(queue, 10);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 15);
}

/* ---- orders ---- */

static void orders_change_what_they_may(void **state)
{
    size_t changed = 0;
    unsigned n;

    (void)state;
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(message_put(queue, i, i == 3 ? FIXTURE_LARGE : 10, "", NOW), ERR_OK);
    assert_int_equal(take_one(queue, NOW, &n), ERR_OK);
    assert_int_equal(n, 1);
    for (int o = ORDER_HOLD; o <= ORDER_DROP; o++) {
        assert_int_equal(order(1, (enum queue_order)o, NOW), ERR_WRONG_STATE);
        assert_int_equal(order(9, (enum queue_order)o, NOW), ERR_NOT_FOUND);
    }
    assert_int_equal(queue_order(queue, NULL, ORDER_DROP, NOW, &changed), ERR_USAGE);
    assert_int_equal(queue_order(queue, NULL, ORDER_HOLD, NOW, &changed), ERR_OK);
    assert_int_equal(changed, 2);
    assert_string_equal(show(2).last_result, "held by the operator");
    assert_int_equal(take_one(queue, NOW, &n), ERR_NOT_FOUND);
    assert_int_equal(order(2, ORDER_RETRY, NOW), ERR_OK);
    assert_int_equal(state_of(2), QUEUE_HELD);
    assert_int_equal(order(2, ORDER_RELEASE, NOW + 7), ERR_OK);
    assert_int_equal(state_of(2), QUEUE_READY);
    assert_int_equal(show(2).next_attempt_s, NOW + 7);
    assert_int_equal(order(3, ORDER_DROP, NOW), ERR_OK);
    assert_int_equal(scratch_files(dir, "body"), 0);
    assert_int_equal(finish_one(queue, 1, OUTCOME_RETRY, NOW + 3000, "451"), ERR_OK);
    assert_int_equal(queue_order(queue, NULL, ORDER_RETRY, NOW + 8, &changed), ERR_OK);
    assert_int_equal(changed, 2);
    assert_int_equal(show(1).next_attempt_s, NOW + 8);
}

struct listing {
    unsigned n;
    bool with_addresses;
};

static enum err list_one(void *ctx, const struct queue_item *item)
{
    struct listing *l = ctx;

    l->n++;
    assert_true(id_is_valid(item->id));
    assert_int_equal(item->rcpt_to[0] != '\0', l->with_addresses);
    return ERR_OK;
}

static void listing_needs_the_key_service_for_addresses_only(void **state)
{
    struct listing l = {0, false};

    (void)state;
    for (unsigned i = 1; i <= 150; i++)
        assert_int_equal(message_put(queue, i, 10, "", NOW), ERR_OK);
    assert_int_equal(queue_each(queue, false, list_one, &l), ERR_OK);
    assert_int_equal(l.n, 150);
    reopen();
    hsm_double_fail(hsm, ERR_HSM_AWAY);
    l.n = 0;
    assert_int_equal(queue_each(queue, false, list_one, &l), ERR_OK);
    assert_int_equal(l.n, 150);
    assert_string_equal(show(1).rcpt_to, "");
    assert_int_equal(queue_each(queue, true, list_one, &l), ERR_HSM_AWAY);
    hsm_double_fail(hsm, ERR_OK);
    reopen();
    l = (struct listing){0, true};
    assert_int_equal(queue_each(queue, true, list_one, &l), ERR_OK);
    assert_int_equal(l.n, 150);
}

/* ---- data keys ---- */

static void a_data_key_is_fresh_at_every_start_and_every_day(void **state)
{
    (void)state;
    assert_int_equal(message_put(queue, 1, 10, "", NOW), ERR_OK);
    assert_int_equal(message_put(queue, 2, 10, "", NOW + DAY - 1), ERR_OK);
    assert_int_equal(hsm_double_made(hsm), 1);
    assert_int_equal(message_put(queue, 3, 10, "", NOW + DAY), ERR_OK);
    assert_int_equal(hsm_double_made(hsm), 2);
    reopen();
    assert_int_equal(message_put(queue, 4, 10, "", NOW + DAY), ERR_OK);
    assert_int_equal(hsm_double_made(hsm), 3);
    for (unsigned i = 1; i <= 4; i++)
        assert_int_equal(message_check(queue, i, 10), ERR_OK);
    /* the two older ones, once each */
    assert_int_equal(hsm_double_opened(hsm), 2);
}

static void a_spool_key_is_retired_with_its_last_entry(void **state)
{
    struct queue_writer *w = NULL;
    unsigned n;

    (void)state;
    assert_int_equal(message_put(queue, 1, 10, "", NOW), ERR_OK);
    assert_int_equal(message_writer(queue, 2, 10, "", NOW, &w), ERR_OK);
    hsm_double_generation(hsm, 2);
    assert_int_equal(message_put(queue, 3, 10, "", NOW + DAY), ERR_OK);
    assert_int_equal(hsm_double_retired(hsm), 1);
    assert_int_equal(take_one(queue, NOW + 1, &n), ERR_OK);
    assert_int_equal(finish_one(queue, 1, OUTCOME_DONE, 0, NULL), ERR_OK);
    /* a session still writes under the old key */
    assert_int_equal(hsm_double_retired(hsm), 1);
    assert_int_equal(queue_commit(queue, &w, 1), ERR_OK);
    assert_int_equal(message_check(queue, 2, 10), ERR_OK);
    assert_int_equal(take_one(queue, NOW + 1, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(finish_one(queue, 2, OUTCOME_DONE, 0, NULL), ERR_OK);
    assert_int_equal(hsm_double_retired(hsm), 2);
    reopen();
    assert_int_equal(message_check(queue, 3, 10), ERR_OK);
}

/* ---- opening ---- */

static void a_second_process_is_refused(void **state)
{
    struct queue *second = NULL;

    (void)state;
    assert_int_equal(queue_open(&options, hsm, &second), ERR_CONFIG);
    assert_null(second);
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    queue_close(queue);
    queue = NULL;
    scratch_sql(dir, "queue.db", "PRAGMA user_version=2");
    assert_int_equal(queue_open(&options, hsm, &queue), ERR_CONFIG);
}

static void a_missing_folder_is_refused(void **state)
{
    struct queue_options nowhere = {.dir = "/nonexistent/queue"};
    struct queue *q = NULL;

    (void)state;
    assert_int_equal(queue_open(&nowhere, hsm, &q), ERR_CONFIG);
}

static void stale_files_are_removed_and_foreign_ones_left(void **state)
{
    scratch_path path;
    int fd;

    (void)state;
    assert_int_equal(message_put(queue, 1, FIXTURE_LARGE, "", NOW), ERR_OK);
    scratch_join(dir, "body/aaaaaaaaaaaaaaaa", path);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    scratch_join(dir, "body/README", path);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(scratch_files(dir, "body"), 3);
    reopen();
    assert_int_equal(scratch_files(dir, "body"), 2);
    assert_int_equal(message_check(queue, 1, FIXTURE_LARGE), ERR_OK);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_message_of_any_size_comes_back_whole),
        CASE(nothing_of_a_message_lies_in_clear),
        CASE(a_batch_is_there_whole_or_not_at_all),
        CASE(the_id_of_a_waiting_file_is_not_taken_over),
        CASE(bad_envelopes_are_refused),
        CASE(too_little_space_is_told_before_a_message_is_read),
        CASE(without_the_key_service_mail_is_put_off_and_comes_in_later),
        CASE(the_longest_waiting_is_taken_first_and_of_one_hop_only),
        CASE(results_end_or_put_off_or_fail_an_entry),
        CASE(results_for_entries_not_being_delivered_change_nothing),
        CASE(entries_of_a_dead_process_wait_longer_each_time),
        CASE(a_lifetime_that_is_over_fails_the_entry_which_is_kept),
        CASE(clock_jumps_neither_fail_nor_freeze_the_queue),
        CASE(an_entry_of_a_wrong_clock_lives_no_longer_than_others),
        CASE(a_commit_wakes_the_runner_even_when_it_comes_first),
        CASE(orders_change_what_they_may),
        CASE(listing_needs_the_key_service_for_addresses_only),
        CASE(a_data_key_is_fresh_at_every_start_and_every_day),
        CASE(a_spool_key_is_retired_with_its_last_entry),
        CASE(a_second_process_is_refused),
        CASE(a_newer_schema_is_refused),
        CASE(a_missing_folder_is_refused),
        CASE(stale_files_are_removed_and_foreign_ones_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
