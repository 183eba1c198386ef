/* SPDX-License-Identifier: GPL-3.0-or-later */
/* handler.h - what the handler of receive sessions shares with the flows it calls. Private to the
 * flow. */
#ifndef SEALRELAY_FLOW_HANDLER_H
#define SEALRELAY_FLOW_HANDLER_H

#include "daemon/flow/forward.h"

/* The recipients of a transaction. */
struct routes {
    struct policy_route *items; /* one a recipient, in order */
    size_t n;
};

/* routes_first - the first of the recipients that has the same address as the i-th. */
size_t routes_first(const struct routes *r, size_t i);

/* handler_answer - what a client is told of an error. In front of LMTP stands a queue that would
 * bounce what is refused for good: there it is taken, dropped and counted.
 *   n_rcpts  how many recipients the answer is for */
struct reply handler_answer(struct forward *f, const struct receive_transaction *t, enum err e,
                            size_t n_rcpts);

#endif
