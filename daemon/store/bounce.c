/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bounce.c - counting bounces and what senders were told, over restarts. Addresses are looked up by
 * HMAC; nothing of them is kept. */
#include "daemon/store/bounce.h"
#include "daemon/store/internal.h"

#include <string.h>

#define TOLD_OWNER "told" /* keeps these HMACs apart from those of aliases and users */

static enum err bounce_write(struct sql *db, const char *profile, const char *message,
                             int64_t now_s)
{
    enum err e = sql_run(db, "DELETE FROM bounce WHERE at_s < ?", "i", now_s - STORE_BOUNCE_SPAN_S);

    return e ? e
             : sql_run(db, "INSERT OR IGNORE INTO bounce (profile, id, at_s) VALUES (?, ?, ?)",
                       "tti", profile, message, now_s);
}

enum err store_bounce_add(struct store *s, const char *profile, const char *message, int64_t now_s,
                          unsigned *in_span_out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    int64_t n = 0;
    enum err e = sql_begin(db);

    if (e)
        return e;
    e = bounce_write(db, profile, message, now_s);
    e = e ? e
          : sql_one(db, &n,
                    "SELECT count(*) FROM bounce WHERE profile = ?1 AND at_s >"
                    " coalesce((SELECT at_s FROM suspension WHERE profile = ?1), 0)",
                    "t", profile);
    e = sql_end(db, e);
    if (!e)
        *in_span_out = (unsigned)n;
    return e;
}

enum err store_suspension_set(struct store *s, const struct store_suspension *suspension)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    enum err e = sql_begin(db);

    if (e)
        return e;
    e = sql_run(db, "INSERT OR REPLACE INTO suspension (profile, at_s, bounces) VALUES (?, ?, ?)",
                "tii", suspension->profile, suspension->at_s, (int64_t)suspension->bounces);
    return sql_end(db, e);
}

enum err store_suspension_clear(struct store *s, const char *profile)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    enum err e = sql_begin(db);

    if (e)
        return e;
    e = sql_run(db, "DELETE FROM suspension WHERE profile = ?", "t", profile);
    /* what led to it counts no more */
    e = e ? e : sql_run(db, "DELETE FROM bounce WHERE profile = ?", "t", profile);
    return sql_end(db, e);
}

/* The first behind a profile's id. */
static enum err suspension_next(struct store *s, const char *after, struct store_suspension *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st,
                           "SELECT profile, at_s, bounces FROM suspension WHERE profile > ?"
                           " ORDER BY profile LIMIT 1",
                           "t", after);

    e = e ? e : sql_step(db, st);
    e = e ? e : sql_text(st, 0, out->profile, sizeof out->profile);
    if (e)
        return e;
    out->at_s = sqlite3_column_int64(st, 1);
    out->bounces = (unsigned)sqlite3_column_int64(st, 2);
    return ERR_OK;
}

enum err store_suspension_each(struct store *s, store_suspension_fn fn, void *ctx)
{
    struct store_suspension at = {.profile = ""};
    enum err e = ERR_OK;

    while (!e) {
        id_text after;

        memcpy(after, at.profile, sizeof after);
        e = suspension_next(s, after, &at);
        e = e ? e : fn(ctx, &at);
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err store_suspension_get(struct store *s, const char *profile, struct store_suspension *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e =
        sql_query(db, &st, "SELECT at_s, bounces FROM suspension WHERE profile = ?", "t", profile);

    e = e ? e : sql_step(db, st);
    if (e)
        return e;
    *out = (struct store_suspension){.at_s = sqlite3_column_int64(st, 0),
                                     .bounces = (unsigned)sqlite3_column_int64(st, 1)};
    memcpy(out->profile, profile, strnlen(profile, sizeof out->profile - 1));
    return ERR_OK;
}

static enum err told_write(struct sql *db, struct bytes look, const char *message, unsigned limit,
                           int64_t now_s)
{
    int64_t known = 0;
    int64_t n = 0;
    enum err e = sql_run(db, "DELETE FROM told WHERE at_s < ?", "i", now_s - STORE_TOLD_SPAN_S);

    e = e ? e
          : sql_one(db, &known, "SELECT count(*) FROM told WHERE look = ? AND id = ?", "bt", look,
                    message);
    e = e ? e : sql_one(db, &n, "SELECT count(*) FROM told WHERE look = ?", "b", look);
    if (e || known)
        return e;
    if (n >= (int64_t)limit)
        return ERR_LIMIT;
    return sql_run(db, "INSERT INTO told (look, id, at_s) VALUES (?, ?, ?)", "bti", look, message,
                   now_s);
}

enum err store_told_add(struct store *s, const char *address, const char *message, unsigned limit,
                        int64_t now_s)
{
    uint8_t look[LOOK_LEN];
    enum err e = store_keys(s);

    e = e ? e : store_look(s, TOLD_OWNER, address, look);
    if (e)
        return e;

    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);

    e = sql_begin(db);
    if (e)
        return e;
    return sql_end(db, told_write(db, (struct bytes){look, sizeof look}, message, limit, now_s));
}
