/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verify.h - read a journal from its first line and prove its chain and its checkpoints.
 *
 * A pure function of a file and a public key, so that whoever holds a copy of the journal can
 * judge it without the token: `sealctl journal verify`. */
#ifndef SEALRELAY_HSM_JOURNAL_VERIFY_H
#define SEALRELAY_HSM_JOURNAL_VERIFY_H

#include "hsm/journal/line.h"

#include <openssl/types.h>
#include <stdio.h>

#define JOURNAL_CHECKPOINT "checkpoint"

struct journal_verdict {
    uint64_t entries;
    uint64_t checkpoints;
    journal_hash head;      /* hash of the last whole line; 64 zeros when empty */
    int64_t last_time_s;    /* 0 when empty */
    uint64_t checkpoint_at; /* sequence of the last checkpoint, 0: none */
    int64_t end;            /* bytes up to the end of the last whole line */
    bool torn;              /* bytes without LF follow it */
    bool good;              /* chain, sequence and checkpoints hold; a torn end alone is no fault */
    uint64_t bad_line;      /* from 1, when not good */
    char reason[80];
};

/* Called with every line found good, in order. An error ends the reading and is handed through. */
typedef enum err (*journal_visit)(void *context, const struct journal_line *line,
                                  struct bytes text);

/* journal_verify - read file from its present position to the end.
 *   key    the journal's public key; NULL: signatures are not checked
 *   visit  may be NULL
 * Errors: ERR_IO, ERR_NOMEM; a journal that does not hold is ERR_OK with good = false. */
enum err journal_verify(FILE *file, EVP_PKEY *key, journal_visit visit, void *context,
                        struct journal_verdict *out);

#endif
