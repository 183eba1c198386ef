/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sender_key.c - the correspondents' keys: certificates in clear, keys as the key service wrapped
 * and authenticated them. Nothing here opens a key. */
#include "daemon/store/internal.h"

void store_sender_key_clear(struct store_sender_key *k)
{
    if (!k)
        return;
    buf_clear(&k->cert);
    buf_clear(&k->blob);
    k->not_after_s = 0;
}

/* The newest key older than before. */
static enum err sender_key_read(struct store *s, int64_t correspondent, const char *profile,
                                int64_t *before, struct store_sender_key *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    struct store_sender_key k = {0};
    enum err e = sql_query(db, &st,
                           "SELECT id, cert, blob, not_after_s FROM sender_key"
                           " WHERE correspondent = ? AND profile = ? AND id < ?"
                           " ORDER BY id DESC LIMIT 1",
                           "iti", correspondent, profile, *before);

    e = e ? e : sql_step(db, st);
    if (e)
        return e;
    buf_append_bytes(&k.cert, sql_blob(st, 1));
    buf_append_bytes(&k.blob, sql_blob(st, 2));
    k.not_after_s = sqlite3_column_int64(st, 3);
    e = buf_error(&k.cert);
    e = e ? e : buf_error(&k.blob);
    if (e) {
        store_sender_key_clear(&k);
        return e;
    }
    *before = sqlite3_column_int64(st, 0);
    *out = k;
    return ERR_OK;
}

enum err store_sender_key_get(struct store *s, int64_t correspondent, const char *profile,
                              struct store_sender_key *out)
{
    int64_t before = INT64_MAX;

    return sender_key_read(s, correspondent, profile, &before, out);
}

enum err store_sender_key_each(struct store *s, int64_t correspondent, const char *profile,
                               store_sender_key_fn fn, void *ctx)
{
    int64_t before = INT64_MAX;
    enum err e = ERR_OK;

    while (!e) {
        CLEANUP(store_sender_key_clear) struct store_sender_key k = {0};

        e = sender_key_read(s, correspondent, profile, &before, &k);
        if (e)
            return e == ERR_NOT_FOUND ? ERR_OK : e;
        e = fn(ctx, &k);
    }
    return e;
}

/* The profile whose newest key is older than before. */
static enum err profile_read(struct store *s, int64_t correspondent, int64_t *before, id_text out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st,
                           "SELECT profile, max(id) AS newest FROM sender_key"
                           " WHERE correspondent = ? GROUP BY profile HAVING newest < ?"
                           " ORDER BY newest DESC LIMIT 1",
                           "ii", correspondent, *before);

    e = e ? e : sql_step(db, st);
    e = e ? e : sql_text(st, 0, out, sizeof(id_text));
    if (!e)
        *before = sqlite3_column_int64(st, 1);
    return e;
}

enum err store_sender_key_profiles(struct store *s, int64_t correspondent, store_profile_fn fn,
                                   void *ctx)
{
    int64_t before = INT64_MAX;
    enum err e = ERR_OK;

    while (!e) {
        id_text profile;

        e = profile_read(s, correspondent, &before, profile);
        if (e)
            return e == ERR_NOT_FOUND ? ERR_OK : e;
        e = fn(ctx, profile);
    }
    return e;
}

enum err store_sender_key_add(struct store *s, int64_t correspondent, const char *profile,
                              const struct store_sender_key *key)
{
    CLEANUP(sql_release) struct sql *db = NULL;
    int64_t row = 0;
    enum err e;

    if (!id_is_valid(profile) || !key->cert.len || !key->blob.len)
        return err_note(ERR_FORMAT, "sender key", "profile, certificate and blob are needed");
    db = sql_hold(s->write);
    e = sql_one(db, &row, "SELECT id FROM correspondent WHERE id = ?", "i", correspondent);
    return e ? e
             : sql_run(db,
                       "INSERT INTO sender_key (correspondent, profile, not_after_s, cert, blob)"
                       " VALUES (?, ?, ?, ?, ?)",
                       "itibb", correspondent, profile, key->not_after_s, buf_bytes(&key->cert),
                       buf_bytes(&key->blob));
}

enum err store_notice_key_get(struct store *s, const char *profile, struct hsm_sender *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    struct hsm_sender key = {0};
    enum err e = sql_query(db, &st, "SELECT reverse, cert, blob FROM notice_key WHERE profile = ?",
                           "t", profile);

    e = e ? e : sql_step(db, st);
    if (e)
        return e;
    e = sql_text(st, 0, key.reverse, sizeof key.reverse);
    buf_append_bytes(&key.cert, sql_blob(st, 1));
    buf_append_bytes(&key.blob, sql_blob(st, 2));
    e = e ? e : buf_error(&key.cert);
    e = e ? e : buf_error(&key.blob);
    if (e)
        hsm_sender_clear(&key);
    else
        *out = key;
    return e;
}

enum err store_notice_key_set(struct store *s, const char *profile, const struct hsm_sender *key)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);

    return sql_run(db,
                   "INSERT OR REPLACE INTO notice_key (profile, reverse, cert, blob)"
                   " VALUES (?, ?, ?, ?)",
                   "ttbb", profile, key->reverse, buf_bytes(&key->cert), buf_bytes(&key->blob));
}

static enum err profile_forget(struct sql *db, const char *profile)
{
    enum err e = sql_run(db, "DELETE FROM sender_key WHERE profile = ?", "t", profile);

    e = e ? e : sql_run(db, "DELETE FROM notice_key WHERE profile = ?", "t", profile);
    e = e ? e : sql_run(db, "DELETE FROM alias_cert WHERE profile = ?", "t", profile);
    e = e ? e : sql_run(db, "DELETE FROM greeting WHERE profile = ?", "t", profile);
    e = e ? e : sql_run(db, "DELETE FROM sender_policy WHERE profile = ?", "t", profile);
    e = e ? e : sql_run(db, "DELETE FROM reply_policy WHERE profile = ?", "t", profile);
    e = e ? e : sql_run(db, "DELETE FROM bounce WHERE profile = ?", "t", profile);
    return e ? e : sql_run(db, "DELETE FROM suspension WHERE profile = ?", "t", profile);
}

enum err store_profile_forget(struct store *s, const char *profile)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    enum err e = sql_begin(db);

    return e ? e : sql_end(db, profile_forget(db, profile));
}
