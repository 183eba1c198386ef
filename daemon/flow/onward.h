/* SPDX-License-Identifier: GPL-3.0-or-later */
/* onward.h - correspondents' own certificates: kept when a good signature brings one, found when a
 * reply leaves. */
#ifndef SEALRELAY_FLOW_ONWARD_H
#define SEALRELAY_FLOW_ONWARD_H

#include "daemon/smime/peer.h"
#include "daemon/store/own_cert.h"
#include "daemon/verdict/sender_verdict.h"

/* onward_harvest - keep the certificate of a message's signature as its sender's own, if the
 * signature is good, From did not fail DMARC, and the certificate can be encrypted to. Whatever
 * goes wrong is logged and no reason to keep the message back.
 *   id   of the message, in logs
 *   who  the correspondent that the message's From names */
void onward_harvest(struct store *store, const char *id, const struct peer_signature *signature,
                    const struct sender_verdict *verdict, const struct store_correspondent *who,
                    int64_t now_s);

/* A certificate that a reply may be encrypted to; for struct onward_job. */
struct onward_cert {
    X509 *cert;
    bool aes_128;
};
void onward_cert_clear(struct onward_cert *c);

/* onward_find - a correspondent's own certificate, fit for use now.
 *   out  onward_cert_clear
 * Errors: ERR_NOT_FOUND (none known), ERR_EXPIRED (not valid at now_s any more), ERR_TAMPERED (the
 * row does not open, or holds what own_cert_check would not let in), those of the store. */
enum err onward_find(struct store *store, const struct store_correspondent *who, int64_t now_s,
                     struct onward_cert *out);

#endif
