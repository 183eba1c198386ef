/* SPDX-License-Identifier: GPL-3.0-or-later */
/* log.h - one structured line an event: to the journal where there is one, else to stderr.
 *
 * Never content, subject, correspondents' addresses, PIN or key bytes. */
#ifndef SEALRELAY_BASE_LOG_H
#define SEALRELAY_BASE_LOG_H

#include "daemon/base/err.h"

#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_TRACE = 7
};

/* log_open - program: static string, the identifier in every line. trace: also LOG_LEVEL_TRACE. */
void log_open(const char *program, bool trace);

/* log_event - one line: stage ("queue.commit"), id (message, profile or session id, "-" if none),
 * the result's name, the thread's error note when result is not ERR_OK, elapsed milliseconds
 * (negative: not measured), and a few more key=value words (printable ASCII is enforced). */
void log_event(enum log_level level, const char *stage, const char *id, enum err result, int64_t ms,
               const char *fmt, ...) __attribute__((format(printf, 6, 7)));

#endif
