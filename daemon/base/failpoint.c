/* SPDX-License-Identifier: GPL-3.0-or-later */
/* failpoint.c - named places where a test makes a program fail or die. */
#include "daemon/base/failpoint.h"

#ifdef SEALRELAY_FAILPOINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAILPOINTS_MAX 8

struct armed {
    const char *name;
    size_t name_len;
    const char *action;
    size_t action_len;
    long at;
    atomic_long passed;
};

static struct armed armed_points[FAILPOINTS_MAX];
static size_t armed_count;

/* Read before main, so that no thread sees the table half made. */
__attribute__((constructor)) static void failpoints_read(void)
{
    const char *p = getenv("SEALRELAY_FAILPOINT");

    while (p && *p && armed_count < FAILPOINTS_MAX) {
        struct armed *a = &armed_points[armed_count++];
        size_t len = strcspn(p, ",");
        const char *eq = memchr(p, '=', len);
        const char *at = memchr(p, '@', len);

        if (!eq)
            abort();
        a->name = p;
        a->name_len = (size_t)(eq - p);
        a->action = eq + 1;
        a->action_len = (size_t)((at ? at : p + len) - eq - 1);
        a->at = at ? strtol(at + 1, NULL, 10) : 1;
        p += len;
        p += *p == ',';
    }
}

static bool act(const struct armed *a)
{
    if (a->action_len == 4 && memcmp(a->action, "kill", 4) == 0)
        (void)kill(getpid(), SIGKILL);
    if (a->action_len == 4 && memcmp(a->action, "stop", 4) == 0)
        (void)raise(SIGSTOP); /* this thread, before it goes on */
    return a->action_len == 5 && memcmp(a->action, "error", 5) == 0;
}

bool failpoint(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < armed_count; i++) {
        struct armed *a = &armed_points[i];

        if (a->name_len == len && memcmp(a->name, name, len) == 0 &&
            atomic_fetch_add(&a->passed, 1) + 1 == a->at)
            return act(a);
    }
    return false;
}
#else
typedef int failpoint_unit_is_not_empty;
#endif
