/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sender.h - what a profile's policy makes of a sender's verdict. Pure. */
#ifndef SEALRELAY_POLICY_SENDER_H
#define SEALRELAY_POLICY_SENDER_H

#include "daemon/store/sender_policy.h"
#include "daemon/verdict/sender_verdict.h"

/* How a message that is taken is marked for its reader. */
struct sender_marks {
    bool unverified; /* proven not to be authorised by the domain in From */
    bool spam;
};

/* policy_sender - is the message taken, and how is it marked?
 *
 *   verdict                  refuse                          defer                mark
 *   DMARC fails              failing = refuse; = policy and  = defer              otherwise
 *                            the domain asks for reject
 *   spam filter rejects      spam = refuse                   -                    spam = mark
 *   ... wants a delay        -                               always               -
 *   ... wants a mark         -                               -                    always
 *   not checked, or DMARC    -                               unchecked = defer    -
 *   could not be (temporary)
 *
 * A refusal wins over a delay, a delay over a mark.
 * Errors: ERR_SENDER_FAILED, ERR_SPAM (refused), ERR_SENDER_DEFERRED, ERR_UNCHECKED (deferred). */
enum err policy_sender(const struct sender_verdict *v, const struct sender_policy *p,
                       struct sender_marks *out);

#endif
