/* SPDX-License-Identifier: GPL-3.0-or-later */
/* take.c - choosing what is due: one next hop, the longest waiting first, marked before it is
 * touched.
 *
 * The clock may jump. An entry put off further than anybody may put one off is due; an entry from
 * the future, or older than twice its lifetime, begins its lifetime anew. */
#include "daemon/base/failpoint.h"
#include "daemon/queue/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TAKE_MAX       256u /* entries at once */
#define DUE_TOLD_MAX_S 60
#define ABANDONED_S    60 /* what an entry waits whose delivery never ended, doubling */
#define ABANDONED_EXP  6  /* up to about an hour */

struct hop_choice {
    char hop[256];
    int64_t due_s; /* of its first entry */
    bool far;      /* some entry is due further off than any may be */
};

/* One seek a hop along the index, however many entries wait. */
static enum err hop_next(struct sql *db, int64_t now_s, const char *after, struct hop_choice *out)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e;

#define HOP_QUERY(than)                                                                            \
    "SELECT hop, next_attempt_s, (SELECT max(next_attempt_s) FROM entry"                           \
    " WHERE state = 0 AND hop = e.hop) FROM entry AS e WHERE state = 0 AND hop " than              \
    " ORDER BY hop, next_attempt_s LIMIT 1"
    e = after ? sql_query(db, &st, HOP_QUERY("> ?"), "t", after)
              : sql_query(db, &st, HOP_QUERY(">= ''"), "");
#undef HOP_QUERY
    e = e ? e : sql_step(db, st);
    e = e ? e : sql_text(st, 0, out->hop, sizeof out->hop);
    if (e)
        return e;
    out->due_s = sqlite3_column_int64(st, 1);
    out->far = sqlite3_column_int64(st, 2) > now_s + QUEUE_BACKOFF_MAX_S;
    return ERR_OK;
}

static bool is_busy(const char *hop, const char *const *busy, size_t n_busy)
{
    for (size_t i = 0; i < n_busy; i++)
        if (strcmp(hop, busy[i]) == 0)
            return true;
    return false;
}

/* The hop whose first entry waits longest; out->far: the clock was wrong, nothing chosen. */
static enum err hop_choose(struct queue *q, int64_t now_s, const char *const *busy, size_t n_busy,
                           struct hop_choice *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    struct hop_choice at = {.due_s = 0};
    bool found = false;
    enum err e = hop_next(db, now_s, NULL, &at);

    while (!e && !at.far) {
        if (!is_busy(at.hop, busy, n_busy) && (!found || at.due_s < out->due_s)) {
            *out = at;
            found = true;
        }
        e = hop_next(db, now_s, at.hop, &at);
    }
    if (!e)
        *out = at;
    return e == ERR_NOT_FOUND && found ? ERR_OK : e;
}

static enum err far_job(struct queue *q, struct job *j)
{
    int64_t now_s = *(const int64_t *)j->data;

    return sql_run(q->write,
                   "UPDATE entry SET next_attempt_s = ? WHERE state = 0"
                   " AND next_attempt_s > ?",
                   "ii", now_s, now_s + QUEUE_BACKOFF_MAX_S);
}

/* ---- what is taken ---- */

struct take {
    int64_t now_s;
    struct row *rows;
    bool *marked;
    size_t n;
};

static void take_clear(struct take *t)
{
    for (size_t i = 0; i < t->n; i++)
        row_clear(&t->rows[i]);
    free(t->rows);
    free(t->marked);
}

static enum err take_rows(struct queue *q, const char *hop, size_t max, struct take *t)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st,
                           "SELECT " ROW_COLUMNS " FROM entry WHERE state = 0 AND hop = ?"
                           " AND next_attempt_s <= ? ORDER BY next_attempt_s, n LIMIT ?",
                           "tii", hop, t->now_s, (int64_t)max);

    while (!e && t->n < max) {
        e = sql_step(db, st);
        e = e ? e : row_read(st, &t->rows[t->n]);
        t->n += !e;
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* Attempts so far: 0, a minute, two, ... should this one never end. */
static int64_t abandoned_s(unsigned attempts)
{
    if (attempts == 0)
        return 0;
    return (int64_t)ABANDONED_S << (attempts - 1 < ABANDONED_EXP ? attempts - 1 : ABANDONED_EXP);
}

static enum err take_mark_one(struct queue *q, const struct take *t, size_t i)
{
    const struct row *r = &t->rows[i];
    bool clock_was_wrong =
        t->now_s < r->since_s || t->now_s - r->since_s > 2 * (int64_t)q->lifetime_s;
    enum err e = sql_run(q->write,
                         "UPDATE entry SET state = 1, attempts = attempts + 1, since_s = ?,"
                         " next_attempt_s = ? WHERE n = ? AND state = 0",
                         "iii", clock_was_wrong ? t->now_s : r->since_s,
                         t->now_s + abandoned_s(r->item.attempts), r->n);

    t->marked[i] = !e && sql_changes(q->write) == 1;
    return e;
}

static enum err take_job(struct queue *q, struct job *j)
{
    const struct take *t = j->data;
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < t->n; i++)
        if (t->marked[i])
            e = take_mark_one(q, t, i);
    return e;
}

/* Open each envelope; a damaged entry is held, one whose key cannot be had now is left. */
static enum err take_open(struct queue *q, struct take *t, size_t *n_held)
{
    enum err later = ERR_OK;

    for (size_t i = 0; i < t->n; i++) {
        enum err e = row_open(q, &t->rows[i], true);

        t->marked[i] = !e;
        if (e == ERR_TAMPERED) {
            e = row_hold(q, t->rows[i].item.id, t->rows[i].n, t->rows[i].damage);
            ++*n_held;
        }
        if (e)
            later = e;
    }
    return later;
}

static enum err take_mark(struct queue *q, struct take *t, struct queue_item *items_out,
                          size_t *n_out)
{
    struct job job = {.run = take_job, .data = t};
    enum err e = job_run(q, &job);

    if (e)
        return e;
    (void)failpoint("queue.take.marked");
    for (size_t i = 0; i < t->n; i++)
        if (t->marked[i]) {
            struct queue_item *item = &items_out[(*n_out)++];

            *item = t->rows[i].item;
            item->state = QUEUE_ACTIVE;
            item->attempts++;
        }
    return ERR_OK;
}

static enum err take_open_and_mark(struct queue *q, struct take *t, struct queue_item *items_out,
                                   size_t *n_out)
{
    size_t n_held = 0;
    enum err later = take_open(q, t, &n_held);
    enum err e = ERR_OK;

    if (n_held < t->n)
        e = take_mark(q, t, items_out, n_out);
    return e || *n_out ? e : later;
}

static enum err take_hop(struct queue *q, int64_t now_s, const char *hop, size_t max,
                         struct queue_item *items_out, size_t *n_out)
{
    struct take t = {.now_s = now_s};
    enum err e;

    t.rows = calloc(max, sizeof *t.rows);
    t.marked = calloc(max, sizeof *t.marked);
    e = t.rows && t.marked ? take_rows(q, hop, max, &t)
                           : err_note(ERR_NOMEM, "queue_take", "out of memory");
    e = e ? e : take_open_and_mark(q, &t, items_out, n_out);
    take_clear(&t);
    return e;
}

static enum err take_again(struct queue *q, int64_t now_s)
{
    struct job job = {.run = far_job, .data = &now_s};

    return job_run(q, &job);
}

static enum err take_locked(struct queue *q, int64_t now_s, const char *const *busy, size_t n_busy,
                            size_t max, struct queue_item *items_out, size_t *n_out,
                            int64_t *due_in_s_out)
{
    for (;;) {
        struct hop_choice choice = {.due_s = 0};
        enum err e = hop_choose(q, now_s, busy, n_busy, &choice);

        *due_in_s_out = DUE_TOLD_MAX_S;
        if (e)
            return e;
        if (choice.far) {
            e = take_again(q, now_s);
            if (e)
                return e;
            continue;
        }
        if (choice.due_s > now_s) {
            int64_t due_in_s = choice.due_s - now_s;

            *due_in_s_out = due_in_s < DUE_TOLD_MAX_S ? due_in_s : DUE_TOLD_MAX_S;
            return ERR_NOT_FOUND;
        }
        e = take_hop(q, now_s, choice.hop, max, items_out, n_out);
        if (e || *n_out)
            return e;
        /* all of them were held: look again */
    }
}

enum err queue_take(struct queue *q, int64_t now_s, const char *const *busy, size_t n_busy,
                    size_t max, struct queue_item *items_out, size_t *n_out, int64_t *due_in_s_out)
{
    enum err e;

    *n_out = 0;
    if (max == 0)
        return err_note(ERR_BUG, "queue_take", "room for nothing");
    (void)pthread_mutex_lock(&q->take_mutex);
    e = take_locked(q, now_s, busy, n_busy, max < TAKE_MAX ? max : TAKE_MAX, items_out, n_out,
                    due_in_s_out);
    (void)pthread_mutex_unlock(&q->take_mutex);
    return e;
}

/* ---- waiting ---- */

void queue_kick(struct queue *q)
{
    (void)pthread_mutex_lock(&q->wake_mutex);
    q->arrived = true;
    (void)pthread_cond_broadcast(&q->wake);
    (void)pthread_mutex_unlock(&q->wake_mutex);
}

void queue_wake(struct queue *q, unsigned timeout_ms)
{
    struct timespec until;
    int rc = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&q->wake_mutex);
    while (!q->arrived && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&q->wake, &q->wake_mutex, &until);
    q->arrived = false;
    (void)pthread_mutex_unlock(&q->wake_mutex);
}
