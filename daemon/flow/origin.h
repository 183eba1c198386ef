/* SPDX-License-Identifier: GPL-3.0-or-later */
/* origin.h - whom the failure of a message may be told: kept with it, sealed, from the moment it is
 * taken. Most messages have nobody: a sender who may be forged is never written to. */
#ifndef SEALRELAY_FLOW_ORIGIN_H
#define SEALRELAY_FLOW_ORIGIN_H

#include "daemon/message/message.h"
#include "daemon/store/store.h"
#include "daemon/verdict/sender_verdict.h"

#define ORIGIN_MESSAGE_ID_MAX 250 /* bytes; a longer one is left out */

struct origin {
    address_text sender;
    address_text alias;
    char message_id[ORIGIN_MESSAGE_ID_MAX + 1]; /* with its brackets; "" */
};

/* origin_of - the message's sender, if it may be told of a failure: DMARC passed, the envelope's
 * domain is the one that passed or SPF passed for it, the path is not null, ASCII, and not ours,
 * and neither address nor header says that a machine or a list has sent it (RFC 3834 2). domains
 * the relay's own False: nobody may be told; out is empty. */
bool origin_of(const struct message *m, const struct sender_verdict *v, const char *mail_from,
               const char *const *domains, size_t n_domains, struct origin *out);

/* origin_seal, origin_open - as queue_envelope.origin carries it. Errors: of blob.h. */
enum err origin_seal(struct store *s, const char *id, const struct origin *o, struct buf *out);
enum err origin_open(struct store *s, const char *id, struct bytes sealed, struct origin *out);

#endif
