/* SPDX-License-Identifier: GPL-3.0-or-later */
/* call.c - one call on a token from its first line to its last: the gate, a session, the judgement
 * of failures, and the opening anew of a token that died.
 *
 * Nothing here waits for ever: for a session five seconds, for the calls in flight before a
 * re-initialisation two; a module that hangs costs its callers their call and no more. */
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "hsm/token/inside.h"

#include <errno.h>
#include <openssl/err.h>
#include <time.h>

#define SESSION_WAIT_S   5
#define GATE_WAIT_S      2
#define BACKOFF_FIRST_MS 250
#define BACKOFF_MAX_MS   10000

static struct timespec deadline_in(clockid_t clock, time_t seconds)
{
    struct timespec at = {0};

    (void)clock_gettime(clock, &at);
    at.tv_sec += seconds;
    return at;
}

static enum err away(const char *why)
{
    return err_note(ERR_HSM_AWAY, "token", "%s", why);
}

/* ---- sessions ---- */

/* No session came. When the token has none left for us, what we have must do, if we have any. */
static bool session_not_opened(struct place *p, bool limit)
{
    bool some;

    (void)pthread_mutex_lock(&p->lock);
    p->n_open--;
    some = limit && p->n_open > 0;
    if (some && p->n_max > p->n_open)
        p->n_max = p->n_open;
    (void)pthread_cond_signal(&p->freed);
    (void)pthread_mutex_unlock(&p->lock);
    return some;
}

static bool session_is_free(const struct place *p)
{
    return p->n_idle || p->n_open < p->n_max;
}

/* Under the lock. Whoever comes while others wait waits too, even beside a free session: it is on
 * its way to one of them, and a busy thread would else take back what it gave, again and again. */
static enum err turn_await(struct place *p)
{
    struct timespec until = deadline_in(CLOCK_MONOTONIC, SESSION_WAIT_S);
    int waited = 0;

    if (!p->n_waiting && session_is_free(p))
        return ERR_OK;
    p->n_waiting++;
    do
        waited = pthread_cond_timedwait(&p->freed, &p->lock, &until);
    while (waited != ETIMEDOUT && !session_is_free(p));
    p->n_waiting--;
    return session_is_free(p) ? ERR_OK
                              : err_note(ERR_BUSY, "token", "all %u sessions taken for %d s",
                                         p->n_max, SESSION_WAIT_S);
}

/* Take an idle session, or the right to open one (fresh_out). */
static enum err session_wait(struct place *p, CK_SESSION_HANDLE *out, bool *fresh_out)
{
    enum err e;

    (void)pthread_mutex_lock(&p->lock);
    e = turn_await(p);
    if (!e && p->n_idle) {
        *fresh_out = false;
        *out = p->idle[--p->n_idle];
    } else if (!e) {
        *fresh_out = true;
        p->n_open++;
    }
    if (p->n_waiting && session_is_free(p))
        (void)pthread_cond_signal(&p->freed);
    (void)pthread_mutex_unlock(&p->lock);
    return e;
}

static enum err session_lease(struct call *c)
{
    struct place *p = c->place;
    bool fresh = false;
    CK_RV rv;

    for (;;) {
        enum err e = session_wait(p, &c->ck.handle, &fresh);

        if (e || !fresh)
            return e;
        c->ck.action = "C_OpenSession";
        rv = c->ck.fn->C_OpenSession(p->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                     &c->ck.handle);
        if (rv == CKR_OK)
            return ERR_OK;
        if (session_not_opened(p, rv == CKR_SESSION_COUNT))
            continue;
        /* There is no session to probe: a vague answer counts as a dead token. */
        if (ckr_is_dead(rv) || ckr_is_vague(rv))
            c->dead = true;
        return err_note(ckr_err(rv), c->ck.action, "%s (0x%lx)", ckr_name(rv), rv);
    }
}

static void session_give_back(struct place *p, CK_SESSION_HANDLE session)
{
    (void)pthread_mutex_lock(&p->lock);
    p->idle[p->n_idle++] = session;
    (void)pthread_cond_signal(&p->freed);
    (void)pthread_mutex_unlock(&p->lock);
}

/* ---- opening a dead token anew ---- */

static enum err revive_now(struct token *t)
{
    struct timespec until = deadline_in(CLOCK_REALTIME, GATE_WAIT_S);
    int64_t start = clock_mono_ms();
    enum err e;

    if (pthread_rwlock_timedwrlock(&t->gate, &until) != 0)
        return away("dead, and calls in flight do not come back");
    token_link_close(t);
    e = token_link_open(t);
    if (!e)
        atomic_store(&t->dead, false);
    (void)pthread_rwlock_unlock(&t->gate);
    log_event(e ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "token.revive", "-", e,
              clock_mono_ms() - start, "last_wait_ms=%lld", (long long)t->backoff_ms);
    return e;
}

/* One thread at a time, and not more often than the back-off allows. */
static enum err revive(struct token *t)
{
    enum err e = ERR_OK;

    if (pthread_mutex_trylock(&t->reviving) != 0)
        return away("is being opened anew");
    if (atomic_load(&t->dead) && clock_mono_ms() < t->next_try_ms) {
        e = away("dead; the next attempt to open it waits");
    } else if (atomic_load(&t->dead)) {
        e = revive_now(t);
        t->backoff_ms = !e ? 0 : t->backoff_ms ? t->backoff_ms * 2 : BACKOFF_FIRST_MS;
        if (t->backoff_ms > BACKOFF_MAX_MS)
            t->backoff_ms = BACKOFF_MAX_MS;
        t->next_try_ms = clock_mono_ms() + t->backoff_ms;
    }
    (void)pthread_mutex_unlock(&t->reviving);
    /* The configuration was good once: for callers a token that is missing now is away. */
    return e == ERR_CONFIG ? ERR_HSM_AWAY : e;
}

/* ---- calls ---- */

static enum err gate_pass(struct token *t)
{
    enum err e;

    if (atomic_load(&t->locked))
        return err_note(ERR_PIN, "token", "PIN was refused; mend it, then `sealctl token unlock`");
    if (atomic_load(&t->dead)) {
        e = revive(t);
        if (e)
            return e;
    }
    if (pthread_rwlock_rdlock(&t->gate) != 0)
        return err_note(ERR_BUSY, "token", "too many calls");
    if (atomic_load(&t->dead) || !t->link) {
        (void)pthread_rwlock_unlock(&t->gate);
        return away("died under another call");
    }
    return ERR_OK;
}

enum err call_begin(struct token *t, enum role role, struct call *c)
{
    enum err e = gate_pass(t);

    if (e)
        return e;
    *c = (struct call){.ck = {.fn = t->ck.fn}, .token = t, .place = t->at[role]};
    e = session_lease(c);
    if (!e) {
        /* A module that shares our libcrypto leaves its errors in our queue. */
        (void)ERR_set_mark();
        return ERR_OK;
    }
    if (c->dead)
        atomic_store(&t->dead, true);
    (void)pthread_rwlock_unlock(&t->gate);
    return e;
}

enum err call_end(struct call *c, enum err e)
{
    if (c->dead) {
        atomic_store(&c->token->dead, true);
        log_event(LOG_LEVEL_WARNING, "token.died", "-", e, -1, "token=%s", c->place->label);
    }
    session_give_back(c->place, c->ck.handle);
    (void)pthread_rwlock_unlock(&c->token->gate);
    (void)ERR_pop_to_mark();
    return e;
}

enum err call_fail(struct call *c, CK_RV rv)
{
    enum err e = err_note(ckr_err(rv), c->ck.action, "%s (0x%lx)", ckr_name(rv), rv);

    if (ckr_is_dead(rv) || (ckr_is_vague(rv) && ck_probe(&c->ck) != CKR_OK))
        c->dead = true;
    return e;
}
