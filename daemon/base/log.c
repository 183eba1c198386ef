/* SPDX-License-Identifier: GPL-3.0-or-later */
/* log.c - structured log lines.
 *
 * Nothing behind the log may stop mail: a line that cannot be written now, for want of room in a
 * pipe or on a disk, is lost, and the next one that can says how many were. */
#include "daemon/base/log.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

static const char *log_program = "sealrelay";
static bool log_trace;
static bool log_to_journal;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned log_lost; /* under the lock */

void log_open(const char *program, bool trace)
{
    log_program = program;
    log_trace = trace;
    log_to_journal = getenv("JOURNAL_STREAM") != NULL;
}

static void make_printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
            *s = '?';
}

static void log_journal(enum log_level level, const char *stage, const char *id, enum err result,
                        int64_t ms, const char *words)
{
    const struct err_note *note = err_note_get();

    (void)sd_journal_send(
        "MESSAGE=%s %s %s %s", stage, id, err_name(result), words, "PRIORITY=%d", (int)level,
        "SYSLOG_IDENTIFIER=%s", log_program, "SEALRELAY_STAGE=%s", stage, "SEALRELAY_ID=%s", id,
        "SEALRELAY_RESULT=%s", err_name(result), "SEALRELAY_MS=%" PRId64, ms, "SEALRELAY_ACTION=%s",
        result ? note->action : "", "SEALRELAY_DETAIL=%s", result ? note->detail : "", NULL);
}

/* Under the lock: of one program one line at a time, so that the room seen is still there. A pipe
 * that can be written to has room for PIPE_BUF bytes, more than a line. */
static bool written_now(const char *line, size_t len)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0 &&
           write(STDERR_FILENO, line, len) == (ssize_t)len;
}

/* Under the lock. */
static void line_write(const char *line, size_t len)
{
    char lost[120];
    int n;

    if (log_lost) {
        n = snprintf(lost, sizeof lost, "<%d>%s stage=log.lost id=- result=ERR_OK lines=%u\n",
                     (int)LOG_LEVEL_WARNING, log_program, log_lost);
        if (n > 0 && written_now(lost, (size_t)n))
            log_lost = 0;
    }
    if (log_lost || !written_now(line, len))
        log_lost++;
}

static void log_stderr(enum log_level level, const char *stage, const char *id, enum err result,
                       int64_t ms, const char *words)
{
    const struct err_note *note = err_note_get();
    char line[1200];
    int len = snprintf(line, sizeof line, "<%d>%s stage=%s id=%s result=%s", (int)level,
                       log_program, stage, id, err_name(result));

    if (ms >= 0 && len > 0 && (size_t)len < sizeof line)
        len += snprintf(line + len, sizeof line - (size_t)len, " ms=%" PRId64, ms);
    if (result && note->action[0] && len > 0 && (size_t)len < sizeof line)
        len += snprintf(line + len, sizeof line - (size_t)len, " action=\"%s\" detail=\"%s\"",
                        note->action, note->detail);
    if (words[0] && len > 0 && (size_t)len < sizeof line)
        len += snprintf(line + len, sizeof line - (size_t)len, " %s", words);
    if (len < 0)
        return;
    if ((size_t)len >= sizeof line - 1)
        len = (int)sizeof line - 2;
    line[len] = '\n';
    (void)pthread_mutex_lock(&log_lock);
    line_write(line, (size_t)len + 1);
    (void)pthread_mutex_unlock(&log_lock);
}

void log_event(enum log_level level, const char *stage, const char *id, enum err result, int64_t ms,
               const char *fmt, ...)
{
    char words[600];
    va_list args;

    if (level == LOG_LEVEL_TRACE && !log_trace)
        return;
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    make_printable(words);
    if (log_to_journal)
        log_journal(level, stage, id, result, ms, words);
    else
        log_stderr(level, stage, id, result, ms, words);
}
