/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clock_test.c - the file that lets a test move time. The name of the file is read at the start of
 * a process, so this program starts itself again with one. */
#include "daemon/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLOCK_FILE "SEALRELAY_CLOCK_FILE"

static const char *self;
static const char *file;

static void offset_write(const char *text)
{
    FILE *f = fopen(file, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void clock_is_moved_by(int64_t seconds)
{
    int64_t before = (int64_t)time(NULL);
    int64_t now = clock_now_s();

    assert_in_range(now - seconds, before, (int64_t)time(NULL));
}

static void the_clock_follows_the_file_at_once(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {{"0", 0}, {"3600\n", 3600}, {"518400\n", 518400}, {"-86400", -86400}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        offset_write(cases[i].text);
        clock_is_moved_by(cases[i].seconds);
    }
}

static void a_file_without_a_number_leaves_the_clock_where_it_was(void **state)
{
    (void)state;
    offset_write("7200\n");
    clock_is_moved_by(7200);
    offset_write("");
    clock_is_moved_by(7200);
    assert_int_equal(unlink(file), 0);
    errno = 0;
    clock_is_moved_by(7200);
    assert_int_equal(errno, 0);
}

static void the_clock_of_deadlines_is_not_moved(void **state)
{
    int64_t before = clock_mono_ms();

    (void)state;
    offset_write("1000000\n");
    assert_in_range(clock_mono_ms() - before, 0, 60000);
}

/* What became of this program, started with another name in the environment. */
static int run_again_with(const char *path)
{
    int status = -1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr) || setenv(CLOCK_FILE, path, 1) != 0)
            _exit(3);
        (void)execl(self, self, (char *)NULL);
        _exit(3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_name_without_a_file_ends_the_program(void **state)
{
    int status = run_again_with("/nowhere/clock");

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static int moved_clock_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_follows_the_file_at_once),
        cmocka_unit_test(the_clock_of_deadlines_is_not_moved),
        cmocka_unit_test(a_name_without_a_file_ends_the_program),
        cmocka_unit_test(a_file_without_a_number_leaves_the_clock_where_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    char path[] = "/tmp/clock_test.XXXXXX";
    int fd, failed;

    (void)argc;
    self = argv[0];
    file = getenv(CLOCK_FILE);
    if (file)
        return moved_clock_tests();
    clock_is_moved_by(0);
    fd = mkstemp(path);
    if (fd < 0 || write(fd, "0\n", 2) != 2 || close(fd) != 0)
        return 2;
    failed = run_again_with(path);
    (void)unlink(path);
    return failed ? 1 : 0;
}
