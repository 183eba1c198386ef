/* SPDX-License-Identifier: GPL-3.0-or-later */
/* counters.c - the calls that are going on. */
#include "hsm/serve/counters.h"

unsigned counters_call_begin(struct counters *c, int64_t now_ms)
{
    for (unsigned i = 0; i < COUNTERS_CALLS_MAX; i++) {
        long long none = 0;

        if (atomic_compare_exchange_strong(&c->started_ms[i], &none, now_ms))
            return i;
    }
    return COUNTERS_CALLS_MAX; /* not remembered */
}

void counters_call_end(struct counters *c, unsigned slot)
{
    if (slot < COUNTERS_CALLS_MAX)
        atomic_store(&c->started_ms[slot], 0);
}

int64_t counters_oldest_ms(struct counters *c, int64_t now_ms)
{
    int64_t oldest = 0;

    for (unsigned i = 0; i < COUNTERS_CALLS_MAX; i++) {
        long long started = atomic_load(&c->started_ms[i]);

        if (started && now_ms - started > oldest)
            oldest = now_ms - started;
    }
    return oldest;
}
