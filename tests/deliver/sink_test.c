/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sink_test.c - Postfix's smtp-sink as next hop, with its own fault modes; and, asked for by
 * environment, how fast messages leave. */
#include "daemon/base/clock.h"
#include "daemon/deliver/runner.h"
#include "tests/deliver/hop_fixture.h"
#include "tests/deliver/memory_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RESULT_MS 40000

static char deliver_socket[256];
static pid_t deliver_pid;

static void content_make(struct buf *out, size_t size)
{
    buf_append_str(out, "From: <a@relay.example>\r\nSubject: x\r\n\r\n");
    while (out->len < size)
        buf_printf(out, "%zu some line of text, sixty bytes long or nearly so\r\n", out->len);
}

/* Every message ends with this outcome. */
static void expect(const char *const *modes, size_t n, size_t size, enum queue_outcome outcome)
{
    const char *argv[20] = {SMTP_SINK, "-u", "nobody"};
    const struct runner_options options = {.socket_path = deliver_socket, .session_deadline_s = 20};
    struct hop hop = {.domain = "", .host = "127.0.0.1", .port = free_port(), .sessions_max = 2};
    struct runner_options with_hop = options;
    struct queue *q = memory_queue_new(false);
    CLEANUP(buf_clear) struct buf content = {0};
    struct runner *r = NULL;
    char address[64];
    size_t argc = 3;
    pid_t sink;

    (void)snprintf(address, sizeof address, "127.0.0.1:%u", hop.port);
    for (; modes[argc - 3]; argc++)
        argv[argc] = modes[argc - 3];
    argv[argc++] = address;
    argv[argc] = "16";
    sink = sink_start(argv, hop.port);
    content_make(&content, size);
    for (size_t i = 0; i < n; i++)
        (void)memory_queue_add(q, "", "b@relay.example", "u@user.example", buf_bytes(&content));
    with_hop.hops = &hop;
    with_hop.n_hops = 1;
    assert_int_equal(runner_start(&with_hop, q, &r), ERR_OK);
    if (!memory_queue_wait(q, RESULT_MS))
        fail_msg("%s %s: no result", modes[0] ? modes[0] : "", modes[0] ? modes[1] : "");
    runner_stop(r);
    for (size_t i = 0; i < n; i++) {
        struct memory_entry e = memory_queue_entry(q, i);

        if (e.outcome != outcome || e.times_recorded != 1)
            fail_msg("%s %s: outcome %d, %u times: %s", modes[0] ? modes[0] : "",
                     modes[0] ? modes[1] : "", (int)e.outcome, e.times_recorded, e.text);
    }
    process_end(sink);
    memory_queue_free(q);
}

#define MODES(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void the_sink_takes_messages(void **state)
{
    (void)state;
    expect((const char *const[]){NULL}, 60, 3000, OUTCOME_DONE);
    expect(MODES("-p"), 5, 3000, OUTCOME_DONE);
    expect(MODES("-e"), 5, 3000, OUTCOME_DONE);
    expect(MODES("-8", "-p"), 2, 4000000, OUTCOME_DONE);
}

static void a_sink_that_stalls_gets_no_message_with_a_hole(void **state)
{
    (void)state;
    expect(MODES("-H", "5", "-T", "32768"), 2, 6240111, OUTCOME_RETRY);
}

static void every_soft_or_broken_answer_is_tried_again(void **state)
{
    static const char *const steps[] = {"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."};
    static const char *const modes[] = {"-q", "-Q", "-r"};

    (void)state;
    for (size_t m = 0; m < 3; m++)
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
            if (!(m == 2 && i == 1)) /* EHLO refused: the sink takes HELO */
                expect(MODES(modes[m], steps[i]), 2, 3000, OUTCOME_RETRY);
}

static void a_hard_answer_about_the_message_is_final(void **state)
{
    static const char *const steps[] = {"MAIL", "RCPT", "DATA", "."};

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        expect(MODES("-f", steps[i]), 2, 3000, OUTCOME_FAILED);
    expect(MODES("-f", "CONNECT"), 2, 3000, OUTCOME_RETRY);
}

/* ---- how fast: SEALRELAY_DELIVER_RATE=<messages> ---- */

static void rate(const char *label, size_t messages, size_t size, unsigned per_session,
                 unsigned sessions)
{
    struct hop hop = {
        .domain = "", .host = "127.0.0.1", .port = free_port(), .sessions_max = sessions};
    const struct runner_options options = {.socket_path = deliver_socket,
                                           .hops = &hop,
                                           .n_hops = 1,
                                           .messages_per_session = per_session};
    struct queue *q = memory_queue_new(false);
    CLEANUP(buf_clear) struct buf content = {0};
    struct runner *r = NULL;
    char address[64];
    int64_t begun, took;
    pid_t sink;

    (void)snprintf(address, sizeof address, "127.0.0.1:%u", hop.port);
    sink = sink_start((const char *const[]){SMTP_SINK, "-u", "nobody", address, "100", NULL},
                      hop.port);
    content_make(&content, size);
    for (size_t i = 0; i < messages; i++)
        (void)memory_queue_add(q, "", "b@relay.example", "u@user.example", buf_bytes(&content));
    begun = clock_mono_ms();
    assert_int_equal(runner_start(&options, q, &r), ERR_OK);
    assert_true(memory_queue_wait(q, 100000));
    took = clock_mono_ms() - begun;
    runner_stop(r);
    print_message("%s: %zu messages of %zu bytes, %u a session, %u sessions: %.0f a second\n",
                  label, messages, size, per_session, sessions,
                  1000.0 * (double)messages / (double)(took ? took : 1));
    process_end(sink);
    memory_queue_free(q);
}

static void messages_leave_at_a_rate(void **state)
{
    const char *messages = getenv("SEALRELAY_DELIVER_RATE");
    size_t n = messages ? strtoul(messages, NULL, 10) : 200;

    (void)state;
    rate("small", n, 3000, 50, 1);
    if (!messages)
        return;
    rate("small", n, 3000, 50, 2);
    rate("small", n, 3000, 50, 4);
    rate("sealed 8 kB", n, 12000, 50, 2);
    rate("alone", n / 4, 3000, 1, 4);
}

static int start(void **state)
{
    (void)state;
    deliver_pid = deliver_start("transfer_timeout_s = 2\ncommand_timeout_s = 3\n"
                                "final_timeout_s = 3\nconnect_timeout_s = 2\n",
                                NULL, deliver_socket);
    return deliver_pid <= 0;
}

static int end(void **state)
{
    (void)state;
    process_end(deliver_pid);
    fixture_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sink_takes_messages),
        cmocka_unit_test(a_sink_that_stalls_gets_no_message_with_a_hole),
        cmocka_unit_test(every_soft_or_broken_answer_is_tried_again),
        cmocka_unit_test(a_hard_answer_about_the_message_is_final),
        cmocka_unit_test(messages_leave_at_a_rate),
    };

    return cmocka_run_group_tests(tests, start, end);
}
