/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sql.h - SQLite as store and queue use it: one connection, its cached statements, its schema.
 *
 * Every connection is WAL with synchronous=FULL, so a commit that answered ERR_OK is on disk; what
 * SQLite would put into temporary files stays in memory. Failures are mapped once, here: locked is
 * ERR_BUSY, full is ERR_NOSPACE, a constraint is ERR_EXISTS, damage is ERR_TAMPERED, else ERR_IO.
 * A connection is used by one thread at a time: sql_hold. */
#ifndef SEALRELAY_STORE_SQL_H
#define SEALRELAY_STORE_SQL_H

#include "daemon/base/buf.h"

#include <sqlite3.h>

/* How long another program's lock is waited for: far below the 20 s an SMTP client is given. It is
 * the time from when the lock was first met: while it lasts, later calls fail at once, for else
 * sessions would wait one after the other. */
#define SQL_BUSY_TIMEOUT_MS 2000

struct sql;

/* A schema as data: step[v] is the SQL that leads from version v to v + 1. */
struct sql_schema {
    const char *name;       /* for messages */
    int32_t application_id; /* tells our file from another program's */
    const char *const *steps;
    size_t n_steps; /* the version this program speaks */
};

/* sql_lock - take an exclusive flock on a file made at path; a dead holder holds nothing.
 *   fd_out  given; the lock ends when it is closed
 * Errors: ERR_CONFIG (another process holds it, or no such folder), ERR_IO. */
enum err sql_lock(const char *path, int *fd_out);

/* sql_open - open or make the database (mode 0600) and bring its schema to the present version,
 * each step in a transaction of its own.
 * Errors: ERR_CONFIG (newer schema, another program's file, no database), ERR_IO, ERR_NOSPACE. */
enum err sql_open(const char *path, const struct sql_schema *schema, struct sql **out);
/* sql_close - accepts NULL. The last connection folds the write-ahead log in. */
void sql_close(struct sql *s);

/* sql_hold, sql_release - own a connection: CLEANUP(sql_release) struct sql *db = sql_hold(s); */
struct sql *sql_hold(struct sql *s);
void sql_release(struct sql **s);

/* sql_query - a statement, prepared once a connection and bound anew.
 *   text   static string (its address is the cache's key)
 *   types  one letter a parameter: i int64_t, t const char * (NULL allowed), b struct bytes;
 *          borrowed until sql_reset
 *   out    CLEANUP(sql_reset) sqlite3_stmt *st = NULL; */
enum err sql_query(struct sql *s, sqlite3_stmt **out, const char *text, const char *types, ...);
/* sql_step - the next row. Errors: ERR_NOT_FOUND (no more rows). */
enum err sql_step(struct sql *s, sqlite3_stmt *st);
void sql_reset(sqlite3_stmt **st);
/* sql_run - sql_query without rows, stepped to its end. */
enum err sql_run(struct sql *s, const char *text, const char *types, ...);
/* sql_exec - several statements without parameters, not cached. */
enum err sql_exec(struct sql *s, const char *text);
/* sql_one - the integer in the first column of the only row. Errors: ERR_NOT_FOUND. */
enum err sql_one(struct sql *s, int64_t *out, const char *text, const char *types, ...);

int64_t sql_changes(struct sql *s); /* rows of the last change */
int64_t sql_row_id(struct sql *s);  /* of the last insert */

/* sql_blob - a column's bytes, borrowed until the next step; sql_text: as C string into out.
 * Errors: ERR_TAMPERED (holds a NUL, or longer than cap - 1). */
struct bytes sql_blob(sqlite3_stmt *st, int column);
enum err sql_text(sqlite3_stmt *st, int column, char *out, size_t cap);

/* sql_begin - start a write transaction. */
enum err sql_begin(struct sql *s);
/* sql_end - commit when e is ERR_OK, else roll back; hands e or the commit's error through. A
 * failed commit is rolled back and final: its sync is never tried again. */
enum err sql_end(struct sql *s, enum err e);
/* sql_is_open - is a transaction under way? SQLite ends one by itself on some failures. */
bool sql_is_open(struct sql *s);
/* sql_quick - the next transactions are not synced by themselves (a later one carries them); for
 * values whose loss in a power cut harms nothing. Ends with quick false. */
enum err sql_quick(struct sql *s, bool quick);

/* sql_log_watch - from now on this connection's commits leave the write-ahead log alone (else every
 * 1,000 pages are folded in by the commit that filled it); sql_log_pages says how long it is.
 * sql_checkpoint - fold what no reader needs into the database; whole: wait for readers and
 * truncate the log. */
void sql_log_watch(struct sql *s);
int sql_log_pages(const struct sql *s);
enum err sql_checkpoint(struct sql *s, bool whole);

/* sql_syncs - how many fsyncs SQLite asked for in the calling thread so far. */
uint64_t sql_syncs(void);

#endif
