/* SPDX-License-Identifier: GPL-3.0-or-later */
/* counter.h - what happened how often since the program started, with the name it is shown under.
 */
#ifndef SEALRELAY_BASE_COUNTER_H
#define SEALRELAY_BASE_COUNTER_H

#include <stdatomic.h>

struct counter {
    const char *name; /* static, as a JSON key: "report_failed" */
    atomic_ullong n;
};

#endif
