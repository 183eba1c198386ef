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

/* alias: mail for a user. return path: of a message of ours; takes reports about it. reverse: a
 * user's mail for a correspondent. first: a user's mail for somebody who may be no correspondent
 * yet, "alias+local=domain@relay". */
enum policy_kind { POLICY_ALIAS, POLICY_RETURN_PATH, POLICY_REVERSE, POLICY_FIRST };

/* A recipient that may be written to. */
struct policy_route {
    enum policy_kind kind;
    address_text address;     /* as asked for, lower case */
    struct store_alias alias; /* the alias itself, the catch-all that covers it, or, of a reverse
                                 alias, the alias that it stands behind */
    struct store_correspondent correspondent; /* of a reverse alias; of a first mail its address is
                                                 set and nothing else */
    id_text returned; /* of a return path: the id of the message that left with it */
    address_text
        return_path; /* of an alias: where an answer came in that is sealed for it; or "" */
};

/* policy_recipient - may mail for this address be taken?
 *   address  of RCPT, any case
 * A return path is good whatever became of its profile: reports about it still count. An alias
 * whose own name has the form of a user's first mail is an alias.
 * Errors: ERR_NO_ALIAS (unknown, not of our domains, a return path forged or expired),
 * ERR_NOT_ACTIVE (no active profile, or the profile covers neither domain nor mailbox; postmaster
 * and abuse while nobody has them, which no catch-all does; of a reverse alias: no profile of its
 * user, ready or active, has a key for it), ERR_NOT_ASCII (a correspondent whom our mail cannot
 * reach), and whatever store and key service say. */
enum err policy_recipient(const struct policy *p, const char *address, int64_t now_s,
                          struct policy_route *out);

/* policy_is_reply - does a message to such a recipient come from a user? */
bool policy_is_reply(enum policy_kind kind);

/* policy_first_address - whom a user's first mail is for.
 *   address  as the user wrote it, any case
 *   route    alias and, as its correspondent's address, whom; set with ERR_OK only
 * Errors: ERR_NOT_FOUND (not of that form; there is no such alias, a catch-all does not make one;
 * it lies in a domain of this relay), the store's. */
enum err policy_first_address(const struct policy *p, const char *address,
                              struct policy_route *route);

/* policy_is_role_address - postmaster@ or abuse@ (lower case), the operator's: these two exist in
 * every domain, whether anybody has claimed them yet or not. Source: RFC 2142 */
bool policy_is_role_address(const char *address);

/* policy_domain - the relay domain of a profile that an address lies in or below, the longest;
 * NULL: none. Reverse aliases and return paths of a sub-domain's alias are made in it: the name
 * constraints of the user's root name relay domains. Borrowed from the profile. */
const char *policy_domain(const struct hsm_profile *profile, const char *address);

/* policy_profile - the profile that mail for an alias is sealed under, checked: active, at least
 * one certificate, domain and mailbox among those that the key service's record names.
 * Errors: ERR_NOT_ACTIVE, ERR_EXPIRED (no certificate left to seal to), the key service's. */
enum err policy_profile(const struct policy *p, const struct store_alias *alias,
                        struct hsm_profile *out);

/* policy_replies - may replies to a correspondent be opened in this profile?
 *   user     whose alias the correspondent writes to
 *   profile  as the key service names it: in state ready or active, and of this user */
bool policy_replies(const struct hsm_profile *profile, const char *user);

#endif
