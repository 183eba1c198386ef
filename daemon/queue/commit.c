/* SPDX-License-Identifier: GPL-3.0-or-later */
/* commit.c - the committer: one transaction and one sync for all who wait. Invariant 3.
 *
 * While one group is being synced the next one gathers, so the more sessions wait the fewer syncs a
 * message costs. A commit that fails is told to everybody in its group and never repeated. */
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/queue/internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define GROUP_JOBS_MAX 256
#define LOG_PAGES_MAX  2000 /* pages of the write-ahead log before it is folded in: 8 MB */

/* The body folder's new names are on disk before any row that needs them. */
static enum err group_sync_folder(struct queue *q, const struct job *first)
{
    while (first && !first->has_files)
        first = first->next;
    if (!first)
        return ERR_OK;
    atomic_fetch_add(&q->committer.syncs, 1);
    return fsync(q->body_fd) == 0 ? ERR_OK
                                  : err_note(ERR_IO, "fsync body folder", "%s", strerror(errno));
}

static void job_result(struct job *j, enum err e)
{
    j->result = e;
    j->note = *err_note_get();
    err_note_clear();
}

/* One job inside its savepoint. Answers an error only when the whole transaction is lost. */
static enum err group_run_one(struct queue *q, struct job *j)
{
    enum err e = sql_run(q->write, "SAVEPOINT job", "");

    if (e)
        return e;
    e = j->run(q, j);
    if (e && !sql_is_open(q->write))
        return e;
    job_result(j, e);
    if (e)
        e = sql_run(q->write, "ROLLBACK TO job", "");
    return e ? e : sql_run(q->write, "RELEASE job", "");
}

static enum err group_run(struct queue *q, struct job *first)
{
    enum err e = group_sync_folder(q, first);

    e = e ? e : sql_begin(q->write);
    if (e)
        return e;
    for (struct job *j = first; !e && j; j = j->next)
        e = group_run_one(q, j);
    if (!e && failpoint("queue.commit.before"))
        e = err_note(ERR_IO, "queue.commit.before", "fail point");
    e = sql_end(q->write, e);
    if (!e)
        (void)failpoint("queue.commit.after");
    return e;
}

/* A lost group: those whose job had failed by itself keep their own reason. */
static void group_fail(struct job *first, enum err e)
{
    struct err_note note = *err_note_get();

    for (struct job *j = first; j; j = j->next)
        if (!j->result) {
            j->result = e;
            j->note = note;
        }
}

static void group_tell(struct queue *q, struct job *first)
{
    while (first) {
        struct job *next = first->next; /* the job ends with its post */

        if (!first->result)
            atomic_fetch_add(&q->committer.messages, first->messages);
        (void)sem_post(&first->done);
        first = next;
    }
}

static void group_commit(struct queue *q, struct job *first)
{
    uint64_t before = sql_syncs();
    enum err e;

    err_note_clear();
    e = group_run(q, first);
    if (e) {
        log_event(LOG_LEVEL_ERROR, "queue.commit", "-", e, -1, "group lost");
        group_fail(first, e);
    } else {
        atomic_fetch_add(&q->committer.commits, 1);
    }
    atomic_fetch_add(&q->committer.syncs, sql_syncs() - before);
    group_tell(q, first);
}

/* Folding the log in, behind the answers, so that no session waits for it. */
static void committer_fold(struct queue *q)
{
    uint64_t before = sql_syncs();
    enum err e;

    if (sql_log_pages(q->write) < LOG_PAGES_MAX)
        return;
    err_note_clear();
    e = sql_checkpoint(q->write, false);
    if (e)
        log_event(LOG_LEVEL_WARNING, "queue.fold", "-", e, -1, "%s", "");
    atomic_fetch_add(&q->committer.syncs, sql_syncs() - before);
}

/* The jobs of the next group; NULL when told to stop and none is left. */
static struct job *committer_next(struct committer *c)
{
    struct job *first;
    struct job *last;

    (void)pthread_mutex_lock(&c->mutex);
    while (!c->first && !c->stop)
        (void)pthread_cond_wait(&c->work, &c->mutex);
    first = last = c->first;
    for (unsigned n = 1; last && last->next && n < GROUP_JOBS_MAX; n++)
        last = last->next;
    if (last) {
        c->first = last->next;
        last->next = NULL;
    }
    (void)pthread_mutex_unlock(&c->mutex);
    return first;
}

static void *committer_main(void *arg)
{
    struct queue *q = arg;
    struct job *group;

    while ((group = committer_next(&q->committer)) != NULL) {
        group_commit(q, group);
        committer_fold(q);
    }
    return NULL;
}

enum err job_run(struct queue *q, struct job *j)
{
    struct committer *c = &q->committer;

    j->next = NULL;
    j->result = ERR_OK;
    (void)sem_init(&j->done, 0, 0);
    (void)pthread_mutex_lock(&c->mutex);
    if (c->first)
        c->last->next = j;
    else
        c->first = j;
    c->last = j;
    (void)pthread_cond_signal(&c->work);
    (void)pthread_mutex_unlock(&c->mutex);
    while (sem_wait(&j->done) != 0 && errno == EINTR)
        ;
    (void)sem_destroy(&j->done);
    return j->result ? err_note(j->result, j->note.action, "%s", j->note.detail) : ERR_OK;
}

enum err committer_start(struct queue *q)
{
    sigset_t all;
    sigset_t before;
    int rc;

    /* signals are for the program's own threads */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&q->committer.thread, NULL, committer_main, q);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_note(ERR_NOMEM, "pthread_create", "%s", strerror(rc));
    q->committer.started = true;
    return ERR_OK;
}

void committer_stop(struct queue *q)
{
    struct committer *c = &q->committer;

    if (!c->started)
        return;
    (void)pthread_mutex_lock(&c->mutex);
    c->stop = true;
    (void)pthread_cond_signal(&c->work);
    (void)pthread_mutex_unlock(&c->mutex);
    (void)pthread_join(c->thread, NULL);
    c->started = false;
}

void queue_stats_get(struct queue *q, struct queue_stats *out)
{
    out->commits = atomic_load(&q->committer.commits);
    out->messages = atomic_load(&q->committer.messages);
    out->syncs = atomic_load(&q->committer.syncs);
}
