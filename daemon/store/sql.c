/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sql.c - statements and transactions on a connection, and SQLite's errors as ours. */
#include "daemon/store/sql_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err sql_error(struct sql *s, int rc, const char *action)
{
    const char *text = s && s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);
    int extended = s && s->db ? sqlite3_extended_errcode(s->db) : rc;
    enum err e = ERR_IO;

    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        e = ERR_BUSY;
        break;
    case SQLITE_FULL:
        e = ERR_NOSPACE;
        break;
    case SQLITE_NOMEM:
        e = ERR_NOMEM;
        break;
    case SQLITE_CONSTRAINT:
        e = ERR_EXISTS;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        e = ERR_TAMPERED;
        break;
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
        e = ERR_BUG;
        break;
    default:
        break;
    }
    return err_note(e, action, "%s (%d)", text, extended);
}

struct sql *sql_hold(struct sql *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    return s;
}

void sql_release(struct sql **s)
{
    if (*s)
        (void)pthread_mutex_unlock(&(*s)->mutex);
    *s = NULL;
}

/* The cached statement of a text, prepared at its first use. */
static enum err sql_prepared(struct sql *s, const char *text, sqlite3_stmt **out)
{
    int rc;

    for (size_t i = 0; i < s->n_cached; i++)
        if (s->cached[i].text == text) {
            *out = s->cached[i].statement;
            return ERR_OK;
        }
    if (s->n_cached == SQL_CACHE_MAX)
        return err_note(ERR_BUG, "sql_prepared", "more than %d statements", SQL_CACHE_MAX);
    rc = sqlite3_prepare_v3(s->db, text, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    if (rc != SQLITE_OK)
        return sql_error(s, rc, "sqlite3_prepare");
    s->cached[s->n_cached].text = text;
    s->cached[s->n_cached++].statement = *out;
    return ERR_OK;
}

/* an empty run of bytes is an empty blob, not NULL */
static int sql_bind_bytes(sqlite3_stmt *st, int at, struct bytes b)
{
    return b.len ? sqlite3_bind_blob64(st, at, b.data, b.len, SQLITE_STATIC)
                 : sqlite3_bind_zeroblob(st, at, 0);
}

static int sql_bind_list(sqlite3_stmt *st, const char *types, va_list args)
{
    int rc = SQLITE_OK;

    for (int i = 0; rc == SQLITE_OK && types[i]; i++) {
        if (types[i] == 'i')
            rc = sqlite3_bind_int64(st, i + 1, va_arg(args, int64_t));
        else if (types[i] == 't')
            rc = sqlite3_bind_text(st, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
        else if (types[i] == 'b')
            rc = sql_bind_bytes(st, i + 1, va_arg(args, struct bytes));
        else
            rc = SQLITE_MISUSE;
    }
    return rc;
}

static enum err sql_query_list(struct sql *s, sqlite3_stmt **out, const char *text,
                               const char *types, va_list args)
{
    sqlite3_stmt *st = NULL;
    enum err e = sql_prepared(s, text, &st);
    int rc;

    if (e)
        return e;
    rc = sql_bind_list(st, types, args);
    if (rc != SQLITE_OK) {
        e = sql_error(s, rc, "sqlite3_bind");
        sql_reset(&st);
        return e;
    }
    *out = st;
    return ERR_OK;
}

enum err sql_query(struct sql *s, sqlite3_stmt **out, const char *text, const char *types, ...)
{
    va_list args;
    enum err e;

    va_start(args, types);
    e = sql_query_list(s, out, text, types, args);
    va_end(args);
    return e;
}

enum err sql_step(struct sql *s, sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    if ((rc == SQLITE_ROW || rc == SQLITE_DONE) && !sqlite3_stmt_readonly(st))
        s->locked_ms = 0;
    if (rc == SQLITE_ROW)
        return ERR_OK;
    return rc == SQLITE_DONE ? ERR_NOT_FOUND : sql_error(s, rc, "sqlite3_step");
}

void sql_reset(sqlite3_stmt **st)
{
    if (!*st)
        return;
    (void)sqlite3_reset(*st);
    (void)sqlite3_clear_bindings(*st);
    *st = NULL;
}

enum err sql_run(struct sql *s, const char *text, const char *types, ...)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    va_list args;
    enum err e;

    va_start(args, types);
    e = sql_query_list(s, &st, text, types, args);
    va_end(args);
    while (!e)
        e = sql_step(s, st);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err sql_exec(struct sql *s, const char *text)
{
    int rc = sqlite3_exec(s->db, text, NULL, NULL, NULL);

    return rc == SQLITE_OK ? ERR_OK : sql_error(s, rc, "sqlite3_exec");
}

enum err sql_one(struct sql *s, int64_t *out, const char *text, const char *types, ...)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    va_list args;
    enum err e;

    va_start(args, types);
    e = sql_query_list(s, &st, text, types, args);
    va_end(args);
    e = e ? e : sql_step(s, st);
    if (!e)
        *out = sqlite3_column_int64(st, 0);
    return e;
}

int64_t sql_changes(struct sql *s)
{
    return sqlite3_changes64(s->db);
}

int64_t sql_row_id(struct sql *s)
{
    return sqlite3_last_insert_rowid(s->db);
}

struct bytes sql_blob(sqlite3_stmt *st, int column)
{
    const uint8_t *data = sqlite3_column_blob(st, column);
    int len = sqlite3_column_bytes(st, column);

    return (struct bytes){data, data && len > 0 ? (size_t)len : 0};
}

enum err sql_text(sqlite3_stmt *st, int column, char *out, size_t cap)
{
    const unsigned char *text = sqlite3_column_text(st, column);
    size_t len = text ? (size_t)sqlite3_column_bytes(st, column) : 0;

    if (len >= cap || (len && memchr(text, '\0', len)))
        return err_note(ERR_TAMPERED, "sql_text", "column %d of %zu bytes", column, len);
    if (len)
        memcpy(out, text, len);
    out[len] = '\0';
    return ERR_OK;
}

enum err sql_begin(struct sql *s)
{
    return sql_run(s, "BEGIN IMMEDIATE", "");
}

bool sql_is_open(struct sql *s)
{
    return sqlite3_get_autocommit(s->db) == 0;
}

enum err sql_end(struct sql *s, enum err e)
{
    if (!e)
        e = sql_is_open(s) ? sql_run(s, "COMMIT", "")
                           : err_note(ERR_IO, "COMMIT", "the transaction had ended before");
    if (e && sql_is_open(s))
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

enum err sql_quick(struct sql *s, bool quick)
{
    return sql_exec(s, quick ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL");
}

static int note_log_pages(void *ctx, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((struct sql *)ctx)->log_pages = pages;
    return SQLITE_OK;
}

void sql_log_watch(struct sql *s)
{
    (void)sqlite3_wal_hook(s->db, note_log_pages, s);
}

int sql_log_pages(const struct sql *s)
{
    return s->log_pages;
}

enum err sql_checkpoint(struct sql *s, bool whole)
{
    int mode = whole ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, mode, NULL, NULL);

    if (rc == SQLITE_OK)
        s->log_pages = 0;
    return rc == SQLITE_OK ? ERR_OK : sql_error(s, rc, "sqlite3_wal_checkpoint");
}
