/* SPDX-License-Identifier: GPL-3.0-or-later */
/* inside.h - what the files of hsm/token share: the token, its places, and one call's lease.
 *
 * Internal to hsm/token. A call holds the gate for reading and one session from its first to its
 * last line, so no handle it has seen can outlive the module's state: opening a dead token anew
 * takes the gate for writing and forgets every handle. Order of locks: gate, keyring, then pool or
 * cache; no PKCS#11 call is made under the pool's or the cache's. */
#ifndef SEALRELAY_HSM_TOKEN_INSIDE_H
#define SEALRELAY_HSM_TOKEN_INSIDE_H

#include "hsm/token/cache.h"
#include "hsm/token/cryptoki.h"
#include "hsm/token/keyring.h"
#include "hsm/token/pool.h"
#include "hsm/token/template.h"
#include "hsm/token/token.h"

#include <pthread.h>
#include <stdatomic.h>

#define TOKEN_SESSIONS_MAX 64 /* sessions of one token, whatever the options ask for */

enum role { ROLE_CA, ROLE_SENDER };

struct mechanism {
    CK_MECHANISM_TYPE type;
    CK_FLAGS flags;
};

/* One token in its slot, and the sessions opened on it. None is closed while the token lives, so
 * the session objects made in any of them last as long. */
struct place {
    CK_SLOT_ID slot;
    char label[33];
    char serial[17];
    char model[17];
    char manufacturer[33];
    struct mechanism *mechanisms;
    size_t n_mechanisms;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    CK_SESSION_HANDLE idle[TOKEN_SESSIONS_MAX];
    unsigned n_idle;
    unsigned n_open;
    unsigned n_max;
    unsigned n_waiting;
};

struct link; /* libp11's side: context and slots */

struct token {
    struct token_options options; /* its strings are owned */
    struct ck ck;
    struct link *link; /* NULL while the module is not initialised */
    struct secret pin;
    struct place places[2];
    struct place *at[2]; /* by role; both the same when one token serves both */
    pthread_rwlock_t gate;
    pthread_mutex_t reviving;
    atomic_bool dead;
    atomic_bool locked; /* the PIN was refused: no call until token_unlock */
    int64_t next_try_ms;
    int64_t backoff_ms;
    struct keyring keyring;
    struct cache cache;
    struct pool pool;
};

/* One call on one token. */
struct call {
    struct ck_session ck;
    struct token *token;
    struct place *place;
    bool dead;
};

/* call_begin - pass the gate, opening a dead token anew, and lease a session.
 * Errors: ERR_HSM_AWAY, ERR_PIN, ERR_BUSY; then there is nothing to end. */
enum err call_begin(struct token *t, enum role role, struct call *c);
/* call_end - give the session back and pass e through. */
enum err call_end(struct call *c, enum err e);
/* call_fail - note what call answered what, see whether the token is dead, and give the error. */
enum err call_fail(struct call *c, CK_RV rv);

/* place_init, place_destroy - for the token's life. place_reset - forget sessions and mechanisms;
 * the module is finalised. */
enum err place_init(struct place *p);
void place_destroy(struct place *p);
void place_reset(struct place *p);
/* place_can - does the token list this mechanism with all these flags (CKF_SIGN ...)? */
bool place_can(const struct place *p, CK_MECHANISM_TYPE type, CK_FLAGS flags);
bool place_can_ec(const struct place *p);
/* place_wrap_mechanism - AES key wrap with padding, else CBC; 0 when the token can neither. */
CK_MECHANISM_TYPE place_wrap_mechanism(const struct place *p);
/* place_data_mechanism - AES-GCM, else CBC with padding; 0 when the token can neither. */
CK_MECHANISM_TYPE place_data_mechanism(const struct place *p);

/* token_link_open - initialise the module, find both tokens, log in; t's gate is held for writing,
 * or t is not shared yet. Errors: ERR_CONFIG, ERR_PIN, ERR_HSM_AWAY, ERR_NOMEM; then it is closed.
 */
enum err token_link_open(struct token *t);
/* token_link_close - finalise the module and forget every handle. */
void token_link_close(struct token *t);
/* login_* - see login.c. */
enum err login_permitted(struct token *t, struct place *p, CK_FLAGS flags);
enum err login_begin(struct token *t);
enum err login_refused(struct token *t, struct place *p, CK_RV rv);
void login_accepted(struct token *t);
enum err login_forget(struct token *t);

#endif
