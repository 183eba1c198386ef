/* SPDX-License-Identifier: GPL-3.0-or-later */
/* alias.c - aliases: exact ones, catch-alls of a sub-domain, and those a catch-all makes.
 *
 * An alias that was removed is not made again by its catch-all: its owner wanted it silent. */
#include "daemon/store/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S 86400

#define ALIAS_COLUMNS "id, address, user, mailbox, catch_all, made_by_catch_all, created_s"

static enum err alias_read(struct store *s, struct sql *db, sqlite3_stmt *st,
                           struct store_alias *out)
{
    struct store_alias a = {.id = sqlite3_column_int64(st, 0),
                            .catch_all = sqlite3_column_int(st, 4) != 0,
                            .made_by_catch_all = sqlite3_column_int(st, 5) != 0,
                            .created_s = sqlite3_column_int64(st, 6)};
    enum err e = sql_text(st, 1, a.address, sizeof a.address);

    e = e ? e : sql_text(st, 2, a.user, sizeof a.user);
    e = e ? e : store_mailbox_get(s, db, sqlite3_column_int64(st, 3), a.user, a.mailbox);
    if (!e)
        *out = a;
    return e;
}

/* mailbox NULL: the user's first. */
static enum err mailbox_row(struct store *s, struct sql *db, const char *user, const char *mailbox,
                            int64_t *row_out)
{
    address_text folded;
    uint8_t look[LOOK_LEN];
    enum err e;

    if (!mailbox)
        return sql_one(db, row_out, "SELECT id FROM mailbox WHERE user = ? ORDER BY id", "t", user);
    e = form_lower(mailbox, folded);
    e = e ? e : store_look(s, user, folded, look);
    return e ? e
             : sql_one(db, row_out, "SELECT id FROM mailbox WHERE user = ? AND look = ?", "tb",
                       user, (struct bytes){look, sizeof look});
}

static enum err alias_insert(struct store *s, struct sql *db, struct store_alias *a,
                             int64_t mailbox)
{
    enum err e = sql_run(db,
                         "INSERT INTO alias (address, user, mailbox, catch_all, made_by_catch_all,"
                         " created_s) VALUES (?, ?, ?, ?, ?, ?)",
                         "ttiiii", a->address, a->user, mailbox, (int64_t)a->catch_all,
                         (int64_t)a->made_by_catch_all, a->created_s);

    if (e)
        return e;
    a->id = sql_row_id(db);
    return store_mailbox_get(s, db, mailbox, a->user, a->mailbox);
}

static enum err alias_check(const char *address, struct store_alias *a)
{
    enum err e = form_lower(address, a->address);

    if (e)
        return e;
    a->catch_all = form_is_catch_all(a->address);
    if (!a->catch_all && (!form_is_address(a->address) || a->address[0] == '*'))
        return err_note(ERR_FORMAT, "alias", "not an address");
    return form_is_reserved(a->address)
               ? err_note(ERR_FORMAT, "alias", "the form of a reverse alias or return path")
               : ERR_OK;
}

static enum err alias_add(struct store *s, struct sql *db, const char *user, const char *mailbox,
                          struct store_alias *a)
{
    int64_t row = 0;
    enum err e = store_user_id(db, user, a->user);

    e = e ? e : mailbox_row(s, db, a->user, mailbox, &row);
    e = e ? e : alias_insert(s, db, a, row);
    return e ? e : sql_run(db, "DELETE FROM removed_alias WHERE address = ?", "t", a->address);
}

enum err store_alias_add(struct store *s, const char *user, const char *address,
                         const char *mailbox, int64_t now_s, struct store_alias *out)
{
    struct store_alias a = {.created_s = now_s};
    enum err e = alias_check(address, &a);

    e = e ? e : store_keys(s);
    if (e)
        return e;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    e = sql_begin(db);
    e = e ? e : sql_end(db, alias_add(s, db, user, mailbox, &a));
    if (!e)
        *out = a;
    return e;
}

/* Is there an alias under just this text? Its mailbox is opened only by alias_read. */
static enum err alias_query(struct sql *db, sqlite3_stmt **st, const char *address)
{
    enum err e =
        sql_query(db, st, "SELECT " ALIAS_COLUMNS " FROM alias WHERE address = ?", "t", address);

    return e ? e : sql_step(db, *st);
}

static enum err catch_all_query(struct sql *db, sqlite3_stmt **st, const char *address)
{
    const char *at = strrchr(address, '@');
    address_text pattern;
    int64_t gone = 0;
    enum err e;

    if (!at || !form_is_address(address) || form_is_reserved(address) ||
        snprintf(pattern, sizeof pattern, "*%s", at) >= (int)sizeof pattern)
        return ERR_NOT_FOUND;
    e = sql_one(db, &gone, "SELECT count(*) FROM removed_alias WHERE address = ?", "t", address);
    if (e || gone)
        return e ? e : ERR_NOT_FOUND;
    return alias_query(db, st, pattern);
}

/* The row an address belongs to, in two statements that both must be reset by the caller. */
static enum err alias_row(struct sql *db, const char *address, sqlite3_stmt **st)
{
    enum err e = alias_query(db, st, address);

    if (e != ERR_NOT_FOUND)
        return e;
    sql_reset(st);
    return catch_all_query(db, st, address);
}

enum err store_alias_find(struct store *s, const char *address, struct store_alias *out)
{
    address_text folded;
    enum err e = form_lower(address, folded);

    if (e || folded[0] == '*')
        return ERR_NO_ALIAS;
    {
        /* an unknown alias is known to be unknown without the token */
        CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
        CLEANUP(sql_reset) sqlite3_stmt *st = NULL;

        e = alias_row(db, folded, &st);
        if (e)
            return e == ERR_NOT_FOUND ? ERR_NO_ALIAS : e;
        if (atomic_load(&s->has_keys))
            return alias_read(s, db, st, out);
    }
    e = store_keys(s);
    return e ? e : store_alias_find(s, folded, out);
}

enum err store_alias_get(struct store *s, int64_t id, struct store_alias *out)
{
    enum err e = store_keys(s);

    if (e)
        return e;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    e = sql_query(db, &st, "SELECT " ALIAS_COLUMNS " FROM alias WHERE id = ?", "i", id);
    e = e ? e : sql_step(db, st);
    if (e)
        return e == ERR_NOT_FOUND ? ERR_NO_ALIAS : e;
    return alias_read(s, db, st, out);
}

static enum err day_limit_check(struct sql *db, const char *user, unsigned limit, int64_t now_s)
{
    int64_t made = 0;
    enum err e = sql_one(db, &made,
                         "SELECT count(*) FROM alias WHERE user = ? AND made_by_catch_all = 1"
                         " AND created_s > ? AND created_s <= ?",
                         "tii", user, now_s - DAY_S, now_s);

    if (e)
        return e;
    return made >= (int64_t)limit
               ? err_note(ERR_LIMIT, "alias", "%lld new ones in 24 h", (long long)made)
               : ERR_OK;
}

static enum err alias_materialise(struct store *s, struct sql *db, int64_t catch_all,
                                  unsigned day_limit, struct store_alias *a)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    int64_t mailbox = 0;
    enum err e = alias_query(db, &st, a->address);

    if (!e)
        return alias_read(s, db, st, a); /* another session was first */
    if (e != ERR_NOT_FOUND)
        return e;
    e = sql_one(db, &mailbox, "SELECT mailbox FROM alias WHERE id = ? AND user = ? AND catch_all",
                "it", catch_all, a->user);
    if (e)
        return e == ERR_NOT_FOUND ? ERR_NO_ALIAS : e;
    e = day_limit_check(db, a->user, day_limit, a->created_s);
    return e ? e : alias_insert(s, db, a, mailbox);
}

enum err store_alias_materialise(struct store *s, const struct store_alias *catch_all,
                                 const char *address, unsigned day_limit, int64_t now_s,
                                 struct store_alias *out)
{
    struct store_alias a = {.made_by_catch_all = true, .created_s = now_s};
    enum err e = alias_check(address, &a);
    const char *at = strrchr(a.address, '@');

    if (!e && (a.catch_all || !at || strcmp(at, catch_all->address + 1) != 0))
        e = err_note(ERR_FORMAT, "alias", "not of this catch-all");
    e = e ? e : store_keys(s);
    if (e)
        return e;
    memcpy(a.user, catch_all->user, sizeof a.user);
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    e = sql_begin(db);
    e = e ? e : sql_end(db, alias_materialise(s, db, catch_all->id, day_limit, &a));
    if (!e)
        *out = a;
    return e;
}

static enum err alias_remove(struct sql *db, const char *address)
{
    enum err e = sql_run(db, "DELETE FROM alias WHERE address = ?", "t", address);

    if (!e && sql_changes(db) == 0)
        return ERR_NOT_FOUND;
    return e || address[0] == '*'
               ? e
               : sql_run(db, "INSERT INTO removed_alias (address) VALUES (?)", "t", address);
}

enum err store_alias_remove(struct store *s, const char *address)
{
    address_text folded;
    enum err e = form_lower(address, folded);

    if (e)
        return ERR_NOT_FOUND;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    e = sql_begin(db);
    return e ? e : sql_end(db, alias_remove(db, folded));
}

static enum err alias_next(struct store *s, const char *user, const char *after,
                           struct store_alias *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st,
                           "SELECT " ALIAS_COLUMNS " FROM alias WHERE address > ?1"
                           " AND (?2 IS NULL OR user = ?2) ORDER BY address LIMIT 1",
                           "tt", after, user);

    e = e ? e : sql_step(db, st);
    return e ? e : alias_read(s, db, st, out);
}

static enum err alias_owner(struct store *s, const char *user, id_text out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);

    return store_user_id(db, user, out);
}

enum err store_alias_each(struct store *s, const char *user, store_alias_fn fn, void *ctx)
{
    struct store_alias a = {0};
    id_text owner;
    enum err e = store_keys(s);

    if (!e && user)
        e = alias_owner(s, user, owner);
    while (!e) {
        e = alias_next(s, user ? owner : NULL, a.address, &a);
        if (e)
            return e == ERR_NOT_FOUND ? ERR_OK : e;
        e = fn(ctx, &a);
    }
    return e;
}
