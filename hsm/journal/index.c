/* SPDX-License-Identifier: GPL-3.0-or-later */
/* index.c - the journal's index: two search trees under one lock. */
#include "hsm/journal/index.h"

#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S 86400

struct alias {
    char *name;
    id_text user;
};

struct profile {
    struct index_profile known;
    int64_t day; /* the day keys_new counts */
    unsigned keys_new;
    struct index_leaf *leaves;
    size_t n_leaves;
    size_t cap_leaves;
};

struct journal_index {
    pthread_mutex_t lock;
    void *aliases;  /* tree of struct alias */
    void *profiles; /* tree of struct profile */
    size_t n_profiles;
};

static int alias_order(const void *a, const void *b)
{
    return strcmp(((const struct alias *)a)->name, ((const struct alias *)b)->name);
}

static int profile_order(const void *a, const void *b)
{
    return strcmp(((const struct profile *)a)->known.profile,
                  ((const struct profile *)b)->known.profile);
}

static void alias_free(void *node)
{
    struct alias *a = node;

    free(a->name);
    free(a);
}

static void profile_free(void *node)
{
    struct profile *p = node;

    free(p->leaves);
    free(p);
}

enum err journal_index_new(struct journal_index **out)
{
    struct journal_index *x = calloc(1, sizeof *x);

    if (!x)
        return ERR_NOMEM;
    (void)pthread_mutex_init(&x->lock, NULL);
    *out = x;
    return ERR_OK;
}

void journal_index_free(struct journal_index *x)
{
    if (!x)
        return;
    tdestroy(x->aliases, alias_free);
    tdestroy(x->profiles, profile_free);
    (void)pthread_mutex_destroy(&x->lock);
    free(x);
}

static struct profile *profile_find(struct journal_index *x, const char *name)
{
    struct profile key = {0};
    struct profile *const *found;

    if (!id_is_valid(name))
        return NULL;
    memcpy(key.known.profile, name, sizeof key.known.profile);
    found = tfind(&key, &x->profiles, profile_order);
    return found ? *found : NULL;
}

/* A field as a C string; false when missing or too long. */
static bool field_copy(const struct journal_line *line, const char *key, char *out, size_t size)
{
    struct bytes value = journal_line_field(line, key);

    if (!value.data || value.len == 0 || value.len >= size)
        return false;
    memcpy(out, value.data, value.len);
    out[value.len] = '\0';
    return true;
}

static enum err bad_line(const struct journal_line *line)
{
    return err_note(ERR_TAMPERED, "journal", "entry %llu (%s) does not fit what precedes it",
                    (unsigned long long)line->sequence, line->kind);
}

static enum err profile_add(struct journal_index *x, const struct journal_line *line)
{
    struct profile *p;

    if (!line->profile[0] || profile_find(x, line->profile))
        return bad_line(line);
    p = calloc(1, sizeof *p);
    if (!p)
        return ERR_NOMEM;
    memcpy(p->known.profile, line->profile, sizeof p->known.profile);
    if (!field_copy(line, "user", p->known.user, sizeof p->known.user) ||
        !id_is_valid(p->known.user)) {
        free(p);
        return bad_line(line);
    }
    if (!tsearch(p, &x->profiles, profile_order)) {
        free(p);
        return ERR_NOMEM;
    }
    x->n_profiles++;
    return ERR_OK;
}

static enum err record_note(struct journal_index *x, const struct journal_line *line)
{
    struct profile *p = profile_find(x, line->profile);
    int64_t version;

    if (!p || p->known.abandoned || journal_line_number(line, "version", &version) ||
        (uint64_t)version != p->known.version + 1 ||
        !field_copy(line, "sha256", p->known.record, sizeof p->known.record))
        return bad_line(line);
    p->known.version = (uint64_t)version;
    return ERR_OK;
}

static enum err abandon_note(struct journal_index *x, const struct journal_line *line)
{
    struct profile *p = profile_find(x, line->profile);

    if (!p || p->known.version)
        return bad_line(line);
    p->known.abandoned = true;
    return ERR_OK;
}

static enum err leaf_add(struct journal_index *x, const struct journal_line *line)
{
    struct profile *p = profile_find(x, line->profile);
    struct index_leaf leaf = {.issued_s = line->time_s};

    if (!p || !field_copy(line, "serial", leaf.serial, sizeof leaf.serial) ||
        journal_line_number(line, "not-after", &leaf.not_after_s))
        return bad_line(line);
    if (p->n_leaves == p->cap_leaves) {
        size_t cap = p->cap_leaves ? 2 * p->cap_leaves : 8;
        struct index_leaf *more = reallocarray(p->leaves, cap, sizeof *more);

        if (!more)
            return ERR_NOMEM;
        p->leaves = more;
        p->cap_leaves = cap;
    }
    p->leaves[p->n_leaves++] = leaf;
    return ERR_OK;
}

static enum err alias_cert_add(struct journal_index *x, const struct journal_line *line)
{
    journal_hash key;
    struct profile *p;
    enum err e;

    if (!field_copy(line, "spki", key, sizeof key))
        return bad_line(line);
    e = leaf_add(x, line);
    if (e)
        return e;
    p = profile_find(x, line->profile);
    memcpy(p->leaves[p->n_leaves - 1].alias_of, key, sizeof key);
    return ERR_OK;
}

static enum err alias_add(struct journal_index *x, const char *name, const char *user)
{
    struct alias key = {.name = strdup(name)};
    struct alias *const *found;
    struct alias *a;

    if (!key.name)
        return ERR_NOMEM;
    found = tfind(&key, &x->aliases, alias_order);
    if (found) {
        free(key.name);
        return strcmp((*found)->user, user) == 0 ? ERR_OK : ERR_TAMPERED;
    }
    a = malloc(sizeof *a);
    if (a) {
        *a = key;
        (void)snprintf(a->user, sizeof a->user, "%s", user);
    }
    if (!a || !tsearch(a, &x->aliases, alias_order)) {
        free(key.name);
        free(a);
        return ERR_NOMEM;
    }
    return ERR_OK;
}

static enum err sender_add(struct journal_index *x, const struct journal_line *line)
{
    char alias[256];
    id_text user;
    struct profile *p = profile_find(x, line->profile);
    enum err e;

    if (!p || !field_copy(line, "alias", alias, sizeof alias) ||
        !field_copy(line, "user", user, sizeof user) || strcmp(user, p->known.user) != 0)
        return bad_line(line);
    e = alias_add(x, alias, user);
    if (e)
        return e == ERR_TAMPERED ? bad_line(line) : e;
    if (bytes_equal(journal_line_field(line, "key"), bytes_of("new"))) {
        int64_t day = line->time_s / DAY_S;

        p->keys_new = day == p->day ? p->keys_new + 1 : 1;
        p->day = day;
    }
    return leaf_add(x, line);
}

enum err journal_index_visit(void *context, const struct journal_line *line, struct bytes text)
{
    static const struct {
        const char *kind;
        enum err (*take)(struct journal_index *, const struct journal_line *);
    } kinds[] = {
        {"profile", profile_add}, {"record", record_note},     {"abandon", abandon_note},
        {"user-cert", leaf_add},  {"sender-cert", sender_add}, {"alias-cert", alias_cert_add},
    };
    struct journal_index *x = context;
    enum err e = ERR_OK;

    (void)text;
    (void)pthread_mutex_lock(&x->lock);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].kind, line->kind) == 0)
            e = kinds[i].take(x, line);
    (void)pthread_mutex_unlock(&x->lock);
    return e;
}

bool journal_index_alias(struct journal_index *x, const char *alias, id_text user_out)
{
    char name[256];
    struct alias key = {.name = name};
    struct alias *const *found;

    if ((size_t)snprintf(name, sizeof name, "%s", alias) >= sizeof name)
        return false;
    (void)pthread_mutex_lock(&x->lock);
    found = tfind(&key, &x->aliases, alias_order);
    if (found)
        memcpy(user_out, (*found)->user, sizeof(id_text));
    (void)pthread_mutex_unlock(&x->lock);
    return found;
}

bool journal_index_profile(struct journal_index *x, const char *profile, struct index_profile *out)
{
    const struct profile *p;

    (void)pthread_mutex_lock(&x->lock);
    p = profile_find(x, profile);
    if (p)
        *out = p->known;
    (void)pthread_mutex_unlock(&x->lock);
    return p;
}

struct gather {
    struct index_profile *list;
    size_t n;
};

static void gather_one(const void *node, VISIT which, void *context)
{
    struct gather *g = context;

    if (which == postorder || which == leaf)
        g->list[g->n++] = (*(struct profile *const *)node)->known;
}

enum err journal_index_profiles(struct journal_index *x, struct index_profile **out, size_t *n_out)
{
    struct gather g = {0};
    enum err e = ERR_OK;

    (void)pthread_mutex_lock(&x->lock);
    g.list = calloc(x->n_profiles + 1, sizeof *g.list);
    if (g.list)
        twalk_r(x->profiles, gather_one, &g);
    else
        e = ERR_NOMEM;
    (void)pthread_mutex_unlock(&x->lock);
    if (!e) {
        *out = g.list;
        *n_out = g.n;
    }
    return e;
}

unsigned journal_index_day(struct journal_index *x, const char *profile, int64_t now_s)
{
    const struct profile *p;
    unsigned n = 0;

    (void)pthread_mutex_lock(&x->lock);
    p = profile_find(x, profile);
    if (p && p->day == now_s / DAY_S)
        n = p->keys_new;
    (void)pthread_mutex_unlock(&x->lock);
    return n;
}

enum err journal_index_leaves(struct journal_index *x, const char *profile, struct index_leaf **out,
                              size_t *n_out)
{
    const struct profile *p;
    struct index_leaf *list;
    size_t n;

    (void)pthread_mutex_lock(&x->lock);
    p = profile_find(x, profile);
    n = p ? p->n_leaves : 0;
    list = calloc(n + 1, sizeof *list);
    if (list && n)
        memcpy(list, p->leaves, n * sizeof *list);
    (void)pthread_mutex_unlock(&x->lock);
    if (!list)
        return ERR_NOMEM;
    *out = list;
    *n_out = n;
    return ERR_OK;
}
