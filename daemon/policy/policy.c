/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy.c - who is a recipient here. */
#include "daemon/policy/policy.h"
#include "daemon/base/domain.h"
#include "daemon/message/address.h"
#include "daemon/policy/return_path.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_one_of(const char *s, const char *const *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(s, items[i]) == 0)
            return true;
    return false;
}

bool policy_is_role_address(const char *address)
{
    return strncmp(address, "postmaster@", 11) == 0 || strncmp(address, "abuse@", 6) == 0;
}

static bool is_return_path(const char *address)
{
    return strncmp(address, "b-", 2) == 0;
}

const char *policy_domain(const struct hsm_profile *profile, const char *address)
{
    return domain_enclosing(address_domain(address), (const char *const *)profile->domains,
                            profile->n_domains);
}

static bool covers(const struct hsm_profile *profile, const struct store_alias *alias)
{
    return policy_domain(profile, alias->address) &&
           is_one_of(alias->mailbox, (const char *const *)profile->addresses, profile->n_addresses);
}

enum err policy_profile(const struct policy *p, const struct store_alias *alias,
                        struct hsm_profile *out)
{
    struct hsm_profile profile = {0};
    enum err e = hsm_user_profile(p->hsm, alias->user, &profile);

    if (e)
        return e == ERR_NOT_FOUND ? ERR_NOT_ACTIVE : e;
    if (profile.state != PROFILE_ACTIVE)
        e = err_note(ERR_NOT_ACTIVE, "profile", "state is %s", profile_state_name(profile.state));
    else if (!covers(&profile, alias))
        e = err_note(ERR_NOT_ACTIVE, "profile", "alias or mailbox is not in the enrolment");
    else if (profile.n_certs == 0)
        e = err_note(ERR_EXPIRED, "profile", "no user certificate to seal to");
    if (e)
        hsm_profile_clear(&profile);
    else
        *out = profile;
    return e;
}

/* One that is not ours, or too old, gets the answer of an alias that nobody has. */
static enum err return_path_route(const struct policy *p, struct policy_route *route, int64_t now_s)
{
    uint8_t key[RETURN_PATH_KEY_LEN];
    enum err e = store_derived_key(p->store, "return-path", key);

    if (e)
        return e;
    route->kind = POLICY_RETURN_PATH;
    e = return_path_read(key, route->address, now_s, route->returned);
    return e == ERR_FORMAT || e == ERR_EXPIRED ? ERR_NO_ALIAS : e;
}

bool policy_replies(const struct hsm_profile *profile, const char *user)
{
    return (profile->state == PROFILE_READY || profile->state == PROFILE_ACTIVE) &&
           strcmp(profile->user, user) == 0;
}

/* Looks for one profile in which replies to a correspondent are opened. */
struct profile_search {
    const struct policy *policy;
    const char *user;
    bool found;
};

static enum err profile_try(void *ctx, const char *id)
{
    struct profile_search *search = ctx;
    struct hsm_profile profile = {0};
    enum err e = search->found ? ERR_OK : hsm_profile_get(search->policy->hsm, id, &profile);

    search->found = search->found || (!e && policy_replies(&profile, search->user));
    hsm_profile_clear(&profile);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* Those who wrote without an address have none that anything could be sent to (RFC 2606). */
static bool is_nowhere(const char *address)
{
    return strcmp(address_domain(address), "invalid") == 0;
}

static enum err reverse_route(const struct policy *p, struct policy_route *route)
{
    struct profile_search search = {.policy = p, .user = route->alias.user};
    enum err e = store_correspondent_by_reverse(p->store, route->address, &route->correspondent);

    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        return ERR_NO_ALIAS;
    }
    if (!e && is_nowhere(route->correspondent.address))
        e = ERR_NO_ALIAS;
    if (!e && !address_is_ascii(route->correspondent.address))
        e = ERR_NOT_ASCII;
    if (!e)
        e = store_alias_get(p->store, route->correspondent.alias, &route->alias);
    if (!e)
        e = store_sender_key_profiles(p->store, route->correspondent.id, profile_try, &search);
    if (!e && !search.found)
        e = err_note(ERR_NOT_ACTIVE, "profile", "none opens replies to this reverse alias");
    route->kind = POLICY_REVERSE;
    return e;
}

bool policy_is_reply(enum policy_kind kind)
{
    return kind == POLICY_REVERSE || kind == POLICY_FIRST;
}

enum err policy_first_address(const struct policy *p, const char *address,
                              struct policy_route *route)
{
    struct policy_route found = {.kind = POLICY_FIRST};
    address_text alias;
    enum err e;

    if (strlen(address) >= sizeof found.address)
        return ERR_NOT_FOUND;
    memcpy(found.address, address, strlen(address) + 1);
    address_fold(found.address);
    if (!address_first_split(found.address, alias, found.correspondent.address) ||
        domain_enclosing(address_domain(found.correspondent.address), p->domains, p->n_domains))
        return ERR_NOT_FOUND;
    e = store_alias_find(p->store, alias, &found.alias);
    if (e == ERR_NO_ALIAS || (!e && found.alias.catch_all)) {
        err_note_clear();
        return ERR_NOT_FOUND;
    }
    if (!e)
        *route = found;
    return e;
}

/* The alias, the catch-all above it, or the alias that a user's first mail names. */
static enum err alias_route(const struct policy *p, struct policy_route *route)
{
    enum err found = store_alias_find(p->store, route->address, &route->alias);
    enum err e;

    if (found && found != ERR_NO_ALIAS)
        return found;
    if (!found && !route->alias.catch_all)
        return ERR_OK;
    e = policy_first_address(p, route->address, route);
    return e == ERR_NOT_FOUND ? found : e;
}

/* The two kinds of address that the relay makes itself: ERR_NOT_FOUND when it is none of them. */
static enum err own_route(const struct policy *p, struct policy_route *route, int64_t now_s)
{
    enum err e = ERR_NOT_FOUND;

    if (!is_one_of(address_domain(route->address), p->domains, p->n_domains))
        return e;
    if (address_is_reverse(route->address))
        e = reverse_route(p, route);
    else if (is_return_path(route->address))
        e = return_path_route(p, route, now_s);
    return e;
}

enum err policy_recipient(const struct policy *p, const char *address, int64_t now_s,
                          struct policy_route *out)
{
    struct policy_route route = {0};
    struct hsm_profile profile = {0};
    enum err e;

    /* "postmaster" needs no domain, RFC 5321 4.5.1. */
    if (snprintf(route.address, sizeof route.address, "%s%s%s", address,
                 strchr(address, '@') ? "" : "@",
                 strchr(address, '@') ? "" : p->domains[0]) > HSM_ADDRESS_MAX)
        return ERR_NO_ALIAS;
    address_fold(route.address);
    e = own_route(p, &route, now_s);
    if (e != ERR_NOT_FOUND) {
        if (!e)
            *out = route;
        return e;
    }
    e = alias_route(p, &route);
    if (e == ERR_NO_ALIAS && policy_is_role_address(route.address) &&
        is_one_of(address_domain(route.address), p->domains, p->n_domains))
        return err_note(ERR_NOT_ACTIVE, "alias", "role address that nobody has");
    if (e)
        return e;
    if (route.alias.catch_all && policy_is_role_address(route.address))
        return err_note(ERR_NOT_ACTIVE, "alias", "role address that no catch-all may take");
    e = policy_profile(p, &route.alias, &profile);
    if (e)
        return e;
    hsm_profile_clear(&profile);
    *out = route;
    return ERR_OK;
}
