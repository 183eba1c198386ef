/* SPDX-License-Identifier: GPL-3.0-or-later */
/* judge.h - the sender's verdict for a message: what session and header say is put to whoever
 * judges, once a message and before anything is made for its sender. */
#ifndef SEALRELAY_FLOW_JUDGE_H
#define SEALRELAY_FLOW_JUDGE_H

#include "daemon/flow/forward.h"
#include "daemon/message/rewrite.h"

/* judge_message - the verdict, or what makes the message unacceptable whoever sent it; such a one
 * is not put to anybody.
 *   deadline_mono_ms  of the job; the judge may have a shorter one of its own
 * Effects: a line in the log. Errors: those of message_parse and rewrite_parties_find. */
enum err judge_message(struct forward *f, const struct receive_transaction *t, struct bytes data,
                       int64_t deadline_mono_ms, struct sender_verdict *out);

/* judge_reply - the same for a user's message. What is wrong with the message itself is nobody's
 * business before it is proven: its verdict vouches for nobody, and the log's line is of one form.
 * Errors: of other classes than PERM. */
enum err judge_reply(struct forward *f, const struct receive_transaction *t, struct bytes data,
                     int64_t deadline_mono_ms, struct sender_verdict *out);

/* judge_is_users - is From, and nobody else, one of the profile's mailboxes, with an aligned pass?
 */
bool judge_is_users(const struct sender_verdict *verdict, const struct rewrite_parties *parties,
                    const struct hsm_profile *profile);

#endif
