/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_write.c - a cleaned reply into the queue: encrypted to its correspondent where a
 * certificate of theirs is known, else under the queue's seal alone. */
#include "daemon/base/failpoint.h"
#include "daemon/flow/onward.h"
#include "daemon/flow/origin.h"
#include "daemon/flow/reply_parcel.h"
#include "daemon/message/address.h"
#include "daemon/policy/return_path.h"
#include "daemon/smime/onward.h"

#include <string.h>

/* What the user is told if it comes back: the reverse alias they wrote to, and which message. */
static enum err origin_make(struct forward *f, const struct forward_job *job,
                            const struct reply_parcel *p, struct buf *out)
{
    struct origin o = {.message_id = ""};
    const char *id = p->cleaned.original_id;

    memcpy(o.sender, p->to.reverse, sizeof o.sender);
    memcpy(o.alias, job->route->alias.address, sizeof o.alias);
    if (id && strlen(id) <= ORIGIN_MESSAGE_ID_MAX)
        memcpy(o.message_id, id, strlen(id) + 1);
    return origin_seal(f->store, job->queue_id, &o, out);
}

static enum err entry_begin(struct forward *f, const struct forward_job *job,
                            struct reply_parcel *p)
{
    CLEANUP(buf_clear) struct buf origin = {0};
    const struct store_correspondent *to = &p->to;
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

static enum err sink_to_queue(void *ctx, const uint8_t *data, size_t len)
{
    return queue_write(ctx, data, len);
}

static enum err clear_write(struct reply_parcel *p)
{
    enum err e = queue_write(p->made.writer, p->cleaned.header.data, p->cleaned.header.len);

    if (!e && failpoint("reply.write"))
        e = ERR_IO;
    return e ? e : queue_write(p->made.writer, p->cleaned.entity.data, p->cleaned.entity.len);
}

static enum err encrypted_write(struct reply_parcel *p, const struct onward_plan *plan)
{
    struct onward_job onward = {.header = buf_bytes(&p->cleaned.header),
                                .entity = buf_bytes(&p->cleaned.entity),
                                .recipient = plan->cert,
                                .aes_128 = plan->aes_128};

    p->made.encrypted = true;
    if (failpoint("reply.onward"))
        return ERR_IO;
    return onward_run(&onward, sink_to_queue, p->made.writer);
}

static enum err entry_write(struct forward *f, const struct forward_job *job,
                            struct reply_parcel *p, const struct onward_plan *plan)
{
    enum err e = entry_begin(f, job, p);

    if (e)
        return e;
    return plan->way == ONWARD_ENCRYPTED ? encrypted_write(p, plan) : clear_write(p);
}

static const char unknown_text[] =
    "Your profile sends encrypted only, and no certificate of this correspondent is\r\n"
    "known. It becomes known when they send you a message that they signed with it\r\n"
    "(S/MIME), or when whoever runs your relay imports it";

static const char expired_text[] =
    "The certificate of this correspondent, which messages to them are encrypted to,\r\n"
    "has expired. The next message that they sign with a new one (S/MIME) mends that.\r\n"
    "Whoever runs your relay can import a new one, or forget the old one";

static const char imported_text[] =
    "The certificate of this correspondent, which messages to them are encrypted to,\r\n"
    "has expired. Whoever runs your relay imported it, and can import a new one or\r\n"
    "forget the old one";

enum err reply_write(struct forward *f, const struct forward_job *job, struct reply_parcel *p)
{
    CLEANUP(onward_plan_clear) struct onward_plan plan = {.cert = NULL};
    enum err e = onward_plan_make(f->store, &p->to, p->policy.onward, job->now_s, &plan);

    if (e)
        return e;
    switch (plan.way) {
    case ONWARD_CLEAR:
    case ONWARD_ENCRYPTED:
        return entry_write(f, job, p, &plan);
    case ONWARD_UNKNOWN:
        return reply_refuse(f, job, p, unknown_text, "");
    case ONWARD_EXPIRED:
        return reply_refuse(f, job, p, plan.imported ? imported_text : expired_text, "");
    }
    return ERR_BUG;
}
