/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keys.c - data keys: fresh at every start and every day, opened by the token alone.
 *
 * The wrapped key is on disk before the first entry under it. A key lives as long as its last
 * entry; the spool keys that wrapped no living data key are then destroyed in the token, and with
 * them every copy of those entries. */
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/queue/internal.h"

#include <stdlib.h>

#define RING_MAX        64 /* opened keys kept */
#define ERROR_MEMORY_MS 1000
#define SWEEP_MAX       64 /* keys deleted in one sweep */

/* Called with the mutex held, as all static functions down to ring_add. */
static struct data_key *ring_find(struct key_ring *r, int64_t id)
{
    struct data_key *k = r->first;

    while (k && k->id != id)
        k = k->next;
    if (k)
        k->refs++;
    return k;
}

static void ring_remove(struct key_ring *r, struct data_key *k)
{
    struct data_key **at = &r->first;

    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    r->n--;
    secret_free(&k->key);
    free(k);
}

static void ring_make_room(struct key_ring *r)
{
    struct data_key *oldest = NULL;

    for (struct data_key *k = r->first; k; k = k->next)
        if (k->refs == 0 && k != r->current)
            oldest = k; /* the list has the newest first */
    if (r->n >= RING_MAX && oldest)
        ring_remove(r, oldest);
}

/* key: taken. */
static enum err ring_add(struct key_ring *r, int64_t id, int64_t created_s, struct secret *key,
                         struct data_key **out)
{
    struct data_key *k = key->len == HSM_DATA_KEY_LEN ? calloc(1, sizeof *k) : NULL;
    enum err e = key->len == HSM_DATA_KEY_LEN ? ERR_NOMEM : ERR_TAMPERED;

    if (!k) {
        secret_free(key);
        return err_note(e, "data key", "not kept");
    }
    ring_make_room(r);
    *k = (struct data_key){
        .next = r->first, .id = id, .created_s = created_s, .refs = 1, .key = *key};
    r->first = k;
    r->n++;
    *out = k;
    return ERR_OK;
}

/* Callers that waited for the same dead service do not wait for it one after the other. */
static enum err ring_away(const struct key_ring *r)
{
    if (!r->last_error || clock_mono_ms() - r->last_error_ms >= ERROR_MEMORY_MS)
        return ERR_OK;
    return err_note(r->last_error, "data key", "the key service failed a moment ago");
}

static void ring_remember(struct key_ring *r, enum err e)
{
    r->last_error = e == ERR_HSM_AWAY || e == ERR_TIMEOUT ? e : ERR_OK;
    r->last_error_ms = clock_mono_ms();
}

struct new_key {
    int64_t id;
    int64_t created_s;
    uint32_t generation;
    struct buf wrapped;
};

static enum err new_key_job(struct queue *q, struct job *j)
{
    struct new_key *n = j->data;
    enum err e =
        sql_run(q->write, "INSERT INTO data_key (generation, wrapped, created_s) VALUES (?, ?, ?)",
                "ibi", (int64_t)n->generation, buf_bytes(&n->wrapped), n->created_s);

    n->id = sql_row_id(q->write);
    return e;
}

static enum err key_make(struct queue *q, int64_t now_s, struct data_key **out)
{
    CLEANUP(secret_free) struct secret key = {0};
    struct new_key n = {.created_s = now_s};
    struct job job = {.run = new_key_job, .data = &n};
    enum err e = ring_away(&q->keys);

    if (e)
        return e;
    e = hsm_data_key_new(q->hsm, HSM_WRAP_SPOOL, &key, &n.wrapped, &n.generation);
    ring_remember(&q->keys, e);
    e = e ? e : job_run(q, &job);
    buf_clear(&n.wrapped);
    if (!e) {
        e = ring_add(&q->keys, n.id, now_s, &key, out);
        key = (struct secret){0};
    }
    if (e)
        return e;
    q->keys.current = *out;
    atomic_store(&q->keys.current_id, n.id);
    log_event(LOG_LEVEL_INFO, "queue.key", "-", ERR_OK, -1, "key=%lld generation=%u",
              (long long)n.id, (unsigned)n.generation);
    return ERR_OK;
}

enum err keys_current(struct queue *q, int64_t now_s, struct data_key **out)
{
    struct key_ring *r = &q->keys;
    enum err e = ERR_OK;
    bool made = false;

    (void)pthread_mutex_lock(&r->mutex);
    if (r->current && now_s >= r->current->created_s &&
        now_s - r->current->created_s < (int64_t)q->data_key_age_s) {
        *out = r->current;
        r->current->refs++;
    } else {
        e = key_make(q, now_s, out);
        made = !e;
    }
    (void)pthread_mutex_unlock(&r->mutex);
    if (made)
        keys_sweep(q);
    return e;
}

static enum err wrapped_read(struct queue *q, int64_t id, int64_t *created_s_out, struct buf *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e =
        sql_query(db, &st, "SELECT wrapped, created_s FROM data_key WHERE id = ?", "i", id);

    e = e ? e : sql_step(db, st);
    if (e)
        return e;
    buf_append_bytes(out, sql_blob(st, 0));
    *created_s_out = sqlite3_column_int64(st, 1);
    return buf_error(out);
}

static enum err key_open(struct queue *q, int64_t id, struct data_key **out)
{
    CLEANUP(buf_clear) struct buf wrapped = {0};
    struct secret key = {0};
    int64_t created_s = 0;
    enum err e = wrapped_read(q, id, &created_s, &wrapped);

    e = e ? e : ring_away(&q->keys);
    if (e)
        return e;
    e = hsm_data_key_open(q->hsm, HSM_WRAP_SPOOL, buf_bytes(&wrapped), &key);
    ring_remember(&q->keys, e);
    return e ? e : ring_add(&q->keys, id, created_s, &key, out);
}

enum err keys_get(struct queue *q, int64_t id, struct data_key **out)
{
    enum err e = ERR_OK;

    (void)pthread_mutex_lock(&q->keys.mutex);
    *out = ring_find(&q->keys, id);
    if (!*out)
        e = key_open(q, id, out);
    (void)pthread_mutex_unlock(&q->keys.mutex);
    return e;
}

struct data_key *keys_find(struct queue *q, int64_t id)
{
    struct data_key *k;

    (void)pthread_mutex_lock(&q->keys.mutex);
    k = ring_find(&q->keys, id);
    (void)pthread_mutex_unlock(&q->keys.mutex);
    return k;
}

void keys_put(struct queue *q, struct data_key *key)
{
    if (!key)
        return;
    (void)pthread_mutex_lock(&q->keys.mutex);
    key->refs--;
    (void)pthread_mutex_unlock(&q->keys.mutex);
}

/* ---- sweeping ---- */

struct sweep {
    int64_t ids[SWEEP_MAX];
    size_t n;
};

static enum err sweep_list(struct queue *q, struct sweep *s)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st,
                           "SELECT id FROM data_key WHERE NOT EXISTS"
                           " (SELECT 1 FROM entry WHERE entry.key = data_key.id) LIMIT ?",
                           "i", (int64_t)SWEEP_MAX);

    while (!e && s->n < SWEEP_MAX) {
        e = sql_step(db, st);
        if (!e)
            s->ids[s->n++] = sqlite3_column_int64(st, 0);
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* Keys in use stay: by writers not yet committed, or for entries to come. An older key gets no new
 * writers, so one that is unused now stays unused. */
static void sweep_drop_used(struct key_ring *r, struct sweep *s)
{
    size_t kept = 0;

    (void)pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < s->n; i++) {
        struct data_key *k = r->first;

        while (k && k->id != s->ids[i])
            k = k->next;
        if (k && (k->refs || k == r->current))
            continue;
        if (k)
            ring_remove(r, k);
        s->ids[kept++] = s->ids[i];
    }
    s->n = kept;
    (void)pthread_mutex_unlock(&r->mutex);
}

static enum err sweep_job(struct queue *q, struct job *j)
{
    const struct sweep *s = j->data;
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < s->n; i++)
        e = sql_run(q->write,
                    "DELETE FROM data_key WHERE id = ?1"
                    " AND NOT EXISTS (SELECT 1 FROM entry WHERE key = ?1)",
                    "i", s->ids[i]);
    return e;
}

static enum err sweep_oldest(struct queue *q, int64_t *generation_out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);

    return sql_one(db, generation_out,
                   "SELECT generation FROM data_key ORDER BY generation LIMIT 1", "");
}

void keys_sweep(struct queue *q)
{
    struct sweep s = {.n = 0};
    struct job job = {.run = sweep_job, .data = &s};
    int64_t oldest = 0;
    enum err e = sweep_list(q, &s);

    if (!e)
        sweep_drop_used(&q->keys, &s);
    if (!e && s.n)
        e = job_run(q, &job);
    e = e ? e : sweep_oldest(q, &oldest);
    if (!e && oldest > (int64_t)atomic_load(&q->keys.retired)) {
        e = hsm_spool_retire(q->hsm, (uint32_t)oldest);
        if (!e)
            atomic_store(&q->keys.retired, (uint_fast32_t)oldest);
    }
    /* the next sweep tries again */
    if (e && e != ERR_NOT_FOUND)
        log_event(LOG_LEVEL_WARNING, "queue.sweep", "-", e, -1, "%s", "");
    err_note_clear();
}

void keys_clear(struct queue *q)
{
    while (q->keys.first)
        ring_remove(&q->keys, q->keys.first);
    q->keys.current = NULL;
}
