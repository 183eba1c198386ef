/* SPDX-License-Identifier: GPL-3.0-or-later */
/* finish.c - what became of an attempt, recorded before the next one: done entries go, others wait
 * or are kept as failed; of done and failed ones the history tells, written with it. */
#include "daemon/base/failpoint.h"
#include "daemon/queue/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ending {
    const struct queue_result *result;
    int64_t n;
    enum queue_state state;
    enum reason reason;
    struct buf details; /* sealed */
    struct history_row history;
    bool unlink;
    bool gone; /* no such entry, or not being delivered */
};

struct endings {
    struct ending *items;
    size_t n;
};

static void endings_clear(struct endings *all)
{
    for (size_t i = 0; all->items && i < all->n; i++)
        buf_clear(&all->items[i].details);
    free(all->items);
}

/* A next hop is a stranger: printable ASCII only, and no addresses (invariant 7). */
static void sanitise(const char *text, char *out, size_t cap)
{
    size_t len = 0;

    while (text && *text && len + 1 < cap) {
        size_t word = strcspn(text, " \t\r\n<>()\"',;");
        const char *put = text;
        size_t put_len = word;

        if (word && memchr(text, '@', word)) {
            put = "[address]";
            put_len = strlen(put);
        }
        for (size_t i = 0; i < put_len && len + 1 < cap; i++)
            out[len++] = put[i] >= 0x20 && put[i] < 0x7f ? put[i] : '?';
        text += word;
        if (*text && len + 1 < cap)
            out[len++] = *text >= 0x20 ? *text : ' ';
        text += *text != '\0';
    }
    out[len] = '\0';
}

/* A queue id goes into listings and logs: no other characters than such have. */
static void hop_id_copy(const char *hop_id, char out[QUEUE_HOP_ID_MAX + 1])
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";
    size_t len = hop_id ? strspn(hop_id, allowed) : 0;

    if (len > QUEUE_HOP_ID_MAX || (hop_id && hop_id[len]))
        len = 0;
    if (len)
        memcpy(out, hop_id, len);
    out[len] = '\0';
}

static void ending_history(const struct row *r, struct ending *end)
{
    struct history_row *h = &end->history;
    char text[sizeof r->item.last_result];
    char brief[HISTORY_RESULT_MAX + 1];

    h->n = r->n;
    h->state = end->result->outcome == OUTCOME_DONE ? QUEUE_DELIVERED : QUEUE_FAILED;
    h->finished_s = end->result->now_s;
    sanitise(end->result->text, text, sizeof text);
    history_brief(text, brief, h->status);
    (void)snprintf(h->result, sizeof h->result, "%s%s%.40s", reason_text(end->reason),
                   end->reason && brief[0] ? ": " : "", brief);
    if (end->reason == REASON_LIFETIME) /* RFC 3463 3.5: delivery time expired */
        (void)snprintf(h->status, sizeof h->status, "4.4.7");
    hop_id_copy(end->result->hop_id, h->hop_id);
}

/* The text is worth less than the result: without the key it is left out. */
static void ending_details(struct queue *q, const struct row *r, struct ending *end)
{
    CLEANUP(aead_free) EVP_CIPHER_CTX *ctx = NULL;
    struct entry_name name = {r->item.id, r->item.direction};
    char text[sizeof r->item.last_result];
    struct data_key *key;

    sanitise(end->result->text, text, sizeof text);
    if (!text[0] || r->damage)
        return;
    key = keys_find(q, r->key);
    if (!key)
        return;
    if (entry_cipher(key, r->salt, true, &ctx) || details_seal(ctx, &name, text, &end->details))
        buf_clear(&end->details);
    keys_put(q, key);
}

static bool lifetime_is_over(const struct queue *q, const struct row *r, int64_t next_attempt_s)
{
    int64_t age_s = next_attempt_s - r->since_s;

    return age_s >= (int64_t)q->lifetime_s && age_s <= 2 * (int64_t)q->lifetime_s;
}

static void ending_state(const struct queue *q, const struct row *r, struct ending *end)
{
    end->reason = REASON_NONE;
    switch (end->result->outcome) {
    case OUTCOME_DONE:
        end->unlink = r->in_file;
        break;
    case OUTCOME_RETRY:
        end->state = QUEUE_READY;
        if (lifetime_is_over(q, r, end->result->next_attempt_s)) {
            end->state = QUEUE_FAILED;
            end->reason = REASON_LIFETIME;
        }
        break;
    case OUTCOME_FAILED:
        end->state = QUEUE_FAILED;
        break;
    }
}

static enum err ending_prepare(struct queue *q, const struct queue_result *result,
                               struct ending *end)
{
    CLEANUP(row_clear) struct row r = {0};
    enum err e = row_find(q, result->id, &r);

    end->result = result;
    end->gone = e == ERR_NOT_FOUND || r.item.state != QUEUE_ACTIVE;
    if (e || end->gone)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    end->n = r.n;
    if (r.key != atomic_load(&q->keys.current_id))
        atomic_store(&q->keys.sweep_wanted, true);
    ending_state(q, &r, end);
    ending_history(&r, end);
    if (result->outcome != OUTCOME_DONE)
        ending_details(q, &r, end);
    return ERR_OK;
}

static enum err finish_one(struct queue *q, struct ending *end)
{
    enum err e = ERR_OK;

    if (end->result->outcome == OUTCOME_DONE || end->state == QUEUE_FAILED)
        e = history_write(q, &end->history);
    if (e)
        return e;
    if (end->result->outcome == OUTCOME_DONE)
        e = sql_run(q->write, "DELETE FROM entry WHERE n = ? AND state = 1", "i", end->n);
    else
        e = sql_run(q->write,
                    "UPDATE entry SET state = ?, reason = ?, details = ?, next_attempt_s ="
                    " CASE ?1 WHEN 0 THEN ?4 ELSE next_attempt_s END WHERE n = ?5 AND state = 1",
                    "iibii", (int64_t)end->state, (int64_t)end->reason, buf_bytes(&end->details),
                    end->result->next_attempt_s, end->n);
    if (!e && sql_changes(q->write) == 0)
        end->gone = true;
    return e;
}

static enum err finish_job(struct queue *q, struct job *j)
{
    const struct endings *all = j->data;
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < all->n; i++)
        if (!all->items[i].gone)
            e = finish_one(q, &all->items[i]);
    return e ? e : history_purge(q, all->items[0].result->now_s, all->n);
}

static void finish_after(struct queue *q, const struct endings *all)
{
    bool waits = false;

    (void)failpoint("queue.finish.after");
    for (size_t i = 0; i < all->n; i++) {
        const struct ending *end = &all->items[i];

        if (!end->gone && end->unlink)
            body_unlink(q, end->result->id);
        waits |= !end->gone && end->result->outcome == OUTCOME_RETRY;
    }
    if (atomic_exchange(&q->keys.sweep_wanted, false))
        keys_sweep(q);
    if (waits)
        queue_kick(q);
}

static enum err finish_all(struct queue *q, const struct queue_result *results, struct endings *all)
{
    struct job job = {.run = finish_job, .data = all};
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < all->n; i++)
        e = ending_prepare(q, &results[i], &all->items[i]);
    if (!e && failpoint("queue.finish.before"))
        e = err_note(ERR_IO, "queue.finish.before", "fail point");
    e = e ? e : job_run(q, &job);
    if (!e)
        finish_after(q, all);
    return e;
}

enum err queue_finish(struct queue *q, const struct queue_result *results, size_t n)
{
    struct endings all = {.n = n};
    enum err e;

    if (n == 0)
        return ERR_OK;
    all.items = calloc(n, sizeof *all.items);
    e = all.items ? finish_all(q, results, &all)
                  : err_note(ERR_NOMEM, "queue_finish", "out of memory");
    endings_clear(&all);
    return e;
}

static enum err release_job(struct queue *q, struct job *j)
{
    (void)j;
    return sql_run(q->write, "UPDATE entry SET state = 0 WHERE state = 1", "");
}

enum err queue_release_active(struct queue *q)
{
    struct job job = {.run = release_job};
    enum err e = job_run(q, &job);

    if (!e)
        queue_kick(q);
    return e;
}
