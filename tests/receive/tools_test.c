/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tools_test.c - clients others wrote: swaks and Postfix's smtp-source. Both are required. */
#include "tests/receive/host.h"

#include "daemon/base/fdio.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SMTP_SOURCE "/usr/sbin/smtp-source"

/* Run a program, its output thrown away; its exit code. */
static int run(const char *const *argv)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;

    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0), 0);
    if (posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ) != 0)
        fail_msg("%s is needed for this test", argv[0]);
    (void)posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void swaks_delivers_in_every_way_it_knows(void **state)
{
    static const char *const ways[][2] = {
        {"ESMTP", NULL},    {"SMTP", NULL}, {"ESMTP", "--pipeline"},
        {"ESMTP", "--tls"}, {"LMTP", NULL},
    };
    char server[32];
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        int port = strcmp(ways[i][0], "LMTP") == 0 ? h.lmtp_port : h.smtp_port;
        const char *argv[] = {"swaks",  "--server", server, "--protocol",        ways[i][0],
                              "--from", "a@b.test", "--to", "c@d.test,e@d.test", ways[i][1],
                              NULL};

        (void)snprintf(server, sizeof server, "127.0.0.1:%d", port);
        if (run(argv) != 0)
            fail_msg("swaks %s %s", ways[i][0], ways[i][1] ? ways[i][1] : "");
    }
    {
        const char *argv[] = {"swaks",  "--socket", h.unix_path, "--protocol", "LMTP",
                              "--from", "a@b.test", "--to",      "c@d.test",   NULL};

        assert_int_equal(run(argv), 0);
    }
    host_wait_idle(&h);
    assert_int_equal(h.n_messages, 6);
    host_close(&h);
}

static void load_from_many_sessions_is_taken_whole(void **state)
{
    char target[128];
    struct receive_stats stats;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    {
        const char *argv[] = {SMTP_SOURCE, "-s",    "20",       "-m",   "1000",
                              "-l",        "20000", "-r",       "2",    "-f",
                              "a@b.test",  "-t",    "c@d.test", target, NULL};

        (void)snprintf(target, sizeof target, "inet:127.0.0.1:%d", h.smtp_port);
        assert_int_equal(run(argv), 0);
    }
    {
        const char *argv[] = {SMTP_SOURCE, "-L", "-s",       "20", "-m",       "500",  "-l",
                              "20000",     "-f", "a@b.test", "-t", "c@d.test", target, NULL};

        (void)snprintf(target, sizeof target, "unix:%s", h.unix_path);
        assert_int_equal(run(argv), 0);
    }
    host_wait_idle(&h);
    receive_stats_get(h.receive, &stats);
    assert_int_equal(h.n_messages, 1500);
    assert_int_equal(stats.accepted, 1500);
    host_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(swaks_delivers_in_every_way_it_knows),
        cmocka_unit_test(load_from_many_sessions_is_taken_whole),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
