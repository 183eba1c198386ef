/* SPDX-License-Identifier: GPL-3.0-or-later */
/* session.h - one group of taken entries: handed to a worker, answered, recorded in the queue. */
#ifndef SEALRELAY_DELIVER_SESSION_H
#define SEALRELAY_DELIVER_SESSION_H

#include "daemon/deliver/runner.h"

struct session_context {
    struct queue *queue;
    const char *socket_path; /* of sealdeliver */
    unsigned deadline_s;
    unsigned retry_first_s;
    unsigned retry_max_s;
    unsigned hop_failures; /* in a row, before this session */
};

/* What a session says of its next hop. */
enum hop_health {
    HOP_GOOD,   /* it spoke about a message at least */
    HOP_BAD,    /* it did not: back off */
    HOP_UNTRIED /* nobody asked it: no worker, or no body could be opened */
};

struct session_report {
    enum hop_health health;
    unsigned wait_s; /* for HOP_BAD and HOP_UNTRIED: before the next session */
    char last_result[OUTCOME_TEXT_MAX + 1]; /* of the message that was tried last */
};

/* session_run - deliver n entries of one next hop. Every entry is recorded exactly once with
 * queue_finish before this returns, except those that the queue itself has put on hold. */
void session_run(const struct session_context *context, const struct hop *hop,
                 const struct queue_item *items, size_t n, struct session_report *report);

#endif
