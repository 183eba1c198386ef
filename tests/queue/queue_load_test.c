/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue_load_test.c - many sessions share a sync; many waiting entries cost neither memory nor a
 * slow start. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
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
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NOW       FIXTURE_NOW
#define N_THREADS 16u
#define N_EACH    20u
#define MANY      100000

static void *put_many(void *arg)
{
    unsigned thread = *(const unsigned *)arg;

    for (unsigned i = 0; i < N_EACH; i++)
        if (message_put(fixture.queue, 1 + thread * N_EACH + i,
                        i == 0 ? FIXTURE_LARGE : FIXTURE_SMALL, "", NOW))
            return "failed";
    return NULL;
}

static void run_threads(void *(*work)(void *))
{
    unsigned numbers[N_THREADS];
    pthread_t threads[N_THREADS];

    for (unsigned i = 0; i < N_THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < N_THREADS; i++) {
        void *failed = NULL;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void sessions_that_wait_together_share_a_sync(void **state)
{
    struct queue_stats stats;
    struct queue_counts counts;

    (void)state;
    run_threads(put_many);
    queue_stats_get(fixture.queue, &stats);
    assert_int_equal(stats.messages, N_THREADS * N_EACH);
    assert_true(stats.commits < stats.messages);
    /* each of the 16 files needs one of its own */
    assert_true(stats.syncs < stats.messages + N_THREADS);
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.ready, N_THREADS * N_EACH);
    for (unsigned i = 1; i <= N_THREADS * N_EACH; i += 7)
        assert_int_equal(
            message_check(fixture.queue, i, i % N_EACH == 1 ? FIXTURE_LARGE : FIXTURE_SMALL),
            ERR_OK);
}

static atomic_uint taken[N_THREADS * N_EACH + 1];

static void *deliver_many(void *arg)
{
    unsigned n = 0;
    enum err e;

    (void)arg;
    while ((e = take_one(fixture.queue, NOW, &n)) == ERR_OK) {
        atomic_fetch_add(&taken[n], 1);
        if (message_check(fixture.queue, n, n % N_EACH == 1 ? FIXTURE_LARGE : FIXTURE_SMALL) ||
            finish_one(fixture.queue, n, OUTCOME_DONE, 0, "250 ok"))
            return "failed";
    }
    return e == ERR_NOT_FOUND ? NULL : "failed";
}

static void runners_in_parallel_take_each_entry_once(void **state)
{
    struct queue_counts counts;

    (void)state;
    run_threads(put_many);
    run_threads(deliver_many);
    for (unsigned i = 1; i <= N_THREADS * N_EACH; i++)
        assert_int_equal(atomic_load(&taken[i]), 1);
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.ready + counts.active + counts.held + counts.failed, 0);
    assert_int_equal(scratch_files(fixture.dir, "body"), 0);
}

static size_t resident_bytes(void)
{
    CLEANUP(buf_clear) struct buf text = {0};
    char *end;

    /* pages: total resident ... */
    assert_int_equal(file_read("/proc/self/statm", 4096, &text), ERR_OK);
    (void)strtoul(buf_str(&text), &end, 10);
    return (size_t)strtoul(end, NULL, 10) * 4096;
}

static enum err count_item(void *ctx, const struct queue_item *item)
{
    (void)item;
    ++*(unsigned *)ctx;
    return ERR_OK;
}

static void a_hundred_thousand_entries_are_served_in_bounded_memory(void **state)
{
    struct queue_item items[50];
    struct queue_counts counts;
    int64_t due_in_s;
    unsigned listed = 0;
    size_t before;
    size_t n = 0;

    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, FIXTURE_SMALL, "far.example", NOW), ERR_OK);
    queue_close(fixture.queue);
    fixture.queue = NULL;
    /* copies of a row: their names are wrong, so they do not open, but they are there */
    scratch_sql(
        fixture.dir, "queue.db",
        "WITH RECURSIVE c (i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM c WHERE i < 100000)"
        " INSERT INTO entry SELECT i, printf('%016d', i), version, direction, state,"
        " profile, 'hop' || (i % 10), created_s, since_s, created_s + 1 + i / 10, attempts,"
        " size_bytes, key, salt, envelope, details, reason, sealed_bytes, in_file,"
        " origin"
        " FROM c, entry WHERE n = 1");
    before = resident_bytes();
    assert_int_equal(queue_open(&fixture.options, fixture.hsm, &fixture.queue), ERR_OK);
    assert_int_equal(queue_release_active(fixture.queue), ERR_OK);
    assert_int_equal(message_put(fixture.queue, 2, FIXTURE_SMALL, "new.example", NOW - 5), ERR_OK);
    assert_int_equal(queue_take(fixture.queue, NOW, NULL, 0, 50, items, &n, &due_in_s), ERR_OK);
    assert_int_equal(n, 1);
    assert_string_equal(items[0].hop, "new.example");
    assert_int_equal(queue_take(fixture.queue, NOW, NULL, 0, 50, items, &n, &due_in_s), ERR_OK);
    assert_string_equal(items[0].hop, "far.example");
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.ready, MANY - 1);
    assert_int_equal(counts.active, 2);
    assert_int_equal(queue_each(fixture.queue, false, count_item, &listed), ERR_OK);
    assert_int_equal(listed, MANY + 1);
    assert_true(resident_bytes() < before + (size_t)64 * 1024 * 1024);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_start, fixture_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sessions_that_wait_together_share_a_sync),
        CASE(runners_in_parallel_take_each_entry_once),
        CASE(a_hundred_thousand_entries_are_served_in_bounded_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
