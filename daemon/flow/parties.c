/* SPDX-License-Identifier: GPL-3.0-or-later */
/* parties.c - those whom a message names, as the user shall see them: the sender first, then the
 * others as far as keys reach.
 *
 * Invariant: what is shown of a stranger is a reverse alias of this alias, and no other. */
#include "daemon/base/failpoint.h"
#include "daemon/flow/parcel.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Stands for strangers who name no usable address at all. */
#define UNKNOWN_SENDER "unknown-sender@invalid"

static struct correspond_request request_of(const struct forward *f, const struct forward_job *job,
                                            const struct parcel *p)
{
    return (struct correspond_request){.store = f->store,
                                       .hsm = f->hsm,
                                       .profile = &p->profile,
                                       .alias = &p->alias,
                                       .now_s = job->now_s,
                                       .deadline_mono_ms = job->deadline_mono_ms};
}

const char *parcel_sender_address(const struct forward_job *job, const struct parcel *p)
{
    if (p->parties.from.addr)
        return p->parties.from.addr;
    return address_is_valid(job->mail_from) ? job->mail_from : UNKNOWN_SENDER;
}

/* A trial leaves no trace unless it was asked to. */
static bool may_make(const struct forward_job *job)
{
    return !job->trial || job->trial->make;
}

enum err parcel_sender(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    struct correspond_request r = request_of(f, job, p);
    const char *address = parcel_sender_address(job, p);
    enum err e;

    if (failpoint("forward.correspondent"))
        return ERR_SHARE;
    e = correspond_find(&r, address, &p->sender);
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        if (!may_make(job))
            return err_note(ERR_NOT_FOUND, "correspondent", "has not written to this alias yet");
        p->new_keys++;
        e = correspond_make(&r, address, false, &p->sender);
    }
    return e || job->trial ? e : store_correspondent_seen(f->store, p->sender.row.id, job->now_s);
}

static bool is_mapped(const struct parcel *p, const char *address)
{
    for (size_t i = 0; i < p->n_map; i++)
        if (strcmp(p->map[i].from_addr, address) == 0)
            return true;
    return false;
}

static void map_add(struct parcel *p, const char *from, const char *to)
{
    p->map[p->n_map++] = (struct rewrite_map){.from_addr = from, .to_addr = to};
}

/* The user's own aliases are shown as they are: the user knows them. */
static bool is_own_alias(struct forward *f, const struct parcel *p, const char *address)
{
    struct store_alias alias;
    address_text folded;
    bool own;

    if (strlen(address) > HSM_ADDRESS_MAX)
        return false;
    memcpy(folded, address, strlen(address) + 1);
    address_fold(folded);
    own = strcmp(folded, p->alias.address) == 0 ||
          (!store_alias_find(f->store, folded, &alias) && !alias.catch_all &&
           strcmp(alias.user, p->alias.user) == 0);
    err_note_clear();
    return own;
}

/* Strangers who know the user's mailbox may write to it too; no reply is to go there. */
static bool is_own_mailbox(const struct parcel *p, const char *address)
{
    for (size_t i = 0; i < p->profile.n_addresses; i++)
        if (strcasecmp(p->profile.addresses[i], address) == 0)
            return true;
    return false;
}

/* One more address of the header. Running out of keys leaves it out; anything worse is an error. */
static enum err map_address(struct forward *f, const struct forward_job *job, struct parcel *p,
                            const char *address)
{
    struct correspond_request r = request_of(f, job, p);
    struct correspondent *c = &p->others[p->n_others];
    enum err e;

    if (p->n_map == REWRITE_ADDRESSES_MAX || is_mapped(p, address) || is_own_mailbox(p, address))
        return ERR_OK;
    if (is_own_alias(f, p, address)) {
        map_add(p, address, address);
        return ERR_OK;
    }
    e = correspond_find(&r, address, c);
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        if (!may_make(job) || p->new_keys >= f->limits.keys_per_message)
            return ERR_OK;
        p->new_keys++;
        e = correspond_make(&r, address, true, c);
    }
    if (e == ERR_SHARE || e == ERR_LIMIT) {
        err_note_clear();
        return ERR_OK;
    }
    if (e)
        return e;
    p->n_others++;
    map_add(p, address, c->row.reverse);
    return ERR_OK;
}

/* Whoever answers writes to the return path; the user knows the alias behind it. */
static enum err alias_put(const struct mailbox_list *list, const char *return_path,
                          const char *alias)
{
    for (size_t i = 0; i < list->n; i++) {
        struct mailbox *m = &list->items[i];
        char *before = m->addr;

        if (strcasecmp(before, return_path) != 0)
            continue;
        m->addr = strdup(alias);
        free(before);
        free(m->name);
        m->name = NULL;
        if (!m->addr)
            return ERR_NOMEM;
    }
    return ERR_OK;
}

enum err parcel_map(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    const struct mailbox_list *lists[] = {&p->parties.reply_to, &p->parties.to, &p->parties.cc};
    enum err e = ERR_OK;

    for (size_t l = 0; !e && job->route->return_path[0] && l < sizeof lists / sizeof *lists; l++)
        e = alias_put(lists[l], job->route->return_path, p->alias.address);

    map_add(p, parcel_sender_address(job, p), p->sender.row.reverse);
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
        for (size_t i = 0; !e && i < lists[l]->n; i++)
            e = map_address(f, job, p, lists[l]->items[i].addr);
    return e;
}
