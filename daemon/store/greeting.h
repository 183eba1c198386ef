/* SPDX-License-Identifier: GPL-3.0-or-later */
/* greeting.h - which of a user's profiles was greeted, so that each activation is greeted once. */
#ifndef SEALRELAY_STORE_GREETING_H
#define SEALRELAY_STORE_GREETING_H

#include "daemon/store/store.h"

struct store_greeting {
    id_text profile; /* the one that was active */
    id_text entry;   /* the first queue entry of its greeting; the id is known before it is made */
    bool sent;
};

/* store_greeting_get - Errors: ERR_NOT_FOUND.
 * store_greeting_set - Errors: ERR_NOT_FOUND (no such user).
 * store_greeting_clear - no profile of the user is active, or one will be anew. No error when there
 * is none. store_greeting_clear_profile - the same by the profile. */
enum err store_greeting_get(struct store *s, const char *user, struct store_greeting *out);
enum err store_greeting_set(struct store *s, const char *user, const struct store_greeting *g);
enum err store_greeting_clear(struct store *s, const char *user);
enum err store_greeting_clear_profile(struct store *s, const char *profile);

#endif
