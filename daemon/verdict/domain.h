/* SPDX-License-Identifier: GPL-3.0-or-later */
/* domain.h - the domain a verdict is about, as both sources need it. */
#ifndef SEALRELAY_VERDICT_DOMAIN_H
#define SEALRELAY_VERDICT_DOMAIN_H

#include "daemon/verdict/sender_verdict.h"

/* verdict_domain_set - the domain of an address, if it is one that may stand in a header.
 *   address  NULL or without a fit domain: out->domain becomes "" */
void verdict_domain_set(struct sender_verdict *out, const char *address);

/* verdict_doubt - the sender who is shown is not the one who was judged: unclear, and a pass is
 * none. */
void verdict_doubt(struct sender_verdict *v);

/* verdict_dmarc_settle - was it the domain of From that was judged, or one above it that speaks for
 * it? If not, verdict_doubt: what two programs read differently in one From field is never to
 * anybody's credit.
 *   judged  what the source says it judged, case ignored; at least two labels */
void verdict_dmarc_settle(struct sender_verdict *v, struct bytes judged);

#endif
