/* SPDX-License-Identifier: GPL-3.0-or-later */
/* outcome.h - what a message's facts mean: done, again, or failed; and how long to wait. Pure. */
#ifndef SEALRELAY_DELIVER_OUTCOME_H
#define SEALRELAY_DELIVER_OUTCOME_H

#include "daemon/deliver/answer.h"
#include "daemon/deliver/job.h"
#include "daemon/queue/queue.h"

#define OUTCOME_TEXT_MAX 159

struct verdict {
    enum queue_outcome outcome;
    uint16_t code; /* the reply that decided; 0: none came */
    bool answered; /* the next hop said something about this very message, and keeps talking */
    bool tried;    /* a transaction was begun */
    char text[OUTCOME_TEXT_MAX + 1];    /* for queue_result.text */
    char status[ANSWER_STATUS_SIZE];    /* enhanced status of that reply; "": none */
    char hop_id[ANSWER_HOP_ID_MAX + 1]; /* of a delivered message at the next hop; "": not told */
};

/* outcome_judge - success needs all: MAIL, RCPT and the end of data answered 2xx, nothing refused
 * in between, libesmtp's codes for message and recipient 2xx, its "complete", and no guard tripped.
 * A refusal is final only as a clean 5xx about the message; everything else is tried again. */
void outcome_judge(const struct job_result *result, struct verdict *out);

/* outcome_unknown - no result came: the worker died, or its deadline passed.
 *   tried  the message was begun */
void outcome_unknown(bool tried, const char *why, struct verdict *out);

/* backoff_s - seconds to wait behind the n-th failure in a row (1 is the first): first_s doubled
 * each time up to max_s, then spread by a quarter to both sides.
 *   random  any 32 random bits */
unsigned backoff_s(unsigned failures, unsigned first_s, unsigned max_s, uint32_t random);

#endif
