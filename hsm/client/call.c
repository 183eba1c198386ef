/* SPDX-License-Identifier: GPL-3.0-or-later */
/* call.c - one call to the key service.
 *
 * A connection whose call did not end as it should is closed: the answer may still come, and must
 * not be taken for the next call's. While the service is silent calls fail at once (silence.h). */
#include "hsm/client/call.h"

#include "daemon/base/clock.h"
#include "hsm/client/pool.h"
#include "hsm/proto/frame.h"

#include <string.h>

#define FAIR_MS                                                                                    \
    3000 /* who waited for less, at the end of its deadline, tells nothing of the service */

static _Thread_local int64_t thread_deadline_ms; /* 0: none */

void hsm_deadline(int64_t mono_ms)
{
    thread_deadline_ms = mono_ms;
}

char *text_field(const char *s)
{
    return s ? (char *)(uintptr_t)s : (char *)(uintptr_t) "";
}

Seal__Request request_of(Seal__Request__VerbCase verb)
{
    Seal__Request r = SEAL__REQUEST__INIT;

    r.verb_case = verb;
    return r;
}

/* Whatever broke below, to the caller the service is away. */
static enum err away(enum err e)
{
    return e == ERR_NOMEM || e == ERR_TOO_BIG ? e : ERR_HSM_AWAY;
}

/* Take a connection and send. An idle connection may have died with the service's last run: what
 * could not be sent was not processed, so it may be sent again on a new one. */
static enum err call_send(struct hsm *h, struct bytes packet, int64_t deadline_ms, int *fd_out)
{
    bool noted = err_note_get()->action[0] != '\0';
    bool idle = false;
    enum err e = client_pool_take(h, deadline_ms, false, fd_out, &idle);

    if (e)
        return e;
    e = packet_send(*fd_out, packet, deadline_ms - clock_mono_ms());
    if (!e)
        return ERR_OK;
    client_pool_give(h, *fd_out, false);
    if (e != ERR_NET || !idle)
        return away(e);
    if (!noted)
        err_note_clear();
    e = client_pool_take(h, deadline_ms, true, fd_out, &idle);
    if (e)
        return e;
    e = packet_send(*fd_out, packet, deadline_ms - clock_mono_ms());
    if (e)
        client_pool_give(h, *fd_out, false);
    return e ? away(e) : ERR_OK;
}

/* All packets of one answer: the first one's fields, everyone's data. */
static enum err call_receive(int fd, int64_t deadline_ms, struct buf *data, Seal__Response **out)
{
    CLEANUP(buf_wipe) struct buf packet = {0};
    CLEANUP(response_free) Seal__Response *first = NULL;
    bool more = true;

    while (more) {
        CLEANUP(response_free) Seal__Response *r = NULL;
        enum err e = frame_receive(fd, deadline_ms - clock_mono_ms(), &packet);

        if (!e)
            e = response_parse(buf_bytes(&packet), &r);
        if (e)
            return away(e);
        buf_append_bytes(data, message_bytes(r->data));
        more = r->more != 0;
        if (!first) {
            first = r;
            r = NULL;
        }
    }
    *out = first;
    first = NULL;
    return buf_error(data);
}

static int64_t call_deadline_ms(const struct hsm *h)
{
    int64_t own = clock_mono_ms() + client_pool_timeout_ms(h);

    return thread_deadline_ms && thread_deadline_ms < own ? thread_deadline_ms : own;
}

/* What the service said of the call. */
static enum err call_result(const Seal__Response *r)
{
    enum err e = err_parse(r->err);

    return e ? err_note(e, r->note_action, "%s", r->note_detail) : ERR_OK;
}

/* Nobody waits for a service that is known to be silent, but for the one who asks it. */
static enum err silence_pass(struct hsm *h)
{
    switch (silence_advise(client_pool_silence(h), clock_mono_ms())) {
    case SILENCE_NONE:
        return ERR_OK;
    case SILENCE_ASK:
        return client_pool_ask(h);
    case SILENCE_WAIT:
        break;
    }
    return err_note(ERR_HSM_AWAY, "hsm call", "the service does not answer");
}

/* One exchange; what came of it is told to the other calls. */
static enum err call_exchange(struct hsm *h, struct bytes packet, struct buf *data,
                              Seal__Response **out)
{
    int64_t began_ms = clock_mono_ms();
    int64_t deadline_ms = call_deadline_ms(h);
    int64_t fair_ms = client_pool_timeout_ms(h) < FAIR_MS ? client_pool_timeout_ms(h) : FAIR_MS;
    int fd = -1;
    enum err e = call_send(h, packet, deadline_ms, &fd);

    if (!e) {
        e = call_receive(fd, deadline_ms, data, out);
        client_pool_give(h, fd, !e);
    }
    if (!e)
        silence_answered(client_pool_silence(h), clock_mono_ms());
    else if (clock_mono_ms() >= deadline_ms && deadline_ms - began_ms >= fair_ms)
        client_pool_missed(h, began_ms);
    return e;
}

enum err hsm_call(struct hsm *h, const Seal__Request *request, struct buf *data_out,
                  Seal__Response **response_out)
{
    CLEANUP(buf_wipe) struct buf packet = {0};
    CLEANUP(buf_wipe) struct buf data = {0};
    CLEANUP(response_free) Seal__Response *response = NULL;
    enum err e = message_pack(&request->base, &packet);

    if (!e)
        e = silence_pass(h);
    if (!e)
        e = call_exchange(h, buf_bytes(&packet), &data, &response);
    if (!e)
        e = call_result(response);
    if (e)
        return e;
    if (data_out) {
        buf_append_bytes(data_out, buf_bytes(&data));
        e = buf_error(data_out);
    }
    if (!e && response_out) {
        *response_out = response;
        response = NULL;
    }
    return e;
}

enum err hsm_call_profile(struct hsm *h, Seal__Request__VerbCase verb, const char *profile,
                          struct buf *data_out)
{
    Seal__ProfileRef ref = SEAL__PROFILE_REF__INIT;
    Seal__Request r = request_of(verb);

    ref.profile = text_field(profile);
    r.profile_get = &ref;
    return hsm_call(h, &r, data_out, NULL);
}

enum err hsm_call_nothing(struct hsm *h, Seal__Request__VerbCase verb, struct buf *data_out)
{
    Seal__Nothing nothing = SEAL__NOTHING__INIT;
    Seal__Request r = request_of(verb);

    r.ping = &nothing;
    return hsm_call(h, &r, data_out, NULL);
}
