/* SPDX-License-Identifier: GPL-3.0-or-later */
/* crash_test.c - the true queue, the runner and sealdeliver: whatever is killed, and whenever, each
 * message reaches the next hop, and lies nowhere in clear. This program is its own relay: started
 * with arguments it delivers what is in a queue. */
#include "daemon/base/clock.h"
#include "daemon/deliver/runner.h"
#include "tests/deliver/hop_fixture.h"
#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MESSAGES   60
#define MARKER     "MARKER-IN-CLEAR"
#define DELIVER_MS 30000
#define ALL_TIMES  "transfer_timeout_s = 5\ncommand_timeout_s = 5\nfinal_timeout_s = 5\n"

static char program[256];
static char deliver_socket[256];

/* ---- the relay ---- */

static void pause_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}

static bool queue_empty(struct queue *q)
{
    struct queue_counts c;

    return !queue_count(q, &c) && c.ready + c.active + c.held + c.failed == 0;
}

static int relay(const char *dir, const char *socket_path, const char *port)
{
    const struct hop hop = {.domain = "",
                            .host = "127.0.0.1",
                            .port = (uint16_t)strtoul(port, NULL, 10),
                            .sessions_max = 2};
    const struct runner_options options = {.socket_path = socket_path,
                                           .hops = &hop,
                                           .n_hops = 1,
                                           .messages_per_session = 20,
                                           .retry_first_s = 1,
                                           .retry_max_s = 1};
    const struct queue_options where = {.dir = dir};
    struct hsm *hsm = hsm_double_new();
    struct queue *q = NULL;
    struct runner *r = NULL;
    int64_t begun = clock_mono_ms();
    bool done = false;

    if (queue_open(&where, hsm, &q) || queue_release_active(q) || runner_start(&options, q, &r))
        return 2;
    while (!(done = queue_empty(q) && runner_idle(r)) && clock_mono_ms() - begun < DELIVER_MS)
        pause_ms(20);
    runner_stop(r);
    queue_close(q);
    hsm_double_free(hsm);
    return done ? 0 : 3;
}

/* Returns what waitpid says. */
static int relay_run(const char *fail_point, const char *dir, uint16_t port)
{
    char port_text[16];
    int status = -1;
    pid_t pid;

    (void)snprintf(port_text, sizeof port_text, "%u", port);
    pid = fork();
    if (pid == 0) {
        if (fail_point)
            (void)setenv("SEALRELAY_FAILPOINT", fail_point, 1);
        (void)execl(program, program, dir, deliver_socket, port_text, (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* ---- the tests ---- */

static void queue_fill(const char *dir)
{
    const struct queue_options where = {.dir = dir};
    struct hsm *hsm = hsm_double_new();
    struct queue *q = NULL;

    assert_int_equal(queue_open(&where, hsm, &q), ERR_OK);
    for (unsigned i = 0; i < MESSAGES; i++) {
        CLEANUP(buf_clear) struct buf text = {0};
        char rcpt[64];
        struct queue_envelope v = {.direction = QUEUE_FORWARD,
                                   .profile = "pppppppppppppppp",
                                   .hop = "",
                                   .mail_from = "b-x@relay.example",
                                   .rcpt_to = rcpt};
        struct queue_writer *w = NULL;

        (void)snprintf(rcpt, sizeof rcpt, "%s-%03u@user.example", MARKER, i);
        buf_printf(&text, "From: <a@b.example>\r\nSubject: %u\r\n\r\n", i);
        for (unsigned k = 0; k < (i % 10 == 9 ? 9000u : 60u); k++) /* every tenth is a file */
            buf_printf(&text, "%s line %u of message %u\r\n", MARKER, k, i);
        assert_int_equal(id_new(v.id), ERR_OK);
        assert_int_equal(queue_begin(q, &v, clock_now_s(), &w), ERR_OK);
        assert_int_equal(queue_write(w, text.data, text.len), ERR_OK);
        assert_int_equal(queue_commit(q, &w, 1), ERR_OK);
    }
    queue_close(q);
    hsm_double_free(hsm);
}

/* Each message at least once, and no more in all than most. */
static void check_arrived(const struct hop_process *server, size_t most, const char *name)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        char line[128];

        (void)snprintf(line, sizeof line, "accepted %s-%03u@user.example", MARKER, i);
        if (report_count(server, line) == 0)
            fail_msg("%s: message %u is lost", name, i);
    }
    assert_in_range(report_count(server, "accepted"), MESSAGES, most);
}

static void everything_arrives_once_when_nothing_dies(void **state)
{
    struct hop_process server;
    scratch_path dir;

    (void)state;
    scratch_new(dir);
    hop_start("pipelining", NULL, NULL, &server);
    queue_fill(dir);
    assert_int_equal(relay_run(NULL, dir, server.port), 0);
    check_arrived(&server, MESSAGES, "nothing");
    process_end(server.pid);
    scratch_remove(dir);
}

static void a_relay_killed_at_any_step_loses_nothing(void **state)
{
    static const struct {
        const char *fail_point;
        size_t most; /* arrivals in all: what is repeated was answered and not recorded */
    } table[] = {
        {"deliver.taken=kill", MESSAGES},         {"deliver.taken=kill@2", MESSAGES + 40},
        {"deliver.handed=kill", MESSAGES + 40},   {"deliver.handed=kill@3", MESSAGES + 40},
        {"deliver.answered=kill", MESSAGES + 40}, {"deliver.answered=kill@31", MESSAGES + 40},
        {"deliver.recorded=kill", MESSAGES + 40}, {"deliver.recorded=kill@2", MESSAGES + 40},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct hop_process server;
        scratch_path dir;
        int status;

        scratch_new(dir);
        hop_start("good", NULL, NULL, &server);
        queue_fill(dir);
        status = relay_run(table[i].fail_point, dir, server.port);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            fail_msg("%s: was not passed", table[i].fail_point);
        assert_false(scratch_holds(dir, MARKER));
        assert_int_equal(relay_run(NULL, dir, server.port), 0);
        check_arrived(&server, table[i].most, table[i].fail_point);
        assert_false(scratch_holds(dir, MARKER));
        process_end(server.pid);
        scratch_remove(dir);
    }
}

static void a_worker_killed_at_any_step_loses_nothing(void **state)
{
    static const char *const fail_points[] = {"SEALRELAY_FAILPOINT=worker.connected=kill",
                                              "SEALRELAY_FAILPOINT=worker.body=kill@7",
                                              "SEALRELAY_FAILPOINT=worker.dot=kill@4"};

    (void)state;
    for (size_t i = 0; i < sizeof fail_points / sizeof *fail_points; i++) {
        char good_socket[256];
        struct hop_process server;
        scratch_path dir;
        pid_t deliver;

        memcpy(good_socket, deliver_socket, sizeof good_socket);
        scratch_new(dir);
        hop_start("good", NULL, NULL, &server);
        queue_fill(dir);
        deliver = deliver_start(ALL_TIMES, fail_points[i], deliver_socket);
        (void)relay_run("deliver.recorded=kill@3", dir, server.port);
        process_end(deliver);
        memcpy(deliver_socket, good_socket, sizeof good_socket);
        assert_int_equal(relay_run(NULL, dir, server.port), 0);
        check_arrived(&server, MESSAGES + 40, fail_points[i]);
        assert_false(scratch_holds(dir, MARKER));
        process_end(server.pid);
        scratch_remove(dir);
    }
}

static pid_t deliver_pid;

static int start(void **state)
{
    (void)state;
    deliver_pid = deliver_start(ALL_TIMES, NULL, deliver_socket);
    return deliver_pid <= 0;
}

static int end(void **state)
{
    (void)state;
    process_end(deliver_pid);
    fixture_end();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives_once_when_nothing_dies),
        cmocka_unit_test(a_relay_killed_at_any_step_loses_nothing),
        cmocka_unit_test(a_worker_killed_at_any_step_loses_nothing),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 4)
        return relay(argv[1], argv[2], argv[3]);
    (void)snprintf(program, sizeof program, "%s", argv[0]);
    return cmocka_run_group_tests(tests, start, end);
}
