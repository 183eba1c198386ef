/* SPDX-License-Identifier: GPL-3.0-or-later */
/* runner.c - which next hop is asked when, by how many sessions at once.
 *
 * As many threads as sessions may run, so that a next hop which holds all of its own sessions takes
 * none of another's. A thread without work either waits in the queue (one of them, the waiter) or
 * on the condition; whoever finds work sends the next one to look. */
#include "daemon/deliver/runner.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/deliver/job.h"
#include "daemon/deliver/lane.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX          256 /* threads of a runner */
#define MESSAGES_DEFAULT      50
#define DEADLINE_DEFAULT_S    600
#define RETRY_FIRST_DEFAULT_S 60
#define RETRY_MAX_DEFAULT_S   3600
/* The queue takes an entry put off further than QUEUE_BACKOFF_MAX_S for one whose clock was wrong;
 * a wait is spread by a quarter. */
#define RETRY_MAX_MOST_S (QUEUE_BACKOFF_MAX_S * 4 / 5)
#define WAIT_MAX_MS      250 /* in the queue: stop and flush are noticed behind it */

struct runner {
    struct queue *queue;
    char *socket_path;
    unsigned messages_per_session;
    unsigned deadline_s;
    unsigned retry_first_s;
    unsigned retry_max_s;

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct lane_table table;
    unsigned active; /* sessions */
    int64_t due_in_s;
    bool waiter; /* a thread waits in the queue */
    bool stop;
    pthread_t *threads;
    size_t n_threads;
};

/* ---- groups ---- */

struct group {
    struct queue_item *items; /* messages_per_session */
    size_t n;
    struct lane *lane;
    unsigned failures;
};

/* No lane for it, and no default: shown by the operator's commands, asked for again by the hour. */
static void group_refuse(struct runner *r, const struct group *g)
{
    for (size_t i = 0; i < g->n; i++) {
        struct queue_result result = {.outcome = OUTCOME_RETRY,
                                      .now_s = clock_now_s(),
                                      .next_attempt_s = clock_now_s() + r->retry_max_s,
                                      .text = "no next hop is configured"};
        enum err e;

        memcpy(result.id, g->items[i].id, sizeof result.id);
        e = queue_finish(r->queue, &result, 1);
        log_event(LOG_LEVEL_ERROR, "deliver.lane", result.id, e ? e : ERR_CONFIG, -1,
                  "no next hop is configured");
    }
}

/* Under the lock. */
static bool group_take(struct runner *r, struct group *g)
{
    const char *busy[SESSIONS_MAX + LANE_STRAYS_MAX];
    int64_t now_s = clock_now_s();
    size_t n_busy = 0;
    enum err e;

    for (size_t i = 0; i < r->table.n_lanes; i++)
        if (lane_closed(&r->table.lanes[i], now_s))
            busy[n_busy++] = r->table.lanes[i].key;
    r->due_in_s = 1;
    e = queue_take(r->queue, now_s, busy, n_busy, r->messages_per_session, g->items, &g->n,
                   &r->due_in_s);
    if (e && e != ERR_NOT_FOUND) {
        log_event(LOG_LEVEL_ERROR, "deliver.take", "-", e, -1, "%s", "");
        r->due_in_s = 1;
    }
    if (e || g->n == 0)
        return false;
    (void)failpoint("deliver.taken");
    g->lane = lane_for(&r->table, g->items[0].hop);
    if (!g->lane) {
        group_refuse(r, g);
        return false;
    }
    g->lane->active++;
    g->failures = g->lane->failures;
    r->active++;
    return true;
}

/* Under the lock, which is given up meanwhile. */
static void group_deliver(struct runner *r, const struct group *g)
{
    const struct session_context context = {.queue = r->queue,
                                            .socket_path = r->socket_path,
                                            .deadline_s = r->deadline_s,
                                            .retry_first_s = r->retry_first_s,
                                            .retry_max_s = r->retry_max_s,
                                            .hop_failures = g->failures};
    struct session_report report;

    (void)pthread_mutex_unlock(&r->lock);
    session_run(&context, g->lane->hop, g->items, g->n, &report);
    (void)pthread_mutex_lock(&r->lock);
    lane_settle(g->lane, &report, clock_now_s());
    r->active--;
}

/* Under the lock, which is given up meanwhile. */
static void work_wait(struct runner *r)
{
    int64_t wait_ms = r->due_in_s * 1000;

    if (r->waiter) {
        (void)pthread_cond_wait(&r->work, &r->lock);
        return;
    }
    if (wait_ms > WAIT_MAX_MS)
        wait_ms = WAIT_MAX_MS;
    r->waiter = true;
    (void)pthread_mutex_unlock(&r->lock);
    queue_wake(r->queue, (unsigned)(wait_ms > 0 ? wait_ms : 1));
    (void)pthread_mutex_lock(&r->lock);
    r->waiter = false;
}

static void *thread_main(void *arg)
{
    struct runner *r = arg;
    struct group group = {.items = calloc(r->messages_per_session, sizeof *group.items)};

    (void)pthread_mutex_lock(&r->lock);
    while (!r->stop && group.items) {
        if (!group_take(r, &group)) {
            work_wait(r);
            continue;
        }
        (void)pthread_cond_signal(&r->work); /* there may be more: somebody else looks, or waits */
        group_deliver(r, &group);
    }
    (void)pthread_cond_signal(&r->work);
    (void)pthread_mutex_unlock(&r->lock);
    free(group.items);
    return NULL;
}

/* ---- asked from outside ---- */

struct due_search {
    struct runner *runner;
    int64_t now_s;
    bool found;
};

static enum err due_visit(void *ctx, const struct queue_item *item)
{
    struct due_search *search = ctx;
    const struct lane *l;

    if (item->state == QUEUE_ACTIVE)
        search->found = true;
    if (item->state == QUEUE_READY && item->next_attempt_s <= search->now_s) {
        l = lane_find(&search->runner->table, item->hop);
        search->found |= !l || !lane_waits(l, search->now_s);
    }
    return search->found ? ERR_EXISTS : ERR_OK; /* one is enough */
}

bool runner_idle(struct runner *r)
{
    struct due_search search = {.runner = r, .now_s = clock_now_s()};
    bool active;

    (void)pthread_mutex_lock(&r->lock);
    active = r->active != 0;
    if (!active && queue_each(r->queue, false, due_visit, &search) && !search.found)
        active = true; /* the queue cannot be read: nobody knows */
    (void)pthread_mutex_unlock(&r->lock);
    return !active && !search.found;
}

void runner_forget_backoff(struct runner *r)
{
    (void)pthread_mutex_lock(&r->lock);
    lane_table_forget(&r->table);
    (void)pthread_cond_signal(&r->work);
    (void)pthread_mutex_unlock(&r->lock);
}

static struct runner_hop hop_view(const struct lane *l)
{
    struct runner_hop view = {.port = l->hop->port,
                              .sessions = l->active,
                              .sessions_max = l->sessions_max,
                              .failures = l->failures,
                              .closed_until_s = l->closed_until_s,
                              .last_s = l->settled_s};

    (void)snprintf(view.domain, sizeof view.domain, "%s", l->key);
    (void)snprintf(view.host, sizeof view.host, "%s", l->hop->host);
    (void)snprintf(view.last_result, sizeof view.last_result, "%s", l->last_result);
    return view;
}

size_t runner_hops(struct runner *r, struct runner_hop *out, size_t max)
{
    size_t n = 0;

    (void)pthread_mutex_lock(&r->lock);
    for (; n < r->table.n_lanes && n < max; n++)
        out[n] = hop_view(&r->table.lanes[n]);
    (void)pthread_mutex_unlock(&r->lock);
    return n;
}

/* ---- start and stop ---- */

static unsigned or_default(unsigned value, unsigned by_default)
{
    return value ? value : by_default;
}

static enum err options_copy(struct runner *r, const struct runner_options *o)
{
    enum err e;

    r->messages_per_session = or_default(o->messages_per_session, MESSAGES_DEFAULT);
    if (r->messages_per_session > JOB_MESSAGES_MAX)
        r->messages_per_session = JOB_MESSAGES_MAX;
    r->deadline_s = or_default(o->session_deadline_s, DEADLINE_DEFAULT_S);
    r->retry_first_s = or_default(o->retry_first_s, RETRY_FIRST_DEFAULT_S);
    r->retry_max_s = or_default(o->retry_max_s, RETRY_MAX_DEFAULT_S);
    if (r->retry_max_s > RETRY_MAX_MOST_S)
        r->retry_max_s = RETRY_MAX_MOST_S;
    r->socket_path = strdup(o->socket_path);
    if (!r->socket_path)
        return err_note(ERR_NOMEM, "runner_start", "out of memory");
    e = lane_table_init(&r->table, o->hops, o->n_hops, SESSIONS_MAX);
    r->n_threads = r->table.n_sessions;
    return e;
}

static void runner_free(struct runner *r)
{
    (void)pthread_cond_destroy(&r->work);
    (void)pthread_mutex_destroy(&r->lock);
    free(r->threads);
    lane_table_clear(&r->table);
    free(r->socket_path);
    free(r);
}

static enum err threads_start(struct runner *r)
{
    size_t wanted = r->n_threads;

    r->n_threads = 0;
    r->threads = calloc(wanted, sizeof *r->threads);
    for (size_t i = 0; r->threads && i < wanted; i++)
        if (pthread_create(&r->threads[i], NULL, thread_main, r) == 0)
            r->n_threads++;
        else
            break;
    return r->n_threads == wanted ? ERR_OK : err_note(ERR_NOMEM, "pthread_create", "no thread");
}

enum err runner_start(const struct runner_options *options, struct queue *queue,
                      struct runner **out)
{
    struct runner *r = calloc(1, sizeof *r);
    enum err e;

    if (!r)
        return err_note(ERR_NOMEM, "runner_start", "out of memory");
    r->queue = queue;
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->work, NULL);
    e = options_copy(r, options);
    if (e) {
        runner_free(r);
        return e;
    }
    e = threads_start(r);
    if (e)
        runner_stop(r);
    else
        *out = r;
    return e;
}

void runner_stop(struct runner *r)
{
    if (!r)
        return;
    (void)pthread_mutex_lock(&r->lock);
    r->stop = true;
    (void)pthread_cond_broadcast(&r->work);
    (void)pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < r->n_threads; i++)
        (void)pthread_join(r->threads[i], NULL);
    runner_free(r);
}
