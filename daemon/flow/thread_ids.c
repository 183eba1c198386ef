/* SPDX-License-Identifier: GPL-3.0-or-later */
/* thread_ids.c - the ids of forwarded messages. Strangers answer the user's messages by the ids
 * these left with; and an id that is not ASCII, which a few clients write, is replaced on its way
 * in, so that what the stranger writes later must be put under the one that took its place. */
#include "daemon/flow/thread_ids.h"
#include "daemon/message/references.h"

#include <string.h>

_Static_assert(STORE_MESSAGE_ID_MAX == MESSAGE_ID_MAX_BYTES, "an id that is kept can be a name");

enum err thread_id_find(void *ctx, const char *id, char **own)
{
    const struct thread_ids *ids = ctx;
    message_id_text found;
    enum err e = store_thread_own(ids->store, ids->alias, id, found);

    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        return ERR_OK;
    }
    if (e)
        return e;
    *own = strdup(found);
    return *own ? ERR_OK : ERR_NOMEM;
}

/* The pair that was first stays: a message may come twice. */
enum err thread_id_replaced(const struct thread_ids *ids, const struct message *m, const char *made,
                            int64_t now_s)
{
    const struct message_field *f = message_find(m, "Message-ID", 0);
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf id = {0};
    struct bytes rest;
    struct bytes found;
    message_id_text outer;
    enum err e = f ? message_unfold(f->value, &text) : ERR_OK;

    rest = buf_bytes(&text);
    if (e || !f || !reference_next(&rest, MESSAGE_ID_MAX_BYTES, &found))
        return e;
    buf_append_bytes(&id, found);
    e = buf_error(&id);
    e = e ? e : store_thread_add(ids->store, ids->alias, made, buf_str(&id), now_s, outer);
    if (e == ERR_EXISTS || e == ERR_FORMAT || e == ERR_NOT_FOUND) {
        err_note_clear();
        return ERR_OK;
    }
    return e;
}
