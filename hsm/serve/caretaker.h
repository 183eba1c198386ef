/* SPDX-License-Identifier: GPL-3.0-or-later */
/* caretaker.h - what the service does when nobody asks: opens the token, keeps it in sight, fills
 * the key pool, replaces the spool key, signs the daily checkpoint. */
#ifndef SEALRELAY_HSM_CARETAKER_H
#define SEALRELAY_HSM_CARETAKER_H

#include "hsm/serve/engine.h"

struct caretaker;

/* caretaker_start - begin, in two threads of its own. engine: borrowed, outlives the caretaker. */
enum err caretaker_start(struct engine *en, struct caretaker **out);

/* caretaker_stalled_ms - how long the step it is at has been going on; 0 between steps. A module
 * that hangs shows here, and the watchdog is pinged no more. */
int64_t caretaker_stalled_ms(struct caretaker *c);

/* caretaker_stop - end both threads.
 * Errors: ERR_TIMEOUT when a thread still sits in the module after ms milliseconds; the caretaker
 * then stays allocated and the process must end without tidying up. Accepts NULL. */
enum err caretaker_stop(struct caretaker *c, int64_t ms);

#endif
