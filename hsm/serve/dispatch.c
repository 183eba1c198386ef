/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dispatch.c - the way of a request: its role's right, its fields, what it needs, its function.
 *
 * The role is judged first, so that a client learns nothing from verbs it may not use. */
#include "hsm/serve/dispatch.h"

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "hsm/serve/engine.h"

static enum err role_check(struct counters *n, const struct verb *v, enum role role,
                           const char *name)
{
    if (v && verb_allows(v, role))
        return ERR_OK;
    atomic_fetch_add(&n->refused, 1);
    return err_note(ERR_REFUSED, name, "not for the %s role", role_name(role));
}

static enum err fields_check(struct counters *n, const Seal__Request *request)
{
    enum err e = request_check(request);

    if (e)
        atomic_fetch_add(&n->invalid, 1);
    return e;
}

static enum err need_fill(struct call *c, enum need need)
{
    enum err e = ERR_OK;

    if (need == NEED_AUTHORITY)
        e = engine_authority(c->engine, &c->authority);
    if (!e && need != NEED_NOTHING)
        e = engine_token(c->engine, &c->token);
    return e;
}

/* Refusals and a token that is away are worth a line; what goes well is only traced. */
static enum log_level level_of(enum err e)
{
    switch (err_class(e)) {
    case CLASS_OK:
        return LOG_LEVEL_TRACE;
    case CLASS_TEMP:
    case CLASS_PERM:
        return LOG_LEVEL_INFO;
    case CLASS_OPER:
        return LOG_LEVEL_WARNING;
    case CLASS_BUG:
        break;
    }
    return LOG_LEVEL_ERROR;
}

/* What log and counters may know: whether a ciphertext unwraps is for its caller alone. */
static enum err told(const Seal__Request *request, enum err e)
{
    return e == ERR_FORMAT && request->verb_case == SEAL__REQUEST__VERB_KEY_USE ? ERR_OK : e;
}

enum err dispatch(struct engine *en, enum role role, const Seal__Request *request,
                  struct reply *reply)
{
    struct counters *n = engine_counters(en);
    const struct verb *v = verb_find(request->verb_case);
    const char *name = request_verb_name(request->verb_case);
    struct call c = {.role = role, .request = request, .engine = en, .reply = reply};
    int64_t began_ms = clock_mono_ms();
    unsigned slot = counters_call_begin(n, began_ms);
    enum err e;

    err_note_clear();
    atomic_fetch_add(&n->requests, 1);
    e = role_check(n, v, role, name);
    if (!e)
        e = fields_check(n, request);
    if (!e)
        e = need_fill(&c, v->need);
    if (!e)
        e = v->run(&c);
    if (told(request, e))
        atomic_fetch_add(&n->failed, 1);
    counters_call_end(n, slot);
    log_event(level_of(told(request, e)), name, verb_profile(request), told(request, e),
              clock_mono_ms() - began_ms, "role=%s", role_name(role));
    return e;
}
