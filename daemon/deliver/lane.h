/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lane.h - the runner's memory of each next hop: how many sessions run, how it fared last, until
 * when it is left alone. Not thread-safe: the runner holds its lock. */
#ifndef SEALRELAY_DELIVER_LANE_H
#define SEALRELAY_DELIVER_LANE_H

#include "daemon/deliver/session.h"

#define LANE_STRAYS_MAX 32 /* keys in the queue that the table does not know (any more) */

/* One key of the queue: a domain of the table, the default "", or a stray. */
struct lane {
    char key[256];
    const struct hop *hop; /* of the table */
    unsigned sessions_max;
    unsigned active;
    unsigned failures; /* in a row */
    int64_t closed_until_s;
    int64_t settled_s; /* when its last session ended; 0: none has */
    char last_result[OUTCOME_TEXT_MAX + 1];
};

struct lane_table {
    struct hop *hops; /* owned, with their strings */
    size_t n_hops;
    struct lane *lanes; /* n_hops + LANE_STRAYS_MAX, the first n_hops those of the table */
    size_t n_lanes;
    size_t n_sessions; /* that the hops of the table may have in all */
};

/* lane_table_init - copies hops. sessions_most: of all next hops together.
 * Errors: ERR_CONFIG (none, too many, a host that is none, a relative CA file, too many sessions),
 * ERR_NOMEM; lane_table_clear is due either way. */
enum err lane_table_init(struct lane_table *t, const struct hop *hops, size_t n,
                         size_t sessions_most);
void lane_table_clear(struct lane_table *t);

/* lane_find - the lane of a key, NULL where none was made yet. */
struct lane *lane_find(const struct lane_table *t, const char *key);
/* lane_for - the same; a key that is new goes to the default next hop, one session at a time.
 * NULL: there is no default next hop, or there are too many such keys. */
struct lane *lane_for(struct lane_table *t, const char *key);
/* lane_waits - is it left alone now? Not when the clock was set back to before it was closed. */
bool lane_waits(const struct lane *l, int64_t now_s);
/* lane_closed - no further session now: all its sessions run, or it is left alone. */
bool lane_closed(const struct lane *l, int64_t now_s);
/* lane_settle - one of its sessions is over. */
void lane_settle(struct lane *l, const struct session_report *report, int64_t now_s);
/* lane_table_forget - whoever is left alone may be asked again. */
void lane_table_forget(struct lane_table *t);

#endif
