/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_policy.h - what a profile asks of its user's replies, and how they leave.
 *
 * A profile that never said anything has the defaults, which come first in each enum. Of pass and
 * signature one at least is always required: whoever has neither is a stranger. */
#ifndef SEALRELAY_STORE_REPLY_POLICY_H
#define SEALRELAY_STORE_REPLY_POLICY_H

#include "daemon/store/store.h"

enum reply_proof { REPLY_REQUIRED, REPLY_WAIVED };
enum onward_choice { ONWARD_WHEN_KNOWN, ONWARD_NEVER, ONWARD_REQUIRED };

struct reply_policy {
    enum reply_proof pass;      /* of DMARC, for a mailbox of the profile */
    enum reply_proof signature; /* by one of the profile's user keys */
    bool plain;                 /* neither encrypted nor signed; only where no signature is asked */
    enum onward_choice onward;  /* encryption to the correspondent's own certificate */
};

const char *reply_proof_name(enum reply_proof p);     /* "required", "waived" */
const char *onward_choice_name(enum onward_choice c); /* "when-known", "never", "required" */
const char *reply_plain_name(bool plain);             /* "no", "yes" */

/* reply_policy_set_word - change one of the four by its name ("reply_pass", "reply_signature",
 * "plain", "onward"). Errors: ERR_USAGE with a note that says which words there are. */
enum err reply_policy_set_word(struct reply_policy *p, const char *name, const char *word);
/* reply_policy_check - may they stand together? Errors: ERR_USAGE with a note (pass and signature
 * both waived; plain without the signature waived). */
enum err reply_policy_check(const struct reply_policy *p);

/* store_reply_policy_get - a profile's policy; the defaults when it has none.
 * Errors: ERR_TAMPERED (words that no version wrote, or that may not stand together). */
enum err store_reply_policy_get(struct store *s, const char *profile, struct reply_policy *out);
/* store_reply_policy_set - Errors: ERR_FORMAT (not a profile id), those of reply_policy_check. */
enum err store_reply_policy_set(struct store *s, const char *profile, const struct reply_policy *p);

#endif
