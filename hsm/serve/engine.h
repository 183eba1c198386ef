/* SPDX-License-Identifier: GPL-3.0-or-later */
/* engine.h - the token and the authority of a running service: opened when they can be, never
 * closed before the end.
 *
 * The sockets answer from the first second. While the token is away every call gets the reason;
 * once it is there, calls find it without a lock. */
#ifndef SEALRELAY_HSM_ENGINE_H
#define SEALRELAY_HSM_ENGINE_H

#include "hsm/issue/authority.h"
#include "hsm/serve/counters.h"
#include "hsm/token/token.h"

struct engine_options {
    struct token_options token;
    struct authority_options authority; /* its token is filled in here */
    const char *country;                /* of profiles that name none */
    const char *organisation;
    unsigned web_profiles_hour; /* pending profiles the settings page may make; 0: 20 */
};

struct engine;

/* engine_new - options and the strings they name: borrowed. Opens nothing. Errors: ERR_NOMEM. */
enum err engine_new(const struct engine_options *options, struct engine **out);
/* engine_free - authority and token closed. No call may be going on. */
void engine_free(struct engine *en);

/* engine_attempt - open what is not open yet; ERR_OK when all is. One attempt at a time; its error
 * and note are what calls are answered until the next. Errors: those of token_open (ERR_CONFIG:
 * trying again cannot help) and authority_open. */
enum err engine_attempt(struct engine *en);

/* engine_token, engine_authority - borrowed until engine_free. Errors: why they are not there. */
enum err engine_token(struct engine *en, struct token **out);
enum err engine_authority(struct engine *en, struct authority **out);

/* engine_seen - what the token last answered when it was asked whether it lives, with the thread's
 * note. engine_state - that, or why there is no token yet; never asks the token itself.
 *   seen_ms_out  how long ago; -1: never */
void engine_seen(struct engine *en, enum err e);
enum err engine_state(struct engine *en, int64_t *seen_ms_out);

/* engine_init - token_init, then engine_attempt. engine_unlock - token_unlock, likewise. */
enum err engine_init(struct engine *en);
enum err engine_unlock(struct engine *en);

/* engine_web_profile - count a profile that the settings page makes. Errors: ERR_LIMIT. */
enum err engine_web_profile(struct engine *en, int64_t now_s);

const struct engine_options *engine_options(const struct engine *en);
struct counters *engine_counters(struct engine *en);
/* engine_uptime_ms - since engine_new. */
int64_t engine_uptime_ms(const struct engine *en);

#endif
