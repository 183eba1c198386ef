/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backup.c - reads journal and records beside their writer: the journal only grows, and SQLite
 * gives a reader one instant of the records. */
#include "hsm/serve/backup.h"

#include "daemon/base/codec.h"
#include "daemon/base/fdio.h"
#include "daemon/base/id.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_MAX ((size_t)128 * 1024)
#define BUSY_MS  2000

static enum err path_of(const char *dir, const char *name, char out[static PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
        return err_note(ERR_CONFIG, "state_dir", "path too long");
    return ERR_OK;
}

/* The length of the whole lines among the first len bytes: a line being written is left out. */
static size_t whole_lines(const uint8_t *data, size_t len)
{
    const uint8_t *last = len ? memrchr(data, '\n', len) : NULL;

    return last ? (size_t)(last - data) + 1 : 0;
}

enum err backup_journal_page(const char *state_dir, uint64_t offset, struct buf *out,
                             uint64_t *next_out)
{
    char path[PATH_MAX];
    CLEANUP(fd_close) int fd = -1;
    struct stat st;
    ssize_t got;
    enum err e = path_of(state_dir, "journal", path);

    if (e)
        return e;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_note(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "journal", "%s", strerror(errno));
    if (offset > (uint64_t)st.st_size)
        return err_note(ERR_USAGE, "journal", "offset is behind the end");
    buf_reserve(out, PAGE_MAX);
    if (buf_error(out))
        return ERR_NOMEM;
    do
        got = pread(fd, out->data + out->len, PAGE_MAX, (off_t)offset);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_note(ERR_IO, "journal", "%s", strerror(errno));
    got = (ssize_t)whole_lines(out->data + out->len, (size_t)got);
    out->len += (size_t)got;
    out->data[out->len] = '\0';
    *next_out = offset + (uint64_t)got;
    return ERR_OK;
}

/* ---- records ---- */

static void db_close(sqlite3 **db)
{
    (void)sqlite3_close(*db);
}

static void stmt_done(sqlite3_stmt **s)
{
    (void)sqlite3_finalize(*s);
}

static void append_blob(struct buf *out, const char *name, sqlite3_stmt *row, int column)
{
    struct bytes blob = {sqlite3_column_blob(row, column),
                         (size_t)sqlite3_column_bytes(row, column)};

    buf_printf(out, ",\"%s\":\"", name);
    base64_append(out, blob);
    buf_append_str(out, "\"");
}

static enum err rows_append(sqlite3 *db, struct buf *out)
{
    CLEANUP(stmt_done) sqlite3_stmt *rows = NULL;
    const char *separator = "";
    int step;

    if (sqlite3_prepare_v2(
            db, "SELECT profile, version, text, mac FROM record ORDER BY profile, version", -1,
            &rows, NULL))
        return err_note(ERR_IO, "records.db", "%s", sqlite3_errmsg(db));
    buf_append_str(out, "[");
    while ((step = sqlite3_step(rows)) == SQLITE_ROW) {
        const char *profile = (const char *)sqlite3_column_text(rows, 0);

        if (!id_is_valid(profile))
            return err_note(ERR_TAMPERED, "records.db", "a row without a profile");
        buf_printf(out, "%s{\"profile\":\"%s\",\"version\":%" PRId64, separator, profile,
                   (int64_t)sqlite3_column_int64(rows, 1));
        append_blob(out, "text", rows, 2);
        append_blob(out, "mac", rows, 3);
        buf_append_str(out, "}");
        separator = ",";
    }
    if (step != SQLITE_DONE)
        return err_note(ERR_IO, "records.db", "%s", sqlite3_errmsg(db));
    buf_append_str(out, "]");
    return buf_error(out);
}

enum err backup_records(const char *state_dir, struct buf *out)
{
    CLEANUP(db_close) sqlite3 *db = NULL;
    char path[PATH_MAX];
    enum err e = path_of(state_dir, "records.db", path);

    if (e)
        return e;
    if (access(path, F_OK) != 0)
        return err_note(ERR_NOT_FOUND, "records.db", "%s", strerror(errno));
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL) ||
        sqlite3_busy_timeout(db, BUSY_MS) || sqlite3_exec(db, "PRAGMA query_only=1", 0, 0, 0))
        return err_note(ERR_IO, "records.db", "%s", db ? sqlite3_errmsg(db) : "out of memory");
    return rows_append(db, out);
}
