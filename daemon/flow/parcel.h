/* SPDX-License-Identifier: GPL-3.0-or-later */
/* parcel.h - what a message gathers on its way through forward.c. Private to the flow.
 *
 * Filled step by step: the message, its parties, the profile, the reverse aliases of those it
 * names, the rewritten header, certificates and key, and the queue entry it goes into. */
#ifndef SEALRELAY_FLOW_PARCEL_H
#define SEALRELAY_FLOW_PARCEL_H

#include "daemon/flow/correspond.h"
#include "daemon/flow/forward.h"
#include "daemon/message/rewrite.h"
#include "daemon/policy/sender.h"
#include "daemon/smime/peer.h"

struct parcel {
    struct message message;
    struct rewrite_parties parties;
    struct hsm_profile profile;
    struct sender_marks marks;
    struct peer_signature signature; /* the sender's own */
    struct store_alias alias;
    struct correspondent sender;
    struct correspondent others[REWRITE_ADDRESSES_MAX];
    size_t n_others;
    struct rewrite_map map[REWRITE_ADDRESSES_MAX];
    size_t n_map;
    unsigned new_keys;
    struct rewrite_output rewritten;
    STACK_OF(X509) * extra_certs;
    STACK_OF(X509) * recipients;
    EVP_PKEY *key;
    struct queue_writer *writer;
    int64_t since_ms; /* when the step in hand began */
};

/* parcel_sender_address - whom the message says it is from, else its envelope, else nobody in
 * particular. Borrowed from the parcel or the job. */
const char *parcel_sender_address(const struct forward_job *job, const struct parcel *p);

/* parcel_sender - find or make the sender's correspondent. Effects: it was seen now, unless in a
 * trial.
 * Errors: those of correspond_find, correspond_make and store_correspondent_seen. */
enum err parcel_sender(struct forward *f, const struct forward_job *job, struct parcel *p);

/* parcel_map - reverse addresses for the others whom the header names. Whoever a key cannot be had
 * for stays unmapped. Errors: those of correspond_find and correspond_make but ERR_SHARE,
 * ERR_LIMIT.
 */
enum err parcel_map(struct forward *f, const struct forward_job *job, struct parcel *p);

/* parcel_is_own_copy - is the message the user's own, proven by an aligned pass, and addressed to a
 * correspondent of theirs as well? Errors: the store's, but none for whom it does not know. */
enum err parcel_is_own_copy(struct forward *f, const struct forward_job *job,
                            const struct parcel *p, bool *out);

/* parcel_alias_certs - add to extra_certs the certificates of the alias, and of the user's others
 * that the header names. Effects: one that is missing or due is made and kept, unless in a trial;
 * one that cannot be had is logged and left out. */
void parcel_alias_certs(struct forward *f, const struct forward_job *job, struct parcel *p);

#endif
