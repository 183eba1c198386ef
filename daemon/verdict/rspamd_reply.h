/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rspamd_reply.h - what rspamd's answer to /checkv2 says of a sender. */
#ifndef SEALRELAY_VERDICT_RSPAMD_REPLY_H
#define SEALRELAY_VERDICT_RSPAMD_REPLY_H

#include "daemon/verdict/sender_verdict.h"

/* rspamd_reply_parse - read action, scores, and the symbols of SPF, DKIM and DMARC.
 *   json  whatever the HTTP body was
 *   out   domain is set; results and scores are written on success only. A symbol that is missing
 *         or unknown claims nothing; an action that is unknown asks for a mark.
 * Errors: ERR_FORMAT (not JSON, or not such an answer).
 * Source: rspamd.com/doc/developers/protocol.html, and the symbols as rspamd 3.4 names them. */
enum err rspamd_reply_parse(struct bytes json, struct sender_verdict *out);

#endif
