/* SPDX-License-Identifier: GPL-3.0-or-later */
/* thread.c - pairs of Message-IDs, each sealed and found by its HMAC. */
#include "daemon/store/thread.h"
#include "daemon/store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Which of the two names; they are looked up apart, so that neither passes for the other. */
enum side { SIDE_OWN, SIDE_OUTER };

static enum err id_look(struct store *s, int64_t alias, enum side side, const char *id,
                        uint8_t out[LOOK_LEN])
{
    char owner[48];

    (void)snprintf(owner, sizeof owner, "%s message of alias %" PRId64,
                   side == SIDE_OWN ? "own" : "outer", alias);
    return store_look(s, owner, id, out);
}

static bool is_usable(const char *id)
{
    size_t len = strlen(id);

    if (len < 3 || len > STORE_MESSAGE_ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)id[i] <= 0x20 || (uint8_t)id[i] == 0x7f)
            return false;
    return true;
}

/* The other name of the message that the row found under look is about. */
static enum err pair_read(struct store *s, struct sql *db, int64_t alias, enum side wanted,
                          const uint8_t look[LOOK_LEN], message_id_text out)
{
    static const char by_own[] = "SELECT id, outer FROM thread WHERE alias = ? AND own_look = ?";
    static const char by_outer[] = "SELECT id, own FROM thread WHERE alias = ? AND outer_look = ?";
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    char tie[24];
    struct seal_place place = {wanted == SIDE_OUTER ? "thread.outer" : "thread.own", 0, tie};
    enum err e = sql_query(db, &st, wanted == SIDE_OUTER ? by_own : by_outer, "ib", alias,
                           (struct bytes){look, LOOK_LEN});

    e = e ? e : sql_step(db, st);
    if (e)
        return e;
    place.row = sqlite3_column_int64(st, 0);
    (void)snprintf(tie, sizeof tie, "%" PRId64, alias);
    return store_unseal(s, &place, sql_blob(st, 1), out, sizeof(message_id_text));
}

static enum err pair_find(struct store *s, int64_t alias, enum side wanted, const char *id,
                          message_id_text out)
{
    uint8_t look[LOOK_LEN];
    enum err e;

    if (!is_usable(id))
        return ERR_NOT_FOUND;
    e = store_keys(s);
    e = e ? e : id_look(s, alias, wanted == SIDE_OUTER ? SIDE_OWN : SIDE_OUTER, id, look);
    if (e)
        return e;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    return pair_read(s, db, alias, wanted, look, out);
}

enum err store_thread_outer(struct store *s, int64_t alias, const char *own, message_id_text out)
{
    return pair_find(s, alias, SIDE_OUTER, own, out);
}

enum err store_thread_own(struct store *s, int64_t alias, const char *outer, message_id_text out)
{
    return pair_find(s, alias, SIDE_OWN, outer, out);
}

/* The next alias of the same user, behind after. */
static enum err alias_next(struct store *s, int64_t alias, int64_t after, int64_t *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);

    return sql_one(db, out,
                   "SELECT other.id FROM alias JOIN alias AS other USING (user)"
                   " WHERE alias.id = ?1 AND other.id != ?1 AND other.id > ?2"
                   " ORDER BY other.id LIMIT 1",
                   "ii", alias, after);
}

enum err store_thread_elsewhere(struct store *s, int64_t alias, const char *own, bool *out)
{
    int64_t other = 0;
    enum err e = ERR_OK;

    *out = false;
    while (!e && !*out) {
        message_id_text outer;

        e = alias_next(s, alias, other, &other);
        if (e)
            break;
        e = pair_find(s, other, SIDE_OUTER, own, outer);
        /* one with two equal names is a stranger's */
        *out = !e && strcmp(own, outer) != 0;
        e = e == ERR_NOT_FOUND ? ERR_OK : e;
    }
    err_note_clear();
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

struct pair {
    int64_t alias;
    const char *own;
    const char *outer;
    int64_t now_s;
    uint8_t own_look[LOOK_LEN];
    uint8_t outer_look[LOOK_LEN];
};

static enum err pair_insert(struct store *s, struct sql *db, const struct pair *p)
{
    CLEANUP(buf_clear) struct buf own = {0};
    CLEANUP(buf_clear) struct buf outer = {0};
    char tie[24];
    struct seal_place place = {"thread.own", 0, tie};
    enum err e = sql_run(db,
                         "INSERT INTO thread (alias, own_look, outer_look, own, outer, at_s)"
                         " VALUES (?, ?, ?, x'', x'', ?)",
                         "ibbi", p->alias, (struct bytes){p->own_look, LOOK_LEN},
                         (struct bytes){p->outer_look, LOOK_LEN}, p->now_s);

    if (e)
        return e;
    place.row = sql_row_id(db);
    (void)snprintf(tie, sizeof tie, "%" PRId64, p->alias);
    e = store_seal(s, &place, p->own, &own);
    place.column = "thread.outer";
    e = e ? e : store_seal(s, &place, p->outer, &outer);
    return e ? e
             : sql_run(db, "UPDATE thread SET own = ?, outer = ? WHERE id = ?", "bbi",
                       buf_bytes(&own), buf_bytes(&outer), place.row);
}

/* An alias that was removed meanwhile has no threads. */
static enum err pair_write(struct store *s, struct sql *db, const struct pair *p,
                           message_id_text outer_out)
{
    int64_t alias = 0;
    enum err e = pair_read(s, db, p->alias, SIDE_OUTER, p->own_look, outer_out);

    if (e != ERR_NOT_FOUND)
        return e;
    err_note_clear();
    e = sql_one(db, &alias, "SELECT id FROM alias WHERE id = ?", "i", p->alias);
    e = e ? e : pair_insert(s, db, p);
    if (!e)
        memcpy(outer_out, p->outer, strlen(p->outer) + 1);
    return e;
}

enum err store_thread_add(struct store *s, int64_t alias, const char *own, const char *outer,
                          int64_t now_s, message_id_text outer_out)
{
    struct pair p = {.alias = alias, .own = own, .outer = outer, .now_s = now_s};
    enum err e;

    if (!is_usable(own) || !is_usable(outer))
        return err_note(ERR_FORMAT, "thread", "not a usable message id");
    e = store_keys(s);
    e = e ? e : id_look(s, alias, SIDE_OWN, own, p.own_look);
    e = e ? e : id_look(s, alias, SIDE_OUTER, outer, p.outer_look);
    if (e)
        return e;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    e = sql_begin(db);
    return e ? e : sql_end(db, pair_write(s, db, &p, outer_out));
}
