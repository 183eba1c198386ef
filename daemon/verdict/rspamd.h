/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rspamd.h - asking rspamd over HTTP: a bounded pool of kept connections, a deadline for each
 * question, a bound for each answer. */
#ifndef SEALRELAY_VERDICT_RSPAMD_H
#define SEALRELAY_VERDICT_RSPAMD_H

#include "daemon/verdict/sender_verdict.h"

#define RSPAMD_CONNECTIONS_MAX 16
#define RSPAMD_ANSWER_MAX      (4u << 20) /* bytes; one with ten thousand links stays below */

struct rspamd;

/* rspamd_open - Errors: ERR_CONFIG (password file), ERR_NOMEM. */
enum err rspamd_open(const struct verdict_options *options, struct rspamd **out);
void rspamd_close(struct rspamd *r);

/* rspamd_check - have a message judged: POST /checkv2.
 *   out  the HTTP body of a 200, appended
 * Errors: ERR_NET (not there, or any other HTTP status), ERR_TIMEOUT, ERR_FORMAT (no HTTP, answer
 * too big), ERR_NOMEM. */
enum err rspamd_check(struct rspamd *r, const struct verdict_request *request, struct buf *out);

/* rspamd_ping - GET /ping. Errors: as rspamd_check; ERR_FORMAT: something else answers there. */
enum err rspamd_ping(struct rspamd *r);

#endif
