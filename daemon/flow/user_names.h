/* SPDX-License-Identifier: GPL-3.0-or-later */
/* user_names.h - what names a user: the mailboxes of their profile and those the store knows, and
 * the domains that are theirs alone. */
#ifndef SEALRELAY_FLOW_USER_NAMES_H
#define SEALRELAY_FLOW_USER_NAMES_H

#include "daemon/store/store.h"
#include "hsm/hsm.h"

struct user_names {
    struct store_user user;
    const char **mailboxes; /* each list ends with NULL */
    const char **domains;   /* none that providers share out among strangers */
    size_t n_mailboxes, n_domains;
};

/* user_names_find - of a user in a profile, which is borrowed as long as out is used.
 *   user  id
 *   out   given; user_names_clear
 * Errors: ERR_BUSY (the user was removed meanwhile), those of store_user_find, ERR_NOMEM. */
enum err user_names_find(struct store *store, const char *user, const struct hsm_profile *profile,
                         struct user_names *out);
/* user_names_add - one more mailbox, borrowed. Errors: ERR_NOMEM. */
enum err user_names_add(struct user_names *n, const char *mailbox);
void user_names_clear(struct user_names *n);

#endif
