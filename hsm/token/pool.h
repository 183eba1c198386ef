/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pool.h - ready sender keys, and how many of them one profile may take.
 *
 * Internal to hsm/token. Making an RSA key takes a third of a second, so keys are made while the
 * service is idle. A profile that has taken its share waits until the pool is full again; others
 * are served meanwhile. The pool makes no PKCS#11 call. */
#ifndef SEALRELAY_HSM_TOKEN_POOL_H
#define SEALRELAY_HSM_TOKEN_POOL_H

#include "daemon/base/id.h"
#include "hsm/hsm.h"
#include "hsm/token/cryptoki.h"

#include <pthread.h>

#define POOL_KINDS 3 /* KEY_RSA_2048, KEY_RSA_3072, KEY_P256 */

struct pool_key {
    CK_OBJECT_HANDLE handle;
    EVP_PKEY *public; /* owned */
};

struct pool_kind {
    bool wanted;
    unsigned n;
    unsigned making;
    struct pool_key *ready; /* room for size keys */
};

struct pool_taken {
    id_text profile;
    unsigned n[POOL_KINDS];
};

struct pool {
    pthread_mutex_t lock;
    unsigned size;
    unsigned share;
    struct pool_kind kinds[POOL_KINDS];
    struct pool_taken *taken;
    size_t n_taken;
};

enum err pool_init(struct pool *p, unsigned size, unsigned share);
void pool_destroy(struct pool *p);
/* pool_forget_all - the token's state is gone, and with it every key. */
void pool_forget_all(struct pool *p);
void pool_want(struct pool *p, const bool wanted[POOL_KINDS]);
/* pool_take - a ready key, counted against the profile's share.
 *   found_out  false: none is ready, the caller makes one (never with idle_only)
 * Errors: ERR_SHARE, ERR_NOMEM, ERR_USAGE (no key type of a sender). */
enum err pool_take(struct pool *p, const char *profile, enum key_type type, bool idle_only,
                   struct pool_key *out, bool *found_out);
/* pool_reserve - which type is to be made next; false: the pool is full. */
bool pool_reserve(struct pool *p, enum key_type *out);
/* pool_put - a key made after pool_reserve, taken; NULL: it could not be made. */
void pool_put(struct pool *p, enum key_type type, const struct pool_key *key);

#endif
