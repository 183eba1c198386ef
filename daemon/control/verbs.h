/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs.h - what the operator may ask of the relay: users, aliases, correspondents, the queue,
 * draining, status. The table goes into control_start() with a struct relay_verbs as its ctx.
 *
 * Lists: request {"from": N}, 0 at first; answer {"rows": [...], "next": N or null}. Dates are
 * seconds since 1970; ids, states and types their usual words. */
#ifndef SEALRELAY_CONTROL_VERBS_H
#define SEALRELAY_CONTROL_VERBS_H

#include "daemon/base/counter.h"
#include "daemon/control/control.h"
#include "daemon/deliver/runner.h"
#include "daemon/flow/trial.h"
#include "daemon/queue/queue.h"
#include "daemon/receive/receive.h"
#include "daemon/store/store.h"
#include "daemon/verdict/sender_verdict.h"

#include <stdatomic.h>

/* What the verbs work on; all borrowed, all outlive the server. */
struct relay_verbs {
    struct store *store;
    struct queue *queue;
    struct hsm *hsm;
    struct runner *runner;           /* NULL: nothing is delivered */
    struct receive *receive;         /* NULL: nothing is received */
    struct verdict_checker *verdict; /* NULL: nobody is asked about senders */
    const char *const *domains;      /* of the relay */
    size_t n_domains;
    const char *operator_user; /* name; owns postmaster@ and abuse@; NULL: nobody yet */
    int64_t started_s;
    const atomic_ullong *dropped; /* LMTP recipients whose message was dropped; NULL: not counted */
    const struct counter *returned; /* what comes back to return paths; shown by status */
    size_t n_returned;
    atomic_bool *draining; /* while true the relay answers every RCPT 4xx */
    void *flow;
    /* Mail a new activation code, sealed, to a ready profile's mailbox. */
    enum err (*profile_notify)(void *flow, const char *profile);
    /* Tell a user, sealed, which keys are enrolled now. NULL: this relay sends no notices. */
    enum err (*keys_notify)(void *flow, const char *profile);
    /* A profile was activated: greet its user, soon. NULL: this relay greets nobody. */
    void (*profile_greet)(void *greet);
    void *greet;
    /* Make a correspondent who has not written yet. NULL: this relay makes none. */
    enum err (*introduce)(void *flow, const char *alias, const char *address,
                          struct store_correspondent *out);
    /* What would become of a message: trial_run(). NULL: this relay takes no mail. */
    enum err (*message_try)(void *flow, const struct trial *t, struct reply *answer_out);
    uint64_t message_max_bytes;
    /* Forget cached keys of a deleted profile; its stored ones are forgotten here. NULL: none. */
    enum err (*profile_forget)(void *flow, const char *profile);
};

extern const struct control_verb relay_verbs[];
extern const size_t n_relay_verbs;

#endif
