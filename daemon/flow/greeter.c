/* SPDX-License-Identifier: GPL-3.0-or-later */
/* greeter.c - the thread that greets. It looks at all users because a profile can become active in
 * ways that nobody tells the relay of. */
#include "daemon/base/clock.h"
#include "daemon/flow/greet.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_S       600
#define PAUSE_AFTER_S 5 /* a failure; twice as long after each further one */
#define PAUSE_MOST_S  60

struct greet {
    struct forward *flow;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool kicked;
    bool stop;
};

/* false: stop */
static bool pause_for(struct greet *g, int seconds)
{
    struct timespec until;
    bool go_on;
    int rc = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    (void)pthread_mutex_lock(&g->mutex);
    while (!g->stop && !g->kicked && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&g->wake, &g->mutex, &until);
    g->kicked = false;
    go_on = !g->stop;
    (void)pthread_mutex_unlock(&g->mutex);
    return go_on;
}

static void *greet_main(void *arg)
{
    struct greet *g = arg;
    int after_s = PAUSE_AFTER_S;
    int pause_s;

    do {
        err_note_clear();
        if (greet_all(g->flow, clock_now_s())) {
            pause_s = after_s;
            after_s = after_s * 2 < PAUSE_MOST_S ? after_s * 2 : PAUSE_MOST_S;
        } else {
            pause_s = PAUSE_S;
            after_s = PAUSE_AFTER_S;
        }
    } while (pause_for(g, pause_s));
    return NULL;
}

enum err greet_start(struct forward *f, struct greet **out)
{
    struct greet *g = calloc(1, sizeof *g);
    pthread_condattr_t monotonic;
    sigset_t all;
    sigset_t before;
    int rc;

    if (!g)
        return err_note(ERR_NOMEM, "greet_start", "out of memory");
    g->flow = f;
    (void)pthread_mutex_init(&g->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&g->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    /* signals are for the program's own threads */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&g->thread, NULL, greet_main, g);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        free(g);
        return err_note(ERR_NOMEM, "pthread_create", "%s", strerror(rc));
    }
    *out = g;
    return ERR_OK;
}

void greet_kick(struct greet *g)
{
    (void)pthread_mutex_lock(&g->mutex);
    g->kicked = true;
    (void)pthread_cond_signal(&g->wake);
    (void)pthread_mutex_unlock(&g->mutex);
}

void greet_stop(struct greet *g)
{
    if (!g)
        return;
    (void)pthread_mutex_lock(&g->mutex);
    g->stop = true;
    (void)pthread_cond_signal(&g->wake);
    (void)pthread_mutex_unlock(&g->mutex);
    (void)pthread_join(g->thread, NULL);
    (void)pthread_cond_destroy(&g->wake);
    (void)pthread_mutex_destroy(&g->mutex);
    free(g);
}
