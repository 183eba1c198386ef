/* SPDX-License-Identifier: GPL-3.0-or-later */
/* child.h - the test program run once more as its own child, made to fail or die on the way.
 *
 * A child tells what it had acknowledged by writing numbers to its standard output. */
#ifndef SEALRELAY_TESTS_CHILD_H
#define SEALRELAY_TESTS_CHILD_H

#include <stdbool.h>

#define CHILD_TOLD_MAX 64

struct child_end {
    bool killed;               /* by SIGKILL */
    int status;                /* else what it returned */
    bool told[CHILD_TOLD_MAX]; /* numbers it wrote */
};

/* child_run - run this program with the arguments "child mode dir".
 *   failpoint  value of SEALRELAY_FAILPOINT, or NULL
 *   strace     arguments to run it under strace with, ended by NULL, or NULL */
void child_run(const char *mode, const char *dir, const char *failpoint, const char *const *strace,
               struct child_end *out);
/* child_tell - in the child: number n is acknowledged. */
void child_tell(unsigned n);

#endif
