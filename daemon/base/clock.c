/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clock.c - the two clocks. */
#include "daemon/base/clock.h"

#include <time.h>

int64_t clock_now_s(void)
{
    return (int64_t)time(NULL);
}

int64_t clock_mono_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
