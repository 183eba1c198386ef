/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sender_policy.h - what a profile wants done with mail of doubtful senders.
 *
 * A profile that never said anything has the defaults, which come first in each enum. */
#ifndef SEALRELAY_STORE_SENDER_POLICY_H
#define SEALRELAY_STORE_SENDER_POLICY_H

#include "daemon/store/store.h"

/* A message that fails DMARC. BY_DOMAIN: refused where the domain asks for that, else marked. */
enum failing_action { FAILING_BY_DOMAIN, FAILING_REFUSE, FAILING_MARK, FAILING_DEFER };
/* A message that the spam filter would reject. */
enum spam_choice { SPAM_CHOICE_REFUSE, SPAM_CHOICE_MARK };
/* A message whose sender could not be checked. */
enum unchecked_action { UNCHECKED_ACCEPT, UNCHECKED_DEFER };

struct sender_policy {
    enum failing_action failing;
    enum spam_choice spam;
    enum unchecked_action unchecked;
};

const char *failing_action_name(enum failing_action a); /* "policy", "refuse", "mark", "defer" */
const char *spam_choice_name(enum spam_choice c);       /* "refuse", "mark" */
const char *unchecked_action_name(enum unchecked_action a); /* "accept", "defer" */

/* sender_policy_set_word - change one of the three by its name ("failing", "spam", "unchecked").
 * Errors: ERR_USAGE with a note that says which words there are. */
enum err sender_policy_set_word(struct sender_policy *p, const char *name, const char *word);

/* store_policy_get - a profile's policy; the defaults when it has none. */
enum err store_policy_get(struct store *s, const char *profile, struct sender_policy *out);
/* store_policy_set - Errors: ERR_FORMAT (not a profile id). */
enum err store_policy_set(struct store *s, const char *profile, const struct sender_policy *p);

#endif
