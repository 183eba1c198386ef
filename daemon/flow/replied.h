/* SPDX-License-Identifier: GPL-3.0-or-later */
/* replied.h - a transaction that names a reverse alias: a user's message to correspondents. */
#ifndef SEALRELAY_FLOW_REPLIED_H
#define SEALRELAY_FLOW_REPLIED_H

#include "daemon/flow/handler.h"

/* replied_take - a message for one or more reverse aliases, each of which gets its own. The user's
 * own aliases beside them are taken and dropped: a reply to all names them too.
 *   replies  one a recipient (LMTP), or one for all of them (SMTP: all or none are taken)
 * Effects: what is answered 250 is durable. */
void replied_take(struct forward *f, const struct receive_transaction *t, struct bytes data,
                  int64_t deadline_mono_ms, struct reply *replies);

#endif
