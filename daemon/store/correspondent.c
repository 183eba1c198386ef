/* SPDX-License-Identifier: GPL-3.0-or-later */
/* correspondent.c - who writes to an alias, under which permanent reverse address.
 *
 * The sealed address is tied to its alias and its reverse address: rows that were changed or
 * exchanged in the database do not open, so no reply goes to another person. */
#include "daemon/store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CORRESPONDENT_COLUMNS "id, alias, reverse, address, created_s, last_seen_s, messages"

/* "alias reverse" */
typedef char tie_text[HSM_ADDRESS_MAX + 24];

static void tie_make(int64_t alias, const char *reverse, tie_text out)
{
    (void)snprintf(out, sizeof(tie_text), "%" PRId64 " %s", alias, reverse);
}

static enum err correspondent_look(struct store *s, int64_t alias, const char *address,
                                   uint8_t out[LOOK_LEN])
{
    char owner[40];

    (void)snprintf(owner, sizeof owner, "alias %" PRId64, alias);
    return store_look(s, owner, address, out);
}

static enum err correspondent_read(struct store *s, sqlite3_stmt *st,
                                   struct store_correspondent *out)
{
    struct store_correspondent c = {.id = sqlite3_column_int64(st, 0),
                                    .alias = sqlite3_column_int64(st, 1),
                                    .created_s = sqlite3_column_int64(st, 4),
                                    .last_seen_s = sqlite3_column_int64(st, 5),
                                    .messages = (uint64_t)sqlite3_column_int64(st, 6)};
    tie_text tie;
    struct seal_place place = {"correspondent.address", c.id, tie};
    enum err e = sql_text(st, 2, c.reverse, sizeof c.reverse);

    if (e)
        return e;
    tie_make(c.alias, c.reverse, tie);
    e = store_unseal(s, &place, sql_blob(st, 3), c.address, sizeof c.address);
    if (!e)
        *out = c;
    return e;
}

/* The look-up value is not under the seal of its row: what was found must be what was asked for. */
static enum err correspondent_find(struct store *s, struct sql *db, int64_t alias,
                                   const char *address, const uint8_t look[LOOK_LEN],
                                   struct store_correspondent *out)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(
        db, &st, "SELECT " CORRESPONDENT_COLUMNS " FROM correspondent WHERE alias = ? AND look = ?",
        "ib", alias, (struct bytes){look, LOOK_LEN});

    e = e ? e : sql_step(db, st);
    e = e ? e : correspondent_read(s, st, out);
    if (!e && strcmp(out->address, address) != 0) {
        *out = (struct store_correspondent){0};
        e = err_note(ERR_TAMPERED, "correspondent", "found under another's look-up value");
    }
    return e;
}

enum err store_correspondent_find(struct store *s, int64_t alias, const char *address,
                                  struct store_correspondent *out)
{
    uint8_t look[LOOK_LEN];
    address_text folded;
    enum err e = form_lower_domain(address, folded);

    if (e)
        return ERR_NOT_FOUND;
    e = store_keys(s);
    e = e ? e : correspondent_look(s, alias, folded, look);
    if (e)
        return e;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    return correspondent_find(s, db, alias, folded, look, out);
}

enum err store_correspondent_by_reverse(struct store *s, const char *reverse,
                                        struct store_correspondent *out)
{
    address_text folded;
    enum err e = form_lower(reverse, folded);

    if (e || !form_is_reverse(folded))
        return ERR_NOT_FOUND;
    e = store_keys(s);
    if (e)
        return e;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    e = sql_query(db, &st, "SELECT " CORRESPONDENT_COLUMNS " FROM correspondent WHERE reverse = ?",
                  "t", folded);
    e = e ? e : sql_step(db, st);
    return e ? e : correspondent_read(s, st, out);
}

static enum err correspondent_insert(struct store *s, struct sql *db, const uint8_t look[LOOK_LEN],
                                     struct store_correspondent *c)
{
    CLEANUP(buf_clear) struct buf sealed = {0};
    tie_text tie;
    struct seal_place place = {"correspondent.address", 0, tie};
    enum err e = sql_run(db,
                         "INSERT INTO correspondent (alias, look, reverse, address, created_s,"
                         " last_seen_s, messages) VALUES (?, ?, ?, x'', ?, ?, 0)",
                         "ibtii", c->alias, (struct bytes){look, LOOK_LEN}, c->reverse,
                         c->created_s, c->last_seen_s);

    if (e)
        return e;
    c->id = place.row = sql_row_id(db);
    tie_make(c->alias, c->reverse, tie);
    e = store_seal(s, &place, c->address, &sealed);
    return e ? e
             : sql_run(db, "UPDATE correspondent SET address = ? WHERE id = ?", "bi",
                       buf_bytes(&sealed), c->id);
}

/* A refused insert: another thread's row of the same address, or no alias, or a reverse address
 * that is in use for somebody else, which the key service never makes. */
static enum err correspondent_conflict(struct store *s, struct sql *db,
                                       const uint8_t look[LOOK_LEN],
                                       const struct store_correspondent *wanted,
                                       struct store_correspondent *out)
{
    int64_t alias = 0;
    enum err e = correspondent_find(s, db, wanted->alias, wanted->address, look, out);

    if (!e)
        return ERR_EXISTS;
    if (e != ERR_NOT_FOUND)
        return e;
    e = sql_one(db, &alias, "SELECT id FROM alias WHERE id = ?", "i", wanted->alias);
    err_note_clear();
    return e ? e : err_note(ERR_TAMPERED, "correspondent", "reverse address is in use");
}

enum err store_correspondent_add(struct store *s, int64_t alias, const char *address,
                                 const char *reverse, int64_t now_s,
                                 struct store_correspondent *out)
{
    struct store_correspondent c = {.alias = alias, .created_s = now_s, .last_seen_s = now_s};
    uint8_t look[LOOK_LEN];
    enum err e = form_lower_domain(address, c.address);

    e = e ? e : form_lower(reverse, c.reverse);
    if (!e && !form_is_reverse(c.reverse))
        e = err_note(ERR_FORMAT, "correspondent", "not a reverse address");
    e = e ? e : store_keys(s);
    e = e ? e : correspondent_look(s, alias, c.address, look);
    if (e)
        return e;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    e = sql_begin(db);
    e = e ? e : sql_end(db, correspondent_insert(s, db, look, &c));
    if (e == ERR_EXISTS)
        return correspondent_conflict(s, db, look, &c, out);
    if (!e)
        *out = c;
    return e;
}

/* A count is not worth a sync a message: the next synced commit carries it. */
enum err store_correspondent_seen(struct store *s, int64_t id, int64_t now_s)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    enum err e = sql_quick(db, true);
    enum err again;

    e = e ? e
          : sql_run(db,
                    "UPDATE correspondent SET last_seen_s = ?, messages = messages + 1"
                    " WHERE id = ?",
                    "ii", now_s, id);
    if (!e && sql_changes(db) == 0)
        e = ERR_NOT_FOUND;
    again = sql_quick(db, false);
    return e ? e : again;
}

static enum err correspondent_next(struct store *s, int64_t alias, int64_t after,
                                   struct store_correspondent *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st,
                           "SELECT " CORRESPONDENT_COLUMNS
                           " FROM correspondent WHERE alias = ? AND id > ? ORDER BY id LIMIT 1",
                           "ii", alias, after);

    e = e ? e : sql_step(db, st);
    return e ? e : correspondent_read(s, st, out);
}

enum err store_correspondent_each(struct store *s, int64_t alias, store_correspondent_fn fn,
                                  void *ctx)
{
    struct store_correspondent c = {0};
    enum err e = store_keys(s);

    while (!e) {
        e = correspondent_next(s, alias, c.id, &c);
        if (e)
            return e == ERR_NOT_FOUND ? ERR_OK : e;
        e = fn(ctx, &c);
    }
    return e;
}
