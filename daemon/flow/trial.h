/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial.h - what would become of this message? The flow of a message from a file, but the queue.
 *
 * For the operator, on a relay that serves: the message goes through the same functions and the
 * same keys as a stranger's, under a deadline of its own, and comes back sealed or refused. */
#ifndef SEALRELAY_FLOW_TRIAL_H
#define SEALRELAY_FLOW_TRIAL_H

#include "daemon/flow/forward.h"

/* trial_run - try a message for one alias.
 *   mail_from  envelope sender, "" for the null one
 *   message    CRLF line ends, as behind the final dot; at most max_bytes
 *   outlet     as for a job; its steps begin with "trial.recipient" and "trial.sender"
 *   answer_out what a stranger would be told; set whatever the result is, but for ERR_NOT_FOUND
 * Effects: none that last, unless outlet->make; the key service counts the signature, and a key
 * near its end is certified anew as by any message.
 * Errors: whatever refuses or defers the message; ERR_NOT_FOUND when something would have had to be
 * made; ERR_REFUSED (the address is no alias). */
struct trial {
    const char *alias;
    const char *mail_from;
    struct bytes message;
    uint64_t max_bytes;
    const struct forward_trial *outlet;
    int64_t now_s;
    int64_t deadline_mono_ms;
};
enum err trial_run(struct forward *f, const struct trial *t, struct reply *answer_out);

#endif
