/* SPDX-License-Identifier: GPL-3.0-or-later */
/* returned.h - what comes to the return path of a message that left: reports and automatic answers.
 *
 * No report is forwarded to anybody. One that a delivery failed is durable in the queue's history
 * before its 250; what follows from it is done by bounce.h. What answers a user's reply is mail for
 * the alias that the reply left under: responders write to the return path (RFC 3834 4). */
#ifndef SEALRELAY_FLOW_RETURNED_H
#define SEALRELAY_FLOW_RETURNED_H

#include "daemon/flow/forward.h"

/* returned_take - one message for one return path.
 *   about  id of the message that had left
 * ERR_OK: taken and dealt with, whether or not it said anything new.
 * Errors: ERR_NOT_REPORT (mail of a person), ERR_HEADER (cannot be read), the queue's. */
enum err returned_take(struct forward *f, const struct receive_transaction *t, const char *about,
                       struct bytes data);

/* returned_answer - does a message answer a user's reply?
 *   route  of a return path; with ERR_OK that of the alias: the message is sealed as if it had come
 *          there
 * Errors: ERR_NOT_FOUND (it does not: a report, a message that was no reply or that nobody knows
 * any more, an alias that is gone; returned_take it), those of policy_recipient, the queue's. */
enum err returned_answer(struct forward *f, struct bytes data, struct policy_route *route);

#endif
