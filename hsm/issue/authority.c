/* SPDX-License-Identifier: GPL-3.0-or-later */
/* authority.c - opens the key service's decisions: journal, index, records, and what a crash left
 * half done; keeps the present records in memory. */
#include "hsm/issue/inside.h"

#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_POLICY "2.25.204867384412930154236791803645123872531"

static void limits_fill(struct authority_limits *l)
{
    const struct {
        unsigned *limit, value;
    } defaults[] = {
        {&l->senders_hour, 60},       {&l->senders_day, 500},  {&l->signatures_hour, 20000},
        {&l->decryptions_hour, 2000}, {&l->code_attempts, 5},  {&l->codes_day, 10},
        {&l->nonces_hour, 20},        {&l->profiles_user, 10}, {&l->checkpoint_every, 1000},
    };

    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (*defaults[i].limit == 0)
            *defaults[i].limit = defaults[i].value;
}

int64_t authority_now(const struct authority *a)
{
    return a->options.now ? a->options.now() : clock_now_s();
}

static enum err text_keep(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? ERR_NOMEM : ERR_OK;
}

static enum err authority_new(const struct authority_options *options, struct authority **out)
{
    struct authority *a = calloc(1, sizeof *a);
    enum err e;

    if (!a)
        return ERR_NOMEM;
    a->options = *options;
    a->limits = options->limits;
    limits_fill(&a->limits);
    (void)pthread_mutex_init(&a->change, NULL);
    (void)pthread_rwlock_init(&a->life, NULL);
    (void)pthread_mutex_init(&a->look, NULL);
    e = text_keep(&a->state_dir, options->state_dir);
    if (!e)
        e = text_keep(&a->policy_oid, options->policy_oid ? options->policy_oid : DEFAULT_POLICY);
    if (!e)
        e = text_keep(&a->crl_url, options->crl_url);
    if (!e)
        e = text_keep(&a->aia_url, options->aia_url);
    if (!e)
        e = journal_index_new(&a->index);
    if (e)
        authority_close(a);
    else
        *out = a;
    return e;
}

/* A profile whose making was cut short has keys that nobody will ever name. */
static enum err making_abandon(struct authority *a, const char *profile)
{
    enum err e = token_profile_destroy(a->options.token, profile);

    return e ? e : journal_append(a->journal, authority_now(a), "abandon", profile, "%s", "");
}

/* One altered record costs its profile, not the others. */
static enum err profile_load(struct authority *a, const struct index_profile *known)
{
    struct record *r = NULL;
    enum err e = record_load(a->store, known, &r);

    if (e == ERR_NOT_FOUND)
        return known->abandoned ? ERR_OK : making_abandon(a, known->profile);
    if (e == ERR_TAMPERED) {
        log_event(LOG_LEVEL_ERROR, "record.load", known->profile, e, -1, "profile is shut");
        err_note_clear();
        e = ERR_OK;
    }
    return e ? e : authority_slot_add(a, known->profile, known->user, r);
}

static enum err deletion_finish(struct authority *a, const char *profile)
{
    CLEANUP(change_end) struct change c = {0};
    enum err e = change_begin(&c, a, profile);

    if (!e)
        e = profile_destroy(&c);
    if (!e || err_class(e) == CLASS_TEMP)
        return e;
    /* Half deleted it may do nothing; the others must not wait for it. */
    log_event(LOG_LEVEL_ERROR, "profile.delete", profile, e, -1, "profile is shut");
    err_note_clear();
    return ERR_OK;
}

static enum err profiles_load(struct authority *a)
{
    struct index_profile *known = NULL;
    size_t n = 0;
    enum err e = journal_index_profiles(a->index, &known, &n);

    for (size_t i = 0; !e && i < n; i++)
        e = profile_load(a, &known[i]);
    for (size_t i = 0; !e && i < a->n_slots; i++)
        if (a->slots[i]->record && a->slots[i]->record->deleting)
            e = deletion_finish(a, a->slots[i]->profile);
    free(known);
    return e;
}

/* Journal and records gone together leave nothing that contradicts an empty start; the token does.
 */
static enum err beginning_check(struct authority *a)
{
    bool has_profiles = false;
    enum err e = ERR_OK;

    if (journal_sequence(a->journal) == 0)
        e = token_has_profiles(a->options.token, &has_profiles);
    if (!e && has_profiles)
        e = err_note(ERR_TAMPERED, "state_dir",
                     "journal and records are gone, but the token holds CA keys of profiles: put "
                     "%s back from the backup, or begin anew with an empty token",
                     a->state_dir);
    return e;
}

enum err authority_open(const struct authority_options *options, struct authority **out)
{
    struct authority *a = NULL;
    enum err e = authority_new(options, &a);

    if (e)
        return e;
    e = journal_open(
        &(struct journal_options){
            .token = options->token,
            .dir = a->state_dir,
            .checkpoint_every = a->limits.checkpoint_every,
            .visit = journal_index_visit,
            .context = a->index,
        },
        &a->journal);
    if (!e)
        e = beginning_check(a);
    if (!e)
        e = record_store_open(a->state_dir, options->token, a->journal, a->index, &a->store);
    if (!e)
        e = profiles_load(a);
    if (e) {
        authority_close(a);
        return e;
    }
    authority_pool_tell(a);
    *out = a;
    return ERR_OK;
}

void authority_close(struct authority *a)
{
    if (!a)
        return;
    if (a->journal && journal_sequence(a->journal))
        (void)journal_checkpoint(a->journal, authority_now(a), NULL);
    for (size_t i = 0; i < a->n_slots; i++) {
        record_unref(a->slots[i]->record);
        buf_clear(&a->slots[i]->crl);
        free(a->slots[i]);
    }
    free(a->slots);
    record_store_close(a->store);
    journal_close(a->journal);
    journal_index_free(a->index);
    free(a->state_dir);
    free(a->policy_oid);
    free(a->crl_url);
    free(a->aia_url);
    (void)pthread_mutex_destroy(&a->change);
    (void)pthread_rwlock_destroy(&a->life);
    (void)pthread_mutex_destroy(&a->look);
    free(a);
}

enum err authority_tick(struct authority *a)
{
    return journal_checkpoint_due(a->journal, authority_now(a));
}

/* ---- profiles in memory ---- */

struct slot *authority_slot(struct authority *a, const char *profile)
{
    for (size_t i = 0; profile && i < a->n_slots; i++)
        if (strcmp(a->slots[i]->profile, profile) == 0)
            return a->slots[i];
    return NULL;
}

enum err authority_slot_add(struct authority *a, const char *profile, const char *user,
                            struct record *record)
{
    struct slot *s = calloc(1, sizeof *s);
    struct slot **more;

    (void)pthread_mutex_lock(&a->look);
    more = s ? reallocarray(a->slots, a->n_slots + 1, sizeof(struct slot *)) : NULL;
    if (more) {
        memcpy(s->profile, profile, sizeof s->profile);
        memcpy(s->user, user, sizeof s->user);
        s->record = record;
        a->slots = more;
        a->slots[a->n_slots++] = s;
    }
    (void)pthread_mutex_unlock(&a->look);
    if (more)
        return ERR_OK;
    free(s);
    record_unref(record);
    return ERR_NOMEM;
}

enum err authority_find(struct authority *a, const char *profile, struct record **out)
{
    const struct slot *s;
    enum err e = ERR_OK;

    (void)pthread_mutex_lock(&a->look);
    s = authority_slot(a, profile);
    if (!s)
        e = ERR_NOT_FOUND;
    else if (!s->record)
        e = ERR_TAMPERED;
    else
        *out = record_ref(s->record);
    (void)pthread_mutex_unlock(&a->look);
    return e ? err_note(e, "profile", "%s",
                        e == ERR_NOT_FOUND ? "unknown" : "its record is not authentic")
             : ERR_OK;
}

enum err authority_replace(struct authority *a, struct record *before, struct record *next)
{
    struct slot *s;
    struct record *old;
    enum err e = record_save(a->store, authority_now(a), before, next);

    if (e)
        return e;
    (void)pthread_mutex_lock(&a->look);
    s = authority_slot(a, next->profile);
    old = s->record;
    s->record = record_ref(next);
    (void)pthread_mutex_unlock(&a->look);
    record_unref(old);
    return ERR_OK;
}

void authority_pool_tell(struct authority *a)
{
    bool wanted[KEY_P384 + 1] = {false};

    (void)pthread_mutex_lock(&a->look);
    for (size_t i = 0; i < a->n_slots; i++)
        if (a->slots[i]->record && a->slots[i]->record->state != PROFILE_DELETED)
            wanted[a->slots[i]->record->sender_key_type] = true;
    (void)pthread_mutex_unlock(&a->look);
    token_pool_types(a->options.token, wanted[KEY_RSA_2048], wanted[KEY_RSA_3072],
                     wanted[KEY_P256]);
}

/* ---- changes ---- */

enum err change_begin(struct change *c, struct authority *a, const char *profile)
{
    enum err e;

    (void)pthread_mutex_lock(&a->change);
    c->a = a;
    e = authority_find(a, profile, &c->before);
    return e ? e : record_copy(c->before, &c->next);
}

enum err change_commit(struct change *c)
{
    enum err e = authority_replace(c->a, c->before, c->next);

    if (e)
        return e;
    record_unref(c->before);
    c->before = c->next;
    c->next = NULL;
    return ERR_OK;
}

enum err change_again(struct change *c)
{
    return record_copy(c->before, &c->next);
}

void change_end(struct change *c)
{
    record_unref(c->before);
    record_unref(c->next);
    if (c->a)
        (void)pthread_mutex_unlock(&c->a->change);
    *c = (struct change){0};
}
