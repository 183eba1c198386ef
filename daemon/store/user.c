/* SPDX-License-Identifier: GPL-3.0-or-later */
/* user.c - users and their mailboxes. A mailbox's address is sealed and tied to its user. */
#include "daemon/store/internal.h"

#include <stdlib.h>
#include <string.h>

#define MAILBOXES_MAX 64 /* a user */

void store_user_clear(struct store_user *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->n_mailboxes; i++)
        free(u->mailboxes[i]);
    free(u->mailboxes);
    *u = (struct store_user){0};
}

/* The row comes first: its number is part of what the sealed value is tied to. */
static enum err mailbox_insert(struct store *s, struct sql *db, const char *user,
                               const char *address)
{
    CLEANUP(buf_clear) struct buf sealed = {0};
    struct seal_place place = {"mailbox.address", 0, user};
    uint8_t look[LOOK_LEN];
    enum err e = store_look(s, user, address, look);

    e = e ? e
          : sql_run(db, "INSERT INTO mailbox (user, look, address) VALUES (?, ?, x'')", "tb", user,
                    (struct bytes){look, sizeof look});
    if (e == ERR_EXISTS)
        return err_note(ERR_FORMAT, "mailbox", "named twice");
    place.row = e ? 0 : sql_row_id(db);
    e = e ? e : store_seal(s, &place, address, &sealed);
    return e ? e
             : sql_run(db, "UPDATE mailbox SET address = ? WHERE id = ?", "bi", buf_bytes(&sealed),
                       place.row);
}

static enum err user_insert(struct store *s, struct sql *db, const struct store_user *u)
{
    enum err e = sql_run(db, "INSERT INTO user (id, name, created_s) VALUES (?, ?, ?)", "tti",
                         u->user, u->name, u->created_s);

    for (size_t i = 0; !e && i < u->n_mailboxes; i++)
        e = mailbox_insert(s, db, u->user, u->mailboxes[i]);
    return e;
}

static enum err mailbox_push(struct store_user *u, const char *address)
{
    char **grown = realloc(u->mailboxes, (u->n_mailboxes + 1) * sizeof *grown);
    char *copy = strdup(address);

    if (grown)
        u->mailboxes = grown;
    if (!grown || !copy) {
        free(copy);
        return err_note(ERR_NOMEM, "mailbox", "out of memory");
    }
    u->mailboxes[u->n_mailboxes++] = copy;
    return ERR_OK;
}

static enum err mailbox_check(struct store_user *u, const char *address)
{
    address_text folded;
    enum err e = form_lower(address, folded);

    if (!e && (!form_is_address(folded) || form_is_reserved(folded)))
        e = err_note(ERR_FORMAT, "mailbox", "not an address that can be a mailbox");
    return e ? e : mailbox_push(u, folded);
}

static enum err user_add(struct store *s, const struct store_user *u)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    enum err e = sql_begin(db);

    return e ? e : sql_end(db, user_insert(s, db, u));
}

enum err store_user_add(struct store *s, const char *name, const char *const *mailboxes,
                        size_t n_mailboxes, int64_t now_s, id_text user_out)
{
    struct store_user u = {.created_s = now_s};
    enum err e = ERR_OK;

    if (!form_is_name(name) || n_mailboxes == 0 || n_mailboxes > MAILBOXES_MAX)
        return err_note(ERR_FORMAT, "user", "a name of 1 to 64 bytes and 1 to 64 mailboxes");
    memcpy(u.name, name, strlen(name) + 1);
    for (size_t i = 0; !e && i < n_mailboxes; i++)
        e = mailbox_check(&u, mailboxes[i]);
    e = e ? e : id_new(u.user);
    e = e ? e : store_keys(s);
    e = e ? e : user_add(s, &u);
    if (!e)
        memcpy(user_out, u.user, sizeof u.user);
    store_user_clear(&u);
    return e;
}

enum err store_user_id(struct sql *db, const char *name_or_id, id_text out)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e =
        sql_query(db, &st, "SELECT id FROM user WHERE id = ?1 OR name = ?1", "t", name_or_id);

    e = e ? e : sql_step(db, st);
    return e ? e : sql_text(st, 0, out, sizeof(id_text));
}

enum err store_mailbox_get(struct store *s, struct sql *db, int64_t mailbox, const char *user,
                           address_text out)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    struct seal_place place = {"mailbox.address", mailbox, user};
    enum err e = sql_query(db, &st, "SELECT address FROM mailbox WHERE id = ?", "i", mailbox);

    e = e ? e : sql_step(db, st);
    if (e == ERR_NOT_FOUND)
        return err_note(ERR_TAMPERED, "mailbox", "row %lld is missing", (long long)mailbox);
    return e ? e : store_unseal(s, &place, sql_blob(st, 0), out, sizeof(address_text));
}

static enum err user_mailboxes(struct store *s, struct sql *db, struct store_user *u)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st, "SELECT id, address FROM mailbox WHERE user = ? ORDER BY id",
                           "t", u->user);

    while (!e) {
        address_text address;

        e = sql_step(db, st);
        if (e)
            break;
        struct seal_place place = {"mailbox.address", sqlite3_column_int64(st, 0), u->user};
        e = store_unseal(s, &place, sql_blob(st, 1), address, sizeof address);
        e = e ? e : mailbox_push(u, address);
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* The user of a row of (id, name, created_s), with mailboxes. */
static enum err user_read(struct store *s, struct sql *db, sqlite3_stmt *st, struct store_user *out)
{
    struct store_user u = {.created_s = sqlite3_column_int64(st, 2)};
    enum err e = sql_text(st, 0, u.user, sizeof u.user);

    e = e ? e : sql_text(st, 1, u.name, sizeof u.name);
    e = e ? e : user_mailboxes(s, db, &u);
    if (e)
        store_user_clear(&u);
    else
        *out = u;
    return e;
}

enum err store_user_find(struct store *s, const char *name_or_id, struct store_user *out)
{
    enum err e = store_keys(s);

    if (e)
        return e;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    e = sql_query(db, &st, "SELECT id, name, created_s FROM user WHERE id = ?1 OR name = ?1", "t",
                  name_or_id);
    e = e ? e : sql_step(db, st);
    return e ? e : user_read(s, db, st, out);
}

static enum err user_next(struct store *s, const char *after, struct store_user *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(
        db, &st,
        "SELECT id, name, created_s FROM user WHERE name > ? COLLATE NOCASE ORDER BY name LIMIT 1",
        "t", after);

    e = e ? e : sql_step(db, st);
    return e ? e : user_read(s, db, st, out);
}

enum err store_user_each(struct store *s, store_user_fn fn, void *ctx)
{
    char after[65] = "";
    enum err e = store_keys(s);

    while (!e) {
        CLEANUP(store_user_clear) struct store_user u = {0};

        e = user_next(s, after, &u);
        if (e)
            return e == ERR_NOT_FOUND ? ERR_OK : e;
        memcpy(after, u.name, sizeof after);
        e = fn(ctx, &u);
    }
    return e;
}
