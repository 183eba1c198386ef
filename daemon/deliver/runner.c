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
#include "daemon/deliver/session.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX          256 /* threads of a runner */
#define SESSIONS_DEFAULT      4   /* to one next hop */
#define STRAYS_MAX            32  /* keys in the queue that the table does not know (any more) */
#define MESSAGES_DEFAULT      50
#define DEADLINE_DEFAULT_S    600
#define RETRY_FIRST_DEFAULT_S 60
#define RETRY_MAX_DEFAULT_S   3600
/* The queue takes an entry put off further than QUEUE_BACKOFF_MAX_S for one whose clock was wrong;
 * a wait is spread by a quarter. */
#define RETRY_MAX_MOST_S (QUEUE_BACKOFF_MAX_S * 4 / 5)
#define WAIT_MAX_MS      250 /* in the queue: stop and flush are noticed behind it */

/* One key of the queue: a domain of the table, the default "", or a stray. */
struct lane {
    char key[256];
    const struct hop *hop;
    unsigned sessions_max;
    unsigned active;
    unsigned failures; /* in a row */
    int64_t closed_until_s;
};

struct runner {
    struct queue *queue;
    struct hop *hops; /* owned, with their strings */
    size_t n_hops;
    char *socket_path;
    unsigned messages_per_session;
    unsigned deadline_s;
    unsigned retry_first_s;
    unsigned retry_max_s;

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct lane *lanes; /* n_hops + STRAYS_MAX */
    size_t n_lanes;
    unsigned active; /* sessions */
    int64_t due_in_s;
    bool waiter; /* a thread waits in the queue */
    bool stop;
    pthread_t *threads;
    size_t n_threads;
};

/* ---- lanes ---- */

static bool lane_closed(const struct lane *l, int64_t now_s)
{
    return l->active >= l->sessions_max || l->closed_until_s > now_s;
}

static struct lane *lane_find(struct runner *r, const char *key)
{
    for (size_t i = 0; i < r->n_lanes; i++)
        if (strcmp(r->lanes[i].key, key) == 0)
            return &r->lanes[i];
    return NULL;
}

/* A key whose domain has left the table goes to the default next hop, one session at a time. */
static struct lane *lane_stray(struct runner *r, const char *key)
{
    const struct hop *hop = hop_find(r->hops, r->n_hops, key);
    struct lane *l;

    if (!hop || r->n_lanes == r->n_hops + STRAYS_MAX)
        return NULL;
    l = &r->lanes[r->n_lanes++];
    *l = (struct lane){.hop = hop, .sessions_max = 1};
    (void)snprintf(l->key, sizeof l->key, "%s", key);
    return l;
}

static void lane_settle(struct lane *l, const struct session_report *report)
{
    l->active--;
    switch (report->health) {
    case HOP_GOOD:
        l->failures = 0;
        l->closed_until_s = 0;
        return;
    case HOP_BAD:
        l->failures++;
        l->closed_until_s = clock_now_s() + report->wait_s;
        return;
    case HOP_UNTRIED:
        l->closed_until_s = clock_now_s() + report->wait_s;
        return;
    }
}

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
    const char *busy[SESSIONS_MAX + STRAYS_MAX];
    int64_t now_s = clock_now_s();
    size_t n_busy = 0;
    enum err e;

    for (size_t i = 0; i < r->n_lanes; i++)
        if (lane_closed(&r->lanes[i], now_s))
            busy[n_busy++] = r->lanes[i].key;
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
    g->lane = lane_find(r, g->items[0].hop);
    if (!g->lane)
        g->lane = lane_stray(r, g->items[0].hop);
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
    lane_settle(g->lane, &report);
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
        l = lane_find(search->runner, item->hop);
        search->found |= !l || l->closed_until_s <= search->now_s;
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
    for (size_t i = 0; i < r->n_lanes; i++) {
        r->lanes[i].failures = 0;
        r->lanes[i].closed_until_s = 0;
    }
    (void)pthread_cond_signal(&r->work);
    (void)pthread_mutex_unlock(&r->lock);
}

/* ---- start and stop ---- */

static enum err hop_copy(const struct hop *from, struct hop *to)
{
    if (!job_host_is_sane(from->host) || from->port == 0 ||
        (from->ca_file && from->ca_file[0] != '/') ||
        (from->domain[0] && !job_host_is_sane(from->domain)))
        return err_note(ERR_CONFIG, "next hop", "domain, host, port or CA file is wrong");
    *to = *from;
    to->domain = strdup(from->domain);
    to->host = strdup(from->host);
    to->ca_file = from->ca_file ? strdup(from->ca_file) : NULL;
    if (!to->sessions_max)
        to->sessions_max = SESSIONS_DEFAULT;
    if (!to->domain || !to->host || (from->ca_file && !to->ca_file))
        return err_note(ERR_NOMEM, "next hop", "out of memory");
    return ERR_OK;
}

static unsigned or_default(unsigned value, unsigned by_default)
{
    return value ? value : by_default;
}

static enum err options_copy(struct runner *r, const struct runner_options *o)
{
    enum err e = ERR_OK;

    if (o->n_hops == 0 || o->n_hops > SESSIONS_MAX)
        return err_note(ERR_CONFIG, "next hop", "one at least, %d at most", SESSIONS_MAX);
    r->messages_per_session = or_default(o->messages_per_session, MESSAGES_DEFAULT);
    if (r->messages_per_session > JOB_MESSAGES_MAX)
        r->messages_per_session = JOB_MESSAGES_MAX;
    r->deadline_s = or_default(o->session_deadline_s, DEADLINE_DEFAULT_S);
    r->retry_first_s = or_default(o->retry_first_s, RETRY_FIRST_DEFAULT_S);
    r->retry_max_s = or_default(o->retry_max_s, RETRY_MAX_DEFAULT_S);
    if (r->retry_max_s > RETRY_MAX_MOST_S)
        r->retry_max_s = RETRY_MAX_MOST_S;
    r->socket_path = strdup(o->socket_path);
    r->hops = calloc(o->n_hops, sizeof *r->hops);
    r->lanes = calloc(o->n_hops + STRAYS_MAX, sizeof *r->lanes);
    if (!r->socket_path || !r->hops || !r->lanes)
        return err_note(ERR_NOMEM, "runner_start", "out of memory");
    for (size_t i = 0; !e && i < o->n_hops; i++) {
        struct lane *l = &r->lanes[i];

        r->n_hops = r->n_lanes = i + 1;
        e = hop_copy(&o->hops[i], &r->hops[i]);
        *l = (struct lane){.hop = &r->hops[i], .sessions_max = r->hops[i].sessions_max};
        r->n_threads += l->sessions_max;
        if (!e)
            (void)snprintf(l->key, sizeof l->key, "%s", r->hops[i].domain);
    }
    if (!e && r->n_threads > SESSIONS_MAX)
        e = err_note(ERR_CONFIG, "next hop", "over %d sessions in all", SESSIONS_MAX);
    return e;
}

static void runner_free(struct runner *r)
{
    for (size_t i = 0; i < r->n_hops; i++) {
        free((void *)(uintptr_t)r->hops[i].domain);
        free((void *)(uintptr_t)r->hops[i].host);
        free((void *)(uintptr_t)r->hops[i].ca_file);
    }
    (void)pthread_cond_destroy(&r->work);
    (void)pthread_mutex_destroy(&r->lock);
    free(r->threads);
    free(r->lanes);
    free(r->hops);
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
