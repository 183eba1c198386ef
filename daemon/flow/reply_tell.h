/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_tell.h - what a user is told of their replies, always by sealed mail: why one was not sent,
 * what one still says of them, and that one came back. So many a day and no more. */
#ifndef SEALRELAY_FLOW_REPLY_TELL_H
#define SEALRELAY_FLOW_REPLY_TELL_H

#include "daemon/flow/reply.h"

#define REPLY_REFUSALS_PER_DAY 50u /* notices of a profile */
#define REPLY_WARNINGS_PER_DAY 10u

/* A reply that is not sent on, and why. */
struct reply_refused {
    const char *id;   /* of the message */
    const char *blob; /* as long as an id; the same whenever it comes again: it counts once */
    const char *profile;
    const char *reverse; /* whom it was for */
    const char *reason;  /* for the user; without a stop */
    const char *part;    /* "2.1" as IMAP counts, "" for none */
    int64_t now_s;
};

/* reply_tell_refused - a mail system in front may tell the sender nothing, so a message is refused
 * for good only behind this.
 * Errors: ERR_LIMIT (they were told enough for today), those of notice_send: it shall come again.
 */
enum err reply_tell_refused(struct forward *f, const struct reply_refused *refused);
/* reply_tell_warnings, reply_tell_first (the reverse alias that a first mail has made, and its
 * certificate) - failures are logged: the message has left. */
void reply_tell_warnings(struct forward *f, const struct reply_made *made);
void reply_tell_first(struct forward *f, const struct reply_made *made);

/* reply_tell_bounced - a reply could not be delivered; closes the failure.
 *   diagnostic  what a next hop wrote: only its harmless words are told
 * Errors: ERR_NOT_ACTIVE (its profile is suspended: later), ERR_NOT_FOUND (nobody can be told: the
 * profile is not in use, or what was kept of the reply does not open), ERR_WRONG_STATE (closed
 * already), those of store, queue, key service. */
enum err reply_tell_bounced(struct forward *f, const struct queue_failure *failure,
                            const char *diagnostic, int64_t now_s);

#endif
