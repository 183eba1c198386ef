/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply.h - what a call found, and its way into response packets. */
#ifndef SEALRELAY_HSM_REPLY_H
#define SEALRELAY_HSM_REPLY_H

#include "hsm/hsm.h"

/* All zero is an empty reply. Handlers fill what their verb answers with. */
struct reply {
    struct buf data; /* DER, JSON, PEM or text; wiped */
    uint64_t next_offset;
    bool has_profile, has_sender, has_data_key;
    struct hsm_profile profile;
    struct hsm_sender sender;
    struct secret key;
    struct buf wrapped;
    uint32_t generation;
};

void reply_clear(struct reply *r);

/* reply_send - the result of a call to its client, in as many packets as it takes.
 *   result  not ERR_OK: only it and the thread's note are sent
 * Errors: ERR_NET, ERR_TIMEOUT (a client that does not read), ERR_NOMEM, ERR_TOO_BIG. */
enum err reply_send(int fd, enum err result, const struct reply *r);

#endif
