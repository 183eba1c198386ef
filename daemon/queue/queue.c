/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue.c - opening and closing the queue: its folder, lock, schema, and files nobody names. */
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"
#include "daemon/queue/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bodies lie apart from entries, so that listing and counting never read them. */
static const char *const queue_steps[QUEUE_SCHEMA] = {
    "CREATE TABLE data_key (id INTEGER PRIMARY KEY AUTOINCREMENT, generation INTEGER NOT NULL,"
    "  wrapped BLOB NOT NULL, created_s INTEGER NOT NULL) STRICT;"
    "CREATE TABLE entry (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  version INTEGER NOT NULL, direction INTEGER NOT NULL, state INTEGER NOT NULL,"
    "  profile TEXT NOT NULL, hop TEXT NOT NULL, created_s INTEGER NOT NULL,"
    "  since_s INTEGER NOT NULL, next_attempt_s INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    "  size_bytes INTEGER NOT NULL, key INTEGER NOT NULL REFERENCES data_key,"
    "  salt BLOB NOT NULL, envelope BLOB NOT NULL, details BLOB NOT NULL,"
    "  reason INTEGER NOT NULL, sealed_bytes INTEGER NOT NULL, in_file INTEGER NOT NULL) STRICT;"
    "CREATE INDEX entry_due ON entry (state, hop, next_attempt_s);"
    "CREATE INDEX entry_key ON entry (key);"
    "CREATE TABLE body (n INTEGER PRIMARY KEY REFERENCES entry ON DELETE CASCADE,"
    "  data BLOB NOT NULL) STRICT;",
    /* open: somebody has yet to be told; told: was; seen: off the operator's list */
    "ALTER TABLE entry ADD COLUMN origin BLOB NOT NULL DEFAULT x'';"
    "CREATE TABLE history (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  direction INTEGER NOT NULL, state INTEGER NOT NULL, profile TEXT NOT NULL,"
    "  hop TEXT NOT NULL, created_s INTEGER NOT NULL, finished_s INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL, size_bytes INTEGER NOT NULL, result TEXT NOT NULL,"
    "  status TEXT NOT NULL, hop_id TEXT NOT NULL, origin BLOB NOT NULL,"
    "  reported_s INTEGER NOT NULL, report BLOB NOT NULL, open INTEGER NOT NULL,"
    "  told INTEGER NOT NULL, seen INTEGER NOT NULL) STRICT;"
    "CREATE INDEX history_open ON history (n) WHERE open = 1;"
    "CREATE INDEX history_failed ON history (n) WHERE state = 3 AND seen = 0;",
};

static const struct sql_schema queue_schema = {
    .name = "queue", .application_id = 0x53524c51, .steps = queue_steps, .n_steps = QUEUE_SCHEMA};

/* A body file is named by its entry's id. One without a row was never acknowledged, or its entry
 * is done. Files with other names are not ours. */
static enum err file_check(struct queue *q, const char *name, unsigned *removed)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(q->read);
    int64_t rows = 0;
    enum err e;

    if (!id_is_valid(name))
        return ERR_OK;
    e = sql_one(db, &rows, "SELECT count(*) FROM entry WHERE id = ? AND in_file", "t", name);
    if (!e && rows == 0) {
        body_unlink(q, name);
        ++*removed;
    }
    return e;
}

static enum err stale_remove(struct queue *q)
{
    int fd = openat(q->body_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    unsigned removed = 0;
    enum err e = ERR_OK;

    if (!d) {
        fd_close(&fd);
        return err_note(ERR_IO, "body", "%s", strerror(errno));
    }
    while (!e && (entry = readdir(d)) != NULL)
        e = file_check(q, entry->d_name, &removed);
    (void)closedir(d);
    if (removed)
        log_event(LOG_LEVEL_INFO, "queue.open", "-", ERR_OK, -1, "stale_files=%u", removed);
    return e;
}

static enum err body_folder(struct queue *q, const char *dir)
{
    CLEANUP(buf_clear) struct buf path = {0};

    buf_printf(&path, "%s/body", dir);
    if (buf_error(&path))
        return ERR_NOMEM;
    if (mkdir(buf_str(&path), 0700) != 0 && errno != EEXIST)
        return err_note(errno == ENOSPC ? ERR_NOSPACE : ERR_IO, buf_str(&path), "%s",
                        strerror(errno));
    q->body_fd = open(buf_str(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (q->body_fd < 0)
        return err_note(ERR_IO, buf_str(&path), "%s", strerror(errno));
    return dir_sync(dir);
}

static enum err queue_open_files(struct queue *q, const char *dir)
{
    CLEANUP(buf_clear) struct buf lock = {0};
    CLEANUP(buf_clear) struct buf db = {0};
    enum err e;

    buf_printf(&lock, "%s/lock", dir);
    buf_printf(&db, "%s/queue.db", dir);
    if (buf_error(&lock) || buf_error(&db))
        return ERR_NOMEM;
    e = sql_lock(buf_str(&lock), &q->lock_fd);
    e = e ? e : body_folder(q, dir);
    e = e ? e : sql_open(buf_str(&db), &queue_schema, &q->write);
    e = e ? e : sql_open(buf_str(&db), &queue_schema, &q->read);
    if (e)
        return e;
    sql_log_watch(q->write);
    return stale_remove(q);
}

static void queue_init(struct queue *q, const struct queue_options *o, struct hsm *hsm)
{
    pthread_condattr_t monotonic;

    q->hsm = hsm;
    q->lock_fd = q->body_fd = -1;
    q->lifetime_s = o->lifetime_s ? o->lifetime_s : QUEUE_LIFETIME_S;
    q->free_min_bytes = o->free_min_bytes ? o->free_min_bytes : QUEUE_FREE_MIN_BYTES;
    q->data_key_age_s = o->data_key_age_s ? o->data_key_age_s : QUEUE_DATA_KEY_AGE_S;
    q->history_s = o->history_s ? o->history_s : QUEUE_HISTORY_S;
    q->history_max = o->history_max ? o->history_max : QUEUE_HISTORY_MAX;
    (void)pthread_mutex_init(&q->keys.mutex, NULL);
    (void)pthread_mutex_init(&q->committer.mutex, NULL);
    (void)pthread_cond_init(&q->committer.work, NULL);
    (void)pthread_mutex_init(&q->take_mutex, NULL);
    (void)pthread_mutex_init(&q->wake_mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&q->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

enum err queue_open(const struct queue_options *options, struct hsm *hsm, struct queue **out)
{
    struct queue *q = calloc(1, sizeof *q);
    enum err e;

    if (!q)
        return err_note(ERR_NOMEM, "queue_open", "out of memory");
    queue_init(q, options, hsm);
    e = queue_open_files(q, options->dir);
    e = e ? e : committer_start(q);
    if (e) {
        queue_close(q);
        return e;
    }
    *out = q;
    return ERR_OK;
}

void queue_close(struct queue *q)
{
    if (!q)
        return;
    committer_stop(q);
    sql_close(q->read);
    sql_close(q->write);
    keys_clear(q);
    fd_close(&q->body_fd);
    fd_close(&q->lock_fd);
    (void)pthread_mutex_destroy(&q->keys.mutex);
    (void)pthread_mutex_destroy(&q->committer.mutex);
    (void)pthread_cond_destroy(&q->committer.work);
    (void)pthread_mutex_destroy(&q->take_mutex);
    (void)pthread_mutex_destroy(&q->wake_mutex);
    (void)pthread_cond_destroy(&q->wake);
    free(q);
}
