/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue_crash_test.c - the queue's process dies, or its disk fails, at every step: nothing that was
 * acknowledged is lost, nothing is half visible, and nothing lies on disk in clear. */
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

#define NOW          FIXTURE_NOW
#define N_MESSAGES   5u
#define PASSAGES_MAX 200
#define LARGE        ((size_t)300000) /* two writes to its file */

/* 3 and 4 are one batch */
static size_t size_of(unsigned n)
{
    return n == 2 || n == 4 ? LARGE : FIXTURE_SMALL;
}

static scratch_path dir;

static int setup(void **state)
{
    (void)state;
    scratch_new(dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

/* ---- what the child does ---- */

static void put_batch(struct queue *q)
{
    struct queue_writer *batch[2] = {0};

    if (message_writer(q, 3, size_of(3), "", NOW, &batch[0]))
        return;
    if (message_writer(q, 4, size_of(4), "", NOW, &batch[1])) {
        queue_abort(batch[0]);
        return;
    }
    if (!queue_commit(q, batch, 2)) {
        child_tell(3);
        child_tell(4);
    }
}

static void put_one(struct queue *q, unsigned n)
{
    if (!message_put(q, n, size_of(n), "", NOW))
        child_tell(n);
}

static void child_accept(struct queue *q)
{
    put_one(q, 1);
    put_one(q, 2);
    put_batch(q);
    put_one(q, 5);
}

/* Odd ones are delivered, even ones put off. */
static void child_deliver(struct queue *q)
{
    unsigned n;

    if (queue_release_active(q))
        return;
    for (unsigned i = 0; i < N_MESSAGES; i++) {
        if (take_one(q, NOW, &n))
            continue;
        if (message_check(q, n, size_of(n)))
            continue;
        if (!finish_one(q, n, n % 2 ? OUTCOME_DONE : OUTCOME_RETRY, NOW + 3600, "451 later"))
            child_tell(n);
    }
}

/* Even ones are in files: dropping one removes row and file. */
static void child_drop(struct queue *q)
{
    for (unsigned n = 1; n <= N_MESSAGES; n++) {
        size_t changed = 0;
        id_text id;

        message_id(n, id);
        if (!queue_order(q, id, ORDER_DROP, NOW, &changed) && changed == 1)
            child_tell(n);
    }
}

static int child_main(const char *mode, const char *where)
{
    struct queue_options options = {.dir = where};
    struct hsm *hsm = hsm_double_new();
    struct queue *q = NULL;

    if (queue_open(&options, hsm, &q)) {
        hsm_double_free(hsm);
        return 1;
    }
    if (strcmp(mode, "accept") == 0)
        child_accept(q);
    else if (strcmp(mode, "deliver") == 0)
        child_deliver(q);
    else
        child_drop(q);
    queue_close(q);
    hsm_double_free(hsm);
    return 0;
}

/* ---- what must be true afterwards ---- */

struct found {
    bool present[N_MESSAGES + 1];
    size_t n;
    size_t files;
    struct queue_counts counts;
};

/* Every entry is whole, and there are as many files as entries that need one. */
static void look(struct found *out)
{
    struct queue_options options = {.dir = dir};
    struct hsm *hsm = hsm_double_new();
    struct queue *q = NULL;
    struct queue_item item;
    id_text id;

    *out = (struct found){0};
    assert_false(scratch_holds(dir, FIXTURE_MARKER));
    assert_int_equal(queue_open(&options, hsm, &q), ERR_OK);
    assert_int_equal(queue_release_active(q), ERR_OK);
    for (unsigned n = 1; n <= N_MESSAGES; n++) {
        message_id(n, id);
        out->present[n] = queue_show(q, id, &item) == ERR_OK && item.state != QUEUE_DELIVERED;
        if (!out->present[n])
            continue;
        assert_int_equal(item.state, QUEUE_READY);
        assert_int_equal(message_check(q, n, size_of(n)), ERR_OK);
        out->n++;
        out->files += size_of(n) > QUEUE_INLINE_MAX_BYTES;
    }
    assert_int_equal(queue_count(q, &out->counts), ERR_OK);
    assert_int_equal(out->counts.ready, out->n);
    assert_int_equal(out->counts.held + out->counts.failed + out->counts.active, 0);
    queue_close(q);
    hsm_double_free(hsm);
    assert_int_equal(scratch_files(dir, "body"), out->files);
    assert_false(scratch_holds(dir, FIXTURE_MARKER));
}

static void fresh(bool with_messages)
{
    struct queue_options options = {.dir = dir};
    struct hsm *hsm = hsm_double_new();
    struct queue *q = NULL;

    scratch_remove(dir);
    scratch_new(dir);
    if (with_messages) {
        assert_int_equal(queue_open(&options, hsm, &q), ERR_OK);
        for (unsigned n = 1; n <= N_MESSAGES; n++)
            assert_int_equal(message_put(q, n, size_of(n), "", NOW), ERR_OK);
        queue_close(q);
    }
    hsm_double_free(hsm);
}

/* exact: the process lived, so what was refused is not there either. */
static void judge_accept(const struct child_end *end, bool exact)
{
    struct found f;

    look(&f);
    for (unsigned n = 1; n <= N_MESSAGES; n++) {
        if (end->told[n])
            assert_true(f.present[n]);
        if (exact)
            assert_int_equal(f.present[n], end->told[n]);
    }
    assert_int_equal(f.present[3], f.present[4]);
}

static void judge_deliver(const struct child_end *end, bool exact)
{
    struct found f;

    look(&f);
    for (unsigned n = 1; n <= N_MESSAGES; n++) {
        if (n % 2 == 0)
            assert_true(f.present[n]);
        else if (end->told[n])
            assert_false(f.present[n]);
        else if (exact)
            assert_true(f.present[n]);
    }
}

static void judge_drop(const struct child_end *end, bool exact)
{
    struct found f;

    look(&f);
    for (unsigned n = 1; n <= N_MESSAGES; n++) {
        if (end->told[n])
            assert_false(f.present[n]);
        else if (exact)
            assert_true(f.present[n]);
    }
}

struct step {
    const char *mode;
    const char *failpoint;
    unsigned at_least; /* passages */
};

static void judge(const char *mode, const struct child_end *end, bool exact)
{
    if (strcmp(mode, "accept") == 0)
        judge_accept(end, exact);
    else if (strcmp(mode, "deliver") == 0)
        judge_deliver(end, exact);
    else
        judge_drop(end, exact);
}

static const struct step steps[] = {
    {"accept", "queue.begin", 5},
    {"accept", "queue.seal.chunk", 13},
    {"accept", "queue.body.written", 4},
    {"accept", "queue.body.synced", 2},
    {"accept", "queue.row.inserted", 5},
    {"accept", "queue.commit.before", 5},
    {"accept", "queue.commit.after", 5},
    {"accept", "sql.sync", 5},
    {"deliver", "queue.take.marked", 5},
    {"deliver", "queue.open.chunk", 13},
    {"deliver", "queue.finish.before", 5},
    {"deliver", "queue.finish.after", 5},
    {"deliver", "queue.commit.before", 9},
    {"deliver", "queue.commit.after", 9},
    {"deliver", "sql.sync", 5},
    {"drop", "queue.file.unlinked", 2},
    {"drop", "queue.commit.before", 5},
    {"drop", "queue.commit.after", 5},
};

/* A kill at every passage of a step, until the child comes through. */
static void kill_at_every_passage(const struct step *step)
{
    struct child_end end = {.killed = true};
    unsigned n = 0;

    while (end.killed) {
        char failpoint[80];

        assert_true(++n < PASSAGES_MAX);
        (void)snprintf(failpoint, sizeof failpoint, "%s=kill@%u", step->failpoint, n);
        fresh(strcmp(step->mode, "accept") != 0);
        child_run(step->mode, dir, failpoint, NULL, &end);
        judge(step->mode, &end, false);
    }
    assert_int_equal(end.status, 0);
    assert_true(n > step->at_least);
}

static void a_kill_at_any_step_loses_nothing_acknowledged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        kill_at_every_passage(&steps[i]);
}

static void a_failure_at_any_step_is_told_and_leaves_nothing_behind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        for (unsigned n = 1; n <= steps[i].at_least; n += steps[i].at_least > 9 ? 3 : 1) {
            struct child_end end;
            char failpoint[80];

            /* here a failure means damage, and the entry is held: queue_damage_test */
            if (strcmp(steps[i].failpoint, "queue.open.chunk") == 0)
                continue;
            (void)snprintf(failpoint, sizeof failpoint, "%s=error@%u", steps[i].failpoint, n);
            fresh(strcmp(steps[i].mode, "accept") != 0);
            child_run(steps[i].mode, dir, failpoint, NULL, &end);
            judge(steps[i].mode, &end, true);
        }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_kill_at_any_step_loses_nothing_acknowledged),
        CASE(a_failure_at_any_step_is_told_and_leaves_nothing_behind),
    };

    if (argc == 4 && strcmp(argv[1], "child") == 0)
        return child_main(argv[2], argv[3]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
