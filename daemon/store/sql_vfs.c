/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sql_vfs.c - SQLite's own file layer with one call looked at: how often it syncs.
 *
 * The figure is what durability costs; the fail point shows what a failed sync leads to. */
#include "daemon/base/failpoint.h"
#include "daemon/store/sql_internal.h"

#define VFS_NAME "sealrelay"

static pthread_once_t vfs_once = PTHREAD_ONCE_INIT;
static sqlite3_vfs vfs;
static int (*plain_open)(sqlite3_vfs *, sqlite3_filename, sqlite3_file *, int, int *);

/* SQLite keeps one table of methods for database files and one for logs. */
#define TABLES_MAX 4

static pthread_mutex_t tables_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const sqlite3_io_methods *plain;
    sqlite3_io_methods counted;
} tables[TABLES_MAX];
static size_t n_tables;
static int (*plain_sync)(sqlite3_file *, int);

static _Thread_local uint64_t thread_syncs;

static int counted_sync(sqlite3_file *file, int flags)
{
    thread_syncs++;
    if (failpoint("sql.sync"))
        return SQLITE_IOERR_FSYNC;
    return plain_sync(file, flags);
}

/* The table with our xSync; the plain one itself when its xSync is not the one we know. */
static const sqlite3_io_methods *table_of(const sqlite3_io_methods *plain)
{
    for (size_t i = 0; i < n_tables; i++)
        if (tables[i].plain == plain)
            return &tables[i].counted;
    if (n_tables == 0)
        plain_sync = plain->xSync;
    if (n_tables == TABLES_MAX || plain->xSync != plain_sync)
        return plain;
    tables[n_tables].plain = plain;
    tables[n_tables].counted = *plain;
    tables[n_tables].counted.xSync = counted_sync;
    return &tables[n_tables++].counted;
}

static int counted_open(sqlite3_vfs *self, sqlite3_filename name, sqlite3_file *file, int flags,
                        int *flags_out)
{
    int rc = plain_open(self, name, file, flags, flags_out);

    if (rc == SQLITE_OK && file->pMethods) {
        (void)pthread_mutex_lock(&tables_mutex);
        file->pMethods = table_of(file->pMethods);
        (void)pthread_mutex_unlock(&tables_mutex);
    }
    return rc;
}

static void vfs_make(void)
{
    const sqlite3_vfs *plain = sqlite3_vfs_find("unix");

    if (!plain)
        return;
    vfs = *plain;
    vfs.zName = VFS_NAME;
    plain_open = plain->xOpen;
    vfs.xOpen = counted_open;
    (void)sqlite3_vfs_register(&vfs, 0);
}

const char *sql_vfs(void)
{
    (void)pthread_once(&vfs_once, vfs_make);
    return sqlite3_vfs_find(VFS_NAME) ? VFS_NAME : NULL;
}

uint64_t sql_syncs(void)
{
    return thread_syncs;
}
