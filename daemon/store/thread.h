/* SPDX-License-Identifier: GPL-3.0-or-later */
/* thread.h - the two names of a user's message: the Message-ID that the user's client gave it,
 * which names the user's domain, and the one it left with. With both, threads hold together on both
 * sides.
 *
 * One name an alias: the correspondents of one alias see the same one, so that they can answer each
 * other; those of two aliases see two. A stranger's message whose own id no header of ours can
 * carry has two names as well. Kept as long as the alias, however old: nothing else ends a pair,
 * for a thread may go on after years. Sealed like addresses. */
#ifndef SEALRELAY_STORE_THREAD_H
#define SEALRELAY_STORE_THREAD_H

#include "daemon/store/store.h"

#define STORE_MESSAGE_ID_MAX 976 /* bytes, brackets included; a longer one has no pair */

typedef char message_id_text[STORE_MESSAGE_ID_MAX + 1]; /* "<...>", perhaps not ASCII */

/* store_thread_add - remember that the message the user knows as own is outer to the
 * correspondents of the alias.
 *   outer_out  outer, or what it left as before
 * Errors: ERR_FORMAT (too long, blanks, control bytes), ERR_NOT_FOUND (alias). */
enum err store_thread_add(struct store *s, int64_t alias, const char *own, const char *outer,
                          int64_t now_s, message_id_text outer_out);
/* store_thread_outer - what the correspondents know own as. store_thread_own - what the user knows
 * outer as. Errors: ERR_NOT_FOUND. */
enum err store_thread_outer(struct store *s, int64_t alias, const char *own, message_id_text out);
enum err store_thread_own(struct store *s, int64_t alias, const char *outer, message_id_text out);

/* store_thread_elsewhere - is own a message that the same user sent under another alias?
 *   alias  the one that does not count */
enum err store_thread_elsewhere(struct store *s, int64_t alias, const char *own, bool *out);

#endif
