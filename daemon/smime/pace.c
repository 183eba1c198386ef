/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pace.c - answers at a few instants only.
 *
 * A module that logs a bad padding, or probes its session after it, is slower by a hundred
 * microseconds (measured with SoftHSM); nothing this side of it can make that up exactly. */
#include "daemon/smime/pace.h"

#include <errno.h>
#include <time.h>

#define NS_PER_S  1000000000
#define NS_PER_MS 1000000

int64_t pace_now_ns(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t pace_end_ns(int64_t begun_ns, int64_t now_ns)
{
    int64_t step_ns = (int64_t)PACE_MIN_MS * NS_PER_MS;

    while (begun_ns + step_ns < now_ns)
        step_ns *= 2;
    return begun_ns + step_ns;
}

void pace_wait(int64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}
