/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store.c - opening the store, its schema, and the key it takes from the token.
 *
 * What is in clear here: users' names, aliases, reverse aliases, times. Mailboxes and
 * correspondents are sealed, and found by an HMAC that differs for each owner, so that equal
 * addresses of two aliases do not look equal. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/store/aead.h"
#include "daemon/store/internal.h"

#include <stdlib.h>
#include <string.h>

#define AWAY_MEMORY_MS 1000

static const char *const store_steps[STORE_SCHEMA] = {
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE user (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE,"
    "  created_s INTEGER NOT NULL) STRICT;"
    "CREATE TABLE mailbox (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  user TEXT NOT NULL REFERENCES user ON DELETE CASCADE, look BLOB NOT NULL,"
    "  address BLOB NOT NULL, UNIQUE (user, look)) STRICT;"
    "CREATE TABLE alias (id INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT NOT NULL UNIQUE,"
    "  user TEXT NOT NULL REFERENCES user ON DELETE CASCADE,"
    "  mailbox INTEGER NOT NULL REFERENCES mailbox, catch_all INTEGER NOT NULL,"
    "  made_by_catch_all INTEGER NOT NULL, created_s INTEGER NOT NULL) STRICT;"
    "CREATE INDEX alias_of_user ON alias (user, made_by_catch_all, created_s);"
    "CREATE TABLE removed_alias (address TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"
    "CREATE TABLE correspondent (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  alias INTEGER NOT NULL REFERENCES alias ON DELETE CASCADE, look BLOB NOT NULL,"
    "  reverse TEXT NOT NULL UNIQUE, address BLOB NOT NULL, created_s INTEGER NOT NULL,"
    "  last_seen_s INTEGER NOT NULL, messages INTEGER NOT NULL, UNIQUE (alias, look)) STRICT;"
    "CREATE TABLE sender_key (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  correspondent INTEGER NOT NULL REFERENCES correspondent ON DELETE CASCADE,"
    "  profile TEXT NOT NULL, not_after_s INTEGER NOT NULL, cert BLOB NOT NULL,"
    "  blob BLOB NOT NULL) STRICT;"
    "CREATE INDEX sender_key_of ON sender_key (correspondent, profile);"
    "CREATE INDEX sender_key_profile ON sender_key (profile);"
    "CREATE TABLE notice_key (profile TEXT PRIMARY KEY, reverse TEXT NOT NULL, cert BLOB NOT NULL,"
    "  blob BLOB NOT NULL) STRICT;",
    "CREATE TABLE sender_policy (profile TEXT PRIMARY KEY, failing TEXT NOT NULL,"
    "  spam TEXT NOT NULL, unchecked TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    "CREATE TABLE bounce (profile TEXT NOT NULL, id TEXT NOT NULL, at_s INTEGER NOT NULL,"
    "  PRIMARY KEY (profile, id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE suspension (profile TEXT PRIMARY KEY, at_s INTEGER NOT NULL,"
    "  bounces INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE told (look BLOB NOT NULL, id TEXT NOT NULL, at_s INTEGER NOT NULL,"
    "  PRIMARY KEY (look, id)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE reply_policy (profile TEXT PRIMARY KEY, pass TEXT NOT NULL,"
    "  signature TEXT NOT NULL, plain TEXT NOT NULL, onward TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE reply_claim (blob BLOB NOT NULL, reverse TEXT NOT NULL, envelope BLOB NOT NULL,"
    "  message_id BLOB NOT NULL, run TEXT NOT NULL, entry TEXT NOT NULL, done INTEGER NOT NULL,"
    "  at_s INTEGER NOT NULL, PRIMARY KEY (blob, reverse)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX reply_claim_age ON reply_claim (at_s);"
    "CREATE TABLE reply_failure (reverse TEXT NOT NULL, hour INTEGER NOT NULL,"
    "  n INTEGER NOT NULL, PRIMARY KEY (reverse, hour)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE thread (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  alias INTEGER NOT NULL REFERENCES alias ON DELETE CASCADE, own_look BLOB NOT NULL,"
    "  outer_look BLOB NOT NULL, own BLOB NOT NULL, outer BLOB NOT NULL, at_s INTEGER NOT NULL,"
    "  UNIQUE (alias, own_look)) STRICT;"
    "CREATE UNIQUE INDEX thread_outer ON thread (alias, outer_look);",
    "CREATE TABLE correspondent_cert (correspondent INTEGER PRIMARY KEY"
    "  REFERENCES correspondent ON DELETE CASCADE, sealed BLOB NOT NULL) STRICT;"
    "CREATE TABLE greeting (user TEXT PRIMARY KEY REFERENCES user ON DELETE CASCADE,"
    "  profile TEXT NOT NULL, entry TEXT NOT NULL, sent INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    "CREATE TABLE alias_cert (alias INTEGER NOT NULL REFERENCES alias ON DELETE CASCADE,"
    "  profile TEXT NOT NULL, cert BLOB NOT NULL, PRIMARY KEY (alias, profile)) STRICT;",
    "ALTER TABLE reply_claim DROP COLUMN message_id;",
};

static const struct sql_schema store_schema = {
    .name = "store", .application_id = 0x53524c53, .steps = store_steps, .n_steps = STORE_SCHEMA};

/* A data key that is not there though sealed rows are was lost: a new one would hide that. */
static enum err data_key_make(struct store *s, struct sql *db, struct secret *key_out)
{
    CLEANUP(buf_clear) struct buf wrapped = {0};
    uint32_t generation = 0;
    int64_t users = 0;
    enum err e = sql_one(db, &users, "SELECT count(*) FROM (SELECT 1 FROM user LIMIT 1)", "");

    if (e)
        return e;
    if (users)
        return err_note(ERR_TAMPERED, "store", "the wrapped data key is missing");
    e = hsm_data_key_new(s->hsm, HSM_WRAP_STORE, key_out, &wrapped, &generation);
    if (e)
        return e;
    e = sql_run(db, "INSERT INTO meta (name, value) VALUES ('data_key', ?)", "b",
                buf_bytes(&wrapped));
    if (e)
        secret_free(key_out);
    return e;
}

static enum err data_key_get(struct store *s, struct secret *key_out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st, "SELECT value FROM meta WHERE name = 'data_key'", "");

    e = e ? e : sql_step(db, st);
    if (e == ERR_NOT_FOUND)
        return data_key_make(s, db, key_out);
    return e ? e : hsm_data_key_open(s->hsm, HSM_WRAP_STORE, sql_blob(st, 0), key_out);
}

/* keys: the data key itself, the sealing key, the look-up key */
static enum err keys_derive(struct store *s, const struct secret *data_key)
{
    enum err e;

    if (data_key->len != HSM_DATA_KEY_LEN)
        return err_note(ERR_TAMPERED, "store", "data key of %zu bytes", data_key->len);
    e = secret_new((size_t)3 * AEAD_KEY_LEN, &s->keys);
    if (e)
        return e;
    memcpy(s->keys.data, data_key->data, AEAD_KEY_LEN);
    e = key_derive(s->keys.data, (struct bytes){0}, "sealrelay store seal 1",
                   s->keys.data + AEAD_KEY_LEN);
    e = e ? e
          : key_derive(s->keys.data, (struct bytes){0}, "sealrelay store look-up 1",
                       s->keys.data + (size_t)2 * AEAD_KEY_LEN);
    if (e)
        secret_free(&s->keys);
    return e;
}

static enum err keys_fetch(struct store *s)
{
    CLEANUP(secret_free) struct secret data_key = {0};
    enum err e;

    if (s->last_error && clock_mono_ms() - s->last_away_ms < AWAY_MEMORY_MS)
        return err_note(s->last_error, "store data key", "the key service failed a moment ago");
    e = data_key_get(s, &data_key);
    e = e ? e : keys_derive(s, &data_key);
    s->last_error = e == ERR_HSM_AWAY || e == ERR_TIMEOUT ? e : ERR_OK;
    s->last_away_ms = clock_mono_ms();
    return e;
}

enum err store_keys(struct store *s)
{
    enum err e = ERR_OK;

    if (atomic_load_explicit(&s->has_keys, memory_order_acquire))
        return ERR_OK;
    (void)pthread_mutex_lock(&s->key_mutex);
    if (!atomic_load_explicit(&s->has_keys, memory_order_relaxed)) {
        e = keys_fetch(s);
        if (!e)
            atomic_store_explicit(&s->has_keys, true, memory_order_release);
    }
    (void)pthread_mutex_unlock(&s->key_mutex);
    return e;
}

enum err store_derived_key(struct store *s, const char *purpose, uint8_t out[32])
{
    CLEANUP(buf_clear) struct buf info = {0};
    enum err e = store_keys(s);

    buf_append_str(&info, "sealrelay store derived 1 ");
    buf_append_str(&info, purpose);
    e = e ? e : buf_error(&info);
    return e ? e : key_derive(s->keys.data, (struct bytes){0}, buf_str(&info), out);
}

static enum err store_open_files(struct store *s, const char *path)
{
    CLEANUP(buf_clear) struct buf lock = {0};
    enum err e;

    buf_append_str(&lock, path);
    buf_append_str(&lock, ".lock");
    e = buf_error(&lock);
    e = e ? e : sql_lock(buf_str(&lock), &s->lock_fd);
    e = e ? e : sql_open(path, &store_schema, &s->write);
    return e ? e : sql_open(path, &store_schema, &s->read);
}

enum err store_open(const char *path, struct hsm *hsm, struct store **out)
{
    struct store *s = calloc(1, sizeof *s);
    enum err e;

    if (!s)
        return err_note(ERR_NOMEM, "store_open", "out of memory");
    s->hsm = hsm;
    s->lock_fd = -1;
    (void)pthread_mutex_init(&s->key_mutex, NULL);
    e = id_new(s->run);
    e = e ? e : store_open_files(s, path);
    /* a key service that is not there yet is asked again by the first call that needs it */
    if (!e && store_keys(s) == ERR_TAMPERED)
        e = ERR_TAMPERED;
    if (e) {
        store_close(s);
        return e;
    }
    err_note_clear();
    *out = s;
    return ERR_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    sql_close(s->read);
    sql_close(s->write);
    fd_close(&s->lock_fd);
    secret_free(&s->keys);
    (void)pthread_mutex_destroy(&s->key_mutex);
    free(s);
}

enum err store_checkpoint(struct store *s)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);

    return sql_checkpoint(db, true);
}
