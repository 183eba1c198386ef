/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verdict_lines.h - the protected header lines in which the relay tells what it knows: of the
 * sender and their own signature, and of the user's own certificates. They lie inside the
 * signature. */
#ifndef SEALRELAY_FLOW_VERDICT_LINES_H
#define SEALRELAY_FLOW_VERDICT_LINES_H

#include "daemon/policy/sender.h"
#include "daemon/smime/peer.h"
#include "hsm/hsm.h"

/* Lines without CRLF, for struct rewrite_input. All zero is empty. */
struct verdict_lines {
    struct buf verdict, spam, signature;
    const char *lines[4]; /* into the buffers, or static */
    size_t n;
};

/* verdict_lines_make - out: empty. Errors: ERR_NOMEM. */
enum err verdict_lines_make(const struct sender_verdict *v, const struct sender_marks *marks,
                            const struct hsm_profile *profile,
                            const struct peer_signature *signature, struct verdict_lines *out);
void verdict_lines_clear(struct verdict_lines *l);

#endif
