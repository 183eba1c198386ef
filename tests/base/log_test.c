/* SPDX-License-Identifier: GPL-3.0-or-later */
/* log_test.c - lines behind which nobody reads: mail must go on, and the loss is told. */
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES 2000 /* far more than a pipe holds */

static int kept_stderr = -1;

/* Standard error becomes a pipe, whose end to read from this is. */
static int pipe_begin(void)
{
    int ends[2];

    kept_stderr = dup(STDERR_FILENO);
    assert_true(kept_stderr >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(ends[1]), 0);
    return ends[0];
}

static void pipe_end(void)
{
    assert_int_equal(dup2(kept_stderr, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(kept_stderr), 0);
}

static void lines_log(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        log_event(LOG_LEVEL_INFO, "test.stage", "-", ERR_OK, -1, "filler=%0100u", i);
}

/* What is in the pipe now. */
static size_t drain(int fd, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n;

    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (len < cap - 1 && (n = read(fd, out + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    return len;
}

static unsigned lines_in(const char *text)
{
    unsigned n = 0;

    for (; (text = strstr(text, "stage=test.stage")) != NULL; text++)
        n++;
    return n;
}

static void a_full_pipe_loses_lines_stops_nobody_and_is_told(void **state)
{
    static char text[1 << 20];
    int fd = pipe_begin();
    int64_t start_ms = clock_mono_ms();
    const char *told;
    unsigned kept;

    (void)state;
    lines_log(LINES);
    assert_in_range(clock_mono_ms() - start_ms, 0, 20000);
    (void)drain(fd, text, sizeof text);
    kept = lines_in(text);
    assert_in_range(kept, 100, LINES - 1);
    lines_log(1);
    (void)drain(fd, text, sizeof text);
    pipe_end();
    told = strstr(text, "stage=log.lost id=- result=ERR_OK lines=");
    assert_non_null(told);
    assert_int_equal(strtoul(strstr(told, "lines=") + 6, NULL, 10), LINES - kept);
    assert_int_equal(lines_in(text), 1);
    assert_int_equal(close(fd), 0);
}

static void a_closed_pipe_stops_nobody(void **state)
{
    int fd = pipe_begin();

    (void)state;
    assert_int_equal(close(fd), 0);
    lines_log(10);
    pipe_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_pipe_loses_lines_stops_nobody_and_is_told),
        cmocka_unit_test(a_closed_pipe_stops_nobody),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    (void)unsetenv("JOURNAL_STREAM");
    log_open("log_test", false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
