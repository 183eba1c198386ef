/* SPDX-License-Identifier: GPL-3.0-or-later */
/* own_copy.c - tells a user's mail to their own alias from a copy of what they wrote to others.
 *
 * Who replies to all names the alias too. Where all recipients come in one transaction the handler
 * drops it; a mailbox provider that hands over each recipient by itself brings the copy alone, and
 * forwarded it would come back as mail of a stranger, with the user's mailbox as its sender. */
#include "daemon/flow/judge.h"
#include "daemon/flow/parcel.h"

#include <string.h>

/* Does the user reach a correspondent under this address? */
static enum err is_correspondents(struct forward *f, const char *user, const char *address,
                                  bool *out)
{
    struct store_correspondent c;
    struct policy_route first;
    struct store_alias alias;
    address_text folded;
    enum err e;

    *out = false;
    if (strlen(address) >= sizeof folded)
        return ERR_OK;
    memcpy(folded, address, strlen(address) + 1);
    address_fold(folded);
    e = store_correspondent_by_reverse(f->store, folded, &c);
    if (!e)
        e = store_alias_get(f->store, c.alias, &alias);
    else if (e == ERR_NOT_FOUND && !(e = policy_first_address(&f->policy, address, &first)))
        alias = first.alias;
    if (!e)
        *out = strcmp(alias.user, user) == 0;
    if (e != ERR_NOT_FOUND && e != ERR_NO_ALIAS)
        return e;
    err_note_clear();
    return ERR_OK;
}

enum err parcel_is_own_copy(struct forward *f, const struct forward_job *job,
                            const struct parcel *p, bool *out)
{
    const struct mailbox_list *lists[] = {&p->parties.to, &p->parties.cc};
    size_t left = REWRITE_ADDRESSES_MAX;
    enum err e = ERR_OK;

    *out = false;
    if (!judge_is_users(job->verdict, &p->parties, &p->profile))
        return ERR_OK;
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
        for (size_t i = 0; !e && !*out && left && i < lists[l]->n; i++, left--)
            e = is_correspondents(f, p->profile.user, lists[l]->items[i].addr, out);
    return e;
}
