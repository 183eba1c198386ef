/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lanes.c - a runner over a queue in memory, with a sealdeliver of short timeouts. */
#include "tests/deliver/lanes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

static char deliver_socket[256];
static pid_t deliver_pid;

int lanes_start(void **state)
{
    (void)state;
    certificates_make();
    deliver_pid = deliver_start(LANES_TIMEOUTS, NULL, deliver_socket);
    return deliver_pid <= 0;
}

int lanes_end(void **state)
{
    (void)state;
    process_end(deliver_pid);
    fixture_end();
    return 0;
}

void lanes_add(struct queue *q, const char *hop, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)memory_queue_add(q, hop, "b-x@relay.example", "user@user.example",
                               bytes_of(LANES_CONTENT));
}

size_t lanes_count(struct queue *q, const char *hop, enum queue_outcome outcome)
{
    size_t n = 0;

    for (size_t i = 0; i < memory_queue_count(q); i++) {
        struct memory_entry e = memory_queue_entry(q, i);

        n += e.recorded && e.outcome == outcome && strcmp(e.item.hop, hop) == 0;
    }
    return n;
}

struct runner *lanes_runner(struct queue *q, const struct hop *hops, size_t n,
                            const struct runner_options *more)
{
    struct runner_options options = *more;
    struct runner *r = NULL;

    if (!options.socket_path)
        options.socket_path = deliver_socket;
    options.hops = hops;
    options.n_hops = n;
    if (!options.session_deadline_s)
        options.session_deadline_s = 20;
    assert_int_equal(runner_start(&options, q, &r), ERR_OK);
    return r;
}

void lanes_pause_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}
