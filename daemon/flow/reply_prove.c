/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_prove.c - is this the user who writes? First what can be told without a key, then the one
 * private-key operation, then the signature inside.
 *
 * A correspondent may have keys in several profiles of the same user; each is tried by its own
 * rules. Nothing of one profile helps in another. */
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/flow/cert_cache.h"
#include "daemon/flow/judge.h"
#include "daemon/flow/reply_parcel.h"
#include "daemon/message/date.h"
#include "hsm/provider/provider.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PROFILES_MAX 16u /* of one correspondent; the ones with the newest keys */
#define KEYS_MAX     16u /* of one correspondent in one profile; the newest */

/* ---- the correspondent's keys in a profile ---- */

struct keys {
    struct forward *f;
    const char *profile;
    const char *reverse;
    X509 *certs[KEYS_MAX];
    struct buf blobs[KEYS_MAX];
    size_t n;
    bool used;
};

static void keys_clear(struct keys *k)
{
    for (size_t i = 0; i < k->n; i++) {
        X509_free(k->certs[i]);
        buf_clear(&k->blobs[i]);
    }
    k->n = 0;
}

static enum err key_add(void *ctx, const struct store_sender_key *key)
{
    struct keys *k = ctx;
    enum err e;

    if (k->n == KEYS_MAX)
        return ERR_OK;
    buf_append_bytes(&k->blobs[k->n], buf_bytes(&key->blob));
    e = buf_error(&k->blobs[k->n]);
    k->certs[k->n] = e ? NULL : cert_parse(buf_bytes(&key->cert));
    if (!k->certs[k->n]) {
        buf_clear(&k->blobs[k->n]);
        return e ? e : err_note_openssl(ERR_TAMPERED, "sender certificate");
    }
    k->n++;
    return ERR_OK;
}

static enum err key_load(void *ctx, size_t which, size_t content_key_len, EVP_PKEY **out)
{
    struct keys *k = ctx;
    struct hsm_key_ref ref = {
        .profile = k->profile, .reverse = k->reverse, .blob = buf_bytes(&k->blobs[which])};
    EVP_PKEY *key = NULL;
    enum err e;

    k->used = true;
    provider_clear_error();
    if (failpoint("reply.key"))
        return ERR_HSM_AWAY;
    e = provider_key(k->f->hsm, &ref, k->certs[which], &key);
    if (!e && EVP_PKEY_is_a(key, "RSA"))
        e = provider_key_expect(key, content_key_len);
    if (e) {
        EVP_PKEY_free(key);
        return err_class(e) == CLASS_PERM ? ERR_BUG : e; /* the store's fault, not the message's */
    }
    *out = key;
    return ERR_OK;
}

/* ---- without a key ---- */

/* Nobody could say whether the sender is who they say they are, but somebody may later. */
static bool is_unchecked(const struct sender_verdict *v)
{
    return v->gap == VERDICT_AWAY || v->gap == VERDICT_SLOW || v->gap == VERDICT_GARBLED ||
           (v->gap == VERDICT_CHECKED && v->dmarc == AUTH_TEMPERROR);
}

static bool is_aligned(const struct forward_job *job, const struct reply_parcel *p)
{
    return judge_is_users(job->verdict, &p->parties, &p->profile);
}

/* What failures count for: a first mail's address is its writer's invention. */
static const char *budget_of(const struct forward_job *job)
{
    return job->route->kind == POLICY_FIRST ? job->route->alias.address : job->route->address;
}

/* Is it worth a key? The answer is the same whatever is inside the message. A first mail's only
 * tie to whom it is for is the header, which only the pass vouches for: nobody waives it. */
static enum err may_open(struct forward *f, const struct forward_job *job,
                         const struct reply_parcel *p)
{
    unsigned failures = 0;
    enum err e;

    if (is_aligned(job, p))
        return ERR_OK;
    if (p->policy.pass == REPLY_REQUIRED || job->route->kind == POLICY_FIRST)
        return is_unchecked(job->verdict) ? ERR_UNCHECKED : ERR_UNPROVEN;
    e = store_failure_count(f->store, budget_of(job), job->now_s, &failures);
    return !e && failures >= REPLY_FAILURES_PER_HOUR ? ERR_SENDER_DEFERRED : e;
}

/* ---- with it ---- */

static bool is_in(const struct mailbox_list *l, const char *address)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcasecmp(l->items[i].addr, address) == 0)
            return true;
    return false;
}

/* What anybody could send on as it is must say itself whom it is for. Anybody can make up a first
 * mail's address, and add it as Cc or as one more To without harm to a DKIM signature, which covers
 * the last To alone: it counts in the only one. */
static bool is_meant(const struct forward_job *job, const struct reply_parcel *p)
{
    bool in_to = is_in(&p->parties.to, job->route->address);

    switch (p->opened.kind) {
    case OPEN_PLAIN:
    case OPEN_SIGNED:
        return job->route->kind == POLICY_FIRST
                   ? in_to && message_count(&p->message, "To") == 1
                   : in_to || is_in(&p->parties.cc, job->route->address);
    case OPEN_ENCRYPTED:
    case OPEN_ENCRYPTED_SIGNED:
        return true;
    }
    return false;
}

/* What nobody signed has no other time than its Date: without it, the same message could come again
 * when nobody remembers it any more. */
static bool is_fresh(const struct forward_job *job, const struct reply_parcel *p)
{
    const struct message_field *f = message_find(&p->message, "Date", 0);
    struct date date;

    return f && message_count(&p->message, "Date") == 1 && !date_parse(f->value, &date) &&
           date.time_s >= job->now_s - OPEN_SIGNING_TIME_AGE_S &&
           date.time_s <= job->now_s + OPEN_SIGNING_TIME_AHEAD_S;
}

static enum err unsigned_judge(const struct forward_job *job, const struct reply_parcel *p)
{
    if (p->opened.kind == OPEN_PLAIN && !p->policy.plain)
        return ERR_UNPROVEN;
    return is_fresh(job, p) ? ERR_OK : ERR_UNPROVEN;
}

static enum err open_with(const struct forward_job *job, struct keys *keys, struct reply_parcel *p)
{
    struct bytes *user_certs = calloc(p->profile.n_certs + 1, sizeof *user_certs);
    struct open_job open = {.message = &p->message,
                            .certs = keys->certs,
                            .n_certs = keys->n,
                            .key_load = key_load,
                            .key_ctx = keys,
                            .key_error = provider_last_error,
                            .user_certs = user_certs,
                            .n_user_certs = p->profile.n_certs,
                            .now_s = job->now_s,
                            .unsigned_allowed = p->policy.signature == REPLY_WAIVED};
    enum err e = ERR_NOMEM;

    for (size_t i = 0; user_certs && i < p->profile.n_certs; i++)
        user_certs[i] = buf_bytes(&p->profile.certs[i].der);
    if (user_certs)
        e = open_run(&open, &p->opened);
    free(user_certs);
    if (!e && !is_meant(job, p))
        e = ERR_UNPROVEN;
    if (!e && (p->opened.kind == OPEN_PLAIN || p->opened.kind == OPEN_ENCRYPTED))
        e = unsigned_judge(job, p);
    if (!e && (p->opened.kind == OPEN_ENCRYPTED || p->opened.kind == OPEN_ENCRYPTED_SIGNED))
        p->named = open_result_names(&p->opened, keys->certs[p->opened.opened_with]);
    return e;
}

/* Counted are those whom a key was spent on though nothing vouched for them. */
static enum err failure_count(struct forward *f, const struct forward_job *job,
                              const struct reply_parcel *p)
{
    enum err e =
        is_aligned(job, p) ? ERR_OK : store_failure_add(f->store, budget_of(job), job->now_s);

    return e ? e : ERR_UNPROVEN;
}

static enum err prove_for(struct forward *f, const struct forward_job *job, const char *profile,
                          struct reply_parcel *p)
{
    CLEANUP(keys_clear)
    struct keys keys = {.f = f, .profile = profile, .reverse = job->route->correspondent.reverse};
    enum err e = hsm_profile_get(f->hsm, profile, &p->profile);

    if (e)
        return e == ERR_NOT_FOUND ? ERR_UNPROVEN : e;
    /* what its own user sends meanwhile waits */
    if (p->profile.state == PROFILE_SUSPENDED && is_aligned(job, p))
        return err_note(ERR_NOT_ACTIVE, "profile", "it is suspended");
    if (!policy_replies(&p->profile, job->route->alias.user))
        return ERR_UNPROVEN;
    e = store_reply_policy_get(f->store, profile, &p->policy);
    if (!e)
        e = may_open(f, job, p);
    if (!e && job->route->kind == POLICY_REVERSE)
        e = store_sender_key_each(f->store, job->route->correspondent.id, profile, key_add, &keys);
    if (e)
        return e;
    e = open_with(job, &keys, p);
    return e == ERR_UNPROVEN && keys.used ? failure_count(f, job, p) : e;
}

struct profiles {
    id_text ids[PROFILES_MAX];
    size_t n;
};

static enum err profile_add(void *ctx, const char *profile)
{
    struct profiles *all = ctx;

    if (all->n < PROFILES_MAX)
        memcpy(all->ids[all->n++], profile, sizeof(id_text));
    return ERR_OK;
}

/* Those that may open it; a first mail has no key yet, and is for the active one. */
static enum err profiles_find(struct forward *f, const struct forward_job *job,
                              struct profiles *all)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile active = {.n_certs = 0};
    enum err e;

    if (job->route->kind == POLICY_REVERSE)
        return store_sender_key_profiles(f->store, job->route->correspondent.id, profile_add, all);
    e = policy_profile(&f->policy, &job->route->alias, &active);
    if (!e)
        e = profile_add(all, active.profile);
    return e == ERR_NOT_ACTIVE || e == ERR_EXPIRED ? ERR_UNPROVEN : e;
}

enum err reply_prove(struct forward *f, const struct forward_job *job, struct reply_parcel *p)
{
    struct profiles all = {.n = 0};
    enum err e = profiles_find(f, job, &all);
    enum err worst = ERR_UNPROVEN;

    if (e)
        return e;
    for (size_t i = 0; i < all.n; i++) {
        e = prove_for(f, job, all.ids[i], p);
        if (!e)
            return failpoint("reply.proven") ? ERR_BUSY : ERR_OK;
        worst = e == ERR_UNPROVEN ? worst : e;
        open_result_clear(&p->opened);
        hsm_profile_clear(&p->profile);
        p->opened = (struct open_result){0};
        p->profile = (struct hsm_profile){.n_certs = 0};
    }
    return worst;
}
