/* SPDX-License-Identifier: GPL-3.0-or-later */
/* forward.h - the product's main job: a stranger's message to an alias leaves sealed.
 *
 * Runs in the SMTP or LMTP session, between the final dot and its reply. Invariant: the only way
 * from here into the queue is through seal_run; every failure is an error to the client. */
#ifndef SEALRELAY_FLOW_FORWARD_H
#define SEALRELAY_FLOW_FORWARD_H

#include "daemon/base/counter.h"
#include "daemon/policy/policy.h"
#include "daemon/queue/queue.h"
#include "daemon/receive/receive.h"
#include "daemon/smime/trust.h"
#include "daemon/verdict/sender_verdict.h"

#include <stdatomic.h>

struct forward_limits {
    unsigned keys_per_message;  /* new ones, the sender's included */
    unsigned catch_all_per_day; /* new aliases of a user */
    bool hide_subject;
    unsigned reports_per_day; /* failures that one sender is told of */
};

/* What comes back about messages that left, and what was told of it. */
enum forward_counter {
    FORWARD_REPORT_FAILED,  /* messages that a report made failed */
    FORWARD_REPORT_DELAYED, /* reports of that kind */
    FORWARD_REPORT_PASSED,
    FORWARD_REPORT_UNPARSED,
    FORWARD_AUTO_REPLY, /* dropped */
    FORWARD_ANSWER,     /* to a user's reply: forwarded to its alias */
    FORWARD_NOT_REPORT, /* refused */
    FORWARD_TOLD,       /* failed messages whose sender was told */
    FORWARD_UNTOLD,     /* and those whose sender may not be told */
    FORWARD_COUNTERS
};

/* What the flow works with; all borrowed and shared by all sessions. */
struct forward {
    struct policy policy;
    struct store *store;
    struct hsm *hsm;
    struct queue *queue;
    struct verdict_checker *verdict; /* NULL: senders are not checked */
    const struct trust *trust;       /* who says whose signature is whose; NULL: nobody */
    const atomic_bool *draining;     /* while true nobody is a recipient for now */
    const char *relay_id;            /* in the loop field */
    const char *const *hop_domains;  /* domains that have a next hop of their own */
    size_t n_hop_domains;
    struct forward_limits limits;
    struct counter counters[FORWARD_COUNTERS]; /* by enum forward_counter; forward_counters_name */
    atomic_ullong dropped; /* LMTP recipients whose message SMTP would have refused for good */
};

/* forward_counters_name - give the counters their names; once, before anything counts. */
void forward_counters_name(struct forward *f);

/* forward_handler - the handler that makes a receive server forward mail. */
struct receive_handler forward_handler(struct forward *f);

/* forward_message - seal one message for one recipient and put it into the queue, uncommitted.
 *   data  the message, CRLF line ends
 *   out   given; queue_commit or queue_abort it; NULL after a trial, and
 *         where the message is a copy of what the user wrote to others: it is dropped
 * Errors: those of err.h that policy_profile, rewrite_*, correspond_*, seal_run and the queue have;
 * ERR_TIMEOUT when deadline_mono_ms passed; ERR_NOT_FOUND from a trial that may not make what is
 * missing. */
/* Turns a job into a trial: all is done but queueing. */
struct forward_trial {
    bool make; /* make what is missing (alias of a catch-all, correspondents, their keys) */
    enum err (*sink)(void *ctx, const uint8_t *data, size_t len); /* takes the sealed message */
    void (*step)(void *ctx, const char *name, enum err result, int64_t ms); /* a step is done */
    void *ctx;
};

struct forward_job {
    const char *id;       /* of the message, in logs */
    const char *queue_id; /* of this entry */
    const char *mail_from;
    const struct policy_route *route;
    const struct sender_verdict *verdict; /* of the message, never NULL */
    struct bytes data;
    int64_t now_s;
    int64_t deadline_mono_ms;
    const struct forward_trial *trial; /* NULL: for real */
    const id_text *siblings; /* of a reply: entries that this transaction has made already */
    size_t n_siblings;
    bool drops; /* what is refused is dropped, and its sender hears nothing of it (LMTP) */
};
enum err forward_message(struct forward *f, const struct forward_job *job,
                         struct queue_writer **out);

/* forward_answer - what a stranger is told of an error of the flow. A word like "not found" that is
 * not about the message is a fault of ours: the sender shall try again. */
struct reply forward_answer(enum err e);

/* forward_hop - the key of the next hop for a mailbox: its domain if that has one of its own, else
 * "" for the default. Borrowed from f. */
const char *forward_hop(const struct forward *f, const char *mailbox);

#endif
