/* SPDX-License-Identifier: GPL-3.0-or-later */
/* progress.c - a thread that speaks only once a second has passed: on a terminal it counts the
 * seconds in place, elsewhere it says so once. */
#include "provisioning/sealctl/progress.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    pthread_t thread;
    const char *what;
    bool running;
    bool end;
} progress = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static bool wait_second(void)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    while (!progress.end)
        if (pthread_cond_timedwait(&progress.ended, &progress.lock, &until) != 0)
            return !progress.end;
    return false;
}

static void *tell(void *arg)
{
    bool terminal = isatty(STDERR_FILENO) == 1;
    unsigned seconds = 0;

    (void)arg;
    (void)pthread_mutex_lock(&progress.lock);
    while (wait_second()) {
        seconds++;
        if (terminal)
            (void)fprintf(stderr, "\rsealctl: %s, %u s ", progress.what, seconds);
        else if (seconds == 1)
            (void)fprintf(stderr, "sealctl: %s ...\n", progress.what);
    }
    (void)pthread_mutex_unlock(&progress.lock);
    if (terminal && seconds)
        (void)fputc('\n', stderr);
    return NULL;
}

void progress_begin(const char *what)
{
    if (progress.running)
        return;
    progress.what = what;
    progress.end = false;
    progress.running = pthread_create(&progress.thread, NULL, tell, NULL) == 0;
}

void progress_end(void)
{
    if (!progress.running)
        return;
    (void)pthread_mutex_lock(&progress.lock);
    progress.end = true;
    (void)pthread_cond_signal(&progress.ended);
    (void)pthread_mutex_unlock(&progress.lock);
    (void)pthread_join(progress.thread, NULL);
    progress.running = false;
}
