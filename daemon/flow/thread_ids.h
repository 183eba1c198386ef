/* SPDX-License-Identifier: GPL-3.0-or-later */
/* thread_ids.h - message ids on their way to the user: strangers know some messages by other ids
 * than the user's client does, and threads hold together all the same.
 *
 * A stranger's id in a domain of the user's is remembered as the stranger's. Else a reply would
 * leave it out as if it were the user's: a stranger could tell the user's domain from what is
 * missing, and those who share it with the user would lose their threads. */
#ifndef SEALRELAY_FLOW_THREAD_IDS_H
#define SEALRELAY_FLOW_THREAD_IDS_H

#include "daemon/flow/user_names.h"
#include "daemon/message/message.h"
#include "daemon/store/thread.h"

/* Those of one message; all but names borrowed. */
struct thread_ids {
    struct store *store;
    const struct store_alias *alias; /* the stranger wrote to */
    const struct hsm_profile *profile;
    int64_t now_s;
    bool trial; /* nothing is remembered */
    bool has_names;
    struct user_names names;
};

void thread_ids_clear(struct thread_ids *t);

/* thread_id_find - what the user's client knows a message by that strangers know as id.
 *   ctx  a struct thread_ids: a find of id_lookup (message/references.h)
 *   own  given; untouched when there is no such message
 * Errors: the store's, ERR_NOMEM. */
enum err thread_id_find(void *ctx, const char *id, char **own);

/* thread_id_passed - remember the stranger's message by the id it reached the user with.
 *   made  instead of its own, which fits no header of ours; NULL: its own
 * Nothing when it has none that others could refer to. Errors: the store's, ERR_NOMEM. */
enum err thread_id_passed(struct thread_ids *t, const struct message *m, const char *made);

#endif
