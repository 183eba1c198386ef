/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sql_internal.h - what sql.c and sql_open.c share. */
#ifndef SEALRELAY_STORE_SQL_INTERNAL_H
#define SEALRELAY_STORE_SQL_INTERNAL_H

#include "daemon/store/sql.h"

#include <pthread.h>

#define SQL_CACHE_MAX 64 /* statements a connection; they are all static texts */

struct sql {
    sqlite3 *db;
    pthread_mutex_t mutex;
    struct {
        const char *text;
        sqlite3_stmt *statement;
    } cached[SQL_CACHE_MAX];
    size_t n_cached;
    int log_pages;
    int64_t locked_ms; /* when another program's lock was first met; 0: it is not there */
    int64_t looked_ms; /* and last */
};

/* sql_error - SQLite's result as ours, with a note. s may be NULL. */
enum err sql_error(struct sql *s, int rc, const char *action);
/* sql_vfs - name of the file layer that counts syncs (and fails them at "sql.sync"). */
const char *sql_vfs(void);

#endif
