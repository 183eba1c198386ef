/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sql_open.c - opening a database: its lock, its settings, its schema version.
 *
 * A file of a newer version or of another program is refused before anything in it changes; an
 * older one is led to the present version step by step. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/store/sql_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCKED_LOOK_NS 5000000 /* between two looks at another program's lock */

enum err sql_lock(const char *path, int *fd_out)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    enum err e;

    if (fd < 0)
        return err_note(errno == ENOENT || errno == ENOTDIR ? ERR_CONFIG : ERR_IO, path, "%s",
                        strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        e = errno == EWOULDBLOCK ? err_note(ERR_CONFIG, path, "in use by another process")
                                 : err_note(ERR_IO, path, "%s", strerror(errno));
        fd_close(&fd);
        return e;
    }
    *fd_out = fd;
    return ERR_OK;
}

static enum err pragma_get(struct sql *s, const char *text, int64_t *out)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, text, -1, &st, NULL);
    enum err e = ERR_OK;

    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    else
        e = (rc & 0xff) == SQLITE_NOTADB ? err_note(ERR_CONFIG, text, "the file is not a database")
                                         : sql_error(s, rc, text);
    (void)sqlite3_finalize(st);
    return e;
}

static enum err schema_check(struct sql *s, const struct sql_schema *schema, int64_t *version_out)
{
    int64_t application = 0;
    int64_t tables = 0;
    enum err e = pragma_get(s, "PRAGMA application_id", &application);

    e = e ? e : pragma_get(s, "PRAGMA user_version", version_out);
    e = e ? e : pragma_get(s, "SELECT count(*) FROM sqlite_schema", &tables);
    if (e)
        return e;
    if (application != schema->application_id && (application || tables || *version_out))
        return err_note(ERR_CONFIG, schema->name, "the database belongs to another program");
    if (*version_out < 0 || *version_out > (int64_t)schema->n_steps)
        return err_note(ERR_CONFIG, schema->name, "schema version %lld, this program knows %zu",
                        (long long)*version_out, schema->n_steps);
    return ERR_OK;
}

static enum err schema_step(struct sql *s, const struct sql_schema *schema, size_t from)
{
    char stamp[120];
    enum err e = sql_begin(s);

    if (e)
        return e;
    (void)snprintf(stamp, sizeof stamp, "PRAGMA application_id=%d; PRAGMA user_version=%zu;",
                   schema->application_id, from + 1);
    e = sql_exec(s, schema->steps[from]);
    e = e ? e : sql_exec(s, stamp);
    return sql_end(s, e);
}

static enum err schema_migrate(struct sql *s, const struct sql_schema *schema, int64_t version)
{
    enum err e = ERR_OK;

    for (size_t from = (size_t)version; !e && from < schema->n_steps; from++)
        e = schema_step(s, schema, from);
    return e;
}

/* Somebody else has the lock: look again soon, or give up. */
static int locked_wait(void *ctx, int looks)
{
    const struct timespec pause = {.tv_nsec = LOCKED_LOOK_NS};
    struct sql *s = ctx;
    int64_t now_ms = clock_mono_ms();

    (void)looks;
    if (!s->locked_ms || now_ms - s->looked_ms >= SQL_BUSY_TIMEOUT_MS)
        s->locked_ms = now_ms; /* not met before, or not for long */
    s->looked_ms = now_ms;
    if (now_ms - s->locked_ms >= SQL_BUSY_TIMEOUT_MS)
        return 0;
    (void)nanosleep(&pause, NULL);
    return 1;
}

/* The file may be written by a thief or a bad disk: SQLite is told to trust nothing in it. */
static enum err sql_settings(struct sql *s)
{
    (void)sqlite3_extended_result_codes(s->db, 1);
    (void)sqlite3_busy_handler(s->db, locked_wait, s);
    (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return sql_exec(s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                       "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; PRAGMA cell_size_check=ON;");
}

/* SQLite makes files 0644 less umask; made by us first, its log takes the same mode over. A file
 * that is there already is not opened: closing any descriptor of it would drop the locks that this
 * process's other connection holds, and then another program's close would delete the log. */
static enum err file_prepare(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno == EEXIST)
        return ERR_OK;
    if (fd < 0)
        return err_note(errno == ENOENT || errno == ENOTDIR ? ERR_CONFIG
                        : errno == ENOSPC                   ? ERR_NOSPACE
                                                            : ERR_IO,
                        path, "%s", strerror(errno));
    fd_close(&fd);
    return dir_sync(path);
}

enum err sql_open(const char *path, const struct sql_schema *schema, struct sql **out)
{
    enum err e = file_prepare(path);
    int64_t version = 0;
    struct sql *s;
    int rc;

    if (e)
        return e;
    s = calloc(1, sizeof *s);
    if (!s)
        return err_note(ERR_NOMEM, "sql_open", "out of memory");
    (void)pthread_mutex_init(&s->mutex, NULL);
    rc = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, sql_vfs());
    e = rc == SQLITE_OK ? schema_check(s, schema, &version) : sql_error(s, rc, "sqlite3_open");
    e = e ? e : sql_settings(s);
    e = e ? e : schema_migrate(s, schema, version);
    if (e) {
        sql_close(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void sql_close(struct sql *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_cached; i++)
        (void)sqlite3_finalize(s->cached[i].statement);
    (void)sqlite3_close(s->db);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}
