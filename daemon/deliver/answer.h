/* SPDX-License-Identifier: GPL-3.0-or-later */
/* answer.h - what an operator wants to know out of the text of a reply: the enhanced status, and
 * the name under which the next hop keeps the message. Pure; the text is a stranger's. */
#ifndef SEALRELAY_DELIVER_ANSWER_H
#define SEALRELAY_DELIVER_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#define ANSWER_STATUS_SIZE 12 /* "5.123.123" and its NUL */
#define ANSWER_HOP_ID_MAX  64 /* characters of a queue id; the longest known have under 30 */

/* answer_status - the enhanced status that a reply's text begins with.
 *   text    printable ASCII behind code and blank: "2.0.0 Ok: queued as 4XyZ"
 *   out     "2.0.0"; "" where there is none, or one of another class than code
 * Source: RFC 2034 4, RFC 3463 2. */
void answer_status(uint16_t code, const char *text, char out[ANSWER_STATUS_SIZE]);

/* answer_hop_id - the queue id in the text of a 2xx to the end of the data, as Postfix ("queued as
 * X"), Exim ("OK id=X"), OpenSMTPD and Sendmail ("X Message accepted for delivery", "Message
 * accepted for delivery: X") say it.
 *   out   [A-Za-z0-9.-] only; "" where there is none, or what is there may be something else
 * True: there is one. */
bool answer_hop_id(const char *text, char out[ANSWER_HOP_ID_MAX + 1]);

#endif
