/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bounce.c - working off failures: count, suspend, tell, close; read bounce_one(). */
#include "daemon/flow/bounce.h"
#include "daemon/base/clock.h"
#include "daemon/base/domain.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/flow/blob.h"
#include "daemon/flow/dsn.h"
#include "daemon/flow/origin.h"
#include "daemon/flow/reply_tell.h"
#include "daemon/message/address.h"
#include "daemon/store/bounce.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_S       1
#define PAUSE_AFTER_S 10 /* a round in which something could not be done */

bool bounce_is_hard(const char *status)
{
    static const char *const soft[] = {"5.0.", "5.6.", "5.7."};

    if (strncmp(status, "5.", 2) != 0 || strcmp(status, "5.2.3") == 0 ||
        strcmp(status, "5.3.4") == 0)
        return false;
    for (size_t i = 0; i < sizeof soft / sizeof *soft; i++)
        if (strncmp(status, soft[i], strlen(soft[i])) == 0)
            return false;
    return true;
}

/* ---- the profile ---- */

/* First the key service, then the note why: a crash in between is made good by the next round,
 * which counts the same bounces as long as there is no note. */
static enum err suspend(struct forward *f, const char *profile, unsigned bounces, int64_t now_s)
{
    struct store_suspension why = {.at_s = now_s, .bounces = bounces};
    struct hsm_profile p = {0};
    bool usable;
    enum err e = hsm_profile_get(f->hsm, profile, &p);

    if (e)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    usable = p.state == PROFILE_ACTIVE || p.state == PROFILE_READY;
    hsm_profile_clear(&p);
    if (usable)
        e = hsm_suspend(f->hsm, profile);
    (void)failpoint("bounce.suspended");
    memcpy(why.profile, profile, strlen(profile) + 1);
    e = e ? e : store_suspension_set(f->store, &why);
    log_event(LOG_LEVEL_ERROR, "bounce.suspend", profile, e, -1, "bounces=%u", bounces);
    return e;
}

static enum err count_against_profile(struct forward *f, const struct queue_failure *failure,
                                      int64_t now_s)
{
    unsigned in_span = 0;
    enum err e;

    if (failure->direction != QUEUE_FORWARD || !failure->profile[0] ||
        !bounce_is_hard(failure->status))
        return ERR_OK;
    e = store_bounce_add(f->store, failure->profile, failure->id, now_s, &in_span);
    (void)failpoint("bounce.counted");
    return !e && in_span >= BOUNCE_SUSPENDS ? suspend(f, failure->profile, in_span, now_s) : e;
}

/* ---- the sender ---- */

/* What a next hop wrote: kept by the report, or with the entry that failed. */
static void diagnostic_of(struct forward *f, const struct queue_failure *failure, struct buf *out)
{
    struct queue_item item;

    if (failure->reported) {
        if (blob_open(f->store, BOUNCE_REPORT_PURPOSE, failure->id, buf_bytes(&failure->report),
                      out))
            buf_clear(out);
    } else if (!queue_show(f->queue, failure->id, &item)) {
        buf_append_str(out, item.last_result);
    }
    err_note_clear(); /* a notice without it is as good */
}

static const char *relay_domain(const struct forward *f, const char *alias)
{
    const char *domain =
        domain_enclosing(address_domain(alias), f->policy.domains, f->policy.n_domains);

    return domain ? domain : f->policy.domains[0];
}

static enum err notice_put(struct forward *f, const struct queue_failure *failure,
                           const struct origin *o, int64_t now_s)
{
    CLEANUP(buf_clear) struct buf diagnostic = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    struct queue_envelope envelope = {.direction = QUEUE_NOTICE,
                                      .profile = failure->profile,
                                      .hop = forward_hop(f, o->sender),
                                      .mail_from = "",
                                      .rcpt_to = o->sender,
                                      .closes = failure->id};
    struct dsn d = {.id = envelope.id,
                    .domain = relay_domain(f, o->alias),
                    .sender = o->sender,
                    .alias = o->alias,
                    .message_id = o->message_id,
                    .status = failure->status,
                    .arrived_s = failure->created_s,
                    .now_s = now_s};
    struct queue_writer *writer = NULL;
    enum err e = id_new(envelope.id);

    diagnostic_of(f, failure, &diagnostic);
    d.diagnostic = buf_str(&diagnostic);
    e = e ? e : dsn_append(&text, &d);
    e = e ? e : queue_begin(f->queue, &envelope, now_s, &writer);
    if (e)
        return e;
    e = queue_write(writer, text.data, text.len);
    if (e)
        queue_abort(writer);
    else
        e = queue_commit(f->queue, &writer, 1);
    if (!e)
        log_event(LOG_LEVEL_INFO, "bounce.tell", failure->id, ERR_OK, -1, "notice=%s", envelope.id);
    return e;
}

/* ERR_NOT_FOUND: nobody may be told. */
static enum err tell_sender(struct forward *f, const struct queue_failure *failure, int64_t now_s)
{
    struct origin o;
    enum err e;

    if (failure->origin.len == 0)
        return ERR_NOT_FOUND;
    e = origin_open(f->store, failure->id, buf_bytes(&failure->origin), &o);
    if (e)
        return e == ERR_TAMPERED ? ERR_NOT_FOUND : e;
    e = store_told_add(f->store, o.sender, failure->id, f->limits.reports_per_day, now_s);
    if (e)
        return e == ERR_LIMIT ? ERR_NOT_FOUND : e;
    (void)failpoint("bounce.tell");
    e = notice_put(f, failure, &o, now_s);
    return e == ERR_FORMAT ? ERR_NOT_FOUND : e;
}

/* A reply's sender is the user. */
static enum err tell_user(struct forward *f, const struct queue_failure *failure, int64_t now_s)
{
    CLEANUP(buf_clear) struct buf diagnostic = {0};

    if (failure->origin.len == 0)
        return ERR_NOT_FOUND;
    diagnostic_of(f, failure, &diagnostic);
    return reply_tell_bounced(f, failure, buf_str(&diagnostic), now_s);
}

/* ---- one failure, and all of them ---- */

static enum err bounce_one(struct forward *f, const struct queue_failure *failure, int64_t now_s)
{
    bool told = false;
    enum err e = count_against_profile(f, failure, now_s);

    if (e)
        return e;
    e = failure->direction == QUEUE_REPLY ? tell_user(f, failure, now_s)
                                          : tell_sender(f, failure, now_s);
    told = !e;
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        (void)failpoint("bounce.close");
        e = queue_failure_close(f->queue, failure->id);
    }
    if (e == ERR_WRONG_STATE) /* by the round that a crash had cut off */
        e = ERR_OK;
    if (e)
        return e;
    atomic_fetch_add(&f->counters[told ? FORWARD_TOLD : FORWARD_UNTOLD].n, 1);
    err_note_clear();
    log_event(LOG_LEVEL_ERROR, "bounce.failed", failure->id, ERR_OK, -1,
              "profile=%s reported=%d status=%s result=\"%s\" told=%d", failure->profile,
              failure->reported, failure->status[0] ? failure->status : "-", failure->result, told);
    (void)failpoint("bounce.closed");
    return ERR_OK;
}

enum err bounce_work(struct forward *f, int64_t now_s)
{
    int64_t after = 0;
    enum err worst = ERR_OK;

    for (;;) {
        CLEANUP(queue_failure_clear) struct queue_failure failure = {.n = 0};
        enum err e;

        err_note_clear();
        e = queue_failure_next(f->queue, after, &failure);
        if (e == ERR_NOT_FOUND)
            return worst;
        if (e)
            return e;
        after = failure.n;
        e = bounce_one(f, &failure, now_s);
        if (e == ERR_NOT_ACTIVE) /* a suspended profile: for days, perhaps */
            continue;
        if (e) {
            worst = e;
            log_event(LOG_LEVEL_WARNING, "bounce.later", failure.id, e, -1, "%s", "");
        }
    }
}

/* ---- the thread ---- */

struct bounce {
    struct forward *flow;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop;
};

static void pause_for(struct bounce *b, int seconds)
{
    struct timespec until;
    int rc = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    (void)pthread_mutex_lock(&b->mutex);
    while (!b->stop && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&b->wake, &b->mutex, &until);
    (void)pthread_mutex_unlock(&b->mutex);
}

static bool is_stopped(struct bounce *b)
{
    bool stop;

    (void)pthread_mutex_lock(&b->mutex);
    stop = b->stop;
    (void)pthread_mutex_unlock(&b->mutex);
    return stop;
}

static void *bounce_main(void *arg)
{
    struct bounce *b = arg;

    while (!is_stopped(b)) {
        enum err e = bounce_work(b->flow, clock_now_s());

        pause_for(b, e ? PAUSE_AFTER_S : PAUSE_S);
    }
    return NULL;
}

enum err bounce_start(struct forward *f, struct bounce **out)
{
    struct bounce *b = calloc(1, sizeof *b);
    pthread_condattr_t monotonic;
    sigset_t all;
    sigset_t before;
    int rc;

    if (!b)
        return err_note(ERR_NOMEM, "bounce_start", "out of memory");
    b->flow = f;
    (void)pthread_mutex_init(&b->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&b->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    /* signals are for the program's own threads */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&b->thread, NULL, bounce_main, b);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        free(b);
        return err_note(ERR_NOMEM, "pthread_create", "%s", strerror(rc));
    }
    *out = b;
    return ERR_OK;
}

void bounce_stop(struct bounce *b)
{
    if (!b)
        return;
    (void)pthread_mutex_lock(&b->mutex);
    b->stop = true;
    (void)pthread_cond_signal(&b->wake);
    (void)pthread_mutex_unlock(&b->mutex);
    (void)pthread_join(b->thread, NULL);
    (void)pthread_cond_destroy(&b->wake);
    (void)pthread_mutex_destroy(&b->mutex);
    free(b);
}
