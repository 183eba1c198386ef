/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue_damage_test.c - rows and files that were changed, cut, exchanged or lost: the damaged entry
 * is held and shown, nothing wrong is delivered, and the rest goes its way. */
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
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOW    FIXTURE_NOW
#define CHUNK  (65536 + 16) /* a sealed chunk */
#define MEDIUM ((size_t)200000)

/* 1 medium in its row, 2 large in a file, both under an older data key; 3 and 4 likewise under the
 * present one. */
#define N_MESSAGES 4
static const size_t sizes[N_MESSAGES + 1] = {MEDIUM, FIXTURE_LARGE, MEDIUM, FIXTURE_LARGE, MEDIUM};

static size_t size_of(unsigned n)
{
    return n >= 1 && n <= sizeof sizes / sizeof sizes[0] ? sizes[n - 1] : 0;
}

static int setup(void **state)
{
    (void)fixture_start(state);
    for (unsigned i = 1; i <= N_MESSAGES; i++) {
        assert_int_equal(message_put(fixture.queue, i, size_of(i), "", NOW), ERR_OK);
        if (i == 2)
            fixture_reopen();
    }
    return 0;
}

static void body_path(unsigned n, scratch_path out)
{
    char name[40];
    id_text id;

    message_id(n, id);
    (void)snprintf(name, sizeof name, "body/%s", id);
    scratch_join(fixture.dir, name, out);
}

static void file_put(unsigned n, off_t at, const void *data, size_t len)
{
    scratch_path path;
    int fd;

    body_path(n, path);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, at), len);
    (void)close(fd);
}

static void file_cut(unsigned n, off_t len)
{
    scratch_path path;

    body_path(n, path);
    assert_int_equal(truncate(path, len), 0);
}

static void file_get(unsigned n, off_t at, void *data, size_t len)
{
    scratch_path path;
    int fd;

    body_path(n, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, data, len, at), len);
    (void)close(fd);
}

/* Deliver all that can be, as the runner would. */
static void deliver(void)
{
    struct queue_item items[N_MESSAGES];
    int64_t due_in_s;
    size_t n = 0;
    enum err e;

    while ((e = queue_take(fixture.queue, NOW, NULL, 0, N_MESSAGES, items, &n, &due_in_s)) ==
           ERR_OK)
        for (size_t i = 0; i < n; i++) {
            unsigned number = message_number(&items[i]);

            assert_true(number > 0);
            e = message_check(fixture.queue, number, size_of(number));
            assert_true(e == ERR_OK || e == ERR_TAMPERED);
            assert_int_equal(finish_one(fixture.queue, number, e ? OUTCOME_RETRY : OUTCOME_DONE,
                                        NOW + 60, "451"),
                             ERR_OK);
        }
    assert_int_equal(e, ERR_NOT_FOUND);
}

/* Message n is tried in vain, then put off. */
static void deliver_later(unsigned n)
{
    struct queue_item items[N_MESSAGES];
    int64_t due_in_s;
    size_t taken = 0;

    assert_int_equal(queue_take(fixture.queue, NOW, NULL, 0, N_MESSAGES, items, &taken, &due_in_s),
                     ERR_OK);
    assert_int_equal(taken, N_MESSAGES);
    for (unsigned i = 1; i <= N_MESSAGES; i++)
        assert_int_equal(
            finish_one(fixture.queue, i, i == n ? OUTCOME_RETRY : OUTCOME_DONE, NOW, "451"),
            ERR_OK);
}

static enum err check_reason(void *ctx, const struct queue_item *item)
{
    assert_int_equal(item->state, QUEUE_HELD);
    assert_non_null(strstr(item->last_result, ctx));
    return ERR_OK;
}

/* These are held for this reason, the others delivered; and the queue works on. */
static void expect_held(unsigned n_held, const char *reason)
{
    struct queue_counts c;
    char text[80];

    (void)snprintf(text, sizeof text, "%s", reason);
    deliver();
    assert_int_equal(queue_count(fixture.queue, &c), ERR_OK);
    assert_int_equal(c.held, n_held);
    assert_int_equal(c.ready + c.active + c.failed, 0);
    assert_int_equal(queue_each(fixture.queue, true, check_reason, text), ERR_OK);
    assert_int_equal(message_put(fixture.queue, 100, FIXTURE_LARGE, "", NOW), ERR_OK);
    assert_int_equal(message_check(fixture.queue, 100, FIXTURE_LARGE), ERR_OK);
}

static void changed_rows_are_held(void **state)
{
    static const struct {
        const char *change;
        unsigned held;
        const char *reason;
    } cases[] = {
        {"UPDATE entry SET version = 9 WHERE n = 1", 1, "written by another version"},
        {"UPDATE entry SET direction = 77 WHERE n = 1", 1, "damaged"},
        {"UPDATE entry SET salt = zeroblob(32) WHERE n = 1", 1, "damaged"},
        {"UPDATE entry SET salt = x'00' WHERE n = 1", 1, "damaged"},
        {"UPDATE entry SET envelope = zeroblob(80) WHERE n = 1", 1, "damaged"},
        {"UPDATE entry SET envelope = x'' WHERE n = 1", 1, "damaged"},
        {"UPDATE entry SET id = 'aaaaaaaaaaaaaaaa' WHERE n = 1", 1, "damaged"},
        {"UPDATE entry SET id = 'no id' WHERE n = 1", 1, "damaged"},
        {"UPDATE entry SET direction = 0 WHERE n = 1", 1, "damaged"},
        /* all that is sealed of 1 and 3 exchanged */
        {"CREATE TABLE t AS SELECT * FROM entry WHERE n IN (1, 3);"
         "UPDATE entry SET (salt, envelope, key) = (SELECT salt, envelope, key FROM t"
         " WHERE t.n = 4 - entry.n) WHERE n IN (1, 3);"
         "UPDATE body SET n = 4 - n + 100; UPDATE body SET n = n - 100",
         2, "damaged"},
        /* bodies of two rows exchanged */
        {"UPDATE body SET n = 4 - n + 100; UPDATE body SET n = n - 100", 2, "damaged"},
        {"DELETE FROM body WHERE n = 1", 1, "damaged"},
        {"UPDATE body SET data = x'' WHERE n = 1", 1, "damaged"},
        {"UPDATE body SET data = zeroblob(length(data)) WHERE n = 1", 1, "damaged"},
        {"UPDATE body SET data = CAST(substr(data, 1, 65552) AS BLOB) WHERE n = 1", 1, "damaged"},
        /* cut at the end of a chunk, the length adjusted */
        {"UPDATE body SET data = CAST(substr(data, 1, 65552) AS BLOB) WHERE n = 1;"
         "UPDATE entry SET sealed_bytes = 65552 WHERE n = 1",
         1, "damaged"},
        /* the first two chunks exchanged */
        {"UPDATE body SET data = CAST(substr(data, 65553, 65552) || substr(data, 1, 65552)"
         " || substr(data, 131105) AS BLOB) WHERE n = 1",
         1, "damaged"},
        {"UPDATE entry SET sealed_bytes = 0 WHERE n = 1", 1, "damaged"},
        {"UPDATE entry SET sealed_bytes = -1 WHERE n = 2", 1, "damaged"},
        {"UPDATE entry SET in_file = 1 WHERE n = 1", 1, "body file is missing"},
        {"UPDATE data_key SET wrapped = x'00' WHERE id = 1", 2, "data key is gone"},
        {"DELETE FROM data_key WHERE id = 1", 2, "data key is gone"},
        {"UPDATE entry SET key = 2 WHERE n = 1", 1, "damaged"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        scratch_sql(fixture.dir, "queue.db", cases[i].change);
        expect_held(cases[i].held, cases[i].reason);
        (void)fixture_end(state);
        (void)setup(state);
    }
}

/* Adding to such a time or taking from it would overflow; the sanitizer would say so. */
static void times_beyond_all_measure_only_delay(void **state)
{
    static const char *const columns[] = {"created_s", "since_s", "next_attempt_s"};
    static const char *const values[] = {"-9223372036854775807 - 1", "9223372036854775807"};

    (void)state;
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++)
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            char change[120];

            (void)snprintf(change, sizeof change, "UPDATE entry SET %s = %s WHERE n = 1",
                           columns[c], values[v]);
            scratch_sql(fixture.dir, "queue.db", change);
            deliver_later(1);
            deliver();
            (void)fixture_end(NULL);
            (void)setup(NULL);
        }
}

static void a_row_without_its_file_is_held(void **state)
{
    scratch_path path;

    (void)state;
    body_path(2, path);
    assert_int_equal(unlink(path), 0);
    expect_held(1, "body file is missing");
}

static void a_file_cut_short_is_held(void **state)
{
    static const off_t lengths[] = {0, 1, CHUNK - 1, CHUNK, 5 * CHUNK, 700000};

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        file_cut(2, lengths[i]);
        expect_held(1, "damaged");
        (void)fixture_end(state);
        (void)setup(state);
    }
}

static void a_file_cut_at_a_chunk_with_its_row_adjusted_is_held(void **state)
{
    (void)state;
    file_cut(2, (off_t)5 * CHUNK);
    scratch_sql(fixture.dir, "queue.db", "UPDATE entry SET sealed_bytes = 327760 WHERE n = 2");
    expect_held(1, "damaged");
}

static void a_file_with_one_bit_changed_is_held(void **state)
{
    static const off_t places[] = {0, CHUNK - 1, (off_t)3 * CHUNK + 17, 700000};
    uint8_t byte;

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        file_get(2, places[i], &byte, 1);
        byte ^= 1;
        file_put(2, places[i], &byte, 1);
        expect_held(1, "damaged");
        (void)fixture_end(state);
        (void)setup(state);
    }
}

static void a_file_with_chunks_exchanged_is_held(void **state)
{
    static uint8_t first[CHUNK];
    static uint8_t second[CHUNK];

    (void)state;
    file_get(2, CHUNK, first, CHUNK);
    file_get(2, (off_t)2 * CHUNK, second, CHUNK);
    file_put(2, CHUNK, second, CHUNK);
    file_put(2, (off_t)2 * CHUNK, first, CHUNK);
    expect_held(1, "damaged");
}

static void files_of_two_entries_exchanged_are_held(void **state)
{
    scratch_path two;
    scratch_path four;
    scratch_path between;

    (void)state;
    body_path(2, two);
    body_path(4, four);
    scratch_join(fixture.dir, "between", between);
    assert_int_equal(rename(two, between), 0);
    assert_int_equal(rename(four, two), 0);
    assert_int_equal(rename(between, four), 0);
    expect_held(2, "damaged");
}

static void a_held_entry_can_be_released_or_dropped(void **state)
{
    size_t changed = 0;
    uint8_t byte;
    id_text id;

    (void)state;
    file_get(2, 5, &byte, 1);
    byte ^= 1;
    file_put(2, 5, &byte, 1);
    deliver();
    message_id(2, id);
    byte ^= 1;
    file_put(2, 5, &byte, 1);
    assert_int_equal(queue_order(fixture.queue, id, ORDER_RELEASE, NOW, &changed), ERR_OK);
    assert_int_equal(message_check(fixture.queue, 2, sizes[1]), ERR_OK);
    file_cut(2, 0);
    deliver();
    assert_int_equal(queue_order(fixture.queue, id, ORDER_DROP, NOW, &changed), ERR_OK);
    assert_int_equal(changed, 1);
    assert_int_equal(scratch_files(fixture.dir, "body"), 0);
}

static void a_destroyed_spool_key_holds_its_entries_only(void **state)
{
    (void)state;
    hsm_double_generation(fixture.hsm, 2);
    fixture_reopen();
    assert_int_equal(message_put(fixture.queue, 5, MEDIUM, "", NOW), ERR_OK);
    assert_int_equal(hsm_spool_retire(fixture.hsm, 2), ERR_OK);
    assert_int_equal(message_check(fixture.queue, 5, MEDIUM), ERR_OK);
    expect_held(4, "data key is gone");
}

static enum err pass_item(void *ctx, const struct queue_item *item)
{
    (void)ctx;
    (void)item;
    return ERR_OK;
}

static bool is_failure_of_the_disk(enum err e)
{
    return e == ERR_OK || e == ERR_NOT_FOUND || e == ERR_TAMPERED || e == ERR_IO || e == ERR_EXISTS;
}

/* Any use of a database with a page of garbage: told, never a crash or a wrong message. */
static void use_garbage(void)
{
    struct queue_item items[N_MESSAGES];
    struct queue_counts counts;
    int64_t due_in_s;
    size_t n = 0;

    assert_true(is_failure_of_the_disk(queue_release_active(fixture.queue)));
    assert_true(is_failure_of_the_disk(message_put(fixture.queue, 50, MEDIUM, "", NOW)));
    assert_true(is_failure_of_the_disk(queue_count(fixture.queue, &counts)));
    assert_true(is_failure_of_the_disk(queue_each(fixture.queue, true, pass_item, NULL)));
    assert_true(is_failure_of_the_disk(
        queue_take(fixture.queue, NOW, NULL, 0, N_MESSAGES, items, &n, &due_in_s)));
    for (unsigned i = 1; i <= N_MESSAGES; i++)
        assert_true(is_failure_of_the_disk(message_check(fixture.queue, i, size_of(i))));
}

static void pages_of_garbage_are_told_and_harm_nothing(void **state)
{
    static uint8_t garbage[4096];

    memset(garbage, 0xa5, sizeof garbage);
    for (off_t page = 0; page < 40; page += page < 12 ? 1 : 5) {
        scratch_path path;
        enum err e;
        int fd;

        queue_close(fixture.queue);
        fixture.queue = NULL;
        scratch_join(fixture.dir, "queue.db", path);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, garbage, sizeof garbage, page * 4096), sizeof garbage);
        (void)close(fd);
        e = queue_open(&fixture.options, fixture.hsm, &fixture.queue);
        assert_true(e == ERR_OK || e == ERR_CONFIG || e == ERR_TAMPERED);
        if (!e)
            use_garbage();
        (void)fixture_end(state);
        (void)setup(state);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, fixture_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(changed_rows_are_held),
        CASE(times_beyond_all_measure_only_delay),
        CASE(a_row_without_its_file_is_held),
        CASE(a_file_cut_short_is_held),
        CASE(a_file_cut_at_a_chunk_with_its_row_adjusted_is_held),
        CASE(a_file_with_one_bit_changed_is_held),
        CASE(a_file_with_chunks_exchanged_is_held),
        CASE(files_of_two_entries_exchanged_are_held),
        CASE(a_held_entry_can_be_released_or_dropped),
        CASE(pages_of_garbage_are_told_and_harm_nothing),
        CASE(a_destroyed_spool_key_holds_its_entries_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
