/* SPDX-License-Identifier: GPL-3.0-or-later */
/* memory.h - the bytes of one message in one place, charged to a budget all sessions share.
 *
 * A body is a mapping of its own that grows in place of being copied, so a message exists once,
 * growing has no peak, and what was plaintext is back with the kernel the moment it is cleared.
 */
#ifndef SEALRELAY_RECEIVE_MEMORY_H
#define SEALRELAY_RECEIVE_MEMORY_H

#include "daemon/base/buf.h"

#include <stdatomic.h>

/* Message bytes all sessions together may hold. Set max before use; any thread may use it. */
struct memory_budget {
    uint64_t max;
    _Atomic uint64_t used;
};

/* memory_has_room - would bytes more fit at this moment? A hint: nothing is reserved, so that
 * announcing sizes costs other sessions nothing. */
bool memory_has_room(const struct memory_budget *budget, uint64_t bytes);
uint64_t memory_used(const struct memory_budget *budget);

/* The content of one message. All members are private to memory.c. */
struct body {
    struct memory_budget *budget;
    uint8_t *data;
    size_t len;
    size_t mapped; /* bytes of the mapping; exactly what the budget is charged */
    size_t expected;
    size_t max;
    enum err failure;
};

/* body_init - an empty body.
 *   budget    borrowed for the body's life
 *   declared  the client's SIZE, 0 if none: growth stops there instead of running ahead
 *   max       bytes a message may have */
void body_init(struct body *b, struct memory_budget *budget, uint64_t declared, uint64_t max);

/* body_append - add content. A failure sticks: the content is released at once, later appends
 * cost nothing and return the same.
 * Errors: ERR_TOO_BIG (over max), ERR_NOSPACE (budget spent, or the system is out of memory). */
enum err body_append(struct body *b, const uint8_t *data, size_t len);
enum err body_failure(const struct body *b);

/* body_bytes - the content; never a NULL pointer. Borrowed until the next change. */
struct bytes body_bytes(const struct body *b);

/* body_clear - release content and charge. Accepts an all-zero body. */
void body_clear(struct body *b);

#endif
