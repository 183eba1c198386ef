/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cleaning.c - the world of cleaning.h. */
#include "tests/clean/cleaning.h"

#include <string.h>

static enum err address_real(void *context, const char *reverse, char **real)
{
    (void)context;
    if (strcmp(reverse, CLEANING_REVERSE) == 0)
        *real = strdup(CLEANING_REAL);
    else if (strcmp(reverse, CLEANING_OTHER) == 0)
        *real = strdup("eve@net.example");
    else
        return ERR_NOT_FOUND;
    return *real ? ERR_OK : ERR_NOMEM;
}

static enum err id_find(void *context, const char *id, enum clean_id *known, char **mapped)
{
    (void)context;
    *known = CLEAN_ID_UNKNOWN;
    if (strcmp(id, "<known@home.example>") == 0)
        *known = CLEAN_ID_KNOWN;
    if (strcmp(id, "<own-1@home.example>") != 0)
        return ERR_OK;
    *known = CLEAN_ID_MAPPED;
    *mapped = strdup("<mapped-1@relay.example>");
    return *mapped ? ERR_OK : ERR_NOMEM;
}

enum err clean_entity(struct bytes outer, struct bytes entity, struct clean_output *out,
                      struct clean_refusal *refusal)
{
    static const char *const mailboxes[] = {CLEANING_MAILBOX,
                                            "jane@b\xc3\xbc"
                                            "cher.example",
                                            "jroe@xn--bcher-kva.example", NULL};
    static const char *const domains[] = {"home.example", NULL};
    CLEANUP(message_clear) struct message m = {0};
    enum err e = message_parse(outer, &m);
    const struct clean_input in = {.outer = &m,
                                   .entity = entity,
                                   .alias = CLEANING_ALIAS,
                                   .mailboxes = mailboxes,
                                   .domains = domains,
                                   .domain = CLEANING_DOMAIN,
                                   .lookups = {NULL, address_real, id_find, NULL},
                                   .now_s = CLEANING_NOW_S};

    return e ? e : clean_reply(&in, out, refusal);
}

enum err clean_message(struct bytes raw, struct clean_output *out, struct clean_refusal *refusal)
{
    return clean_entity(raw, raw, out, refusal);
}
