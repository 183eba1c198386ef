/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cache.h - unwrapped sender keys, the least recently used destroyed first.
 *
 * Internal to hsm/token. An entry is found by the SHA-256 of its whole blob, whose HMAC was good
 * when it was put in. An entry in use is counted and never destroyed under its user. The cache
 * makes no PKCS#11 call: it hands out the handles that are to be destroyed. */
#ifndef SEALRELAY_HSM_TOKEN_CACHE_H
#define SEALRELAY_HSM_TOKEN_CACHE_H

#include "daemon/base/id.h"
#include "hsm/token/cryptoki.h"

#include <pthread.h>

#define CACHE_DIGEST_LEN 32
#define CACHE_GONE_MAX   2

struct cache_entry {
    uint8_t digest[CACHE_DIGEST_LEN];
    id_text profile;
    CK_OBJECT_HANDLE handle;
    unsigned users;
    bool doomed; /* out of the cache; its last user destroys it */
    struct cache_entry *newer, *older;
    struct cache_entry *next; /* in its bucket */
};

struct cache {
    pthread_mutex_t lock;
    struct cache_entry **buckets;
    size_t n_buckets; /* a power of two */
    struct cache_entry *newest, *oldest;
    size_t n;
    size_t max;
};

/* Handles that left the cache; the caller destroys them in the token. */
struct cache_gone {
    CK_OBJECT_HANDLE handles[CACHE_GONE_MAX];
    size_t n;
};

enum err cache_init(struct cache *c, size_t max);
void cache_destroy(struct cache *c);
/* cache_forget_all - the token's state is gone and nothing is in use: free every entry. */
void cache_forget_all(struct cache *c);
/* cache_get - the entry, counted as used; NULL when there is none. */
struct cache_entry *cache_get(struct cache *c, const uint8_t digest[CACHE_DIGEST_LEN]);
/* cache_put - a key just unwrapped, counted as used. Where another thread was quicker its entry is
 * given and this handle is gone. Errors: ERR_NOMEM. */
enum err cache_put(struct cache *c, const uint8_t digest[CACHE_DIGEST_LEN], const char *profile,
                   CK_OBJECT_HANDLE handle, struct cache_entry **out, struct cache_gone *gone);
/* cache_release - end a use. gone: the handle, when the entry was doomed and this its last use. */
void cache_release(struct cache *c, struct cache_entry *entry, struct cache_gone *gone);
/* cache_doom - take an entry in use out of the cache. */
void cache_doom(struct cache *c, struct cache_entry *entry);
/* cache_drop_one - take one entry of a profile out; false when none is left. gone: its handle,
 * unless it is in use. */
bool cache_drop_one(struct cache *c, const char *profile, struct cache_gone *gone);

#endif
