/* SPDX-License-Identifier: GPL-3.0-or-later */
/* child.c - the test program run once more as its own child. */
#include "tests/support/child.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 32

static void give_up(const char *what)
{
    perror(what);
    abort();
}

static void child_exec(const char *mode, const char *dir, const char *failpoint,
                       const char *const *strace)
{
    char self[PATH_MAX] = "";
    const char *arguments[ARGUMENTS_MAX] = {0};
    size_t n = 0;

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        give_up("readlink");
    /* the leak detector cannot work below strace, nor in a process that is to die */
    if (setenv("ASAN_OPTIONS", "detect_leaks=0", 1) != 0 ||
        (failpoint ? setenv("SEALRELAY_FAILPOINT", failpoint, 1)
                   : unsetenv("SEALRELAY_FAILPOINT")) != 0)
        give_up("setenv");
    if (strace)
        arguments[n++] = "strace";
    for (; strace && *strace && n < ARGUMENTS_MAX - 5; strace++)
        arguments[n++] = *strace;
    arguments[n++] = self;
    arguments[n++] = "child";
    arguments[n++] = mode;
    arguments[n++] = dir;
    (void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    give_up(arguments[0]);
}

static void told_read(int fd, struct child_end *out)
{
    FILE *f = fdopen(fd, "r");
    char line[32];

    if (!f)
        give_up("fdopen");
    while (fgets(line, sizeof line, f)) {
        unsigned long n = strtoul(line, NULL, 10);

        if (n < CHILD_TOLD_MAX)
            out->told[n] = true;
    }
    (void)fclose(f);
}

void child_run(const char *mode, const char *dir, const char *failpoint, const char *const *strace,
               struct child_end *out)
{
    int ends[2];
    int status = 0;
    pid_t pid = -1;

    *out = (struct child_end){0};
    if (pipe2(ends, O_CLOEXEC) != 0 || (pid = fork()) < 0)
        give_up("fork");
    if (pid == 0) {
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (dup2(ends[1], STDOUT_FILENO) < 0 || dup2(quiet, STDERR_FILENO) < 0)
            _exit(99);
        child_exec(mode, dir, failpoint, strace);
    }
    (void)close(ends[1]);
    told_read(ends[0], out);
    if (waitpid(pid, &status, 0) != pid)
        give_up("waitpid");
    /* strace ends as its child did */
    out->killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    out->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void child_tell(unsigned n)
{
    char line[16];
    int len = snprintf(line, sizeof line, "%u\n", n);

    if (write(STDOUT_FILENO, line, (size_t)len) != len)
        _exit(98);
}
