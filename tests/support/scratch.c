/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scratch.c - a private folder a test works in. */
#include "tests/support/scratch.h"

#include "daemon/base/fdio.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((size_t)1 << 30)

static const char *sought;
static bool found;
static size_t counted;

static void give_up(const char *what)
{
    perror(what);
    abort();
}

void scratch_new(scratch_path dir_out)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(dir_out, sizeof(scratch_path), "%s/sealrelay-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir_out))
        give_up("mkdtemp");
}

void scratch_join(const char *dir, const char *name, scratch_path out)
{
    if (snprintf(out, sizeof(scratch_path), "%s/%s", dir, name) >= (int)sizeof(scratch_path))
        abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void scratch_remove(const char *dir)
{
    if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        give_up(dir);
}

static int search_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    CLEANUP(buf_clear) struct buf content = {0};

    (void)st;
    (void)at;
    if (type != FTW_F)
        return 0;
    counted++;
    if (sought && !file_read(path, FILE_MAX, &content) && content.len &&
        memmem(content.data, content.len, sought, strlen(sought)))
        found = true;
    return 0;
}

bool scratch_holds(const char *dir, const char *marker)
{
    sought = marker;
    found = false;
    if (nftw(dir, search_one, 16, FTW_PHYS) != 0)
        give_up(dir);
    return found;
}

size_t scratch_files(const char *dir, const char *name)
{
    scratch_path path;

    scratch_join(dir, name, path);
    sought = NULL;
    counted = 0;
    (void)nftw(path, search_one, 16, FTW_PHYS);
    return counted;
}

void scratch_sql(const char *dir, const char *name, const char *statements)
{
    scratch_path path;
    sqlite3 *db = NULL;
    char *text = NULL;

    scratch_join(dir, name, path);
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_busy_timeout(db, 2000) != SQLITE_OK ||
        sqlite3_exec(db, statements, NULL, NULL, &text) != SQLITE_OK) {
        (void)fprintf(stderr, "%s: %s\n", statements, text ? text : sqlite3_errmsg(db));
        abort();
    }
    (void)sqlite3_close(db);
}
