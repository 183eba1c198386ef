/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply.h - answers on the wire. */
#ifndef SEALRELAY_RECEIVE_REPLY_H
#define SEALRELAY_RECEIVE_REPLY_H

#include "daemon/receive/receive.h"

/* reply_append - write "250 2.1.0 Text CRLF". An answer no client may see (no text, a code that is
 * no final answer, or a status that contradicts it) is written as 451 4.3.0.
 * Returns the code written. */
int reply_append(struct buf *out, struct reply r);

/* reply_append_queued - the same for the answer to a message: a 250 also says its id. */
int reply_append_queued(struct buf *out, struct reply r, const char *id);

#endif
