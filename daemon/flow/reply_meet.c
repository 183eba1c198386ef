/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_meet.c - whom a reply is for; a user's first mail to somebody makes the correspondent.
 *
 * It comes after the proof: no stranger can have anybody made, or learn who is known. */
#include "daemon/base/failpoint.h"
#include "daemon/flow/correspond.h"
#include "daemon/flow/reply_parcel.h"

enum err reply_meet(struct forward *f, const struct forward_job *job, struct reply_parcel *p)
{
    const struct policy_route *route = job->route;
    struct correspond_request r = {.store = f->store,
                                   .hsm = f->hsm,
                                   .profile = &p->profile,
                                   .alias = &route->alias,
                                   .now_s = job->now_s,
                                   .deadline_mono_ms = job->deadline_mono_ms};
    CLEANUP(correspondent_clear) struct correspondent c = {.cert = NULL};
    enum err e;

    if (route->kind == POLICY_REVERSE) {
        p->to = route->correspondent;
        return ERR_OK;
    }
    e = correspond_find(&r, route->correspondent.address, &c);
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        e = correspond_make(&r, route->correspondent.address, false, &c);
    }
    if (!e && failpoint("reply.met"))
        e = ERR_BUSY;
    if (!e)
        p->to = c.row;
    return e;
}
