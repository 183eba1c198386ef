/* SPDX-License-Identifier: GPL-3.0-or-later */
/* replay.c - claims of signed replies, one row for each reverse alias that one was honoured under.
 */
#include "daemon/store/replay.h"
#include "daemon/store/internal.h"

#include <string.h>

static struct bytes blob_of(const uint8_t blob[STORE_BLOB_LEN])
{
    return (struct bytes){blob, STORE_BLOB_LEN};
}

/* The claim of this very reverse alias. Sessions of a run that is over are dead. */
static enum err own_claim(struct store *s, struct sql *db, const struct store_claim *c,
                          int64_t now_s, enum store_claim_answer *answer, id_text entry)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    id_text run;
    int64_t at_s;
    enum err e = sql_query(db, &st,
                           "SELECT done, run, entry, at_s FROM reply_claim"
                           " WHERE blob = ? AND reverse = ?",
                           "bt", blob_of(c->blob), c->reverse);

    e = e ? e : sql_step(db, st);
    e = e ? e : sql_text(st, 1, run, sizeof run);
    e = e ? e : sql_text(st, 2, entry, sizeof(id_text));
    if (e)
        return e;
    at_s = sqlite3_column_int64(st, 3);
    if (sqlite3_column_int64(st, 0))
        *answer = CLAIM_REPEAT;
    else if (strcmp(run, s->run) == 0 && now_s >= at_s && now_s - at_s < STORE_CLAIM_WORK_S)
        *answer = CLAIM_BUSY;
    else
        *answer = CLAIM_ORPHAN;
    return ERR_OK;
}

/* A blob that was honoured for somebody else is good for those it was sent to together with,
 * whenever their copies come: one that was put off may take days. */
static enum err others_claim(struct sql *db, const struct store_claim *c,
                             enum store_claim_answer *answer)
{
    int64_t others = 0;
    int64_t together = 0;
    enum err e =
        sql_one(db, &others, "SELECT count(*) FROM reply_claim WHERE blob = ? AND reverse <> ?",
                "bt", blob_of(c->blob), c->reverse);

    e = e ? e
          : sql_one(db, &together,
                    "SELECT count(*) FROM reply_claim WHERE blob = ? AND reverse <> ?"
                    " AND envelope = ?",
                    "btb", blob_of(c->blob), c->reverse, blob_of(c->envelope));
    if (!e)
        *answer = !others || (together && c->named) ? CLAIM_GRANTED : CLAIM_FOREIGN;
    return e;
}

static enum err claim_insert(struct store *s, struct sql *db, const struct store_claim *c,
                             int64_t now_s)
{
    return sql_run(db,
                   "INSERT OR REPLACE INTO reply_claim (blob, reverse, envelope, run, entry,"
                   " done, at_s) VALUES (?, ?, ?, ?, ?, 0, ?)",
                   "btbtti", blob_of(c->blob), c->reverse, blob_of(c->envelope), s->run, c->entry,
                   now_s);
}

static enum err claim_write(struct store *s, struct sql *db, const struct store_claim *c,
                            const char *lost, int64_t now_s, enum store_claim_answer *answer,
                            id_text entry)
{
    enum err e =
        sql_run(db, "DELETE FROM reply_claim WHERE at_s < ?", "i", now_s - STORE_CLAIM_KEPT_S);

    e = e ? e : own_claim(s, db, c, now_s, answer, entry);
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        e = others_claim(db, c, answer);
    } else if (!e && *answer == CLAIM_ORPHAN && lost[0] && strcmp(lost, entry) == 0) {
        *answer = CLAIM_GRANTED;
    }
    if (!e && *answer == CLAIM_GRANTED)
        e = claim_insert(s, db, c, now_s);
    return e;
}

enum err store_claim(struct store *s, const struct store_claim *c, const char *lost, int64_t now_s,
                     enum store_claim_answer *answer, id_text entry_out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    enum err e = sql_begin(db);

    return e ? e : sql_end(db, claim_write(s, db, c, lost, now_s, answer, entry_out));
}

/* Lost in a power cut it is found again: the queue knows the entry. */
enum err store_claim_settle(struct store *s, const struct store_claim *c)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    enum err e = sql_quick(db, true);
    enum err again;

    e = e ? e
          : sql_run(db, "UPDATE reply_claim SET done = 1 WHERE blob = ? AND reverse = ?", "bt",
                    blob_of(c->blob), c->reverse);
    again = sql_quick(db, false);
    return e ? e : again;
}

enum err store_claim_release(struct store *s, const struct store_claim *c)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);

    return sql_run(db,
                   "DELETE FROM reply_claim WHERE blob = ? AND reverse = ? AND entry = ?"
                   " AND done = 0",
                   "btt", blob_of(c->blob), c->reverse, c->entry);
}

enum err store_failure_add(struct store *s, const char *reverse, int64_t now_s)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    int64_t hour = now_s / STORE_FAILURE_SPAN_S;
    enum err e = sql_begin(db);

    if (e)
        return e;
    e = sql_run(db, "DELETE FROM reply_failure WHERE hour < ?", "i", hour);
    e = e ? e
          : sql_run(db,
                    "INSERT INTO reply_failure (reverse, hour, n) VALUES (?, ?, 1)"
                    " ON CONFLICT (reverse, hour) DO UPDATE SET n = n + 1",
                    "ti", reverse, hour);
    return sql_end(db, e);
}

enum err store_failure_count(struct store *s, const char *reverse, int64_t now_s, unsigned *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    int64_t n = 0;
    enum err e = sql_one(db, &n,
                         "SELECT coalesce(sum(n), 0) FROM reply_failure"
                         " WHERE reverse = ? AND hour = ?",
                         "ti", reverse, now_s / STORE_FAILURE_SPAN_S);

    if (!e)
        *out = (unsigned)n;
    return e;
}
