/* SPDX-License-Identifier: GPL-3.0-or-later */
/* engine.c - token and authority, opened once and found without a lock. */
#include "hsm/serve/engine.h"

#include "daemon/base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WEB_PROFILES_DEFAULT 20u
#define HOUR_S               3600

struct engine {
    struct engine_options options;
    struct counters counters;
    int64_t began_ms;
    pthread_mutex_t attempt; /* one at a time; may be held as long as the module takes */
    _Atomic(struct token *) token;
    _Atomic(struct authority *) authority;
    pthread_mutex_t lock; /* of what follows; held for an instant */
    enum err failure;
    struct err_note note;
    int64_t seen_at_ms; /* 0: never */
    int64_t web_hour;
    unsigned web_made;
};

enum err engine_new(const struct engine_options *options, struct engine **out)
{
    struct engine *en = calloc(1, sizeof *en);

    if (!en)
        return ERR_NOMEM;
    if (pthread_mutex_init(&en->attempt, NULL) || pthread_mutex_init(&en->lock, NULL)) {
        free(en);
        return ERR_NOMEM;
    }
    en->options = *options;
    if (!en->options.web_profiles_hour)
        en->options.web_profiles_hour = WEB_PROFILES_DEFAULT;
    en->began_ms = clock_mono_ms();
    en->failure = ERR_HSM_AWAY;
    *out = en;
    return ERR_OK;
}

void engine_free(struct engine *en)
{
    if (!en)
        return;
    authority_close(atomic_load(&en->authority));
    if (atomic_load(&en->token))
        token_close(atomic_load(&en->token));
    (void)pthread_mutex_destroy(&en->attempt);
    (void)pthread_mutex_destroy(&en->lock);
    free(en);
}

/* What calls are answered from now on. */
static enum err failure_set(struct engine *en, enum err e)
{
    (void)pthread_mutex_lock(&en->lock);
    en->failure = e;
    en->note = *err_note_get();
    (void)pthread_mutex_unlock(&en->lock);
    return e;
}

static enum err failure_get(struct engine *en)
{
    struct err_note note;
    enum err e;

    (void)pthread_mutex_lock(&en->lock);
    e = en->failure;
    note = en->note;
    (void)pthread_mutex_unlock(&en->lock);
    /* To a caller it is the service that is away: "not found" would mean something of its own. */
    if (e == ERR_OK || err_class(e) == CLASS_PERM)
        e = ERR_HSM_AWAY;
    return err_note(e, note.action, "%s", note.detail);
}

void engine_seen(struct engine *en, enum err e)
{
    (void)failure_set(en, e);
    (void)pthread_mutex_lock(&en->lock);
    en->seen_at_ms = clock_mono_ms();
    (void)pthread_mutex_unlock(&en->lock);
}

enum err engine_state(struct engine *en, int64_t *seen_ms_out)
{
    bool open = atomic_load(&en->authority) != NULL;
    enum err e;

    (void)pthread_mutex_lock(&en->lock);
    e = en->failure;
    *seen_ms_out = en->seen_at_ms ? clock_mono_ms() - en->seen_at_ms : -1;
    (void)pthread_mutex_unlock(&en->lock);
    return open && !e ? ERR_OK : failure_get(en);
}

/* Under attempt. A token whose PIN was refused is there, and answers ERR_PIN until unlocked. */
static enum err token_attempt(struct engine *en)
{
    struct token *t = NULL;
    enum err e;

    if (atomic_load(&en->token))
        return ERR_OK;
    e = token_open(&en->options.token, &t);
    if (t)
        atomic_store(&en->token, t);
    return e;
}

/* Under attempt. */
static enum err authority_attempt(struct engine *en)
{
    struct authority_options options = en->options.authority;
    struct authority *a = NULL;
    enum err e;

    if (atomic_load(&en->authority))
        return ERR_OK;
    options.token = atomic_load(&en->token);
    e = authority_open(&options, &a);
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        e = err_note(ERR_HSM_AWAY, "service keys", "not made yet: `sealctl token init` makes them");
    }
    if (!e)
        atomic_store(&en->authority, a);
    return e;
}

/* Under attempt. */
static enum err open_both(struct engine *en)
{
    enum err e = token_attempt(en);

    if (!e)
        e = authority_attempt(en);
    return failure_set(en, e);
}

enum err engine_attempt(struct engine *en)
{
    enum err e;

    if (atomic_load(&en->authority))
        return ERR_OK;
    (void)pthread_mutex_lock(&en->attempt);
    e = open_both(en);
    (void)pthread_mutex_unlock(&en->attempt);
    return e;
}

enum err engine_token(struct engine *en, struct token **out)
{
    *out = atomic_load(&en->token);
    return *out ? ERR_OK : failure_get(en);
}

enum err engine_authority(struct engine *en, struct authority **out)
{
    *out = atomic_load(&en->authority);
    return *out ? ERR_OK : failure_get(en);
}

static enum err then_open(struct engine *en, enum err (*first)(struct token *t))
{
    enum err e;

    (void)pthread_mutex_lock(&en->attempt);
    e = token_attempt(en);
    if (atomic_load(&en->token))
        e = first(atomic_load(&en->token));
    e = e ? failure_set(en, e) : open_both(en);
    (void)pthread_mutex_unlock(&en->attempt);
    return e;
}

enum err engine_init(struct engine *en)
{
    return then_open(en, token_init);
}

enum err engine_unlock(struct engine *en)
{
    return then_open(en, token_unlock);
}

enum err engine_web_profile(struct engine *en, int64_t now_s)
{
    bool allowed;

    (void)pthread_mutex_lock(&en->lock);
    if (en->web_hour != now_s / HOUR_S) {
        en->web_hour = now_s / HOUR_S;
        en->web_made = 0;
    }
    allowed = en->web_made < en->options.web_profiles_hour;
    if (allowed)
        en->web_made++;
    (void)pthread_mutex_unlock(&en->lock);
    return allowed ? ERR_OK : err_note(ERR_LIMIT, "profile add", "web_profiles_per_hour reached");
}

const struct engine_options *engine_options(const struct engine *en)
{
    return &en->options;
}

struct counters *engine_counters(struct engine *en)
{
    return &en->counters;
}

int64_t engine_uptime_ms(const struct engine *en)
{
    return clock_mono_ms() - en->began_ms;
}
