/* SPDX-License-Identifier: GPL-3.0-or-later */
/* caretaker.c - the threads that look after the token.
 *
 * One keeps time: it opens what is not open yet with growing pauses, asks the token every few
 * seconds whether it lives, and does what is due. The others make keys for the pool at low
 * priority, since an RSA key takes a processor for hundreds of milliseconds. */
#include "hsm/serve/caretaker.h"

#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS          1000
#define ALIVE_EVERY_MS   5000
#define UPKEEP_EVERY_MS  300000
#define ATTEMPT_FIRST_MS 1000
#define ATTEMPT_LAST_MS  10000
#define POOL_PAUSE_MS    500
#define POOL_NICE        10
#define FILLERS_MAX      4

struct caretaker {
    struct engine *engine;
    pthread_t keeper;
    pthread_t fillers[FILLERS_MAX]; /* one a processor: making an RSA key keeps one busy */
    unsigned n_fillers;
    atomic_llong step_began_ms; /* of the keeper; 0 between steps */
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stopping; /* under lock */
    /* the keeper's own: */
    int64_t attempt_at_ms;
    int64_t attempt_pause_ms;
    int64_t alive_at_ms;
    int64_t upkeep_at_ms;
    enum err state; /* as last logged */
};

/* Sleep unless we are to stop. False: stop. */
static bool pause_ms(struct caretaker *c, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    int waited = 0;
    bool go_on;

    (void)pthread_mutex_lock(&c->lock);
    while (!c->stopping && waited == 0)
        waited = pthread_cond_timedwait(&c->stopped, &c->lock, &until);
    go_on = !c->stopping;
    (void)pthread_mutex_unlock(&c->lock);
    return go_on;
}

/* A line when things change, not every few seconds. */
static void state_note(struct caretaker *c, const char *stage, enum err e)
{
    if (e != c->state)
        log_event(e ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, stage, "-", e, -1, "token=%s",
                  e ? "away" : "ready");
    c->state = e;
}

static void attempt_step(struct caretaker *c, int64_t now_ms)
{
    enum err e;

    if (now_ms < c->attempt_at_ms)
        return;
    e = engine_attempt(c->engine);
    state_note(c, "hsm.open", e);
    c->attempt_at_ms = clock_mono_ms() + c->attempt_pause_ms;
    c->attempt_pause_ms *= 2;
    if (c->attempt_pause_ms > ATTEMPT_LAST_MS)
        c->attempt_pause_ms = ATTEMPT_LAST_MS;
}

static void upkeep_log(const char *stage, enum err e)
{
    if (e)
        log_event(LOG_LEVEL_WARNING, stage, "-", e, -1, "upkeep=later");
    err_note_clear();
}

static void alive_step(struct caretaker *c, struct token *t, struct authority *a, int64_t now_ms)
{
    enum err e;

    if (now_ms < c->alive_at_ms)
        return;
    c->alive_at_ms = now_ms + ALIVE_EVERY_MS;
    e = token_alive(t);
    engine_seen(c->engine, e);
    state_note(c, "hsm.alive", e);
    if (e || now_ms < c->upkeep_at_ms)
        return;
    c->upkeep_at_ms = now_ms + UPKEEP_EVERY_MS;
    upkeep_log("hsm.spool", token_spool_rotate(t, clock_now_s()));
    upkeep_log("hsm.tick", authority_tick(a));
}

static void *keeper_main(void *arg)
{
    struct caretaker *c = arg;

    do {
        int64_t now_ms = clock_mono_ms();
        struct authority *a = NULL;
        struct token *t = NULL;

        err_note_clear();
        atomic_store(&c->step_began_ms, now_ms);
        if (engine_authority(c->engine, &a) || engine_token(c->engine, &t))
            attempt_step(c, now_ms);
        else
            alive_step(c, t, a, now_ms);
        atomic_store(&c->step_began_ms, 0);
    } while (pause_ms(c, TICK_MS));
    return NULL;
}

static void *filler_main(void *arg)
{
    struct caretaker *c = arg;
    struct authority *a = NULL;
    struct token *t = NULL;
    bool more;

    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), POOL_NICE);
    do {
        err_note_clear();
        more = false;
        if (engine_authority(c->engine, &a) == ERR_OK && engine_token(c->engine, &t) == ERR_OK &&
            token_pool_fill(t, &more) != ERR_OK)
            more = false; /* the keeper tells why */
    } while (pause_ms(c, more ? 0 : POOL_PAUSE_MS));
    return NULL;
}

static unsigned fillers_wanted(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return processors < 1 ? 1 : processors > FILLERS_MAX ? FILLERS_MAX : (unsigned)processors;
}

static enum err caretaker_init(struct caretaker *c)
{
    pthread_condattr_t monotonic;

    if (pthread_mutex_init(&c->lock, NULL) || pthread_condattr_init(&monotonic) ||
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) ||
        pthread_cond_init(&c->stopped, &monotonic))
        return ERR_NOMEM;
    if (pthread_create(&c->keeper, NULL, keeper_main, c) != 0)
        return err_note(ERR_IO, "caretaker", "no thread");
    while (c->n_fillers < fillers_wanted() &&
           pthread_create(&c->fillers[c->n_fillers], NULL, filler_main, c) == 0)
        c->n_fillers++;
    if (c->n_fillers)
        return ERR_OK;
    (void)pthread_mutex_lock(&c->lock);
    c->stopping = true;
    (void)pthread_cond_broadcast(&c->stopped);
    (void)pthread_mutex_unlock(&c->lock);
    (void)pthread_join(c->keeper, NULL);
    return err_note(ERR_IO, "caretaker", "no thread");
}

enum err caretaker_start(struct engine *en, struct caretaker **out)
{
    struct caretaker *c = calloc(1, sizeof *c);
    enum err e;

    if (!c)
        return ERR_NOMEM;
    c->engine = en;
    c->attempt_pause_ms = ATTEMPT_FIRST_MS;
    c->state = ERR_COUNT;
    e = caretaker_init(c);
    if (e) {
        free(c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

int64_t caretaker_stalled_ms(struct caretaker *c)
{
    long long began_ms = atomic_load(&c->step_began_ms);

    return began_ms ? clock_mono_ms() - began_ms : 0;
}

enum err caretaker_stop(struct caretaker *c, int64_t ms)
{
    struct timespec until;
    bool stuck;

    if (!c)
        return ERR_OK;
    (void)pthread_mutex_lock(&c->lock);
    c->stopping = true;
    (void)pthread_cond_broadcast(&c->stopped);
    (void)pthread_mutex_unlock(&c->lock);
    if (clock_gettime(CLOCK_REALTIME, &until) != 0)
        return err_note(ERR_IO, "clock_gettime", "failed");
    until.tv_sec += (time_t)(ms / 1000) + 1;
    stuck = pthread_timedjoin_np(c->keeper, NULL, &until) != 0;
    for (unsigned i = 0; i < c->n_fillers; i++)
        stuck = pthread_timedjoin_np(c->fillers[i], NULL, &until) != 0 || stuck;
    if (stuck)
        return err_note(ERR_TIMEOUT, "caretaker", "the module does not come back");
    (void)pthread_cond_destroy(&c->stopped);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
    return ERR_OK;
}
