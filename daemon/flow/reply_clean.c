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
    const char **mailboxes;
    const char **domains;
    size_t n_mailboxes, n_domains;
};

static void user_names_clear(struct user_names *n)
{
    free(n->mailboxes);
    free(n->domains);
    store_user_clear(&n->user);
}

static bool is_listed(const char *const *items, size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(items[i], s) == 0)
            return true;
    return false;
}

static void name_add(struct user_names *n, const char *mailbox)
{
    const char *domain = address_domain(mailbox);
    size_t n_shared = sizeof shared_domains / sizeof *shared_domains;

    if (!is_listed(n->mailboxes, n->n_mailboxes, mailbox))
        n->mailboxes[n->n_mailboxes++] = mailbox;
    if (!is_listed(n->domains, n->n_domains, domain) &&
        !is_listed(shared_domains, n_shared, domain))
        n->domains[n->n_domains++] = domain;
}

static enum err user_names_find(struct forward *f, const struct forward_job *job,
                                const struct reply_parcel *p, struct user_names *n)
{
    enum err e = store_user_find(f->store, job->route->alias.user, &n->user);
    size_t room = p->profile.n_addresses + n->user.n_mailboxes + 2;

    if (e)
        return e == ERR_NOT_FOUND ? err_note(ERR_BUSY, "reply", "its user was removed") : e;
    n->mailboxes = calloc(room, sizeof *n->mailboxes);
    n->domains = calloc(room, sizeof *n->domains);
    if (!n->mailboxes || !n->domains)
        return ERR_NOMEM;
    for (size_t i = 0; i < p->profile.n_addresses; i++)
        name_add(n, p->profile.addresses[i]);
    for (size_t i = 0; i < n->user.n_mailboxes; i++)
        name_add(n, n->user.mailboxes[i]);
    if (p->parties.from.addr)
        name_add(n, p->parties.from.addr);
    return ERR_OK;
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

/* Only the correspondents of this user, of whatever alias; one that our mail cannot name is none.
 */
static enum err address_real(void *context, const char *reverse, char **real)
{
    const struct asked *a = context;
    struct store_correspondent c;
    struct store_alias alias;
    enum err e = store_correspondent_by_reverse(a->f->store, reverse, &c);

    if (!e)
        e = store_alias_get(a->f->store, c.alias, &alias);
    if (!e && (strcmp(alias.user, a->alias->user) != 0 || !address_is_ascii(c.address)))
        e = ERR_NOT_FOUND;
    if (e == ERR_NO_ALIAS || e == ERR_NOT_FOUND) {
        err_note_clear();
        return ERR_NOT_FOUND;
    }
    return e ? e : text_give(c.address, real);
}

static enum err id_find(void *context, const char *id, enum clean_id *known, char **mapped)
{
    const struct asked *a = context;
    message_id_text other;
    enum err e = store_thread_outer(a->f->store, a->alias->id, id, other);

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
                                    .reverse = job->route->correspondent.reverse,
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
    if (e == ERR_FORMAT) { /* over-long: this thread is not held together */
        err_note_clear();
        return ERR_OK;
    }
    return e == ERR_NOT_FOUND ? err_note(ERR_BUSY, "reply", "its alias was removed") : e;
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
                             .lookups = {&asked, address_real, id_find},
                             .now_s = job->now_s};
    enum err e = user_names_find(f, job, p, &names);

    if (e)
        return e;
    in.mailboxes = names.mailboxes;
    in.domains = names.domains;
    e = clean_reply(&in, &p->cleaned, &refusal);
    if (e == ERR_REFUSED)
        return reply_refuse(f, job, p, clean_reason_text(refusal.reason), refusal.part);
    if (e == ERR_HEADER || e == ERR_BARE_LINE)
        return reply_refuse(f, job, p, "Its header cannot be read", "");
    return e ? e : thread_remember(f, job, &p->cleaned);
}
