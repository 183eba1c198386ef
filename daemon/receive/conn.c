/* SPDX-License-Identifier: GPL-3.0-or-later */
/* conn.c - moves bytes between a link and a session, and does what the session's events ask.
 *
 * Deadlines are the session's: a client that drips bytes gains no time by them. */
#include "daemon/receive/conn.h"

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/receive/link.h"

#include <openssl/crypto.h>

#define READ_BYTES 16384u /* one TLS record */

struct conn {
    const struct conn_shared *shared;
    struct session *session;
    struct link link;
    const struct peer *peer;
    bool stopping;
    int64_t stop_deadline;
    uint8_t in[READ_BYTES];
};

/* Send what the session has to say. */
static enum err flush(struct conn *c)
{
    struct buf *out = session_output(c->session);
    int64_t patience_ms =
        c->stopping ? LINK_STOP_WRITE_MS : (int64_t)c->shared->session.command_timeout_s * 1000;
    enum err e = buf_error(out);

    if (!e && out->len) {
        e = link_write(&c->link, buf_bytes(out), clock_mono_ms() + patience_ms);
        session_touch(c->session, clock_mono_ms());
    }
    buf_reset(out);
    return e;
}

static void log_message(const struct conn *c, const struct session_outcome *o, int64_t ms)
{
    log_event(LOG_LEVEL_INFO, "receive.message", o->id, o->refused, ms,
              "peer=%s client=%s ident=%s bytes=%llu recipients=%zu accepted=%u refused=%u "
              "deferred=%u",
              c->peer->text, o->client[0] ? o->client : "-", o->ident[0] ? o->ident : "-",
              (unsigned long long)o->bytes, o->recipients, o->accepted, o->refused_perm,
              o->refused_temp);
}

/* A complete message: the client knows our replies so far, then the handler works. */
static enum err finish_message(struct conn *c)
{
    struct conn_counters *counters = c->shared->counters;
    int64_t start = clock_mono_ms();
    struct session_outcome outcome;
    enum err e = flush(c);

    if (e)
        return e;
    session_finish(c->session, start + (int64_t)c->shared->work_timeout_s * 1000, &outcome);
    atomic_fetch_add(&counters->accepted, outcome.accepted);
    atomic_fetch_add(&counters->refused_perm, outcome.refused_perm);
    atomic_fetch_add(&counters->refused_temp, outcome.refused_temp);
    log_message(c, &outcome, clock_mono_ms() - start);
    err_note_clear();
    return ERR_OK;
}

static enum err start_tls(struct conn *c)
{
    int64_t deadline = clock_mono_ms() + (int64_t)c->shared->session.command_timeout_s * 1000;
    enum err e = flush(c);

    if (!e)
        e = link_start_tls(&c->link, c->shared->tls, deadline);
    if (e)
        return e;
    session_tls_started(c->session);
    session_touch(c->session, clock_mono_ms());
    return ERR_OK;
}

/* Run the session over what was read. ERR_NET ends the connection without a further word. */
static enum err process(struct conn *c, struct bytes in)
{
    for (;;) {
        enum err e = ERR_OK;

        switch (session_feed(c->session, &in)) {
        case SESSION_EVENT_NONE:
        case SESSION_EVENT_CLOSE:
            return ERR_OK;
        case SESSION_EVENT_MESSAGE:
            e = finish_message(c);
            break;
        case SESSION_EVENT_STARTTLS:
            e = start_tls(c);
            break;
        }
        if (e)
            return e;
    }
}

/* The server stops: a message on its way has a moment to arrive, everything else ends here. */
static void begin_stop(struct conn *c)
{
    c->stopping = true;
    c->stop_deadline = clock_mono_ms() + (int64_t)c->shared->stop_grace_s * 1000;
    c->link.stop_fd = -1;
}

static int64_t read_deadline(const struct conn *c)
{
    int64_t deadline = session_deadline_ms(c->session);

    return c->stopping && c->stop_deadline < deadline ? c->stop_deadline : deadline;
}

/* Wait for input and act on it. */
static enum err step(struct conn *c)
{
    size_t got = 0;
    enum err e = link_read(&c->link, c->in, sizeof c->in, read_deadline(c), &got);

    if (e == ERR_BUSY) {
        begin_stop(c);
        e = ERR_OK;
    } else if (e == ERR_TIMEOUT) {
        session_abort(c->session, c->stopping ? ERR_BUSY : ERR_TIMEOUT);
        e = ERR_OK;
    } else if (!e) {
        e = process(c, (struct bytes){c->in, got});
    }
    if (e == ERR_BUSY) /* stopped while shaking hands */
        return ERR_NET;
    if (!e && c->stopping && session_state(c->session) != SESSION_DATA)
        session_abort(c->session, ERR_BUSY);
    return e;
}

/* From the banner on; ERR_OK when the session closed by itself, with its last reply sent. */
static enum err converse(struct conn *c)
{
    enum err e = ERR_OK;

    if (link_has_input(&c->link)) { /* before the banner: no mail client does that */
        buf_reset(session_output(c->session));
        session_abort(c->session, ERR_WRONG_STATE);
    }
    while (!e) {
        bool intruded = session_expects_silence(c->session) && link_has_input(&c->link);

        e = flush(c);
        if (intruded || session_state(c->session) == SESSION_CLOSED)
            return e;
        if (!e)
            e = step(c);
    }
    return e;
}

void conn_serve(const struct conn_shared *shared, int fd, enum receive_protocol protocol,
                const struct peer *peer)
{
    struct session_options options = shared->session;
    struct conn c = {.shared = shared, .link = {fd, shared->stop_fd, NULL}, .peer = peer};
    enum err e;

    options.protocol = protocol;
    options.peer = peer->text;
    options.address = peer->family == AF_INET || peer->family == AF_INET6 ? peer->text : "";
    options.xforward = peers_hold(shared->xforward, peer);
    options.tls_offered = shared->tls != NULL;
    e = session_new(&options, &c.session);
    if (!e) {
        session_touch(c.session, clock_mono_ms());
        e = converse(&c);
        log_event(LOG_LEVEL_TRACE, "receive.close", "-", e, -1, "peer=%s state=%s", peer->text,
                  session_state_name(session_state(c.session)));
    }
    link_close(&c.link, e == ERR_OK);
    session_free(c.session);
    OPENSSL_cleanse(c.in, sizeof c.in);
    err_note_clear();
}
