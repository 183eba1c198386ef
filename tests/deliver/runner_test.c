/* SPDX-License-Identifier: GPL-3.0-or-later */
/* runner_test.c - lanes, sessions and waits. */
#include "daemon/base/clock.h"
#include "tests/deliver/lanes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void a_next_hop_that_holds_all_its_sessions_delays_no_other(void **state)
{
    const struct runner_options options = {.messages_per_session = 1, .session_deadline_s = 4};
    struct hop_process silent, good;
    struct hop hops[2] = {{.domain = "silent.example", .host = "127.0.0.1", .sessions_max = 2},
                          {.domain = "", .host = "127.0.0.1", .sessions_max = 2}};
    struct queue *q = memory_queue_new(false);
    struct runner *r;
    int64_t begun;

    (void)state;
    hop_start("silent", NULL, NULL, &silent);
    hop_start("good", NULL, NULL, &good);
    hops[0].port = silent.port;
    hops[1].port = good.port;
    lanes_add(q, "silent.example", 6);
    lanes_add(q, "", 20);
    begun = clock_mono_ms();
    r = lanes_runner(q, hops, 2, &options);
    while (lanes_count(q, "", OUTCOME_DONE) < 20 && clock_mono_ms() - begun < 3500)
        lanes_pause_ms(10);
    assert_int_equal(lanes_count(q, "", OUTCOME_DONE), 20);
    assert_int_equal(lanes_count(q, "silent.example", OUTCOME_RETRY), 0); /* still at it */
    assert_int_equal(report_count(&silent, "session"), 2);                /* and not with more */
    runner_stop(r);
    /* Two died at their deadline; the others were never begun. */
    assert_int_equal(lanes_count(q, "silent.example", OUTCOME_RETRY), 2);
    process_end(silent.pid);
    process_end(good.pid);
    memory_queue_free(q);
}

static void sessions_run_in_parallel_and_carry_many_messages(void **state)
{
    static const struct {
        const char *scenario;
        size_t messages;
        unsigned per_session, sessions;
        int64_t most_ms;
        size_t sessions_min, sessions_max;
    } table[] = {
        {"slow", 8, 2, 4, 2000, 4, 8}, /* 0.3 s each: 2.4 s one behind the other */
        {"good", 100, 50, 1, 15000, 2, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct runner_options options = {.messages_per_session = table[i].per_session};
        struct hop hop = {.domain = "", .host = "127.0.0.1", .sessions_max = table[i].sessions};
        struct queue *q = memory_queue_new(false);
        struct hop_process server;
        struct runner *r;
        int64_t begun;

        hop_start(table[i].scenario, NULL, NULL, &server);
        hop.port = server.port;
        lanes_add(q, "", table[i].messages);
        begun = clock_mono_ms();
        r = lanes_runner(q, &hop, 1, &options);
        assert_true(memory_queue_wait(q, 20000));
        assert_in_range(clock_mono_ms() - begun, 0, table[i].most_ms);
        runner_stop(r);
        assert_int_equal(lanes_count(q, "", OUTCOME_DONE), table[i].messages);
        assert_in_range(report_count(&server, "session"), table[i].sessions_min,
                        table[i].sessions_max);
        process_end(server.pid);
        memory_queue_free(q);
    }
}

static void a_next_hop_that_fails_is_asked_less_and_less(void **state)
{
    const struct runner_options options = {.retry_first_s = 1, .retry_max_s = 3600};
    const struct hop hop = {.domain = "", .host = "127.0.0.1", .port = free_port()};
    struct queue *q = memory_queue_new(true);
    struct runner *r;

    (void)state;
    lanes_add(q, "", 1);
    r = lanes_runner(q, &hop, 1, &options);
    lanes_pause_ms(6500); /* at about 0, 1, 3 and 7 s */
    runner_stop(r);
    assert_in_range(memory_queue_entry(q, 0).times_taken, 2, 4);
    memory_queue_free(q);
}

static void a_lane_that_waits_is_opened_by_a_flush(void **state)
{
    const struct runner_options options = {.retry_first_s = 600, .retry_max_s = 3600};
    const struct hop hop = {.domain = "", .host = "127.0.0.1", .port = free_port()};
    struct queue *q = memory_queue_new(true);
    struct runner *r;

    (void)state;
    lanes_add(q, "", 1);
    r = lanes_runner(q, &hop, 1, &options);
    while (!memory_queue_entry(q, 0).recorded)
        lanes_pause_ms(10);
    lanes_pause_ms(300);
    lanes_add(q, "", 1);
    lanes_pause_ms(600);
    assert_int_equal(memory_queue_entry(q, 1).times_taken, 0);
    assert_true(runner_idle(r)); /* one waits, and nothing can be done about it now */
    runner_forget_backoff(r);
    lanes_pause_ms(600);
    assert_int_equal(memory_queue_entry(q, 1).times_taken, 1);
    runner_stop(r);
    memory_queue_free(q);
}

static void one_refused_message_closes_no_lane(void **state)
{
    const struct runner_options options = {.retry_first_s = 600, .retry_max_s = 3600};
    struct hop hop = {.domain = "", .host = "127.0.0.1", .sessions_max = 1};
    struct queue *q = memory_queue_new(false);
    struct hop_process server;
    struct runner *r;

    (void)state;
    hop_start("rcpt-mixed", NULL, NULL, &server);
    hop.port = server.port;
    lanes_add(q, "", 4);
    r = lanes_runner(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 10000));
    lanes_add(q, "", 1);
    assert_true(memory_queue_wait(q, 3000));
    runner_stop(r);
    assert_int_equal(memory_queue_entry(q, 4).outcome, OUTCOME_DONE);
    assert_true(memory_queue_entry(q, 1).next_attempt_s > clock_now_s() + 300);
    process_end(server.pid);
    memory_queue_free(q);
}

static void keys_that_left_the_table_go_to_the_default(void **state)
{
    const struct runner_options options = {0};
    struct hop hop = {.domain = "", .host = "127.0.0.1"};
    struct queue *q = memory_queue_new(false);
    struct hop_process server;
    struct runner *r;

    (void)state;
    hop_start("good", NULL, NULL, &server);
    hop.port = server.port;
    assert_string_equal(hop_key(&hop, 1, "gone.example"), "");
    lanes_add(q, "gone.example", 3);
    r = lanes_runner(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 10000));
    runner_stop(r);
    assert_int_equal(lanes_count(q, "gone.example", OUTCOME_DONE), 3);
    process_end(server.pid);
    memory_queue_free(q);
}

static void a_table_that_cannot_work_is_refused(void **state)
{
    static const struct hop bad[] = {
        {.domain = "", .host = "", .port = 25},
        {.domain = "", .host = "h", .port = 0},
        {.domain = "", .host = "a b", .port = 25},
        {.domain = "x y", .host = "h", .port = 25},
        {.domain = "", .host = "h", .port = 25, .ca_file = "relative.pem"},
        {.domain = "", .host = "h", .port = 25, .sessions_max = 1000},
    };
    struct queue *q = memory_queue_new(false);

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct runner_options options = {.socket_path = "/x", .hops = &bad[i], .n_hops = 1};
        struct runner *r = NULL;

        assert_int_equal(runner_start(&options, q, &r), ERR_CONFIG);
    }
    memory_queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_next_hop_that_holds_all_its_sessions_delays_no_other),
        cmocka_unit_test(sessions_run_in_parallel_and_carry_many_messages),
        cmocka_unit_test(a_next_hop_that_fails_is_asked_less_and_less),
        cmocka_unit_test(a_lane_that_waits_is_opened_by_a_flush),
        cmocka_unit_test(one_refused_message_closes_no_lane),
        cmocka_unit_test(keys_that_left_the_table_go_to_the_default),
        cmocka_unit_test(a_table_that_cannot_work_is_refused),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, lanes_start, lanes_end);
}
