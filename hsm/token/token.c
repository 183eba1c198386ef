/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token.c - the life of the token: opened, asked whether it is alive, unlocked, closed. */
#include "hsm/token/token.h"
#include "hsm/token/inside.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define POOL_SIZE_DEFAULT  32
#define POOL_SIZE_MAX      4096
#define CACHE_SIZE_DEFAULT 1024
#define SESSIONS_DEFAULT   16
#define PIN_MAX            255 /* bytes; PKCS#11 leaves the limit to the token */

static enum err text_own(const char **text)
{
    if (!*text)
        return err_note(ERR_CONFIG, "token", "an option is missing");
    *text = strdup(*text);
    return *text ? ERR_OK : err_note(ERR_NOMEM, "token", "out of memory");
}

static enum err options_own(struct token_options *o)
{
    const char **texts[] = {&o->module, &o->ca_uri, &o->sender_uri, &o->pin_file, &o->state_dir};
    enum err e = ERR_OK;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!e)
            e = text_own(texts[i]);
        if (e)
            *texts[i] = NULL; /* not ours to free */
    }
    if (!o->pool_size)
        o->pool_size = POOL_SIZE_DEFAULT;
    if (o->pool_size > POOL_SIZE_MAX)
        o->pool_size = POOL_SIZE_MAX;
    if (!o->pool_share)
        o->pool_share = (o->pool_size + 1) / 2;
    if (!o->cache_size)
        o->cache_size = CACHE_SIZE_DEFAULT;
    if (!o->sessions_max)
        o->sessions_max = SESSIONS_DEFAULT;
    if (o->sessions_max > TOKEN_SESSIONS_MAX)
        o->sessions_max = TOKEN_SESSIONS_MAX;
    return e;
}

static void options_free(struct token_options *o)
{
    free((void *)(uintptr_t)o->module);
    free((void *)(uintptr_t)o->ca_uri);
    free((void *)(uintptr_t)o->sender_uri);
    free((void *)(uintptr_t)o->pin_file);
    free((void *)(uintptr_t)o->state_dir);
}

static enum err parts_init(struct token *t)
{
    enum err e = ERR_OK;

    if (pthread_rwlock_init(&t->gate, NULL) != 0 || pthread_mutex_init(&t->reviving, NULL) != 0)
        return err_note(ERR_NOMEM, "token", "cannot make a lock");
    for (size_t i = 0; i < 2 && !e; i++)
        e = place_init(&t->places[i]);
    if (!e)
        e = keyring_init(&t->keyring);
    if (!e)
        e = cache_init(&t->cache, t->options.cache_size);
    if (!e)
        e = pool_init(&t->pool, t->options.pool_size, t->options.pool_share);
    return e;
}

/* Only where parts_init went well. */
static void parts_destroy(struct token *t)
{
    pool_destroy(&t->pool);
    cache_destroy(&t->cache);
    keyring_destroy(&t->keyring);
    for (size_t i = 0; i < 2; i++)
        place_destroy(&t->places[i]);
    (void)pthread_mutex_destroy(&t->reviving);
    (void)pthread_rwlock_destroy(&t->gate);
}

static enum err token_start(struct token *t)
{
    enum err e = ck_load(t->options.module, &t->ck);

    if (!e)
        e = secret_read_file(t->options.pin_file, PIN_MAX, &t->pin);
    return e ? e : token_link_open(t);
}

enum err token_open(const struct token_options *options, struct token **out)
{
    struct token *t = calloc(1, sizeof *t);
    enum err e;

    *out = NULL;
    if (!t)
        return err_note(ERR_NOMEM, "token", "out of memory");
    t->options = *options;
    e = options_own(&t->options);
    if (!e)
        e = parts_init(t);
    if (e) { /* out of memory or options missing: nothing but the texts is worth freeing */
        options_free(&t->options);
        free(t);
        return e;
    }
    e = token_start(t);
    if (e == ERR_OK || e == ERR_PIN)
        *out = t;
    else
        token_close(t);
    return e;
}

void token_close(struct token *t)
{
    if (!t)
        return;
    token_link_close(t);
    parts_destroy(t);
    ck_unload(&t->ck);
    secret_free(&t->pin);
    options_free(&t->options);
    free(t);
}

static enum err role_alive(struct token *t, enum role role)
{
    struct call c;
    enum err e = call_begin(t, role, &c);
    CK_TOKEN_INFO info = {0};
    CK_RV rv;

    if (e)
        return e;
    rv = ck_probe(&c.ck);
    if (rv == CKR_OK) {
        c.ck.action = "C_GetTokenInfo";
        rv = c.ck.fn->C_GetTokenInfo(c.place->slot, &info);
        /* However vague the answer: a token that can tell nothing of itself is not there, though
         * the module may still know sessions and keys of it. */
        c.dead = rv != CKR_OK;
    }
    return call_end(&c, rv == CKR_OK ? ERR_OK : call_fail(&c, rv));
}

enum err token_alive(struct token *t)
{
    enum err e = role_alive(t, ROLE_CA);

    return e ? e : role_alive(t, ROLE_SENDER);
}

/* Under the gate. A PIN file that was mended is read anew; a descriptor can be read only once. */
static enum err unlock_now(struct token *t)
{
    struct secret pin = {0};
    enum err e = login_forget(t);

    if (e)
        return e;
    if (strncmp(t->options.pin_file, "fd:", 3) != 0) {
        e = secret_read_file(t->options.pin_file, PIN_MAX, &pin);
        if (e)
            return e;
        secret_free(&t->pin);
        t->pin = pin;
    }
    atomic_store(&t->locked, false);
    token_link_close(t);
    e = token_link_open(t);
    atomic_store(&t->dead, e != ERR_OK);
    return e;
}

enum err token_unlock(struct token *t)
{
    enum err e;

    (void)pthread_mutex_lock(&t->reviving);
    if (!atomic_load(&t->locked)) {
        e = login_forget(t);
    } else if (pthread_rwlock_wrlock(&t->gate) != 0) {
        e = err_note(ERR_BUSY, "token", "gate");
    } else {
        e = unlock_now(t);
        (void)pthread_rwlock_unlock(&t->gate);
    }
    (void)pthread_mutex_unlock(&t->reviving);
    return e;
}
