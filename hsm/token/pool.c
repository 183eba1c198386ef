/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pool.c - ready sender keys and each profile's share of them. */
#include "hsm/token/pool.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err pool_init(struct pool *p, unsigned size, unsigned share)
{
    *p = (struct pool){.size = size, .share = share};
    for (size_t i = 0; i < POOL_KINDS; i++) {
        p->kinds[i].ready = calloc(size, sizeof *p->kinds[i].ready);
        if (!p->kinds[i].ready)
            return err_note(ERR_NOMEM, "pool", "out of memory");
    }
    return pthread_mutex_init(&p->lock, NULL) == 0
               ? ERR_OK
               : err_note(ERR_NOMEM, "pool", "cannot make a lock");
}

static void kind_clear(struct pool_kind *k)
{
    while (k->n)
        EVP_PKEY_free(k->ready[--k->n].public);
}

void pool_destroy(struct pool *p)
{
    if (!p->size)
        return;
    for (size_t i = 0; i < POOL_KINDS; i++) {
        kind_clear(&p->kinds[i]);
        free(p->kinds[i].ready);
    }
    free(p->taken);
    (void)pthread_mutex_destroy(&p->lock);
    *p = (struct pool){0};
}

void pool_forget_all(struct pool *p)
{
    (void)pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < POOL_KINDS; i++)
        kind_clear(&p->kinds[i]);
    (void)pthread_mutex_unlock(&p->lock);
}

void pool_want(struct pool *p, const bool wanted[POOL_KINDS])
{
    (void)pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < POOL_KINDS; i++)
        p->kinds[i].wanted = wanted[i];
    (void)pthread_mutex_unlock(&p->lock);
}

/* The profile's account, made when it has none. NULL: out of memory. */
static struct pool_taken *taken_of(struct pool *p, const char *profile)
{
    struct pool_taken *grown;

    for (size_t i = 0; i < p->n_taken; i++)
        if (strcmp(p->taken[i].profile, profile) == 0)
            return &p->taken[i];
    grown = realloc(p->taken, (p->n_taken + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    p->taken = grown;
    grown = &p->taken[p->n_taken++];
    *grown = (struct pool_taken){0};
    (void)snprintf(grown->profile, sizeof grown->profile, "%s", profile);
    return grown;
}

/* Under the lock. */
static enum err take(struct pool *p, const char *profile, enum key_type type, bool idle_only,
                     struct pool_key *out, bool *found_out)
{
    struct pool_kind *kind = &p->kinds[type];
    struct pool_taken *account = taken_of(p, profile);

    if (!account)
        return err_note(ERR_NOMEM, "pool", "out of memory");
    kind->wanted = true; /* or it would never be full again, and the share spent for ever */
    if (account->n[type] >= p->share)
        return err_note(ERR_SHARE, "pool", "profile %s has taken its %u keys", profile, p->share);
    if (!kind->n && idle_only)
        return err_note(ERR_SHARE, "pool", "no key is ready");
    account->n[type]++;
    *found_out = kind->n > 0;
    if (kind->n)
        *out = kind->ready[--kind->n];
    return ERR_OK;
}

enum err pool_take(struct pool *p, const char *profile, enum key_type type, bool idle_only,
                   struct pool_key *out, bool *found_out)
{
    enum err e;

    if ((unsigned)type >= POOL_KINDS)
        return err_note(ERR_USAGE, "pool", "no sender key is of this type");
    (void)pthread_mutex_lock(&p->lock);
    e = take(p, profile, type, idle_only, out, found_out);
    (void)pthread_mutex_unlock(&p->lock);
    return e;
}

bool pool_reserve(struct pool *p, enum key_type *out)
{
    unsigned emptiest = p->size;

    (void)pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < POOL_KINDS; i++) {
        struct pool_kind *kind = &p->kinds[i];

        if (kind->wanted && kind->n + kind->making < emptiest) {
            emptiest = kind->n + kind->making;
            *out = (enum key_type)i;
        }
    }
    if (emptiest < p->size)
        p->kinds[*out].making++;
    (void)pthread_mutex_unlock(&p->lock);
    return emptiest < p->size;
}

void pool_put(struct pool *p, enum key_type type, const struct pool_key *key)
{
    struct pool_kind *kind = &p->kinds[type];

    (void)pthread_mutex_lock(&p->lock);
    kind->making--;
    if (key && kind->n < p->size)
        kind->ready[kind->n++] = *key;
    if (kind->n == p->size)
        for (size_t i = 0; i < p->n_taken; i++)
            p->taken[i].n[type] = 0;
    (void)pthread_mutex_unlock(&p->lock);
}
