/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clock.c - the two clocks.
 *
 * In test builds the file that SEALRELAY_CLOCK_FILE names holds seconds, added to the first clock
 * whenever it is read, so that a test can let a week pass in all programs at once. Its first
 * reading must find a number: a test whose clock does not move is not to pass by accident. */
#include "daemon/base/clock.h"

#include <time.h>

#ifdef SEALRELAY_FAILPOINTS
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { OFFSET_DIGITS = 24 };

static const char *offset_file;

/* The number in the file; false when there is none, as while a test replaces it. */
static bool offset_read(int64_t *offset_out)
{
    char text[OFFSET_DIGITS];
    char *end = text;
    int fd = open(offset_file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno)
        return false;
    *offset_out = value;
    return true;
}

/* Read before main, so that no thread meets the name half set. */
__attribute__((constructor)) static void clock_find(void)
{
    int64_t offset = 0;

    offset_file = getenv("SEALRELAY_CLOCK_FILE");
    if (offset_file && !offset_read(&offset))
        abort();
}

static int64_t clock_offset_s(void)
{
    static _Atomic int64_t last; /* kept where the process has no descriptor left to read it */
    int64_t offset;
    int kept = errno;

    if (!offset_file)
        return 0;
    if (offset_read(&offset))
        last = offset;
    errno = kept;
    return last;
}
#else
static int64_t clock_offset_s(void)
{
    return 0;
}
#endif

int64_t clock_now_s(void)
{
    return (int64_t)time(NULL) + clock_offset_s();
}

int64_t clock_mono_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
