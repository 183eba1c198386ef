/* SPDX-License-Identifier: GPL-3.0-or-later */
/* thread_ids.c - the ids of forwarded messages. Strangers answer the user's messages by the ids
 * these left with; and an id that is not ASCII, which a few clients write, is replaced on its way
 * in, so that what the stranger writes later must be put under the one that took its place. One
 * that has to leave as it came has two equal names. */
#include "daemon/flow/thread_ids.h"
#include "daemon/clean/clean.h"
#include "daemon/message/references.h"

#include <string.h>

_Static_assert(STORE_MESSAGE_ID_MAX == MESSAGE_ID_MAX_BYTES, "an id that is kept can be a name");

void thread_ids_clear(struct thread_ids *t)
{
    user_names_clear(&t->names);
    t->has_names = false;
}

/* Would a reply leave it out? Who the user is, is asked once. */
static enum err looks_own(struct thread_ids *t, const char *id, bool *own)
{
    enum err e = ERR_OK;

    if (!t->has_names)
        e = user_names_find(t->store, t->alias->user, t->profile, &t->names);
    t->has_names = t->has_names || !e;
    *own = !e && clean_names_domain(t->names.domains, bytes_of(id));
    return e;
}

/* The pair that was first stays: a message may come twice. */
static enum err pair_add(const struct thread_ids *t, const char *own, const char *outer)
{
    message_id_text left_as;
    enum err e = store_thread_add(t->store, t->alias->id, own, outer, t->now_s, left_as);

    if (e == ERR_EXISTS || e == ERR_FORMAT || e == ERR_NOT_FOUND) {
        err_note_clear();
        return ERR_OK;
    }
    return e;
}

/* One that is not the user's may look like it. known: found is set */
static enum err pair_find(struct thread_ids *t, const char *id, message_id_text found, bool *known)
{
    enum err e = store_thread_own(t->store, t->alias->id, id, found);
    bool own = false;

    *known = !e;
    if (e != ERR_NOT_FOUND)
        return e;
    err_note_clear();
    e = t->trial ? ERR_OK : looks_own(t, id, &own);
    return e || !own ? e : pair_add(t, id, id);
}

enum err thread_id_find(void *ctx, const char *id, char **own)
{
    message_id_text found;
    bool known;
    enum err e = pair_find(ctx, id, found, &known);

    if (e || !known)
        return e;
    *own = strdup(found);
    return *own ? ERR_OK : ERR_NOMEM;
}

enum err thread_id_passed(struct thread_ids *t, const struct message *m, const char *made)
{
    const struct message_field *f = message_find(m, "Message-ID", 0);
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf id = {0};
    message_id_text known_as;
    struct bytes rest;
    struct bytes found;
    bool known;
    enum err e = f ? message_unfold(f->value, &text) : ERR_OK;

    rest = buf_bytes(&text);
    if (e || !f || t->trial || !reference_next(&rest, MESSAGE_ID_MAX_BYTES, &found))
        return e;
    buf_append_bytes(&id, found);
    e = buf_error(&id);
    if (e)
        return e;
    return made ? pair_add(t, made, buf_str(&id)) : pair_find(t, buf_str(&id), known_as, &known);
}
