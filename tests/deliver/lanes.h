/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lanes.h - a runner over a queue in memory, with a sealdeliver of short timeouts: what the tests
 * of the runner share. */
#ifndef TESTS_DELIVER_LANES_H
#define TESTS_DELIVER_LANES_H

#include "daemon/deliver/runner.h"
#include "tests/deliver/hop_fixture.h"
#include "tests/deliver/memory_queue.h"

#define LANES_TIMEOUTS                                                                             \
    "transfer_timeout_s = 2\ncommand_timeout_s = 30\nfinal_timeout_s = 30\nconnect_timeout_s = "   \
    "1\n"
#define LANES_CONTENT "From: <a@b.example>\r\nSubject: x\r\n\r\ntext\r\n"

/* lanes_start, lanes_end - set-up and tear-down of a group: certificates and a sealdeliver. */
int lanes_start(void **state);
int lanes_end(void **state);
/* lanes_add - n messages for hop. lanes_count - how many of hop's ended so. */
void lanes_add(struct queue *q, const char *hop, size_t n);
size_t lanes_count(struct queue *q, const char *hop, enum queue_outcome outcome);
/* lanes_runner - started; more: what differs from the usual options. */
struct runner *lanes_runner(struct queue *q, const struct hop *hops, size_t n,
                            const struct runner_options *more);
void lanes_pause_ms(long ms);

#endif
