/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ledger.h - the accounts of one session: what became of each entry, recorded in the queue exactly
 * once, a few to a transaction while the session goes on. */
#ifndef SEALRELAY_DELIVER_LEDGER_H
#define SEALRELAY_DELIVER_LEDGER_H

#include "daemon/deliver/outcome.h"
#include "daemon/deliver/session.h"

#define LEDGER_BATCH 16 /* results to a transaction at most */

struct ledger {
    const struct session_context *context;
    const struct hop *hop;
    struct ledger_entry {
        const struct queue_item *item;
        struct verdict verdict;
        bool judged;
        bool recorded;
        bool wanted; /* the worker asked for its content */
    } * entries;
    size_t n;
    size_t n_pending; /* judged, not recorded */
    int64_t begun_ms;
    enum hop_health health;
    unsigned wait_s;      /* before this next hop is asked again, where its health is not good */
    enum job_fault fault; /* of the session, for the log */
    char last_result[OUTCOME_TEXT_MAX + 1]; /* of the message judged last, a tried one if any */
    bool last_tried;
};

/* ledger_open - items: borrowed until ledger_close. Errors: ERR_NOMEM. */
enum err ledger_open(struct ledger *l, const struct session_context *context, const struct hop *hop,
                     const struct queue_item *items, size_t n);
/* ledger_judge - the final word on an entry; recorded now or soon. */
void ledger_judge(struct ledger *l, size_t index, const struct verdict *verdict);
/* ledger_held - the queue itself has put the entry on hold: nothing to record. */
void ledger_held(struct ledger *l, size_t index);
/* ledger_record - record what is judged, at most LEDGER_BATCH. */
void ledger_record(struct ledger *l);
/* ledger_close - whatever is not judged is unknown, for the reason given; record all, free. */
void ledger_close(struct ledger *l, const char *why);

#endif
