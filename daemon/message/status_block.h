/* SPDX-License-Identifier: GPL-3.0-or-later */
/* status_block.h - the content of a message/delivery-status part (RFC 3464 2). */
#ifndef SEALRELAY_MESSAGE_STATUS_BLOCK_H
#define SEALRELAY_MESSAGE_STATUS_BLOCK_H

#include "daemon/message/report.h"

/* status_block_read - groups of fields with an empty line between them. A group that has an Action
 * is a recipient's, whatever its place; a second Action begins another one.
 *   text  lines ending in CRLF or LF; at most STATUS_BLOCK_MAX_BYTES of them are read
 *   out   kind REPORT_UNPARSED when there is no Action that makes sense */
void status_block_read(struct bytes text, struct report *out);
#define STATUS_BLOCK_MAX_BYTES (64u * 1024)

#endif
