/* SPDX-License-Identifier: GPL-3.0-or-later */
/* failpoint.h - named places where a test makes a program fail or die.
 *
 * SEALRELAY_FAILPOINT="name=action[@n]" in the environment: on the n-th passage (first by default),
 * "kill" ends the process by SIGKILL, "error" makes failpoint() return true, "stop" stops it with
 * SIGSTOP. Several are joined by ",". Test builds only; elsewhere all of it compiles to nothing. */
#ifndef SEALRELAY_BASE_FAILPOINT_H
#define SEALRELAY_BASE_FAILPOINT_H

#include <stdbool.h>

#ifdef SEALRELAY_FAILPOINTS
/* failpoint - pass a named place. True: the caller behaves as if the step had failed.
 * Names are "stage.step", or "stage.object.step" where a stage has several; each stands in one
 * place only. */
bool failpoint(const char *name);
#else
static inline bool failpoint(const char *name)
{
    (void)name;
    return false;
}
#endif

#endif
