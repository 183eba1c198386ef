/* SPDX-License-Identifier: GPL-3.0-or-later */
/* auth_results.h - Authentication-Results (RFC 8601), as far as SPF, DKIM and DMARC go. */
#ifndef SEALRELAY_VERDICT_AUTH_RESULTS_H
#define SEALRELAY_VERDICT_AUTH_RESULTS_H

#include "daemon/verdict/sender_verdict.h"

struct auth_results {
    enum auth_result spf, dkim, dmarc;
    enum dmarc_policy policy; /* policy.dmarc, else what a comment behind dmarc= says */
    char header_from[VERDICT_DOMAIN_MAX + 1]; /* of dmarc; "" when it is not said */
};

/* auth_results_is_by - does a field's value begin with this authserv-id? Case ignored. */
bool auth_results_is_by(struct bytes value, const char *authserv_id);

/* auth_results_parse - the results of one field; of several DKIM signatures the best. Results and
 * methods that are not known claim nothing.
 * Errors: ERR_FORMAT (RFC 8601 2.2 says otherwise, or DMARC is told twice), ERR_NOMEM. */
enum err auth_results_parse(struct bytes value, struct auth_results *out);

/* auth_results_find - the one field to believe: the topmost of that authserv-id, where no Received
 * field stands above it, or one directly above it: that of the mail system which wrote it. Whatever
 * stands lower came with the message. Borrowed; NULL: there is none. */
const struct message_field *auth_results_find(const struct message *m, const char *authserv_id);

#endif
