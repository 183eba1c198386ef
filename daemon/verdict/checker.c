/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checker.c - whoever is asked about senders: opened once, shared by all sessions. */
#include "daemon/verdict/sender_verdict.h"

#include <stdlib.h>

struct verdict_checker {
    enum verdict_source source;
};

enum err verdict_open(const struct verdict_options *options, struct verdict_checker **out)
{
    struct verdict_checker *c = calloc(1, sizeof *c);

    if (!c)
        return err_note(ERR_NOMEM, "verdict_open", "out of memory");
    c->source = options->source;
    *out = c;
    return ERR_OK;
}

void verdict_close(struct verdict_checker *c)
{
    free(c);
}

void verdict_check(struct verdict_checker *c, const struct verdict_request *r,
                   struct sender_verdict *out)
{
    (void)c;
    (void)r;
    *out = (struct sender_verdict){.gap = VERDICT_NOT_ASKED};
}

enum err verdict_ping(struct verdict_checker *c)
{
    (void)c;
    return ERR_OK;
}
