/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store.c - the SQLite file of records. Callers save one at a time. */
#include "hsm/record/store.h"

#include "daemon/base/failpoint.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_VERSION 1
#define BUSY_MS        2000

struct record_store {
    sqlite3 *db;
    struct token *token;
    struct journal *journal;
    struct journal_index *index;
};

static enum err db_error(sqlite3 *db, const char *action)
{
    int code = sqlite3_errcode(db);

    return err_note(code == SQLITE_FULL ? ERR_NOSPACE : ERR_IO, action, "%s", sqlite3_errmsg(db));
}

static void stmt_done(sqlite3_stmt **s)
{
    (void)sqlite3_finalize(*s);
}

static enum err schema_make(sqlite3 *db)
{
    CLEANUP(stmt_done) sqlite3_stmt *ask = NULL;
    int version;

    if (sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", NULL, NULL, NULL) ||
        sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &ask, NULL) ||
        sqlite3_step(ask) != SQLITE_ROW)
        return db_error(db, "records.db");
    version = sqlite3_column_int(ask, 0);
    if (version > SCHEMA_VERSION)
        return err_note(ERR_CONFIG, "records.db", "schema %d is newer than this program", version);
    (void)sqlite3_reset(ask);
    if (version == 0 &&
        sqlite3_exec(db,
                     "BEGIN;"
                     "CREATE TABLE record(profile TEXT NOT NULL, version INTEGER NOT NULL,"
                     " text BLOB NOT NULL, mac BLOB NOT NULL, PRIMARY KEY(profile, version))"
                     " WITHOUT ROWID;"
                     "PRAGMA user_version=1;"
                     "COMMIT;",
                     NULL, NULL, NULL))
        return db_error(db, "records.db");
    return ERR_OK;
}

enum err record_store_open(const char *dir, struct token *token, struct journal *journal,
                           struct journal_index *index, struct record_store **out)
{
    CLEANUP(buf_clear) struct buf path = {0};
    struct record_store *s = calloc(1, sizeof *s);
    enum err e = ERR_OK;

    buf_printf(&path, "%s/records.db", dir);
    if (!s || buf_error(&path)) {
        free(s);
        return ERR_NOMEM;
    }
    *s = (struct record_store){.token = token, .journal = journal, .index = index};
    if (sqlite3_open_v2(buf_str(&path), &s->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL))
        e = err_note(ERR_IO, "records.db", "%s", s->db ? sqlite3_errmsg(s->db) : "no memory");
    if (!e) {
        (void)sqlite3_busy_timeout(s->db, BUSY_MS);
        e = schema_make(s->db);
    }
    if (e)
        record_store_close(s);
    else
        *out = s;
    return e;
}

void record_store_close(struct record_store *s)
{
    if (!s)
        return;
    (void)sqlite3_close(s->db);
    free(s);
}

/* One row's text and HMAC. Errors: ERR_NOT_FOUND. */
static enum err row_read(struct record_store *s, const char *profile, uint64_t version,
                         struct buf *text, struct buf *mac)
{
    CLEANUP(stmt_done) sqlite3_stmt *q = NULL;
    int step;

    if (sqlite3_prepare_v2(s->db, "SELECT text, mac FROM record WHERE profile=? AND version=?", -1,
                           &q, NULL) ||
        sqlite3_bind_text(q, 1, profile, -1, SQLITE_STATIC) ||
        sqlite3_bind_int64(q, 2, (int64_t)version))
        return db_error(s->db, "record");
    step = sqlite3_step(q);
    if (step == SQLITE_DONE)
        return ERR_NOT_FOUND;
    if (step != SQLITE_ROW)
        return db_error(s->db, "record");
    buf_append(text, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
    buf_append(mac, sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1));
    return buf_error(text) ? ERR_NOMEM : buf_error(mac);
}

static enum err tampered(const char *profile, const char *what)
{
    return err_note(ERR_TAMPERED, "record", "%s: %s", profile, what);
}

/* The row of that version must be there, be what the journal names, and carry our HMAC. */
static enum err row_check(struct record_store *s, const struct index_profile *known,
                          struct buf *text)
{
    CLEANUP(buf_clear) struct buf mac = {0};
    journal_hash hash;
    uint8_t ours[32];
    enum err e = row_read(s, known->profile, known->version, text, &mac);

    if (e == ERR_NOT_FOUND)
        return tampered(known->profile, "the version last journalled is gone");
    if (e)
        return e;
    journal_hash_of(buf_bytes(text), hash);
    if (strcmp(hash, known->record) != 0)
        return tampered(known->profile, "not the record last journalled");
    e = token_hmac(s->token, "record", buf_bytes(text), ours);
    if (!e && (mac.len != sizeof ours || CRYPTO_memcmp(mac.data, ours, sizeof ours) != 0))
        e = tampered(known->profile, "not authentic");
    return e;
}

/* Every row of the profile but the one that counts. */
static enum err rows_prune(struct record_store *s, const char *profile, uint64_t keep)
{
    CLEANUP(stmt_done) sqlite3_stmt *q = NULL;

    if (sqlite3_prepare_v2(s->db, "DELETE FROM record WHERE profile=? AND version<>?", -1, &q,
                           NULL) ||
        sqlite3_bind_text(q, 1, profile, -1, SQLITE_STATIC) ||
        sqlite3_bind_int64(q, 2, (int64_t)keep) || sqlite3_step(q) != SQLITE_DONE)
        return db_error(s->db, "record");
    return ERR_OK;
}

enum err record_load(struct record_store *s, const struct index_profile *known, struct record **out)
{
    CLEANUP(buf_clear) struct buf text = {0};
    struct record *r = NULL;
    enum err e;

    if (known->version == 0) {
        e = rows_prune(s, known->profile, 0);
        return e ? e : ERR_NOT_FOUND;
    }
    e = row_check(s, known, &text);
    if (!e)
        e = record_read(buf_bytes(&text), &r);
    if (!e && (strcmp(r->profile, known->profile) != 0 || strcmp(r->user, known->user) != 0 ||
               (uint64_t)r->version != known->version))
        e = tampered(known->profile, "names another profile, user or version");
    if (!e)
        e = rows_prune(s, known->profile, known->version);
    if (e) {
        record_unref(r);
        return e == ERR_FORMAT ? tampered(known->profile, "malformed") : e;
    }
    *out = r;
    return ERR_OK;
}

static enum err row_write(struct record_store *s, const struct record *r, const struct buf *text,
                          const uint8_t mac[32])
{
    CLEANUP(stmt_done) sqlite3_stmt *q = NULL;

    if (failpoint("record.row"))
        return err_note(ERR_IO, "record", "fail point");
    if (sqlite3_prepare_v2(s->db,
                           "INSERT OR REPLACE INTO record(profile, version, text, mac)"
                           " VALUES(?, ?, ?, ?)",
                           -1, &q, NULL) ||
        sqlite3_bind_text(q, 1, r->profile, -1, SQLITE_STATIC) ||
        sqlite3_bind_int64(q, 2, r->version) ||
        sqlite3_bind_blob64(q, 3, text->data, text->len, SQLITE_STATIC) ||
        sqlite3_bind_blob64(q, 4, mac, 32, SQLITE_STATIC) || sqlite3_step(q) != SQLITE_DONE)
        return db_error(s->db, "record");
    return ERR_OK;
}

/* What is replaced must be what was read: a row altered under us is noticed before it is lost. */
static enum err before_check(struct record_store *s, const struct record *before)
{
    CLEANUP(buf_clear) struct buf text = {0};
    struct index_profile known;

    if (!before)
        return ERR_OK;
    if (!journal_index_profile(s->index, before->profile, &known) ||
        known.version != (uint64_t)before->version)
        return err_note(ERR_BUG, "record", "saving over a version that does not count");
    return row_check(s, &known, &text);
}

enum err record_save(struct record_store *s, int64_t now_s, const struct record *before,
                     struct record *next)
{
    CLEANUP(buf_clear) struct buf text = {0};
    journal_hash hash;
    uint8_t mac[32];
    enum err e = before_check(s, before);

    if (e)
        return e;
    next->version = before ? before->version + 1 : 1;
    e = record_write(next, &text);
    if (!e)
        e = token_hmac(s->token, "record", buf_bytes(&text), mac);
    if (!e)
        e = row_write(s, next, &text, mac);
    if (e)
        return e;
    journal_hash_of(buf_bytes(&text), hash);
    if (failpoint("record.journal"))
        return err_note(ERR_IO, "record", "fail point");
    e = journal_append(s->journal, now_s, "record", next->profile,
                       "version=%" PRId64 " state=%s sha256=%s", next->version,
                       profile_state_name(next->state), hash);
    /* The record counts from here on; rows left over do no harm. */
    if (!e && rows_prune(s, next->profile, (uint64_t)next->version))
        err_note_clear();
    return e;
}
