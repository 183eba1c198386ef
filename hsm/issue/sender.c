/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sender.c - keys and certificates of correspondents, under reverse addresses made here.
 *
 * Nothing is locked while the token makes a key or signs; before a certificate leaves, the profile
 * is looked at once more and the journal has it. */
#include "hsm/issue/inside.h"

#include "hsm/issue/name.h"

#include <string.h>

static enum err refused(const char *what)
{
    return err_note(ERR_REFUSED, "sender certificate", "%s", what);
}

/* An existing reverse alias: of this user, in a domain of this profile. */
static enum err reverse_check(struct authority *a, const struct record *r, const char *reverse)
{
    id_text user;

    if (!name_is_reverse(reverse))
        return refused("not a reverse alias");
    if (!record_list_has(&r->domains, strchr(reverse, '@') + 1))
        return refused("reverse alias in a domain that is not the profile's");
    if (!journal_index_alias(a->index, reverse, user) || strcmp(user, r->user) != 0)
        return refused("reverse alias of another user, or of none");
    return ERR_OK;
}

static enum err reverse_make(struct authority *a, const char *domain, address_text out)
{
    id_text random, user;
    enum err e;

    do {
        e = id_new(random);
        if (e)
            return e;
        if (snprintf(out, sizeof(address_text), "r-%s@%s", random, domain) >=
            (int)sizeof(address_text))
            return refused("domain too long");
    } while (journal_index_alias(a->index, out, user));
    return ERR_OK;
}

static enum err reverse_choose(struct authority *a, const struct record *r, const char *domain,
                               const char *reverse, address_text out)
{
    enum err e;

    if (!domain || !record_list_has(&r->domains, domain))
        return refused("not a relay domain of the profile");
    if (!reverse)
        return reverse_make(a, domain, out);
    e = reverse_check(a, r, reverse);
    if (!e && strcmp(strchr(reverse, '@') + 1, domain) != 0)
        e = refused("reverse alias is in another domain");
    if (!e)
        (void)snprintf(out, sizeof(address_text), "%s", reverse);
    return e;
}

/* The last look and the journal's line belong together: deletion waits for whoever is between. */
static enum err leaf_journal(struct authority *a, const char *profile, const char *reverse,
                             const struct leaf *leaf, bool key_is_new)
{
    CLEANUP(record_drop) struct record *r = NULL;
    enum err e;

    (void)pthread_rwlock_rdlock(&a->life);
    e = authority_find(a, profile, &r);
    if (!e)
        e = profile_may_mail(r);
    if (!e)
        e = journal_append(a->journal, authority_now(a), "sender-cert", profile,
                           "user=%s alias=%s serial=%s not-after=%lld key=%s", r->user, reverse,
                           buf_str(&leaf->serial), (long long)leaf->dates.not_after_s,
                           key_is_new ? "new" : "same");
    (void)pthread_rwlock_unlock(&a->life);
    return e;
}

static enum err certify(struct authority *a, const struct record *r, EVP_PKEY *key, bool key_is_new,
                        struct hsm_sender *out)
{
    const char *const address[] = {out->reverse};
    CLEANUP(leaf_clear) struct leaf leaf = {0};
    enum err e = leaf_issue(a, r, CERT_SENDER, address, 1, key, authority_now(a), &leaf);

    if (!e)
        e = leaf_journal(a, r->profile, out->reverse, &leaf, key_is_new);
    if (e)
        return e;
    out->cert = leaf.der;
    leaf.der = (struct buf){0};
    return ERR_OK;
}

static void in_flight_end(struct authority *a, const char *profile)
{
    struct slot *s;

    (void)pthread_mutex_lock(&a->look);
    s = authority_slot(a, profile);
    if (s && s->in_flight)
        s->in_flight--;
    (void)pthread_mutex_unlock(&a->look);
}

/* out->reverse is set. */
static enum err key_new(struct authority *a, const struct record *r, bool idle_only,
                        struct hsm_sender *out)
{
    CLEANUP(key_drop) EVP_PKEY *key = NULL;
    enum err e = authority_count(a, r->profile, COUNT_SENDERS);

    if (e)
        return e;
    e = token_sender_new(a->options.token, r->profile, (uint32_t)r->kek_generation,
                         r->sender_key_type, out->reverse, idle_only, &out->blob, &key);
    if (!e)
        e = certify(a, r, key, true, out);
    in_flight_end(a, r->profile);
    if (e)
        authority_uncount(a, r->profile, COUNT_SENDERS);
    return e;
}

static enum err key_again(struct authority *a, const struct record *r, EVP_PKEY *key,
                          struct bytes blob, struct hsm_sender *out)
{
    enum err e = authority_count(a, r->profile, COUNT_RENEWALS);

    if (e)
        return e;
    buf_append_bytes(&out->blob, blob);
    e = buf_error(&out->blob);
    return e ? e : certify(a, r, key, false, out);
}

enum err authority_sender_new(struct authority *a, const char *profile, const char *domain,
                              const char *reverse, bool idle_only, struct hsm_sender *out)
{
    CLEANUP(record_drop) struct record *r = NULL;
    struct hsm_sender sender = {0};
    enum err e = authority_find(a, profile, &r);

    if (!e)
        e = profile_may_mail(r);
    if (!e)
        e = reverse_choose(a, r, domain, reverse, sender.reverse);
    if (!e)
        e = key_new(a, r, idle_only, &sender);
    if (e)
        hsm_sender_clear(&sender);
    else
        *out = sender;
    return e;
}

static enum err renew(struct authority *a, const struct record *r, struct bytes blob,
                      struct hsm_sender *out)
{
    struct hsm_key_ref ref = {.profile = r->profile, .reverse = out->reverse, .blob = blob};
    CLEANUP(key_drop) EVP_PKEY *key = NULL;
    struct sender_blob told;
    enum err e = token_sender_read(a->options.token, &ref, &told, &key);

    if (e)
        return e;
    if (told.kek_generation == (uint32_t)r->kek_generation && told.type == r->sender_key_type)
        return key_again(a, r, key, blob, out);
    return key_new(a, r, false, out);
}

enum err authority_sender_renew(struct authority *a, const char *profile, const char *reverse,
                                struct bytes blob, struct hsm_sender *out)
{
    CLEANUP(record_drop) struct record *r = NULL;
    struct hsm_sender sender = {0};
    enum err e = authority_find(a, profile, &r);

    if (!e)
        e = profile_may_mail(r);
    if (!e)
        e = reverse_check(a, r, reverse);
    if (!e) {
        (void)snprintf(sender.reverse, sizeof sender.reverse, "%s", reverse);
        e = renew(a, r, blob, &sender);
    }
    if (e)
        hsm_sender_clear(&sender);
    else
        *out = sender;
    return e;
}
