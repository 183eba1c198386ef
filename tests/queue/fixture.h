/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fixture.h - a queue in a private folder, and messages whose content follows from their number. */
#ifndef SEALRELAY_TESTS_QUEUE_FIXTURE_H
#define SEALRELAY_TESTS_QUEUE_FIXTURE_H

#include "daemon/queue/queue.h"
#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

#define FIXTURE_NOW     INT64_C(1800000000)
#define FIXTURE_PROFILE "pppppppppppppppp"
#define FIXTURE_MARKER  "MARKER-IN-CLEAR"
#define FIXTURE_SMALL   ((size_t)2000)
#define FIXTURE_LARGE   ((size_t)700000) /* past the threshold of a file */

/* The queue of the case that runs, in a private folder, with a double of the key service. */
struct queue_fixture {
    scratch_path dir;
    struct hsm *hsm;
    struct queue *queue;
    struct queue_options options;
};
extern struct queue_fixture fixture;

/* fixture_start, fixture_end - set-up and tear-down of a case. */
int fixture_start(void **state);
int fixture_end(void **state);
/* fixture_reopen - what a start of the relay does. */
void fixture_reopen(void);
/* fixture_show - the entry of message n. fixture_state_of - its state. */
struct queue_item fixture_show(unsigned n);
enum queue_state fixture_state_of(unsigned n);
/* fixture_order - the operator's order about message n. */
enum err fixture_order(unsigned n, enum queue_order order, int64_t now_s);

/* message_id - the id of message number n, n below 32^4. */
void message_id(unsigned n, id_text out);
/* message_writer - message n begun and written, len bytes, not committed.
 * In the envelope: MARKER-IN-CLEAR-from-N@a.example, MARKER-IN-CLEAR-rcpt-N@b.example. */
enum err message_writer(struct queue *q, unsigned n, size_t len, const char *hop, int64_t now_s,
                        struct queue_writer **out);
/* message_put - message_writer and commit. */
enum err message_put(struct queue *q, unsigned n, size_t len, const char *hop, int64_t now_s);
/* message_check - read message n through. Errors: of the queue; ERR_BUG when a byte, an address or
 * the size is not what was written. */
enum err message_check(struct queue *q, unsigned n, size_t len);
/* message_number - which message an item is, by its address. */
unsigned message_number(const struct queue_item *item);
/* take_one - take a single entry at now_s and say its number. */
enum err take_one(struct queue *q, int64_t now_s, unsigned *n_out);
/* finish_one - one result. */
enum err finish_one(struct queue *q, unsigned n, enum queue_outcome outcome, int64_t next_attempt_s,
                    const char *text);

#endif
