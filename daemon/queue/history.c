/* SPDX-License-Identifier: GPL-3.0-or-later */
/* history.c - what became of messages that have left the queue, or failed in it, by id.
 *
 * Rows are written in the transaction that finishes an entry, and here alone: a report that comes
 * back later turns a delivered message into a failed one, once. In clear are codes and our own
 * words only: what a next hop wrote stays sealed with its entry, what a report says is sealed by
 * whoever hands it in, and so is the origin. */
#include "daemon/queue/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PURGE_MIN 16 /* rows looked at when entries are finished, besides one for each of them */

/* ---- writing, inside the committer's transactions ---- */

/* "550 5.1.1": the code a next hop's text begins with, and its status; our own texts whole. */
void history_brief(const char *text, char out[HISTORY_RESULT_MAX + 1],
                   char status_out[QUEUE_STATUS_MAX + 1])
{
    size_t len = strspn(text, "0123456789");
    const char *status = text + 4;
    size_t status_len;

    status_out[0] = '\0';
    if (len != 3 || (text[3] != ' ' && text[3] != '\0')) {
        (void)snprintf(out, HISTORY_RESULT_MAX + 1, "%s", len ? "" : text);
        return;
    }
    status_len = text[3] ? strspn(status, "0123456789.") : 0;
    if (status_len >= 5 && status_len <= QUEUE_STATUS_MAX && status[0] == text[0] &&
        status[1] == '.') {
        memcpy(status_out, status, status_len);
        status_out[status_len] = '\0';
        (void)snprintf(out, HISTORY_RESULT_MAX + 1, "%.3s %s", text, status_out);
        return;
    }
    (void)snprintf(out, HISTORY_RESULT_MAX + 1, "%.3s", text);
    (void)snprintf(status_out, QUEUE_STATUS_MAX + 1, "%c.0.0", text[0]);
}

/* A message that is finished a second time (the operator had it tried again) keeps that somebody
 * was told of it, and what a report said of it. */
enum err history_write(struct queue *q, const struct history_row *h)
{
    return sql_run(
        q->write,
        "INSERT INTO history (id, direction, state, profile, hop, created_s, finished_s, attempts,"
        " size_bytes, result, status, hop_id, origin, reported_s, report, open, told, seen)"
        " SELECT id, direction, ?1, profile, hop, created_s, ?2, attempts, size_bytes, ?3, ?4, ?5,"
        " origin, 0, x'', ?1 = 3 AND direction != ?6, 0, 0 FROM entry WHERE n = ?7 AND state = 1"
        " ON CONFLICT (id) DO UPDATE SET finished_s = excluded.finished_s,"
        " attempts = excluded.attempts, hop_id = excluded.hop_id,"
        " state = CASE WHEN reported_s > 0 THEN state ELSE excluded.state END,"
        " result = CASE WHEN reported_s > 0 THEN result ELSE excluded.result END,"
        " status = CASE WHEN reported_s > 0 THEN status ELSE excluded.status END,"
        " open = CASE WHEN told THEN 0 WHEN reported_s > 0 THEN open ELSE excluded.open END,"
        " seen = 0",
        "iitttii", (int64_t)h->state, h->finished_s, h->result, h->status, h->hop_id,
        (int64_t)QUEUE_NOTICE, h->n);
}

enum err history_purge(struct queue *q, int64_t now_s, size_t n_finished)
{
    return sql_run(q->write,
                   "DELETE FROM history WHERE n IN (SELECT n FROM history ORDER BY n LIMIT ?)"
                   " AND (finished_s < ? OR n <= (SELECT max(n) FROM history) - ?)",
                   "iii", (int64_t)(PURGE_MIN + n_finished), now_s - (int64_t)q->history_s,
                   (int64_t)q->history_max);
}

enum err history_dismiss(struct queue *q, const char *id, bool *known_out)
{
    enum err e =
        sql_run(q->write, "UPDATE history SET seen = 1 WHERE id = ? AND state = 3", "t", id);

    *known_out = !e && sql_changes(q->write) == 1;
    return e;
}

enum err history_retried(struct queue *q)
{
    return sql_run(q->write,
                   "UPDATE history SET seen = 1, open = 0 WHERE state = 3 AND seen = 0"
                   " AND reported_s = 0 AND id IN (SELECT id FROM entry WHERE state = 0)",
                   "");
}

enum err history_told(struct queue *q, const char *id)
{
    enum err e = sql_run(
        q->write, "UPDATE history SET open = 0, told = 1 WHERE id = ? AND open = 1", "t", id);

    return e || sql_changes(q->write) == 1 ? e : err_note(ERR_WRONG_STATE, "history", "told");
}

/* ---- reports ---- */

struct report_job {
    const struct queue_report *report;
    bool changed;
};

/* A report may be quicker than the answer to the delivery it is about. */
static enum err report_early(struct queue *q, const struct queue_report *r, const char *result)
{
    return sql_run(
        q->write,
        "INSERT OR IGNORE INTO history (id, direction, state, profile, hop, created_s, finished_s,"
        " attempts, size_bytes, result, status, hop_id, origin, reported_s, report, open, told,"
        " seen) SELECT id, direction, 3, profile, hop, created_s, ?1, attempts, size_bytes, ?2, ?3,"
        " '', origin, ?1, ?4, direction != ?5, 0, 0 FROM entry WHERE id = ?6 AND state != 3",
        "ittbit", r->now_s, result, r->status, r->sealed, (int64_t)QUEUE_NOTICE, r->id);
}

static enum err report_run(struct queue *q, struct job *j)
{
    struct report_job *r = j->data;
    char result[HISTORY_RESULT_MAX + 1];
    enum err e;

    (void)snprintf(result, sizeof result, "reported failed: %s", r->report->status);
    e = sql_run(q->write,
                "UPDATE history SET state = 3, result = ?, status = ?, reported_s = ?, report = ?,"
                " open = NOT told AND direction != ?, seen = 0 WHERE id = ? AND state = ?",
                "ttibiti", result, r->report->status, r->report->now_s, r->report->sealed,
                (int64_t)QUEUE_NOTICE, r->report->id, (int64_t)QUEUE_DELIVERED);
    if (!e && sql_changes(q->write) == 0)
        e = report_early(q, r->report, result);
    r->changed = !e && sql_changes(q->write) == 1;
    return e;
}

enum err queue_report(struct queue *q, const struct queue_report *report, bool *changed_out)
{
    struct report_job data = {.report = report};
    struct job job = {.run = report_run, .data = &data};
    enum err e;

    if (!id_is_valid(report->id) || strlen(report->status) > QUEUE_STATUS_MAX)
        return err_note(ERR_FORMAT, "queue_report", "id or status");
    e = job_run(q, &job);
    if (!e)
        *changed_out = data.changed;
    return e;
}

/* ---- failures that nobody was told of ---- */

void queue_failure_clear(struct queue_failure *f)
{
    buf_clear(&f->origin);
    buf_clear(&f->report);
}

enum err queue_failure_next(struct queue *q, int64_t after, struct queue_failure *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    struct queue_failure f = {.n = 0};
    enum err e = sql_query(db, &st,
                           "SELECT n, id, direction, profile, created_s, finished_s, reported_s,"
                           " status, result, origin, report FROM history"
                           " WHERE open = 1 AND n > ? ORDER BY n LIMIT 1",
                           "i", after);

    e = e ? e : sql_step(db, st);
    if (e)
        return e;
    f.n = sqlite3_column_int64(st, 0);
    f.direction = (enum queue_direction)sqlite3_column_int(st, 2);
    f.created_s = sqlite3_column_int64(st, 4);
    f.failed_s = sqlite3_column_int64(st, 5);
    f.reported = sqlite3_column_int64(st, 6) > 0;
    if (f.reported)
        f.failed_s = sqlite3_column_int64(st, 6);
    /* what makes no sense is empty: the row still has to be closed */
    if (sql_text(st, 1, f.id, sizeof f.id) || sql_text(st, 3, f.profile, sizeof f.profile) ||
        sql_text(st, 7, f.status, sizeof f.status) || sql_text(st, 8, f.result, sizeof f.result))
        err_note_clear();
    buf_append_bytes(&f.origin, sql_blob(st, 9));
    buf_append_bytes(&f.report, sql_blob(st, 10));
    if (buf_error(&f.origin) || buf_error(&f.report)) {
        queue_failure_clear(&f);
        return ERR_NOMEM;
    }
    *out = f;
    return ERR_OK;
}

enum err queue_origin(struct queue *q, const char *id, enum queue_direction *direction_out,
                      struct buf *origin_out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st,
                           "SELECT direction, origin FROM entry WHERE id = ?1"
                           " UNION ALL SELECT direction, origin FROM history WHERE id = ?1 LIMIT 1",
                           "t", id);

    e = e ? e : sql_step(db, st);
    if (e)
        return e;
    buf_append_bytes(origin_out, sql_blob(st, 1));
    *direction_out = (enum queue_direction)sqlite3_column_int(st, 0);
    return buf_error(origin_out);
}

static enum err told_run(struct queue *q, struct job *j)
{
    return history_told(q, j->data);
}

enum err queue_failure_close(struct queue *q, const char *id)
{
    id_text copy;
    struct job job = {.run = told_run, .data = copy};

    if (!id_is_valid(id))
        return err_note(ERR_FORMAT, "queue_failure_close", "id");
    memcpy(copy, id, sizeof copy);
    return job_run(q, &job);
}

/* ---- the operator's view ---- */

#define ITEM_COLUMNS                                                                               \
    "n, id, direction, state, profile, hop, created_s, finished_s, attempts, size_bytes, result,"  \
    " hop_id, reported_s"

static void item_read(sqlite3_stmt *st, struct queue_item *out)
{
    *out = (struct queue_item){.direction = (enum queue_direction)sqlite3_column_int(st, 2),
                               .state = (enum queue_state)sqlite3_column_int(st, 3),
                               .created_s = sqlite3_column_int64(st, 6),
                               .finished_s = sqlite3_column_int64(st, 7),
                               .attempts = (unsigned)sqlite3_column_int(st, 8),
                               .size_bytes = (uint64_t)sqlite3_column_int64(st, 9),
                               .reported_s = sqlite3_column_int64(st, 12)};
    if (sql_text(st, 1, out->id, sizeof out->id) ||
        sql_text(st, 4, out->profile, sizeof out->profile) ||
        sql_text(st, 5, out->hop, sizeof out->hop) ||
        sql_text(st, 10, out->last_result, sizeof out->last_result) ||
        sql_text(st, 11, out->hop_id, sizeof out->hop_id))
        err_note_clear();
}

enum err history_find(struct queue *q, const char *id, struct queue_item *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st, "SELECT " ITEM_COLUMNS " FROM history WHERE id = ?", "t", id);

    e = e ? e : sql_step(db, st);
    if (!e)
        item_read(st, out);
    return e;
}

static enum err reported_next(struct queue *q, int64_t after, int64_t *n_out,
                              struct queue_item *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st,
                           "SELECT " ITEM_COLUMNS " FROM history WHERE state = 3 AND seen = 0"
                           " AND reported_s > 0 AND n > ? AND NOT EXISTS"
                           " (SELECT 1 FROM entry WHERE entry.id = history.id) ORDER BY n LIMIT 1",
                           "i", after);

    e = e ? e : sql_step(db, st);
    if (e)
        return e;
    *n_out = sqlite3_column_int64(st, 0);
    item_read(st, out);
    return ERR_OK;
}

enum err history_each_reported(struct queue *q, queue_item_fn fn, void *ctx)
{
    struct queue_item item;
    int64_t after = 0;
    enum err e = ERR_OK;

    while (!e) {
        e = reported_next(q, after, &after, &item);
        e = e ? e : fn(ctx, &item);
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err queue_failures(struct queue *q, struct queue_item *items_out, size_t max, size_t *n_out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st,
                           "SELECT " ITEM_COLUMNS " FROM history WHERE state = 3 AND seen = 0"
                           " ORDER BY n DESC LIMIT ?",
                           "i", (int64_t)max);

    *n_out = 0;
    while (!e && *n_out < max) {
        e = sql_step(db, st);
        if (!e)
            item_read(st, &items_out[(*n_out)++]);
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err history_count(struct sql *db, uint64_t *failures_out)
{
    int64_t n = 0;
    enum err e = sql_one(db, &n, "SELECT count(*) FROM history WHERE state = 3 AND seen = 0", "");

    if (!e)
        *failures_out = (uint64_t)n;
    return e;
}
