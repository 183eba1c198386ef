/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bounce.h - what follows when a message failed for good: the operator is alarmed, a mailbox that
 * bounces again and again is written to no more, and a sender who is proven is told.
 *
 * One thread works off the queue's list of open failures, whoever found them: a report that came
 * back, a next hop's 5xx, a lifetime that was over. Each step may be run again, and a failure is
 * closed in the transaction that makes its notice durable, so a crash at any step repeats or goes
 * on and never forgets.
 *
 * A bounce is hard, and counts against the profile, when its status is of class 5 and speaks of the
 * address, the mailbox or the way to it. Content that a stranger chose must not suspend anybody, so
 * these do not count: 5.2.3 and 5.3.4 (too big), 5.6.x (content), 5.7.x (policy, spam filters), and
 * 5.0.x (says nothing; filters use it too). */
#ifndef SEALRELAY_FLOW_BOUNCE_H
#define SEALRELAY_FLOW_BOUNCE_H

#include "daemon/flow/forward.h"

#define BOUNCE_REPORT_PURPOSE "report" /* of the blob that holds a report's diagnostic */
#define BOUNCE_SUSPENDS       5u       /* hard bounces of different messages in 24 h */

/* bounce_is_hard - does a status count against the mailbox? */
bool bounce_is_hard(const char *status);

/* bounce_work - deal with every open failure once; those that cannot be dealt with now stay open.
 * Errors: the last of those. */
enum err bounce_work(struct forward *f, int64_t now_s);

struct bounce;
/* bounce_start - a thread that calls bounce_work every second, less often while it fails.
 * Errors: ERR_NOMEM. */
enum err bounce_start(struct forward *f, struct bounce **out);
/* bounce_stop - accepts NULL. */
void bounce_stop(struct bounce *b);

#endif
