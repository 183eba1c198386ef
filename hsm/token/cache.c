/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cache.c - unwrapped sender keys: a hash table and a list from newest to oldest use. */
#include "hsm/token/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err cache_init(struct cache *c, size_t max)
{
    *c = (struct cache){.max = max, .n_buckets = 16};
    while (c->n_buckets < max)
        c->n_buckets *= 2;
    c->buckets = calloc(c->n_buckets, sizeof(struct cache_entry *));
    if (!c->buckets || pthread_mutex_init(&c->lock, NULL) != 0)
        return err_note(ERR_NOMEM, "cache", "out of memory");
    return ERR_OK;
}

void cache_destroy(struct cache *c)
{
    if (!c->buckets)
        return;
    cache_forget_all(c);
    free(c->buckets);
    c->buckets = NULL;
    (void)pthread_mutex_destroy(&c->lock);
}

void cache_forget_all(struct cache *c)
{
    struct cache_entry *older;

    (void)pthread_mutex_lock(&c->lock);
    for (struct cache_entry *entry = c->newest; entry; entry = older) {
        older = entry->older;
        free(entry);
    }
    memset(c->buckets, 0, c->n_buckets * sizeof(struct cache_entry *));
    c->newest = NULL;
    c->oldest = NULL;
    c->n = 0;
    (void)pthread_mutex_unlock(&c->lock);
}

static struct cache_entry **bucket_of(const struct cache *c, const uint8_t *digest)
{
    size_t hash;

    memcpy(&hash, digest, sizeof hash); /* the digest is as good a hash as any */
    return &c->buckets[hash & (c->n_buckets - 1)];
}

static void list_remove(struct cache *c, struct cache_entry *entry)
{
    *(entry->newer ? &entry->newer->older : &c->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &c->oldest) = entry->newer;
    entry->newer = NULL;
    entry->older = NULL;
}

static void list_push(struct cache *c, struct cache_entry *entry)
{
    entry->newer = NULL;
    entry->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = entry;
    c->newest = entry;
}

static void entry_remove(struct cache *c, struct cache_entry *entry)
{
    struct cache_entry **link = bucket_of(c, entry->digest);

    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    list_remove(c, entry);
    c->n--;
}

static struct cache_entry *entry_find(struct cache *c, const uint8_t *digest)
{
    for (struct cache_entry *entry = *bucket_of(c, digest); entry; entry = entry->next)
        if (memcmp(entry->digest, digest, CACHE_DIGEST_LEN) == 0)
            return entry;
    return NULL;
}

static void entry_use(struct cache *c, struct cache_entry *entry)
{
    entry->users++;
    list_remove(c, entry);
    list_push(c, entry);
}

/* Make room by the oldest entry nobody uses; when all are in use the cache grows for a moment. */
static void evict(struct cache *c, struct cache_gone *gone)
{
    struct cache_entry *entry = c->oldest;
    struct cache_entry *newer;

    for (; entry && c->n > c->max && gone->n < CACHE_GONE_MAX; entry = newer) {
        newer = entry->newer;
        if (entry->users)
            continue;
        entry_remove(c, entry);
        gone->handles[gone->n++] = entry->handle;
        free(entry);
    }
}

struct cache_entry *cache_get(struct cache *c, const uint8_t digest[CACHE_DIGEST_LEN])
{
    struct cache_entry *entry;

    (void)pthread_mutex_lock(&c->lock);
    entry = entry_find(c, digest);
    if (entry)
        entry_use(c, entry);
    (void)pthread_mutex_unlock(&c->lock);
    return entry;
}

enum err cache_put(struct cache *c, const uint8_t digest[CACHE_DIGEST_LEN], const char *profile,
                   CK_OBJECT_HANDLE handle, struct cache_entry **out, struct cache_gone *gone)
{
    struct cache_entry *entry = calloc(1, sizeof *entry);
    struct cache_entry *other;

    if (!entry)
        return err_note(ERR_NOMEM, "cache", "out of memory");
    memcpy(entry->digest, digest, CACHE_DIGEST_LEN);
    (void)snprintf(entry->profile, sizeof entry->profile, "%s", profile);
    entry->handle = handle;
    (void)pthread_mutex_lock(&c->lock);
    other = entry_find(c, digest);
    if (other) {
        free(entry);
        entry = other;
        entry_use(c, entry);
        gone->handles[gone->n++] = handle;
    } else {
        struct cache_entry **bucket = bucket_of(c, digest);

        entry->next = *bucket;
        *bucket = entry;
        entry->users = 1;
        list_push(c, entry);
        c->n++;
        evict(c, gone);
    }
    (void)pthread_mutex_unlock(&c->lock);
    *out = entry;
    return ERR_OK;
}

void cache_release(struct cache *c, struct cache_entry *entry, struct cache_gone *gone)
{
    (void)pthread_mutex_lock(&c->lock);
    entry->users--;
    if (entry->doomed && !entry->users) {
        gone->handles[gone->n++] = entry->handle;
        free(entry);
    }
    (void)pthread_mutex_unlock(&c->lock);
}

/* Under the lock. The entry is in use. */
static void entry_doom(struct cache *c, struct cache_entry *entry)
{
    if (entry->doomed)
        return;
    entry_remove(c, entry);
    entry->doomed = true;
}

void cache_doom(struct cache *c, struct cache_entry *entry)
{
    (void)pthread_mutex_lock(&c->lock);
    entry_doom(c, entry);
    (void)pthread_mutex_unlock(&c->lock);
}

bool cache_drop_one(struct cache *c, const char *profile, struct cache_gone *gone)
{
    struct cache_entry *entry;

    (void)pthread_mutex_lock(&c->lock);
    for (entry = c->newest; entry; entry = entry->older)
        if (strcmp(entry->profile, profile) == 0)
            break;
    if (entry && entry->users) {
        entry_doom(c, entry);
    } else if (entry) {
        entry_remove(c, entry);
        gone->handles[gone->n++] = entry->handle;
        free(entry);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return entry != NULL;
}
