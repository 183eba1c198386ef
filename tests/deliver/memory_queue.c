/* SPDX-License-Identifier: GPL-3.0-or-later */
/* memory_queue.c - entries in an array under one lock. */
#include "tests/deliver/memory_queue.h"
#include "daemon/base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ENTRIES_MAX 20000

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool offer_again;
    struct memory_entry *entries;
    size_t n;
};

struct queue_body {
    struct memory_entry *entry;
    size_t at;
};

struct queue *memory_queue_new(bool offer_again)
{
    struct queue *q = calloc(1, sizeof *q);

    if (!q)
        abort();
    q->entries = calloc(ENTRIES_MAX, sizeof *q->entries);
    q->offer_again = offer_again;
    (void)pthread_mutex_init(&q->lock, NULL);
    (void)pthread_cond_init(&q->change, NULL);
    return q;
}

void memory_queue_free(struct queue *q)
{
    for (size_t i = 0; i < q->n; i++)
        buf_clear(&q->entries[i].content);
    free(q->entries);
    (void)pthread_cond_destroy(&q->change);
    (void)pthread_mutex_destroy(&q->lock);
    free(q);
}

size_t memory_queue_add(struct queue *q, const char *hop, const char *mail_from,
                        const char *rcpt_to, struct bytes content)
{
    struct memory_entry *e;
    size_t index;

    (void)pthread_mutex_lock(&q->lock);
    index = q->n;
    if (index == ENTRIES_MAX)
        abort();
    e = &q->entries[q->n++];
    if (id_new(e->item.id) || id_new(e->item.profile))
        abort();
    (void)snprintf(e->item.hop, sizeof e->item.hop, "%s", hop);
    (void)snprintf(e->item.mail_from, sizeof e->item.mail_from, "%s", mail_from);
    (void)snprintf(e->item.rcpt_to, sizeof e->item.rcpt_to, "%s", rcpt_to);
    e->item.size_bytes = content.len;
    e->item.state = QUEUE_READY;
    buf_append_bytes(&e->content, content);
    (void)pthread_cond_broadcast(&q->change);
    (void)pthread_mutex_unlock(&q->lock);
    return index;
}

struct memory_entry memory_queue_entry(struct queue *q, size_t index)
{
    struct memory_entry copy;

    (void)pthread_mutex_lock(&q->lock);
    copy = q->entries[index];
    (void)pthread_mutex_unlock(&q->lock);
    return copy;
}

void memory_queue_break(struct queue *q, size_t index, enum err open, enum err read)
{
    (void)pthread_mutex_lock(&q->lock);
    q->entries[index].body_error = open;
    q->entries[index].read_error = read;
    (void)pthread_mutex_unlock(&q->lock);
}

size_t memory_queue_count(struct queue *q)
{
    return q->n;
}

static bool settled(const struct queue *q)
{
    for (size_t i = 0; i < q->n; i++)
        if (!q->entries[i].recorded || (q->offer_again && q->entries[i].outcome == OUTCOME_RETRY))
            return false;
    return true;
}

bool memory_queue_wait(struct queue *q, unsigned timeout_ms)
{
    int64_t end = clock_mono_ms() + timeout_ms;
    bool done;

    do {
        const struct timespec tick = {0, 5000000};

        (void)pthread_mutex_lock(&q->lock);
        done = settled(q);
        (void)pthread_mutex_unlock(&q->lock);
        if (!done)
            (void)nanosleep(&tick, NULL);
    } while (!done && clock_mono_ms() < end);
    return done;
}

/* ---- queue.h ---- */

static bool is_busy(const char *hop, const char *const *busy, size_t n_busy)
{
    for (size_t i = 0; i < n_busy; i++)
        if (strcmp(busy[i], hop) == 0)
            return true;
    return false;
}

static bool is_due(const struct memory_entry *e, int64_t now_s)
{
    return e->item.state == QUEUE_READY && e->item.next_attempt_s <= now_s;
}

enum err queue_take(struct queue *q, int64_t now_s, const char *const *busy, size_t n_busy,
                    size_t max, struct queue_item *items_out, size_t *n_out, int64_t *due_in_s_out)
{
    const char *hop = NULL;

    *n_out = 0;
    (void)pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < q->n && *n_out < max; i++) {
        struct memory_entry *e = &q->entries[i];

        if (!is_due(e, now_s) || is_busy(e->item.hop, busy, n_busy) ||
            (hop && strcmp(hop, e->item.hop) != 0))
            continue;
        hop = e->item.hop;
        e->item.state = QUEUE_ACTIVE;
        e->item.attempts++;
        e->times_taken++;
        items_out[(*n_out)++] = e->item;
    }
    (void)pthread_mutex_unlock(&q->lock);
    *due_in_s_out = 1;
    return *n_out ? ERR_OK : ERR_NOT_FOUND;
}

void queue_wake(struct queue *q, unsigned timeout_ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    until.tv_sec += timeout_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&q->lock);
    (void)pthread_cond_timedwait(&q->change, &q->lock, &until);
    (void)pthread_mutex_unlock(&q->lock);
}

static struct memory_entry *entry_find(struct queue *q, const char *id)
{
    for (size_t i = 0; i < q->n; i++)
        if (strcmp(q->entries[i].item.id, id) == 0)
            return &q->entries[i];
    return NULL;
}

enum err queue_body_open(struct queue *q, const struct queue_item *item, struct queue_body **out)
{
    struct memory_entry *e;
    enum err result = ERR_OK;

    (void)pthread_mutex_lock(&q->lock);
    e = entry_find(q, item->id);
    if (!e)
        abort();
    e->times_opened++;
    result = e->body_error;
    if (result == ERR_TAMPERED)
        e->item.state = QUEUE_HELD;
    (void)pthread_mutex_unlock(&q->lock);
    if (result)
        return err_note(result, "queue_body_open", "as told");
    *out = calloc(1, sizeof **out);
    if (!*out)
        abort();
    (*out)->entry = e;
    return ERR_OK;
}

enum err queue_body_read(struct queue_body *b, uint8_t *data, size_t max, size_t *len_out)
{
    struct buf *content = &b->entry->content;
    size_t left = content->len - b->at;

    if (b->at && b->entry->read_error == ERR_TAMPERED)
        b->entry->item.state = QUEUE_HELD;
    if (b->at && b->entry->read_error)
        return err_note(b->entry->read_error, "queue_body_read", "as told");
    if (max > left)
        max = left;
    if (max > 10000)
        max = 10000; /* the real one reads sealed chunks, not what fits */
    if (max)
        memcpy(data, content->data + b->at, max);
    b->at += max;
    *len_out = max;
    return ERR_OK;
}

void queue_body_close(struct queue_body *b)
{
    free(b);
}

enum err queue_finish(struct queue *q, const struct queue_result *results, size_t n)
{
    (void)pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < n; i++) {
        struct memory_entry *e = entry_find(q, results[i].id);

        if (!e || e->item.state != QUEUE_ACTIVE)
            abort();
        e->recorded = true;
        e->times_recorded++;
        e->outcome = results[i].outcome;
        e->next_attempt_s = e->item.next_attempt_s = results[i].next_attempt_s;
        (void)snprintf(e->text, sizeof e->text, "%s", results[i].text);
        if (e->outcome == OUTCOME_FAILED)
            e->item.state = QUEUE_FAILED;
        else if (e->outcome == OUTCOME_RETRY && q->offer_again)
            e->item.state = QUEUE_READY;
        else
            e->item.state = QUEUE_HELD;
    }
    (void)pthread_cond_broadcast(&q->change);
    (void)pthread_mutex_unlock(&q->lock);
    return ERR_OK;
}

enum err queue_each(struct queue *q, bool with_addresses, queue_item_fn fn, void *ctx)
{
    enum err e = ERR_OK;

    (void)with_addresses;
    (void)pthread_mutex_lock(&q->lock);
    for (size_t i = 0; !e && i < q->n; i++)
        e = fn(ctx, &q->entries[i].item);
    (void)pthread_mutex_unlock(&q->lock);
    return e;
}
