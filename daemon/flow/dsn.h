/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dsn.h - the words a sender is told with that a message failed: RFC 3464, pure.
 *
 * Names the alias the message was sent to and nothing else of its user. Of what a next hop wrote
 * only codes and words of a closed list pass: whatever else stands there, names of mailboxes and of
 * hosts behind them, stays out. Nothing of the message comes back but its Message-ID. */
#ifndef SEALRELAY_FLOW_DSN_H
#define SEALRELAY_FLOW_DSN_H

#include "daemon/base/buf.h"

struct dsn {
    const char *id;         /* of this notice */
    const char *domain;     /* the relay's, the alias lies in or below it */
    const char *sender;     /* whom it goes to */
    const char *alias;      /* whom the message was for */
    const char *message_id; /* of the message; "": not known */
    const char *status;     /* RFC 3463; "": 5.0.0 */
    const char *diagnostic; /* what a next hop wrote, a stranger's text; "" */
    int64_t arrived_s;
    int64_t now_s;
};

/* dsn_append - the whole message, CRLF lines, ASCII. Errors: ERR_IO (no randomness), ERR_NOMEM. */
enum err dsn_append(struct buf *out, const struct dsn *d);

/* dsn_reason - what a status means to a person: "its mailbox is full". Static. */
const char *dsn_reason(const char *status);

/* dsn_diagnostic_append - what may be told of a next hop's text: "550 5.1.1 user unknown". */
void dsn_diagnostic_append(struct buf *out, const char *text);

#endif
