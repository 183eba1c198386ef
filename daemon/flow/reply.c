/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply.c - a user's reply becomes a message of their alias; read reply_steps() from top to bottom.
 *
 * Everything before reply_prove() is done says "not proven" and nothing else. What follows is
 * between the relay and its user, who is told by sealed mail what is wrong. */
#include "daemon/flow/reply.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/flow/reply_parcel.h"
#include "daemon/flow/reply_tell.h"

#include <stdlib.h>
#include <string.h>

static void reply_parcel_clear(struct reply_parcel *p)
{
    clean_output_clear(&p->cleaned);
    open_result_clear(&p->opened);
    hsm_profile_clear(&p->profile);
    rewrite_parties_clear(&p->parties);
    message_clear(&p->message);
}

static enum err reply_read(const struct forward *f, const struct forward_job *job,
                           struct reply_parcel *p)
{
    enum err e = message_parse(job->data, &p->message);

    return e ? e
             : rewrite_parties_find(&p->message, f->relay_id, f->policy.domains,
                                    f->policy.n_domains, &p->parties);
}

/* What is wrong with a message that proved nothing is nobody's business, the log's included. */
static enum err unproven(enum err e)
{
    if (err_class(e) != CLASS_PERM)
        return e;
    err_note_clear();
    return ERR_UNPROVEN;
}

/* A step is over: told to whoever traces, and its time is counted. */
static enum err done(const struct forward_job *job, struct reply_parcel *p, const char *step,
                     enum err e)
{
    int64_t now_ms = clock_mono_ms();

    if (!e && now_ms >= job->deadline_mono_ms)
        e = err_note(ERR_TIMEOUT, step, "deadline");
    log_event(LOG_LEVEL_TRACE, step, job->id, e, now_ms - p->since_ms, "entry=%s", job->queue_id);
    p->since_ms = now_ms;
    return e;
}

static enum err reply_steps(struct forward *f, const struct forward_job *job,
                            struct reply_parcel *p)
{
    enum err e = reply_read(f, job, p);

    if (!e)
        e = reply_prove(f, job, p);
    e = done(job, p, "reply.proven", unproven(e));
    if (!e)
        e = done(job, p, "reply.met", reply_meet(f, job, p));
    if (!e)
        e = done(job, p, "reply.claimed", unproven(reply_claim(f, job, p)));
    if (e || p->repeat)
        return e;
    e = done(job, p, "reply.cleaned", reply_clean(f, job, p));
    if (!e)
        e = done(job, p, "reply.written", reply_write(f, job, p));
    return e;
}

enum err reply_message(struct forward *f, const struct forward_job *job, struct reply_made *out)
{
    CLEANUP(reply_parcel_clear) struct reply_parcel p = {.since_ms = clock_mono_ms()};
    enum err e;

    hsm_deadline(job->deadline_mono_ms);
    e = reply_steps(f, job, &p);
    hsm_deadline(0);
    if (e) {
        reply_abort(f, &p.made);
        return e;
    }
    memcpy(p.made.profile, p.profile.profile, sizeof p.made.profile);
    memcpy(p.made.warnings, p.cleaned.warnings, sizeof p.made.warnings);
    p.made.n_warnings = p.cleaned.n_warnings;
    p.made.first = job->route->kind == POLICY_FIRST && !p.repeat ? job->route : NULL;
    *out = p.made;
    return ERR_OK;
}

/* A claim that cannot be settled is settled by whoever comes again: the queue knows the entry. */
static void settle(struct forward *f, const char *id, struct reply_made *made)
{
    enum err e =
        failpoint("reply.committed") ? ERR_BUSY : store_claim_settle(f->store, &made->claim);

    made->claimed = false;
    if (e)
        log_event(LOG_LEVEL_WARNING, "reply.settle", id, e, -1, "entry=%s", made->claim.entry);
    if (made->n_warnings)
        reply_tell_warnings(f, made);
    if (made->first)
        reply_tell_first(f, made);
}

enum err reply_commit(struct forward *f, const char *id, struct reply_made **made, size_t n)
{
    struct queue_writer **batch = calloc(n ? n : 1, sizeof *batch);
    size_t n_batch = 0;
    enum err e = batch ? ERR_OK : ERR_NOMEM;

    for (size_t i = 0; !e && i < n; i++)
        if (made[i]->writer) {
            batch[n_batch++] = made[i]->writer;
            made[i]->writer = NULL;
        }
    if (!e && n_batch)
        e = queue_commit(f->queue, batch, n_batch);
    free(batch);
    if (e)
        log_event(LOG_LEVEL_ERROR, "flow.commit", id, e, -1, "entries=%zu", n_batch);
    for (size_t i = 0; i < n; i++) {
        if (e)
            reply_abort(f, made[i]);
        else if (made[i]->claimed)
            settle(f, id, made[i]);
    }
    return e;
}

/* A claim that cannot be released is taken over as a dead session's is. */
void reply_abort(struct forward *f, struct reply_made *made)
{
    struct err_note kept = *err_note_get();

    queue_abort(made->writer);
    made->writer = NULL;
    if (made->claimed && store_claim_release(f->store, &made->claim))
        log_event(LOG_LEVEL_WARNING, "reply.release", made->claim.entry, ERR_IO, -1, "%s", "");
    made->claimed = false;
    if (kept.action[0]) {
        err_note_clear();
        (void)err_note(ERR_OK, kept.action, "%s", kept.detail);
    }
}
