/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_write.c - a cleaned reply into the queue, whose seal is its only layer unless it can be
 * encrypted to its correspondent. */
#include "daemon/base/failpoint.h"
#include "daemon/flow/origin.h"
#include "daemon/flow/reply_parcel.h"
#include "daemon/message/address.h"
#include "daemon/policy/return_path.h"

#include <string.h>

/* What the user is told if it comes back: the reverse alias they wrote to, and which message. */
static enum err origin_make(struct forward *f, const struct forward_job *job,
                            const struct reply_parcel *p, struct buf *out)
{
    struct origin o = {.message_id = ""};
    const char *id = p->cleaned.original_id;

    memcpy(o.sender, job->route->correspondent.reverse, sizeof o.sender);
    memcpy(o.alias, job->route->alias.address, sizeof o.alias);
    if (id && strlen(id) <= ORIGIN_MESSAGE_ID_MAX)
        memcpy(o.message_id, id, strlen(id) + 1);
    return origin_seal(f->store, job->queue_id, &o, out);
}

static enum err entry_begin(struct forward *f, const struct forward_job *job,
                            struct reply_parcel *p)
{
    CLEANUP(buf_clear) struct buf origin = {0};
    const struct store_correspondent *to = &job->route->correspondent;
    struct queue_envelope envelope = {.direction = QUEUE_REPLY,
                                      .profile = p->profile.profile,
                                      .hop = forward_hop(f, to->address),
                                      .rcpt_to = to->address};
    uint8_t key[RETURN_PATH_KEY_LEN];
    address_text return_path;
    enum err e = store_derived_key(f->store, "return-path", key);

    if (!e)
        e = return_path_make(key, job->queue_id, address_domain(to->reverse), job->now_s,
                             return_path);
    if (!e)
        e = origin_make(f, job, p, &origin);
    if (e)
        return e;
    memcpy(envelope.id, job->queue_id, sizeof envelope.id);
    envelope.mail_from = return_path;
    envelope.origin = buf_bytes(&origin);
    return queue_begin(f->queue, &envelope, job->now_s, &p->made.writer);
}

/* No certificate of a correspondent is known. */
static enum err onward_allowed(struct forward *f, const struct forward_job *job,
                               const struct reply_parcel *p)
{
    switch (p->policy.onward) {
    case ONWARD_WHEN_KNOWN:
    case ONWARD_NEVER:
        return ERR_OK;
    case ONWARD_REQUIRED:
        return reply_refuse(f, job, p,
                            "Your profile sends encrypted only, and no certificate of this "
                            "correspondent is known",
                            "");
    }
    return ERR_BUG;
}

enum err reply_write(struct forward *f, const struct forward_job *job, struct reply_parcel *p)
{
    enum err e = onward_allowed(f, job, p);

    if (!e)
        e = entry_begin(f, job, p);
    if (!e)
        e = queue_write(p->made.writer, p->cleaned.header.data, p->cleaned.header.len);
    if (!e && failpoint("reply.write"))
        e = ERR_IO;
    return e ? e : queue_write(p->made.writer, p->cleaned.entity.data, p->cleaned.entity.len);
}
