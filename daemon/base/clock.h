/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clock.h - the two clocks. Logic takes time as a parameter; only its edges call these.
 *
 * In test builds SEALRELAY_CLOCK_FILE names a file of seconds that are added to clock_now_s(); it
 * may change at any time. Elsewhere all of it compiles to nothing. */
#ifndef SEALRELAY_BASE_CLOCK_H
#define SEALRELAY_BASE_CLOCK_H

#include <stdint.h>

/* clock_now_s - seconds since 1970 (UTC). For dates in mail, certificates and the queue. */
int64_t clock_now_s(void);
/* clock_mono_ms - milliseconds of a clock that never jumps. For deadlines and durations. */
int64_t clock_mono_ms(void);

#endif
