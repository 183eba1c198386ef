/* SPDX-License-Identifier: GPL-3.0-or-later */
/* greeting.c - greetings by user, over restarts. */
#include "daemon/store/greeting.h"
#include "daemon/store/internal.h"

enum err store_greeting_get(struct store *s, const char *user, struct store_greeting *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    struct store_greeting g = {0};
    enum err e =
        sql_query(db, &st, "SELECT profile, entry, sent FROM greeting WHERE user = ?", "t", user);

    e = e ? e : sql_step(db, st);
    e = e ? e : sql_text(st, 0, g.profile, sizeof g.profile);
    e = e ? e : sql_text(st, 1, g.entry, sizeof g.entry);
    if (e)
        return e;
    g.sent = sqlite3_column_int(st, 2) != 0;
    *out = g;
    return ERR_OK;
}

enum err store_greeting_set(struct store *s, const char *user, const struct store_greeting *g)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    int64_t known = 0;
    enum err e = sql_begin(db);

    if (e)
        return e;
    e = sql_one(db, &known, "SELECT count(*) FROM user WHERE id = ?", "t", user);
    if (!e && !known)
        e = ERR_NOT_FOUND;
    e = e ? e
          : sql_run(db,
                    "INSERT OR REPLACE INTO greeting (user, profile, entry, sent)"
                    " VALUES (?, ?, ?, ?)",
                    "ttti", user, g->profile, g->entry, (int64_t)g->sent);
    return sql_end(db, e);
}

enum err store_greeting_clear(struct store *s, const char *user)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    enum err e = sql_begin(db);

    return e ? e : sql_end(db, sql_run(db, "DELETE FROM greeting WHERE user = ?", "t", user));
}

enum err store_greeting_clear_profile(struct store *s, const char *profile)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    enum err e = sql_begin(db);

    return e ? e : sql_end(db, sql_run(db, "DELETE FROM greeting WHERE profile = ?", "t", profile));
}
