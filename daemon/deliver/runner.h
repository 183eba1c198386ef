/* SPDX-License-Identifier: GPL-3.0-or-later */
/* runner.h - takes due entries from the queue, groups them by next hop, and hands each group,
 * opened, to sealdeliver over a unix socket; turns the answers into done, retry or failed.
 *
 * An answer that does not come is "unknown": retry. One bad next hop does not delay another. */
#ifndef SEALRELAY_DELIVER_RUNNER_H
#define SEALRELAY_DELIVER_RUNNER_H

#include "daemon/queue/queue.h"

enum hop_tls { HOP_TLS_NONE, HOP_TLS_REQUIRED };

struct hop {
    const char *domain; /* of the recipients; "" is the default next hop */
    const char *host;   /* name or address literal */
    uint16_t port;
    enum hop_tls tls;
    const char *ca_file;   /* for HOP_TLS_REQUIRED; NULL: the system's */
    unsigned sessions_max; /* in parallel; 0: 4 */
};

struct runner_options {
    const char *socket_path; /* of sealdeliver */
    const struct hop *hops;
    size_t n_hops;
    unsigned messages_per_session; /* 0: 50 */
    unsigned session_deadline_s;   /* 0: 600 */
    unsigned retry_first_s;        /* 0: 60; doubles per failure of the hop up to retry_max_s */
    unsigned retry_max_s;          /* 0: 3600 */
};

struct runner;
/* runner_start - copies options; starts its threads. */
enum err runner_start(const struct runner_options *options, struct queue *queue,
                      struct runner **out);
/* runner_drain - true once nothing is due or active; no new groups are taken meanwhile. */
bool runner_idle(struct runner *r);
/* runner_forget_backoff - for `sealctl queue flush`. */
void runner_forget_backoff(struct runner *r);
void runner_stop(struct runner *r);

#endif
