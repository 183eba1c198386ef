/* SPDX-License-Identifier: GPL-3.0-or-later */
/* onward.h - correspondents' own certificates: kept when a good signature brings one, used when a
 * reply leaves. */
#ifndef SEALRELAY_FLOW_ONWARD_H
#define SEALRELAY_FLOW_ONWARD_H

#include "daemon/smime/peer.h"
#include "daemon/store/own_cert.h"
#include "daemon/store/reply_policy.h"
#include "daemon/verdict/sender_verdict.h"

/* onward_harvest - keep the certificate of a message's signature as its sender's own, if the
 * signature is good, From did not fail DMARC, and the certificate can be encrypted to. Whatever
 * goes wrong is logged and no reason to keep the message back.
 *   id   of the message, in logs
 *   who  the correspondent that the message's From names */
void onward_harvest(struct store *store, const char *id, const struct peer_signature *signature,
                    const struct sender_verdict *verdict, const struct store_correspondent *who,
                    int64_t now_s);

/* How a reply leaves, or why it does not. A certificate that has expired is no reason to send in
 * clear what was encrypted until yesterday: that is for a person to decide. */
enum onward_way {
    ONWARD_CLEAR,
    ONWARD_ENCRYPTED,
    ONWARD_UNKNOWN, /* not sent: encryption is required, and no certificate is known */
    ONWARD_EXPIRED  /* not sent: the certificate that is known has expired */
};
const char *onward_way_name(enum onward_way w); /* "in clear", "encrypted", "refused: ..." */

struct onward_plan {
    enum onward_way way;
    X509 *cert;    /* ONWARD_ENCRYPTED: for struct onward_job; else NULL */
    bool aes_128;  /* likewise */
    bool imported; /* ONWARD_EXPIRED: signed mail does not replace it */
};
void onward_plan_clear(struct onward_plan *p);

/* onward_plan_make - how a reply to a correspondent leaves under a profile's choice.
 *   out  given; onward_plan_clear
 * Errors: ERR_TAMPERED (the row does not open, or holds what own_cert_check would not let in),
 * those of the store. */
enum err onward_plan_make(struct store *store, const struct store_correspondent *who,
                          enum onward_choice choice, int64_t now_s, struct onward_plan *out);

#endif
