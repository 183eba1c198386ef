/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue_fault_test.c - the disk below the queue fails: system calls that answer EIO or ENOSPC
 * (strace), and the order of syncs that a power cut cares for. */
#include "daemon/base/fdio.h"
#include "tests/queue/fixture.h"
#include "tests/support/child.h"
#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW        FIXTURE_NOW
#define N_MESSAGES 4u
#define TRACE_MAX  ((size_t)16 * 1024 * 1024)

static scratch_path dir;
static scratch_path spool;
static scratch_path trace;

static int setup(void **state)
{
    struct queue_options options = {.dir = spool};
    struct hsm *hsm = hsm_double_new();
    struct queue *q = NULL;

    (void)state;
    scratch_new(dir);
    scratch_new(spool);
    scratch_join(dir, "trace", trace);
    /* the schema is there: what fails later is the accepting of mail */
    assert_int_equal(queue_open(&options, hsm, &q), ERR_OK);
    queue_close(q);
    hsm_double_free(hsm);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    scratch_remove(spool);
    return 0;
}

static size_t size_of(unsigned n)
{
    return n % 2 ? FIXTURE_SMALL : FIXTURE_LARGE;
}

static int child_main(const char *where)
{
    struct queue_options options = {.dir = where};
    struct hsm *hsm = hsm_double_new();
    struct queue *q = NULL;
    enum err e = queue_open(&options, hsm, &q);

    for (unsigned n = 1; !e && n <= N_MESSAGES; n++)
        if (!message_put(q, n, size_of(n), "", NOW))
            child_tell(n);
    queue_close(q);
    hsm_double_free(hsm);
    return 0;
}

static void judge(const struct child_end *end)
{
    struct queue_options options = {.dir = spool};
    struct hsm *hsm = hsm_double_new();
    struct queue *q = NULL;
    struct queue_item item;
    size_t files = 0;
    id_text id;

    assert_false(scratch_holds(spool, FIXTURE_MARKER));
    assert_int_equal(queue_open(&options, hsm, &q), ERR_OK);
    for (unsigned n = 1; n <= N_MESSAGES; n++) {
        enum err e;

        message_id(n, id);
        e = queue_show(q, id, &item);
        assert_int_equal(e, end->told[n] ? ERR_OK : ERR_NOT_FOUND);
        if (!e)
            assert_int_equal(message_check(q, n, size_of(n)), ERR_OK);
        files += !e && n % 2 == 0;
    }
    queue_close(q);
    hsm_double_free(hsm);
    assert_int_equal(scratch_files(spool, "body"), files);
}

/* What strace is told to do to the nth such call of every thread. */
static void run_with_fault(const char *calls, const char *fault, unsigned when,
                           struct child_end *out)
{
    char traced[80];
    char inject[120];
    const char *const arguments[] = {"-f",   "-qq", "-o",   "/dev/null", "-e",
                                     traced, "-e",  inject, NULL};

    (void)snprintf(traced, sizeof traced, "trace=%s", calls);
    (void)snprintf(inject, sizeof inject, "inject=%s:%s:when=%u", calls, fault, when);
    child_run("accept", spool, NULL, arguments, out);
    assert_int_equal(out->status, 0);
}

static void a_failing_disk_is_told_and_nothing_told_is_lost(void **state)
{
    static const struct {
        const char *calls;
        const char *fault;
        unsigned times; /* the first so many calls fail, one a run */
        bool some_refused;
    } cases[] = {
        {"fsync", "error=EIO", 4, true},       {"fdatasync", "error=EIO", 7, true},
        {"pwrite64", "error=ENOSPC", 8, true}, {"pwrite64", "error=EIO", 8, true},
        {"unlinkat", "error=EIO", 1, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned refused = 0;

        for (unsigned when = 1; when <= cases[i].times; when++) {
            struct child_end end;

            run_with_fault(cases[i].calls, cases[i].fault, when, &end);
            for (unsigned n = 1; n <= N_MESSAGES; n++)
                refused += !end.told[n];
            judge(&end);
            (void)teardown(state);
            (void)setup(state);
        }
        assert_int_equal(refused > 0, cases[i].some_refused);
    }
}

/* Where text first occurs behind from; ends the test when it does not. */
static size_t position(const struct buf *log, size_t from, const char *text)
{
    const char *at = from < log->len ? strstr(buf_str(log) + from, text) : NULL;

    if (!at)
        print_error("not in the trace: %s\n", text);
    assert_non_null(at);
    return (size_t)(at - buf_str(log));
}

static void file_then_folder_then_row_are_synced_before_the_answer(void **state)
{
    CLEANUP(buf_clear) struct buf log = {0};
    const char *const arguments[] = {
        "-f", "-qq", "-y", "-s", "8", "-o", trace, "-e", "trace=write,fsync,fdatasync,openat",
        NULL};
    struct child_end end;
    char file_synced[400];
    char folder_synced[400];
    char log_synced[400];
    size_t at;
    id_text id;

    (void)state;
    message_id(2, id);
    (void)snprintf(file_synced, sizeof file_synced, "/body/%s>) ", id);
    (void)snprintf(folder_synced, sizeof folder_synced, "/body>) ");
    (void)snprintf(log_synced, sizeof log_synced, "queue.db-wal>) ");
    child_run("accept", spool, NULL, arguments, &end);
    assert_int_equal(end.status, 0);
    assert_int_equal(file_read(trace, TRACE_MAX, &log), ERR_OK);
    at = position(&log, 0, "\"1\\n\"");
    at = position(&log, at, file_synced);
    at = position(&log, at, folder_synced);
    at = position(&log, at, log_synced);
    (void)position(&log, at, "\"2\\n\"");
    /* and nothing was answered before */
    assert_true(position(&log, 0, "\"2\\n\"") > at);
    judge(&end);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_failing_disk_is_told_and_nothing_told_is_lost),
        CASE(file_then_folder_then_row_are_synced_before_the_answer),
    };

    if (argc == 4 && strcmp(argv[1], "child") == 0)
        return child_main(argv[3]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
