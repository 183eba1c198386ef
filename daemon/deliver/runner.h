/* SPDX-License-Identifier: GPL-3.0-or-later */
/* runner.h - takes due entries from the queue, groups them by next hop, and hands each group,
 * opened, to sealdeliver over a unix socket; turns the answers into done, retry or failed.
 *
 * An answer that does not come is "unknown": retry. One bad next hop does not delay another. */
#ifndef SEALRELAY_DELIVER_RUNNER_H
#define SEALRELAY_DELIVER_RUNNER_H

#include "daemon/deliver/outcome.h"

struct runner_options {
    const char *socket_path; /* of sealdeliver */
    const struct hop *hops;
    size_t n_hops;
    unsigned messages_per_session; /* 0: 50 */
    unsigned session_deadline_s;   /* 0: 600 */
    unsigned retry_first_s;        /* 0: 60; doubles per failure of the hop up to retry_max_s */
    unsigned retry_max_s;          /* 0: 3600; at most four fifths of QUEUE_BACKOFF_MAX_S */
};

struct runner;
/* runner_start - copies options; starts its threads: one a session that may run at the same time.
 * Errors: ERR_CONFIG (no default next hop and no other, a host that is none, over 256 sessions),
 * ERR_NOMEM. */
enum err runner_start(const struct runner_options *options, struct queue *queue,
                      struct runner **out);
/* runner_idle - true when no session runs and no entry is due that could be delivered now (its
 * next hop may be backing off). For `sealctl drain`: asked again and again, without effect. */
bool runner_idle(struct runner *r);
/* runner_forget_backoff - for `sealctl queue flush`. Takes effect within a second. */
void runner_forget_backoff(struct runner *r);
/* A next hop as the operator sees it. */
struct runner_hop {
    char domain[256]; /* of recipients; "" is the default next hop */
    char host[JOB_HOST_MAX + 1];
    uint16_t port;
    unsigned sessions; /* that run now */
    unsigned sessions_max;
    unsigned failures;      /* sessions in a row without a word about any message */
    int64_t closed_until_s; /* backing off; in the past, or 0: not */
    int64_t last_s;         /* when its last session ended; 0: none has since the start */
    char last_result[OUTCOME_TEXT_MAX + 1]; /* as in queue_item; no addresses */
};
/* runner_hops - the table's next hops in its order, then keys of the queue that it does not know.
 * Answers how many of at most max were written. */
size_t runner_hops(struct runner *r, struct runner_hop *out, size_t max);
/* runner_stop - no new sessions; waits for those that run (at most session_deadline_s); frees r.
 * Accepts NULL. */
void runner_stop(struct runner *r);

#endif
