/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply.h - the other direction: a user's message to a reverse alias leaves for its correspondent,
 * without a trace of the user.
 *
 * Runs in the session, between the final dot and its reply. Invariants: until a message is proven
 * to be the user's, every failure that is the message's own is ERR_UNPROVEN and leaves the same
 * line in the log; nothing that was opened is kept but what clean_reply() made of it. */
#ifndef SEALRELAY_FLOW_REPLY_H
#define SEALRELAY_FLOW_REPLY_H

#include "daemon/clean/clean.h"
#include "daemon/flow/forward.h"
#include "daemon/store/replay.h"

#define REPLY_FAILURES_PER_HOUR 20u /* of one reverse alias, without an aligned pass */

/* What one reply has come to, until its transaction ends. All zero is nothing. */
struct reply_made {
    struct queue_writer *writer; /* NULL: this very reply was sent before */
    struct store_claim claim;
    bool claimed;
    bool encrypted; /* to its correspondent's own certificate */
    id_text profile;
    struct clean_warning warnings[CLEAN_WARNINGS_MAX];
    size_t n_warnings;
    const struct policy_route *first; /* of a first mail, else NULL; lives as long as the job's */
};

/* reply_message - open, prove, clean and write one reply for one reverse alias, uncommitted.
 *   job  as of forward_message; no trial; its route is a reply's (policy_is_reply), outlives out
 *   out  given; reply_commit or reply_abort it
 * Errors: ERR_UNPROVEN; of a proven one ERR_REPLY (the user was told why), of both kinds those of
 * store, queue and key service, ERR_UNCHECKED and ERR_SENDER_DEFERRED (nobody can say now whether
 * the sender is the user), ERR_BUSY (the same reply is under way, or the user could not be told),
 * ERR_TIMEOUT. */
enum err reply_message(struct forward *f, const struct forward_job *job, struct reply_made *out);

/* reply_commit - make replies durable, all or none; after ERR_OK a 250 is safe.
 *   id  of the transaction, for the log */
enum err reply_commit(struct forward *f, const char *id, struct reply_made **made, size_t n);
/* reply_abort - as if it had not come. Accepts what was never filled, or was committed. */
void reply_abort(struct forward *f, struct reply_made *made);

#endif
