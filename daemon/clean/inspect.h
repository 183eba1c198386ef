/* SPDX-License-Identifier: GPL-3.0-or-later */
/* inspect.h - look through a binary attachment while it passes: nothing in it is changed, but the
 * user is told what it says of them. */
#ifndef SEALRELAY_CLEAN_INSPECT_H
#define SEALRELAY_CLEAN_INSPECT_H

#include "daemon/clean/internal.h"

struct inspect {
    const struct words *words;
    struct buf window; /* what is being looked at: the end of the piece before, then this one */
    uint8_t head[8];   /* the content's first bytes */
    size_t n_head;
    bool address, metadata; /* found */
};

void inspect_data(struct inspect *i, struct bytes data);
void inspect_clear(struct inspect *i);
/* inspect_is_tnef - does it begin like TNEF, whatever it is called? */
bool inspect_is_tnef(const struct inspect *i);

#endif
