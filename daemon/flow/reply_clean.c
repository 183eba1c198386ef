/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_clean.c - everything that the cleaner has to know of the user, and what becomes of its
 * answer. */
#include "daemon/base/failpoint.h"
#include "daemon/flow/reply_parcel.h"
#include "daemon/flow/reply_tell.h"
#include "daemon/message/address.h"
#include "daemon/store/thread.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Mailbox domains that name nobody: message ids at them are their other users' too, and threads
 * with those would break if they were taken for ids of this user's. */
static const char *const shared_domains[] = {
    "aol.com",   "fastmail.com", "freenet.de",     "gmail.com",   "gmx.at",      "gmx.ch",
    "gmx.de",    "gmx.net",      "googlemail.com", "hey.com",     "hotmail.com", "icloud.com",
    "live.com",  "mac.com",      "mail.ru",        "mailbox.org", "me.com",      "msn.com",
    "orange.fr", "outlook.com",  "pm.me",          "posteo.de",   "proton.me",   "protonmail.com",
    "qq.com",    "t-online.de",  "tutanota.com",   "web.de",      "yahoo.co.jp", "yahoo.com",
    "yandex.ru", "zoho.com",
};

/* What names the user: the profile's mailboxes and those the store knows, and their domains. */
struct user_names {
    struct store_user user;
    struct buf mailboxes, domains; /* of const char *; the last is NULL */
};

static void user_names_clear(struct user_names *n)
{
    buf_clear(&n->mailboxes);
    buf_clear(&n->domains);
    store_user_clear(&n->user);
}

static const char *const *texts(const struct buf *b)
{
    return (const char *const *)(const void *)b->data;
}

static bool is_listed(const char *const *items, size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(items[i], s) == 0)
            return true;
    return false;
}

static void text_add(struct buf *list, const char *text)
{
    if (!text || !is_listed(texts(list), list->len / sizeof text, text))
        buf_append(list, &text, sizeof text);
}

static void name_add(struct user_names *n, const char *mailbox)
{
    const char *domain = address_domain(mailbox);

    text_add(&n->mailboxes, mailbox);
    if (!is_listed(shared_domains, sizeof shared_domains / sizeof *shared_domains, domain))
        text_add(&n->domains, domain);
}

static enum err user_names_find(struct forward *f, const struct forward_job *job,
                                const struct reply_parcel *p, struct user_names *n)
{
    enum err e = store_user_find(f->store, job->route->alias.user, &n->user);

    if (e)
        return e == ERR_NOT_FOUND ? err_note(ERR_BUSY, "reply", "its user was removed") : e;
    for (size_t i = 0; i < p->profile.n_addresses; i++)
        name_add(n, p->profile.addresses[i]);
    for (size_t i = 0; i < n->user.n_mailboxes; i++)
        name_add(n, n->user.mailboxes[i]);
    if (p->parties.from.addr)
        name_add(n, p->parties.from.addr);
    text_add(&n->mailboxes, NULL);
    text_add(&n->domains, NULL);
    e = buf_error(&n->mailboxes);
    return e ? e : buf_error(&n->domains);
}

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

/* Only the correspondents of this user, of whatever alias; one that our mail cannot name is none.
 */
static enum err address_real(void *context, const char *reverse, char **real)
{
    const struct asked *a = context;
    struct policy_route route;
    enum err e = route_find(a->f, reverse, &route);

    if (!e && (strcmp(route.alias.user, a->alias->user) != 0 ||
               !address_is_ascii(route.correspondent.address)))
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
    enum err e = store_thread_outer(a->f->store, a->alias->id, id, other);

    if (!e && !address_is_ascii(other)) { /* theirs, that no header of ours can carry */
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
    *known = CLEAN_ID_UNKNOWN;
    return ERR_OK;
}

/* ---- its answer ---- */

enum err reply_refuse(struct forward *f, const struct forward_job *job,
                      const struct reply_parcel *p, const char *reason, const char *part)
{
    struct reply_refused refused = {.id = job->queue_id,
                                    .profile = p->profile.profile,
                                    .reverse = p->to.reverse,
                                    .reason = reason,
                                    .part = part,
                                    .now_s = job->now_s};

    err_note_clear();
    reply_tell_refused(f, &refused);
    return ERR_REPLY;
}

/* A later message of the thread finds this one under both of its names. */
static enum err thread_remember(struct forward *f, const struct forward_job *job,
                                const struct clean_output *cleaned)
{
    message_id_text outer;
    enum err e;

    if (failpoint("reply.thread"))
        return ERR_IO;
    if (!cleaned->original_id)
        return ERR_OK;
    e = store_thread_add(f->store, job->route->alias.id, cleaned->original_id, cleaned->message_id,
                         job->now_s, outer);
    return e == ERR_NOT_FOUND ? err_note(ERR_BUSY, "reply", "its alias was removed") : e;
}

enum err reply_clean(struct forward *f, const struct forward_job *job, struct reply_parcel *p)
{
    CLEANUP(user_names_clear) struct user_names names = {.mailboxes = {0}};
    struct asked asked = {f, &job->route->alias};
    struct clean_refusal refusal = {.part = ""};
    struct clean_input in = {.outer = &p->message,
                             .entity = p->opened.entity,
                             .alias = job->route->alias.address,
                             .domain = address_domain(job->route->alias.address),
                             .lookups = {&asked, address_real, id_find},
                             .now_s = job->now_s};
    enum err e = user_names_find(f, job, p, &names);

    if (e)
        return e;
    in.mailboxes = texts(&names.mailboxes);
    in.domains = texts(&names.domains);
    e = clean_reply(&in, &p->cleaned, &refusal);
    if (e == ERR_REFUSED)
        return reply_refuse(f, job, p, clean_reason_text(refusal.reason), refusal.part);
    if (e == ERR_HEADER || e == ERR_BARE_LINE)
        return reply_refuse(f, job, p, "Its header cannot be read", "");
    return e ? e : thread_remember(f, job, &p->cleaned);
}
