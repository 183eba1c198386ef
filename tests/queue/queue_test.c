/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue_test.c - accepting, orders, data keys and opening, over daemon/queue/queue.h. */
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
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOW FIXTURE_NOW
#define DAY INT64_C(86400)

/* ---- accepting ---- */

static void a_message_of_any_size_comes_back_whole(void **state)
{
    static const size_t sizes[] = {0,      1,      79,     65535,  65536,  65537,   131072,
                                   196607, 262079, 262080, 262081, 327680, 1000000, 3000001};

    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(message_put(fixture.queue, i + 1, sizes[i], "", NOW), ERR_OK);
    fixture_reopen();
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(message_check(fixture.queue, i + 1, sizes[i]), ERR_OK);
    assert_int_equal(scratch_files(fixture.dir, "body"), 4); /* those over 256 KiB when sealed */
}

static void nothing_of_a_message_lies_in_clear(void **state)
{
    struct queue_writer *w = NULL;

    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, FIXTURE_SMALL, "hop.example", NOW), ERR_OK);
    assert_int_equal(message_put(fixture.queue, 2, FIXTURE_LARGE, "hop.example", NOW), ERR_OK);
    assert_int_equal(message_writer(fixture.queue, 3, FIXTURE_LARGE, "", NOW, &w), ERR_OK);
    assert_false(scratch_holds(fixture.dir, FIXTURE_MARKER));
    queue_abort(w);
    fixture_reopen();
    assert_false(scratch_holds(fixture.dir, FIXTURE_MARKER));
    assert_true(scratch_holds(fixture.dir, "hop.example"));
}

static void a_batch_is_there_whole_or_not_at_all(void **state)
{
    struct queue_writer *batch[3] = {0};
    struct queue_counts counts;

    (void)state;
    assert_int_equal(message_put(fixture.queue, 2, FIXTURE_SMALL, "", NOW), ERR_OK);
    assert_int_equal(message_writer(fixture.queue, 1, FIXTURE_SMALL, "", NOW, &batch[0]), ERR_OK);
    assert_int_equal(message_writer(fixture.queue, 3, FIXTURE_LARGE, "", NOW, &batch[1]), ERR_OK);
    assert_int_equal(message_writer(fixture.queue, 2, FIXTURE_SMALL, "", NOW, &batch[2]), ERR_OK);
    assert_int_equal(queue_commit(fixture.queue, batch, 3), ERR_BUG);
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.ready, 1);
    assert_int_equal(scratch_files(fixture.dir, "body"), 0);
    assert_int_equal(message_writer(fixture.queue, 1, FIXTURE_SMALL, "", NOW, &batch[0]), ERR_OK);
    assert_int_equal(message_writer(fixture.queue, 3, FIXTURE_LARGE, "", NOW, &batch[1]), ERR_OK);
    assert_int_equal(queue_commit(fixture.queue, batch, 2), ERR_OK);
    assert_int_equal(queue_count(fixture.queue, &counts), ERR_OK);
    assert_int_equal(counts.ready, 3);
    assert_int_equal(counts.bytes, 2 * FIXTURE_SMALL + FIXTURE_LARGE);
    assert_int_equal(counts.oldest_s, NOW);
}

static void the_id_of_a_waiting_file_is_not_taken_over(void **state)
{
    struct queue_writer *w = NULL;

    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, FIXTURE_LARGE, "", NOW), ERR_OK);
    assert_int_equal(message_writer(fixture.queue, 1, FIXTURE_LARGE, "", NOW, &w), ERR_BUG);
    assert_int_equal(message_check(fixture.queue, 1, FIXTURE_LARGE), ERR_OK);
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
        assert_int_equal(queue_begin(fixture.queue, &bad[i], NOW, &w), ERR_FORMAT);
    assert_int_equal(queue_begin(fixture.queue, &good, NOW, &w), ERR_OK);
    queue_abort(w);
}

static void too_little_space_is_told_before_a_message_is_read(void **state)
{
    (void)state;
    fixture.options.free_min_bytes = UINT64_MAX / 2;
    fixture_reopen();
    assert_int_equal(message_put(fixture.queue, 1, FIXTURE_SMALL, "", NOW), ERR_NOSPACE);
}

static void without_the_key_service_mail_is_put_off_and_comes_in_later(void **state)
{
    struct timespec moment = {1, 100000000};

    (void)state;
    hsm_double_fail(fixture.hsm, ERR_HSM_AWAY);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(message_put(fixture.queue, 1, FIXTURE_SMALL, "", NOW), ERR_HSM_AWAY);
    /* ten sessions did not wait for it one after the other */
    assert_true(hsm_double_attempts(fixture.hsm) <= 2);
    hsm_double_fail(fixture.hsm, ERR_OK);
    (void)nanosleep(&moment, NULL);
    assert_int_equal(message_put(fixture.queue, 1, FIXTURE_SMALL, "", NOW), ERR_OK);
}

/* ---- orders ---- */

static void orders_change_what_they_may(void **state)
{
    size_t changed = 0;
    unsigned n;

    (void)state;
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(message_put(fixture.queue, i, i == 3 ? FIXTURE_LARGE : 10, "", NOW),
                         ERR_OK);
    assert_int_equal(take_one(fixture.queue, NOW, &n), ERR_OK);
    assert_int_equal(n, 1);
    for (int o = ORDER_HOLD; o <= ORDER_DROP; o++) {
        assert_int_equal(fixture_order(1, (enum queue_order)o, NOW), ERR_WRONG_STATE);
        assert_int_equal(fixture_order(9, (enum queue_order)o, NOW), ERR_NOT_FOUND);
    }
    assert_int_equal(queue_order(fixture.queue, NULL, ORDER_DROP, NOW, &changed), ERR_USAGE);
    assert_int_equal(queue_order(fixture.queue, NULL, ORDER_HOLD, NOW, &changed), ERR_OK);
    assert_int_equal(changed, 2);
    assert_string_equal(fixture_show(2).last_result, "held by the operator");
    assert_int_equal(take_one(fixture.queue, NOW, &n), ERR_NOT_FOUND);
    assert_int_equal(fixture_order(2, ORDER_RETRY, NOW), ERR_OK);
    assert_int_equal(fixture_state_of(2), QUEUE_HELD);
    assert_int_equal(fixture_order(2, ORDER_RELEASE, NOW + 7), ERR_OK);
    assert_int_equal(fixture_state_of(2), QUEUE_READY);
    assert_int_equal(fixture_show(2).next_attempt_s, NOW + 7);
    assert_int_equal(fixture_order(3, ORDER_DROP, NOW), ERR_OK);
    assert_int_equal(scratch_files(fixture.dir, "body"), 0);
    assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_RETRY, NOW + 3000, "451"), ERR_OK);
    assert_int_equal(queue_order(fixture.queue, NULL, ORDER_RETRY, NOW + 8, &changed), ERR_OK);
    assert_int_equal(changed, 2);
    assert_int_equal(fixture_show(1).next_attempt_s, NOW + 8);
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
        assert_int_equal(message_put(fixture.queue, i, 10, "", NOW), ERR_OK);
    assert_int_equal(queue_each(fixture.queue, false, list_one, &l), ERR_OK);
    assert_int_equal(l.n, 150);
    fixture_reopen();
    hsm_double_fail(fixture.hsm, ERR_HSM_AWAY);
    l.n = 0;
    assert_int_equal(queue_each(fixture.queue, false, list_one, &l), ERR_OK);
    assert_int_equal(l.n, 150);
    assert_string_equal(fixture_show(1).rcpt_to, "");
    assert_int_equal(queue_each(fixture.queue, true, list_one, &l), ERR_HSM_AWAY);
    hsm_double_fail(fixture.hsm, ERR_OK);
    fixture_reopen();
    l = (struct listing){0, true};
    assert_int_equal(queue_each(fixture.queue, true, list_one, &l), ERR_OK);
    assert_int_equal(l.n, 150);
}

/* ---- data keys ---- */

static void a_data_key_is_fresh_at_every_start_and_every_day(void **state)
{
    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, 10, "", NOW), ERR_OK);
    assert_int_equal(message_put(fixture.queue, 2, 10, "", NOW + DAY - 1), ERR_OK);
    assert_int_equal(hsm_double_made(fixture.hsm), 1);
    assert_int_equal(message_put(fixture.queue, 3, 10, "", NOW + DAY), ERR_OK);
    assert_int_equal(hsm_double_made(fixture.hsm), 2);
    fixture_reopen();
    assert_int_equal(message_put(fixture.queue, 4, 10, "", NOW + DAY), ERR_OK);
    assert_int_equal(hsm_double_made(fixture.hsm), 3);
    for (unsigned i = 1; i <= 4; i++)
        assert_int_equal(message_check(fixture.queue, i, 10), ERR_OK);
    /* the two older ones, once each */
    assert_int_equal(hsm_double_opened(fixture.hsm), 2);
}

static void a_spool_key_is_retired_with_its_last_entry(void **state)
{
    struct queue_writer *w = NULL;
    unsigned n;

    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, 10, "", NOW), ERR_OK);
    assert_int_equal(message_writer(fixture.queue, 2, 10, "", NOW, &w), ERR_OK);
    hsm_double_generation(fixture.hsm, 2);
    assert_int_equal(message_put(fixture.queue, 3, 10, "", NOW + DAY), ERR_OK);
    assert_int_equal(hsm_double_retired(fixture.hsm), 1);
    assert_int_equal(take_one(fixture.queue, NOW + 1, &n), ERR_OK);
    assert_int_equal(finish_one(fixture.queue, 1, OUTCOME_DONE, 0, NULL), ERR_OK);
    /* a session still writes under the old key */
    assert_int_equal(hsm_double_retired(fixture.hsm), 1);
    assert_int_equal(queue_commit(fixture.queue, &w, 1), ERR_OK);
    assert_int_equal(message_check(fixture.queue, 2, 10), ERR_OK);
    assert_int_equal(take_one(fixture.queue, NOW + 1, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(finish_one(fixture.queue, 2, OUTCOME_DONE, 0, NULL), ERR_OK);
    assert_int_equal(hsm_double_retired(fixture.hsm), 2);
    fixture_reopen();
    assert_int_equal(message_check(fixture.queue, 3, 10), ERR_OK);
}

/* ---- opening ---- */

static void a_second_process_is_refused(void **state)
{
    struct queue *second = NULL;

    (void)state;
    assert_int_equal(queue_open(&fixture.options, fixture.hsm, &second), ERR_CONFIG);
    assert_null(second);
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    queue_close(fixture.queue);
    fixture.queue = NULL;
    scratch_sql(fixture.dir, "queue.db", "PRAGMA user_version=99");
    assert_int_equal(queue_open(&fixture.options, fixture.hsm, &fixture.queue), ERR_CONFIG);
}

static void a_missing_folder_is_refused(void **state)
{
    struct queue_options nowhere = {.dir = "/nonexistent/queue"};
    struct queue *q = NULL;

    (void)state;
    assert_int_equal(queue_open(&nowhere, fixture.hsm, &q), ERR_CONFIG);
}

static void stale_files_are_removed_and_foreign_ones_left(void **state)
{
    scratch_path path;
    int fd;

    (void)state;
    assert_int_equal(message_put(fixture.queue, 1, FIXTURE_LARGE, "", NOW), ERR_OK);
    scratch_join(fixture.dir, "body/aaaaaaaaaaaaaaaa", path);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    scratch_join(fixture.dir, "body/README", path);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(scratch_files(fixture.dir, "body"), 3);
    fixture_reopen();
    assert_int_equal(scratch_files(fixture.dir, "body"), 2);
    assert_int_equal(message_check(fixture.queue, 1, FIXTURE_LARGE), ERR_OK);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_start, fixture_end)
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
