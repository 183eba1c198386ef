/* SPDX-License-Identifier: GPL-3.0-or-later */
/* memory_queue.h - the delivering half of daemon/queue/queue.h in memory, for the tests of the
 * runner: what is offered, what is recorded, how often. Linked in place of the queue's library. */
#ifndef TESTS_DELIVER_MEMORY_QUEUE_H
#define TESTS_DELIVER_MEMORY_QUEUE_H

#include "daemon/queue/queue.h"

struct memory_entry {
    struct queue_item item;
    struct buf content;
    bool recorded; /* at least once */
    unsigned times_recorded;
    unsigned times_taken;
    unsigned times_opened;
    enum queue_outcome outcome;
    int64_t next_attempt_s;
    char text[160];
    enum err body_error; /* answered by queue_body_open */
    enum err read_error; /* answered by queue_body_read behind the first bytes */
};

/* memory_queue_new - offer_again: an entry to be retried is offered again when its time has come;
 * otherwise one result is all it gets. */
struct queue *memory_queue_new(bool offer_again);
void memory_queue_free(struct queue *q);
/* memory_queue_add - returns the entry's index. content: copied. */
size_t memory_queue_add(struct queue *q, const char *hop, const char *mail_from,
                        const char *rcpt_to, struct bytes content);
/* memory_queue_entry - a copy of the present state; its content is borrowed. */
struct memory_entry memory_queue_entry(struct queue *q, size_t index);
/* memory_queue_break - let the entry's content fail to open, or to be read behind its first bytes.
 */
void memory_queue_break(struct queue *q, size_t index, enum err open, enum err read);
size_t memory_queue_count(struct queue *q);
/* memory_queue_wait - until every entry has a result (or is done, with offer_again), at most
 * timeout_ms. */
bool memory_queue_wait(struct queue *q, unsigned timeout_ms);

#endif
