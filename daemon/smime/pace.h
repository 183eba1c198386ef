/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pace.h - an answer that waits, so that the clock does not tell what it was about. */
#ifndef SEALRELAY_SMIME_PACE_H
#define SEALRELAY_SMIME_PACE_H

#include <stdint.h>

#define PACE_MIN_MS 16

/* pace_now_ns - a monotonic instant. */
int64_t pace_now_ns(void);

/* pace_end_ns - when something that began and is done now may be answered: at the first of 16, 32,
 * 64 ... milliseconds after it began. What differs by microseconds then ends at one instant, for a
 * token that takes one millisecond as for one that takes two hundred. */
int64_t pace_end_ns(int64_t begun_ns, int64_t now_ns);

/* pace_wait - sleep until then. */
void pace_wait(int64_t until_ns);

#endif
