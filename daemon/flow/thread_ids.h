/* SPDX-License-Identifier: GPL-3.0-or-later */
/* thread_ids.h - message ids on their way to the user: strangers know some messages by other ids
 * than the user's client does, and threads hold together all the same. */
#ifndef SEALRELAY_FLOW_THREAD_IDS_H
#define SEALRELAY_FLOW_THREAD_IDS_H

#include "daemon/message/message.h"
#include "daemon/store/thread.h"

struct thread_ids {
    struct store *store; /* borrowed */
    int64_t alias;
};

/* thread_id_find - what the user's client knows a message by that strangers know as id.
 *   ctx  a struct thread_ids: a find of id_lookup (message/references.h)
 *   own  given; untouched when there is no such message */
enum err thread_id_find(void *ctx, const char *id, char **own);

/* thread_id_replaced - remember that the stranger's message reached the user as made, because its
 * own id fits no header of ours; nothing when it has none that others could refer to.
 * Errors: the store's. */
enum err thread_id_replaced(const struct thread_ids *ids, const struct message *m, const char *made,
                            int64_t now_s);

#endif
