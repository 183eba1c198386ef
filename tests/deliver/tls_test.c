/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tls_test.c - many sessions in TLS of each version: libesmtp hangs in one of three with TLS 1.3
 * where nobody hides the session tickets from it. */
#include "daemon/base/clock.h"
#include "tests/deliver/lanes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* SEALRELAY_TLS_SESSIONS: how many with each; a few in every run, since each is a process. */
static void tls_sessions_of_each_version_run_and_none_hangs(void **state)
{
    static const char *const scenarios[] = {"starttls", "tls12", "tls13", "tls13-many-tickets"};
    const char *wanted = getenv("SEALRELAY_TLS_SESSIONS");
    const size_t n = wanted ? strtoul(wanted, NULL, 10) : 40;
    const struct runner_options options = {.messages_per_session = 1};
    char ca[256];
    struct hop hop = {.domain = "",
                      .host = "localhost",
                      .tls = HOP_TLS_REQUIRED,
                      .ca_file = ca,
                      .sessions_max = 4};

    (void)state;
    (void)snprintf(ca, sizeof ca, "%s", fixture_path("ca.pem"));
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        struct queue *q = memory_queue_new(false);
        int64_t begun = clock_mono_ms();
        struct hop_process server;
        struct runner *r;

        hop_start(scenarios[i], fixture_path("good.pem"), fixture_path("good.key"), &server);
        hop.port = server.port;
        lanes_add(q, "", n);
        r = lanes_runner(q, &hop, 1, &options);
        assert_true(memory_queue_wait(q, 20000 + (unsigned)n * 500));
        runner_stop(r);
        assert_int_equal(lanes_count(q, "", OUTCOME_DONE), n);
        assert_int_equal(report_count(&server, "session"), n);
        assert_int_equal(report_count(&server, "accepted"), n);
        print_message("%s: %zu sessions in %lld ms\n", scenarios[i], n,
                      (long long)(clock_mono_ms() - begun));
        process_end(server.pid);
        memory_queue_free(q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_sessions_of_each_version_run_and_none_hangs),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, lanes_start, lanes_end);
}
