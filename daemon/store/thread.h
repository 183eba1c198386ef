/* SPDX-License-Identifier: GPL-3.0-or-later */
/* thread.h - the two names of a user's message: the Message-ID that the user's client gave it,
 * which names the user's domain, and the one it left with. With both, threads hold together on both
 * sides.
 *
 * One name an alias: the correspondents of one alias see the same one, so that they can answer each
 * other; those of two aliases see two. Kept as long as the alias, sealed like addresses. */
#ifndef SEALRELAY_STORE_THREAD_H
#define SEALRELAY_STORE_THREAD_H

#include "daemon/store/store.h"

#define STORE_MESSAGE_ID_MAX                                                                       \
    HSM_ADDRESS_MAX /* bytes, brackets included; a longer one has no pair */

typedef address_text message_id_text; /* "<...>" */

/* store_thread_add - remember that the user's message own left as outer.
 *   outer_out  outer, or what it left as before
 * Errors: ERR_FORMAT (too long, control bytes), ERR_NOT_FOUND (alias). */
enum err store_thread_add(struct store *s, int64_t alias, const char *own, const char *outer,
                          int64_t now_s, message_id_text outer_out);
/* store_thread_outer - what the user's message left as. store_thread_own - the user's message that
 * left as outer. Errors: ERR_NOT_FOUND. */
enum err store_thread_outer(struct store *s, int64_t alias, const char *own, message_id_text out);
enum err store_thread_own(struct store *s, int64_t alias, const char *outer, message_id_text out);

#endif
