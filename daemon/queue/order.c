/* SPDX-License-Identifier: GPL-3.0-or-later */
/* order.c - the operator's view of the queue, and orders to its entries. */
#include "daemon/queue/internal.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 64 /* rows read at a time while listing */

static enum err page_read(struct queue *q, int64_t after, struct row rows[PAGE], size_t *n_out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e =
        sql_query(db, &st, "SELECT " ROW_COLUMNS " FROM entry WHERE n > ? ORDER BY n LIMIT ?", "ii",
                  after, (int64_t)PAGE);

    while (!e && *n_out < PAGE) {
        e = sql_step(db, st);
        e = e ? e : row_read(st, &rows[*n_out]);
        *n_out += !e;
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static void addresses_drop(struct queue_item *item)
{
    item->mail_from[0] = '\0';
    item->rcpt_to[0] = '\0';
}

static enum err page_tell(struct queue *q, struct row *rows, size_t n, bool with_addresses,
                          queue_item_fn fn, void *ctx)
{
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < n; i++) {
        e = row_open(q, &rows[i], with_addresses);
        if (e == ERR_TAMPERED || !with_addresses)
            e = ERR_OK;
        if (!with_addresses)
            addresses_drop(&rows[i].item);
        err_note_clear();
        e = e ? e : fn(ctx, &rows[i].item);
    }
    return e;
}

enum err queue_each(struct queue *q, bool with_addresses, queue_item_fn fn, void *ctx)
{
    struct row *rows = calloc(PAGE, sizeof *rows);
    int64_t after = 0;
    enum err e = ERR_OK;
    size_t n = PAGE;

    if (!rows)
        return err_note(ERR_NOMEM, "queue_each", "out of memory");
    while (!e && n == PAGE) {
        n = 0;
        e = page_read(q, after, rows, &n);
        if (n)
            after = rows[n - 1].n;
        e = e ? e : page_tell(q, rows, n, with_addresses, fn, ctx);
        for (size_t i = 0; i < n; i++)
            row_clear(&rows[i]);
    }
    free(rows);
    return e ? e : history_each_reported(q, fn, ctx);
}

enum err queue_show(struct queue *q, const char *id, struct queue_item *out)
{
    CLEANUP(row_clear) struct row r = {0};
    struct queue_item past = {.state = QUEUE_DELIVERED};
    /* in this order: an entry that is finished meanwhile is found in one of the two */
    enum err e = row_find(q, id, &r);
    enum err known = history_find(q, id, &past);

    if (known && known != ERR_NOT_FOUND)
        return known;
    if (e == ERR_NOT_FOUND && !known) {
        err_note_clear();
        *out = past;
        return ERR_OK;
    }
    if (e)
        return e;
    if (row_open(q, &r, true)) {
        addresses_drop(&r.item);
        err_note_clear();
    }
    *out = r.item;
    out->finished_s = past.finished_s;
    out->reported_s = past.reported_s;
    return ERR_OK;
}

struct order {
    const char *id;
    enum queue_order order;
    int64_t now_s;
    size_t changed;
    bool unlink;
};

static enum err order_update(struct queue *q, const struct order *o)
{
    switch (o->order) {
    case ORDER_HOLD:
        return sql_run(q->write,
                       "UPDATE entry SET state = 2, reason = ? WHERE state = 0"
                       " AND (?2 IS NULL OR id = ?2)",
                       "it", (int64_t)REASON_OPERATOR, o->id);
    case ORDER_RELEASE:
        return sql_run(q->write,
                       "UPDATE entry SET state = 0, reason = 0, next_attempt_s = ?"
                       " WHERE state = 2 AND (?2 IS NULL OR id = ?2)",
                       "it", o->now_s, o->id);
    case ORDER_RETRY:
        return sql_run(q->write,
                       "UPDATE entry SET state = 0, reason = 0, next_attempt_s = ?1,"
                       " since_s = CASE state WHEN 3 THEN ?1 ELSE since_s END"
                       " WHERE state IN (0, 3) AND (?2 IS NULL OR id = ?2)",
                       "it", o->now_s, o->id);
    case ORDER_DROP:
        return sql_run(q->write, "DELETE FROM entry WHERE state != 1 AND id = ?", "t", o->id);
    }
    return err_note(ERR_BUG, "queue_order", "order %d", (int)o->order);
}

static enum err order_check(struct queue *q, struct order *o)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e =
        sql_query(q->write, &st, "SELECT state, in_file FROM entry WHERE id = ?", "t", o->id);

    e = e ? e : sql_step(q->write, st);
    if (e)
        return e;
    o->unlink = o->order == ORDER_DROP && sqlite3_column_int(st, 1) != 0;
    return sqlite3_column_int(st, 0) == QUEUE_ACTIVE ? ERR_WRONG_STATE : ERR_OK;
}

static enum err order_job(struct queue *q, struct job *j)
{
    struct order *o = j->data;
    enum err e = o->id ? order_check(q, o) : ERR_OK;
    bool known = false;

    if (o->order == ORDER_DROP && (!e || e == ERR_NOT_FOUND)) {
        enum err dismissed = history_dismiss(q, o->id, &known);

        if (dismissed)
            return dismissed;
    }
    if (e == ERR_NOT_FOUND && known) {
        o->changed = 1;
        return ERR_OK;
    }
    e = e ? e : order_update(q, o);
    o->changed = e ? 0 : (size_t)sql_changes(q->write);
    return e || o->order != ORDER_RETRY ? e : history_retried(q);
}

enum err queue_order(struct queue *q, const char *id, enum queue_order order, int64_t now_s,
                     size_t *changed_out)
{
    struct order o = {.id = id, .order = order, .now_s = now_s};
    struct job job = {.run = order_job, .data = &o};
    enum err e;

    if (!id && order == ORDER_DROP)
        return err_note(ERR_USAGE, "queue_order", "all entries are never dropped at once");
    e = job_run(q, &job);
    if (e)
        return e;
    *changed_out = o.changed;
    if (o.unlink)
        body_unlink(q, id);
    if (order == ORDER_DROP)
        keys_sweep(q);
    queue_kick(q);
    return ERR_OK;
}

enum err queue_count(struct queue *q, struct queue_counts *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    struct queue_counts c = {0};
    uint64_t *const by_state[] = {&c.ready, &c.active, &c.held, &c.failed};
    enum err e = sql_query(db, &st,
                           "SELECT state, count(*), sum(size_bytes), min(created_s) FROM entry"
                           " GROUP BY state",
                           "");

    while (!e) {
        e = sql_step(db, st);
        if (e)
            break;
        int64_t state = sqlite3_column_int64(st, 0);
        int64_t oldest_s = sqlite3_column_int64(st, 3);

        *by_state[state >= QUEUE_READY && state <= QUEUE_FAILED ? state : QUEUE_HELD] +=
            (uint64_t)sqlite3_column_int64(st, 1);
        c.bytes += (uint64_t)sqlite3_column_int64(st, 2);
        if (c.oldest_s == 0 || oldest_s < c.oldest_s)
            c.oldest_s = oldest_s;
    }
    if (e != ERR_NOT_FOUND)
        return e;
    e = history_count(db, &c.failures);
    if (!e)
        *out = c;
    return e;
}
