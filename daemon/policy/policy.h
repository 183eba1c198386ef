/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy.h - who is a recipient here: the one function behind RCPT.
 *
 * The answer depends on the store (is there such an alias?) and on the key service (does its user
 * have an active profile that covers it?), so that a token outage is a 4xx to the real sender. */
#ifndef SEALRELAY_POLICY_H
#define SEALRELAY_POLICY_H

#include "daemon/store/store.h"
#include "hsm/hsm.h"

struct policy {
    struct store *store;
    struct hsm *hsm;
    const char *const *domains; /* the relay's own, lower case */
    size_t n_domains;
};

/* A recipient that may be written to. */
struct policy_route {
    address_text address;     /* as asked for, lower case */
    struct store_alias alias; /* the alias itself, or the catch-all that covers it */
};

/* policy_recipient - may mail for this address be taken?
 *   address  of RCPT, any case
 * Errors: ERR_NO_ALIAS (unknown, or not of our domains), ERR_NOT_ACTIVE (no active profile, or the
 * profile covers neither domain nor mailbox; postmaster and abuse while nobody has them, which no
 * catch-all does),
 * ERR_REFUSED (reverse alias or return path), and whatever store and key service say. */
enum err policy_recipient(const struct policy *p, const char *address, struct policy_route *out);

/* policy_domain - the relay domain of a profile that an address lies in or below, the longest;
 * NULL: none. Reverse aliases and return paths of a sub-domain's alias are made in it: the name
 * constraints of the user's root name relay domains. Borrowed from the profile. */
const char *policy_domain(const struct hsm_profile *profile, const char *address);

/* policy_profile - the profile that mail for an alias is sealed under, checked: active, at least
 * one certificate, domain and mailbox among those that the key service's record names.
 * Errors: ERR_NOT_ACTIVE, ERR_EXPIRED (no certificate left to seal to), the key service's. */
enum err policy_profile(const struct policy *p, const struct store_alias *alias,
                        struct hsm_profile *out);

#endif
