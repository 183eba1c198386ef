/* SPDX-License-Identifier: GPL-3.0-or-later */
/* row.c - an entry's row as a value, and quarantine for rows that make no sense.
 *
 * Nothing a row says is trusted before its envelope opened; a bad one is held and shown, never a
 * reason to stop. */
#include "daemon/base/log.h"
#include "daemon/queue/internal.h"

#include <stdio.h>
#include <string.h>

#define TIME_LAST_S INT64_C(253402300799) /* the end of the year 9999 */

const char *queue_state_name(enum queue_state s)
{
    switch (s) {
    case QUEUE_READY:
        return "ready";
    case QUEUE_ACTIVE:
        return "active";
    case QUEUE_HELD:
        return "held";
    case QUEUE_FAILED:
        return "failed";
    case QUEUE_DELIVERED:
        return "delivered";
    }
    return "unknown";
}

const char *queue_direction_name(enum queue_direction d)
{
    switch (d) {
    case QUEUE_FORWARD:
        return "forward";
    case QUEUE_REPLY:
        return "reply";
    case QUEUE_NOTICE:
        return "notice";
    }
    return "unknown";
}

const char *reason_text(enum reason r)
{
    switch (r) {
    case REASON_NONE:
        return "";
    case REASON_OPERATOR:
        return "held by the operator";
    case REASON_VERSION:
        return "written by another version";
    case REASON_DAMAGED:
        return "damaged: does not open";
    case REASON_NO_FILE:
        return "body file is missing";
    case REASON_NO_KEY:
        return "data key is gone";
    case REASON_LIFETIME:
        return "lifetime is over";
    }
    return "unknown reason";
}

void row_clear(struct row *r)
{
    buf_clear(&r->envelope);
    buf_clear(&r->details);
}

static void row_check(struct row *r, sqlite3_stmt *st)
{
    int64_t version = sqlite3_column_int64(st, 2);
    int64_t direction = sqlite3_column_int64(st, 3);
    int64_t state = sqlite3_column_int64(st, 4);
    struct bytes salt = sql_blob(st, 12);

    if (direction < QUEUE_FORWARD || direction > QUEUE_NOTICE || state < QUEUE_READY ||
        state > QUEUE_FAILED || !id_is_valid(r->item.id) || salt.len != ENTRY_SALT_LEN)
        r->damage = REASON_DAMAGED;
    if (version != ENTRY_VERSION)
        r->damage = REASON_VERSION;
    r->item.direction = r->damage ? QUEUE_FORWARD : (enum queue_direction)direction;
    r->item.state = r->damage ? QUEUE_HELD : (enum queue_state)state;
    if (salt.len == ENTRY_SALT_LEN)
        memcpy(r->salt, salt.data, ENTRY_SALT_LEN);
}

/* Whatever a damaged row says, times can be added and subtracted. */
static int64_t row_time_s(sqlite3_stmt *st, int column)
{
    int64_t t = sqlite3_column_int64(st, column);

    return t < 0 ? 0 : t > TIME_LAST_S ? TIME_LAST_S : t;
}

enum err row_read(sqlite3_stmt *st, struct row *out)
{
    struct row r = {.n = sqlite3_column_int64(st, 0),
                    .key = sqlite3_column_int64(st, 11),
                    .since_s = row_time_s(st, 16),
                    .sealed_bytes = (uint64_t)sqlite3_column_int64(st, 17),
                    .in_file = sqlite3_column_int(st, 18) != 0};
    enum err e;

    if (sql_text(st, 1, r.item.id, sizeof r.item.id) ||
        sql_text(st, 5, r.item.profile, sizeof r.item.profile) ||
        sql_text(st, 6, r.item.hop, sizeof r.item.hop))
        r.damage = REASON_DAMAGED;
    r.item.created_s = row_time_s(st, 7);
    r.item.next_attempt_s = row_time_s(st, 8);
    r.item.attempts = (unsigned)sqlite3_column_int(st, 9);
    r.item.size_bytes = (uint64_t)sqlite3_column_int64(st, 10);
    r.reason = (enum reason)sqlite3_column_int(st, 15);
    row_check(&r, st);
    buf_append_bytes(&r.envelope, sql_blob(st, 13));
    buf_append_bytes(&r.details, sql_blob(st, 14));
    e = buf_error(&r.envelope);
    e = e ? e : buf_error(&r.details);
    if (e) {
        row_clear(&r);
        return e;
    }
    *out = r;
    return ERR_OK;
}

enum err row_find(struct queue *q, const char *id, struct row *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st, "SELECT " ROW_COLUMNS " FROM entry WHERE id = ?", "t", id);

    e = e ? e : sql_step(db, st);
    return e ? e : row_read(st, out);
}

/* "why: what the next hop said", as much of it as there is */
static void row_result(struct row *r, const char *details)
{
    const char *why = reason_text(r->damage ? r->damage : r->reason);

    (void)snprintf(r->item.last_result, sizeof r->item.last_result, "%s%s%s", why,
                   *why && *details ? ": " : "", details);
}

static enum err row_open_with(struct row *r, const struct data_key *key)
{
    CLEANUP(aead_free) EVP_CIPHER_CTX *ctx = NULL;
    struct entry_name name = {r->item.id, r->item.direction};
    char details[sizeof r->item.last_result] = "";
    enum err e = entry_cipher(key, r->salt, false, &ctx);

    if (!e)
        e = envelope_open(ctx, &name, buf_bytes(&r->envelope), &r->item);
    if (e == ERR_TAMPERED)
        r->damage = REASON_DAMAGED;
    /* a result that does not open is only left out */
    if (!e && r->details.len &&
        details_open(ctx, &name, buf_bytes(&r->details), details, sizeof details))
        details[0] = '\0';
    row_result(r, details);
    return e;
}

enum err row_open(struct queue *q, struct row *r, bool wait)
{
    struct data_key *key = NULL;
    enum err e = ERR_OK;

    row_result(r, "");
    if (r->damage)
        return err_note(ERR_TAMPERED, "queue entry", "%s", reason_text(r->damage));
    if (wait)
        e = keys_get(q, r->key, &key);
    else
        key = keys_find(q, r->key);
    if (e == ERR_NOT_FOUND || e == ERR_TAMPERED) {
        r->damage = REASON_NO_KEY;
        row_result(r, "");
        return err_note(ERR_TAMPERED, "queue entry", "%s", reason_text(r->damage));
    }
    if (e || !key)
        return e ? e : ERR_HSM_AWAY;
    e = row_open_with(r, key);
    keys_put(q, key);
    return e;
}

struct hold {
    int64_t n;
    enum reason why;
};

static enum err hold_job(struct queue *q, struct job *j)
{
    const struct hold *h = j->data;

    return sql_run(q->write, "UPDATE entry SET state = ?, reason = ? WHERE n = ?", "iii",
                   (int64_t)QUEUE_HELD, (int64_t)h->why, h->n);
}

enum err row_hold(struct queue *q, const char *id, int64_t n, enum reason why)
{
    struct hold h = {n, why};
    struct job job = {.run = hold_job, .data = &h};
    enum err e;

    err_note_clear();
    e = job_run(q, &job);
    log_event(LOG_LEVEL_ERROR, "queue.hold", id, e ? e : ERR_TAMPERED, -1, "reason=\"%s\"",
              reason_text(why));
    return e;
}
