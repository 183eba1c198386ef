/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_clean.c - everything that the cleaner has to know of the user, and what becomes of its
 * answer. */
#include "daemon/base/codec.h"
#include "daemon/base/failpoint.h"
#include "daemon/flow/reply_parcel.h"
#include "daemon/flow/reply_tell.h"
#include "daemon/flow/user_names.h"
#include "daemon/message/address.h"
#include "daemon/store/thread.h"

#include <stdlib.h>
#include <string.h>

#define TOLD_ID_BYTES 10u /* in base32 as long as an id */

/* ---- the cleaner's questions ---- */

struct asked {
    struct forward *f;
    const struct store_alias *alias;
};

static enum err text_give(const char *text, char **out)
{
    *out = strdup(text);
    return *out ? ERR_OK : ERR_NOMEM;
}

/* Whom an address stands for, and at which alias. */
static enum err route_find(struct forward *f, const char *address, struct policy_route *out)
{
    enum err e;

    if (!address_is_reverse(address))
        return policy_first_address(&f->policy, address, out);
    e = store_correspondent_by_reverse(f->store, address, &out->correspondent);
    return e ? e : store_alias_get(f->store, out->correspondent.alias, &out->alias);
}

/* Only the correspondents of this alias: what is said under one name must not tell whom the user
 * knows under another. One that our mail cannot name is none. */
static enum err address_real(void *context, const char *reverse, char **real)
{
    const struct asked *a = context;
    struct policy_route route;
    enum err e = route_find(a->f, reverse, &route);

    if (!e && (route.alias.id != a->alias->id || !address_is_ascii(route.correspondent.address)))
        e = ERR_NOT_FOUND;
    if (e == ERR_NO_ALIAS || e == ERR_NOT_FOUND) {
        err_note_clear();
        return ERR_NOT_FOUND;
    }
    return e ? e : text_give(route.correspondent.address, real);
}

static enum err id_find(void *context, const char *id, enum clean_id *known, char **mapped)
{
    const struct asked *a = context;
    message_id_text other;
    bool hidden = false;
    enum err e = store_thread_outer(a->f->store, a->alias->id, id, other);

    if (!e && (strcmp(other, id) == 0 || !address_is_ascii(other))) { /* the stranger's */
        *known = CLEAN_ID_KNOWN;
        return ERR_OK;
    }
    if (!e) {
        *known = CLEAN_ID_MAPPED;
        return text_give(other, mapped);
    }
    if (e != ERR_NOT_FOUND)
        return e;
    err_note_clear();
    e = store_thread_elsewhere(a->f->store, a->alias->id, id, &hidden);
    *known = hidden ? CLEAN_ID_HIDDEN : CLEAN_ID_UNKNOWN;
    return e;
}

/* Their own aliases among the recipients get nothing, and are nobody's business. */
static enum err address_own(void *context, const char *address, bool *own)
{
    const struct asked *a = context;
    struct store_alias alias;
    enum err e = store_alias_find(a->f->store, address, &alias);

    if (e == ERR_NO_ALIAS) {
        err_note_clear();
        return ERR_OK;
    }
    *own = !e && strcmp(alias.user, a->alias->user) == 0;
    return e;
}

/* ---- its answer ---- */

enum err reply_refuse(struct forward *f, const struct forward_job *job,
                      const struct reply_parcel *p, const char *reason, const char *part)
{
    CLEANUP(buf_clear) struct buf blob = {0};
    struct reply_refused refused = {.id = job->queue_id,
                                    .profile = p->profile.profile,
                                    .reverse = p->to.reverse,
                                    .reason = reason,
                                    .part = part,
                                    .now_s = job->now_s};
    enum err e;

    base32_append(&blob, (struct bytes){p->made.claim.blob, TOLD_ID_BYTES});
    refused.blob = buf_str(&blob);
    err_note_clear();
    e = buf_error(&blob);
    e = e ? e : reply_tell_refused(f, &refused);
    if (e == ERR_LIMIT)
        return job->drops ? ERR_SENDER_DEFERRED : ERR_REPLY;
    return e ? e : ERR_REPLY;
}

/* A later message of the thread finds this one under both of its names.
 *   again  set: it leaves elsewhere at this moment, under an id that this copy shall have too */
static enum err thread_remember(struct forward *f, const struct forward_job *job,
                                const struct clean_output *cleaned, bool *again)
{
    message_id_text outer;
    enum err e;

    if (failpoint("reply.thread"))
        return ERR_IO;
    if (!cleaned->original_id)
        return ERR_OK;
    e = store_thread_add(f->store, job->route->alias.id, cleaned->original_id, cleaned->message_id,
                         job->now_s, outer);
    *again = !e && strcmp(outer, cleaned->message_id) != 0;
    return e == ERR_NOT_FOUND ? err_note(ERR_BUSY, "reply", "its alias was removed") : e;
}

/* Cleaned and remembered, once more if another session was faster. */
static enum err clean_and_remember(struct forward *f, const struct forward_job *job,
                                   const struct clean_input *in, struct reply_parcel *p,
                                   struct clean_refusal *refusal)
{
    bool again = true;
    enum err e = ERR_OK;

    for (unsigned i = 0; !e && again && i < 2; i++) {
        clean_output_clear(&p->cleaned);
        again = false;
        e = clean_reply(in, &p->cleaned, refusal);
        if (!e)
            e = thread_remember(f, job, &p->cleaned, &again);
    }
    return e;
}

enum err reply_clean(struct forward *f, const struct forward_job *job, struct reply_parcel *p)
{
    CLEANUP(user_names_clear) struct user_names names = {.n_mailboxes = 0};
    struct asked asked = {f, &job->route->alias};
    struct clean_refusal refusal = {.part = ""};
    struct clean_input in = {.outer = &p->message,
                             .entity = p->opened.entity,
                             .alias = job->route->alias.address,
                             .domain = address_domain(job->route->alias.address),
                             .lookups = {&asked, address_real, id_find, address_own},
                             .now_s = job->now_s};
    enum err e = user_names_find(f->store, job->route->alias.user, &p->profile, &names);

    if (!e && p->parties.from.addr)
        e = user_names_add(&names, p->parties.from.addr);
    if (e)
        return e;
    in.mailboxes = names.mailboxes;
    in.domains = names.domains;
    e = clean_and_remember(f, job, &in, p, &refusal);
    if (e == ERR_REFUSED)
        return reply_refuse(f, job, p, clean_reason_text(refusal.reason), refusal.part);
    if (e == ERR_HEADER || e == ERR_BARE_LINE)
        return reply_refuse(f, job, p, "Its header cannot be read", "");
    return e;
}
