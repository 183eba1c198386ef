/* SPDX-License-Identifier: GPL-3.0-or-later */
/* returned.h - what comes to the return path of a message that left: reports and automatic answers.
 *
 * Nothing that comes here is forwarded to anybody. A report that a delivery failed is durable in
 * the queue's history before its 250; what follows from it is done by bounce.h. */
#ifndef SEALRELAY_FLOW_RETURNED_H
#define SEALRELAY_FLOW_RETURNED_H

#include "daemon/flow/forward.h"

/* returned_take - one message for one return path.
 *   about  id of the message that had left
 * ERR_OK: taken and dealt with, whether or not it said anything new.
 * Errors: ERR_NOT_REPORT (mail of a person), ERR_HEADER (cannot be read), the queue's. */
enum err returned_take(struct forward *f, const struct receive_transaction *t, const char *about,
                       struct bytes data);

#endif
