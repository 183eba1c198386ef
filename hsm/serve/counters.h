/* SPDX-License-Identifier: GPL-3.0-or-later */
/* counters.h - what the service counts of itself, for `status` and the watchdog. */
#ifndef SEALRELAY_HSM_COUNTERS_H
#define SEALRELAY_HSM_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define COUNTERS_CALLS_MAX 128 /* calls whose start is remembered; more than connections */

/* All zero is a fresh set. Numbers since the start, except connections. */
struct counters {
    atomic_uint connections;    /* now */
    atomic_ulong requests;      /* well-formed ones */
    atomic_ulong refused;       /* not for that role */
    atomic_ulong invalid;       /* a field out of its bounds */
    atomic_ulong failed;        /* any other error answered */
    atomic_ulong malformed;     /* packets that were no request: connection closed */
    atomic_ulong peers_refused; /* wrong uid, or too many connections */
    atomic_llong started_ms[COUNTERS_CALLS_MAX];
};

/* counters_call_begin - remember that a call began; the slot is for counters_call_end. */
unsigned counters_call_begin(struct counters *c, int64_t now_ms);
void counters_call_end(struct counters *c, unsigned slot);
/* counters_oldest_ms - how long the oldest call has been going on; 0 when there is none. */
int64_t counters_oldest_ms(struct counters *c, int64_t now_ms);

#endif
