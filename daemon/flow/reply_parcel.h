/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_parcel.h - what a reply gathers on its way through reply.c. Private to the flow. */
#ifndef SEALRELAY_FLOW_REPLY_PARCEL_H
#define SEALRELAY_FLOW_REPLY_PARCEL_H

#include "daemon/flow/forward.h"
#include "daemon/flow/reply.h"
#include "daemon/message/rewrite.h"
#include "daemon/smime/open.h"
#include "daemon/store/reply_policy.h"

struct reply_parcel {
    struct message message;
    struct rewrite_parties parties;
    struct hsm_profile profile; /* the one that the reply is proven for */
    struct reply_policy policy; /* its own */
    struct open_result opened;
    struct store_correspondent to; /* whom it is for */
    bool named;                    /* is the reverse alias's certificate among the recipients? */
    struct clean_output cleaned;
    struct reply_made made;
    bool repeat; /* sent before; nothing is left to do */
    int64_t since_ms;
};

/* reply_prove - find the profile that the message is proven for, and open it: an aligned pass, then
 * the signature of a user key, as far as the profile asks for each. Without the pass that is asked
 * for no key is used. What was not encrypted must name its recipient in To or Cc: somebody else
 * could send it on as it is, and the pass with it.
 *   p  message and parties filled; profile, policy, opened and named are set
 * Errors: ERR_UNPROVEN, whatever the message's fault is; ERR_UNCHECKED, ERR_SENDER_DEFERRED; those
 * of store and key service. */
enum err reply_prove(struct forward *f, const struct forward_job *job, struct reply_parcel *p);

/* reply_meet - find whom it is for; of a first mail the correspondent is made, with a reverse alias
 * and a key, unless there is one. p: to is set.
 * Errors: those of correspond_make. */
enum err reply_meet(struct forward *f, const struct forward_job *job, struct reply_parcel *p);

/* reply_claim - may it be honoured, here and now? p: made.claim is set, or repeat.
 * Errors: ERR_UNPROVEN (honoured for somebody else), ERR_BUSY, the store's, the queue's. */
enum err reply_claim(struct forward *f, const struct forward_job *job, struct reply_parcel *p);

/* reply_clean - rebuild it for its correspondent; its new Message-ID is remembered.
 * Errors: ERR_REPLY (the user was told why), ERR_NOMEM, ERR_IO, the store's. */
enum err reply_clean(struct forward *f, const struct forward_job *job, struct reply_parcel *p);

/* reply_write - into the queue, encrypted to the correspondent where that can and shall be.
 * Errors: ERR_REPLY (it cannot, and the user was told), the queue's, the store's. */
enum err reply_write(struct forward *f, const struct forward_job *job, struct reply_parcel *p);

/* reply_refuse - the user is told why; the answer is ERR_REPLY, or why they could not be told. Told
 * often enough today, a client that sees the answer is refused all the same; where it would be
 * dropped the answer is ERR_SENDER_DEFERRED.
 *   reason  for the user, without a stop
 *   part    of the message it is about, "" for none */
enum err reply_refuse(struct forward *f, const struct forward_job *job,
                      const struct reply_parcel *p, const char *reason, const char *part);

#endif
