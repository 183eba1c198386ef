/* SPDX-License-Identifier: GPL-3.0-or-later */
/* server.c - listeners, who is let in, and the stop.
 *
 * One thread accepts; every accepted client gets a slot and a thread of its own (slots.h). Mail and
 * look-ups have slots of their own, so that neither can keep the other out. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"
#include "daemon/receive/conn.h"
#include "daemon/receive/lookup.h"
#include "daemon/receive/slots.h"
#include "daemon/receive/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LISTENERS_MAX      16u
#define ACCEPT_BACK_OFF_MS 100 /* when the system is out of descriptors or memory */
#define HOSTNAME_MAX_BYTES 255u

#define CONNECTIONS_MAX      200u
#define CONNECTIONS_PER_PEER 50u
#define LOOKUPS_MAX          200u
#define RECIPIENTS_MAX       100u
#define MESSAGE_MAX_BYTES    (25u * 1024 * 1024)
#define MEMORY_MAX_BYTES     (1024u * 1024 * 1024)
#define COMMAND_TIMEOUT_S    300u
#define DATA_TIMEOUT_S       300u
#define WORK_TIMEOUT_S       20u
#define STOP_GRACE_S         10u

struct listener {
    int fd;
    struct slots *slots;
    slots_serve_fn *serve;
};

struct receive {
    struct conn_shared shared;
    struct receive_handler handler;
    struct memory_budget memory;
    struct conn_counters counters;
    char *hostname;
    struct peers *peers;
    struct peers *xforward;
    int stop_fd;
    struct slots *mail;
    struct slots *lookups;
    size_t n_listeners;
    struct listener listeners[LISTENERS_MAX];
    _Atomic uint64_t connections;
};

static unsigned or_default(unsigned value, unsigned fallback)
{
    return value ? value : fallback;
}

static bool hostname_is_usable(const char *s)
{
    size_t len = s ? strlen(s) : 0;

    for (size_t i = 0; i < len; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    return len && len <= HOSTNAME_MAX_BYTES;
}

static void fill_shared(struct receive *r, const struct receive_options *o)
{
    r->memory.max = o->memory_max_bytes ? o->memory_max_bytes : MEMORY_MAX_BYTES;
    r->shared.stop_fd = r->stop_fd;
    r->shared.work_timeout_s = or_default(o->work_timeout_s, WORK_TIMEOUT_S);
    r->shared.stop_grace_s = or_default(o->stop_grace_s, STOP_GRACE_S);
    r->shared.counters = &r->counters;
    r->shared.session = (struct session_options){
        .hostname = r->hostname,
        .recipients_max = or_default(o->recipients_max, RECIPIENTS_MAX),
        .message_max_bytes = o->message_max_bytes ? o->message_max_bytes : MESSAGE_MAX_BYTES,
        .command_timeout_s = or_default(o->command_timeout_s, COMMAND_TIMEOUT_S),
        .data_timeout_s = or_default(o->data_timeout_s, DATA_TIMEOUT_S),
        .memory = &r->memory,
        .handler = &r->handler,
    };
}

/* A front has one connection a process for look-ups, all from one host: no cap a host there. */
static enum err fill_slots(struct receive *r, const struct receive_options *o)
{
    enum err e = slots_new(or_default(o->connections_max, CONNECTIONS_MAX),
                           or_default(o->connections_per_peer, CONNECTIONS_PER_PEER), &r->mail);

    return e ? e : slots_new(or_default(o->lookups_max, LOOKUPS_MAX), 0, &r->lookups);
}

static enum err fill(struct receive *r, const struct receive_options *o)
{
    enum err e;

    if (!hostname_is_usable(o->hostname))
        return err_note(ERR_CONFIG, "receive_new", "host name missing or unusable");
    r->hostname = strdup(o->hostname);
    r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->stop_fd < 0)
        return err_note(ERR_IO, "eventfd", "%s", strerror(errno));
    fill_shared(r, o);
    if (!r->hostname)
        return err_note(ERR_NOMEM, "receive_new", "out of memory");
    if (r->memory.max < r->shared.session.message_max_bytes)
        return err_note(ERR_CONFIG, "receive_new", "memory for messages is below the message size");
    e = fill_slots(r, o);
    if (!e)
        e = peers_new(o->peers, o->n_peers, &r->peers);
    if (!e)
        e = peers_trusted_new(o->xforward, o->n_xforward, &r->xforward);
    r->shared.xforward = r->xforward;
    if (!e && o->tls_certificate && o->tls_key)
        e = tls_server_new(o->tls_certificate, o->tls_key, &r->shared.tls);
    else if (!e && (o->tls_certificate || o->tls_key))
        e = err_note(ERR_CONFIG, "receive_new", "TLS needs a certificate and a key");
    return e;
}

enum err receive_new(const struct receive_options *options, const struct receive_handler *handler,
                     struct receive **out)
{
    struct receive *r = calloc(1, sizeof *r);
    enum err e;

    if (!r)
        return err_note(ERR_NOMEM, "receive_new", "out of memory");
    r->stop_fd = -1;
    r->handler = *handler;
    e = fill(r, options);
    if (e) {
        receive_free(r);
        return e;
    }
    *out = r;
    return ERR_OK;
}

void receive_free(struct receive *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_listeners; i++)
        fd_close(&r->listeners[i].fd);
    fd_close(&r->stop_fd);
    SSL_CTX_free(r->shared.tls);
    peers_free(r->peers);
    peers_free(r->xforward);
    slots_free(r->mail);
    slots_free(r->lookups);
    free(r->hostname);
    free(r);
}

static enum err add_listener(struct receive *r, int fd, struct slots *slots, slots_serve_fn *serve)
{
    socklen_t len = sizeof(int);
    int listening = 0;
    int flags;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening)
        return err_note(ERR_CONFIG, "receive_listen", "descriptor %d is no listening socket", fd);
    if (r->n_listeners == LISTENERS_MAX)
        return err_note(ERR_CONFIG, "receive_listen", "more than %u listeners", LISTENERS_MAX);
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return err_note(ERR_CONFIG, "receive_listen", "%s", strerror(errno));
    r->listeners[r->n_listeners++] = (struct listener){fd, slots, serve};
    return ERR_OK;
}

static void serve_smtp(void *ctx, int fd, const struct peer *peer)
{
    const struct receive *r = ctx;

    conn_serve(&r->shared, fd, RECEIVE_SMTP, peer);
}

static void serve_lmtp(void *ctx, int fd, const struct peer *peer)
{
    const struct receive *r = ctx;

    conn_serve(&r->shared, fd, RECEIVE_LMTP, peer);
}

static void serve_lookups(void *ctx, int fd, const struct peer *peer)
{
    const struct receive *r = ctx;

    lookup_serve(&r->shared, fd, peer);
}

enum err receive_listen(struct receive *r, int fd, enum receive_protocol protocol)
{
    enum err e = add_listener(r, fd, r->mail, protocol == RECEIVE_LMTP ? serve_lmtp : serve_smtp);

    if (e)
        fd_close(&fd);
    return e;
}

enum err receive_listen_socketmap(struct receive *r, int fd)
{
    enum err e = r->handler.lookup ? add_listener(r, fd, r->lookups, serve_lookups)
                                   : err_note(ERR_CONFIG, "socketmap", "nothing to look up");

    if (e)
        fd_close(&fd);
    return e;
}

/* Turn a client away, with a line where it speaks a protocol that has one; never waits. */
static void turn_away(int fd, const char *line, const struct peer *peer, const char *why)
{
    if (line && send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        err_note_clear(); /* it is gone already */
    log_event(LOG_LEVEL_WARNING, "receive.refuse", "-", ERR_OK, -1, "peer=%s why=%s", peer->text,
              why);
}

/* A new client: through the caps into a slot, which then owns fd_io. */
static void admit(struct receive *r, int *fd_io, const struct peer *peer,
                  const struct listener *listener)
{
    bool mail = listener->slots == r->mail;

    if (!peers_allow(r->peers, peer)) {
        turn_away(*fd_io, mail ? "554 5.7.1 Access denied\r\n" : NULL, peer, "peer");
        return;
    }
    switch (slots_start(listener->slots, fd_io, peer, listener->serve, r)) {
    case SLOTS_OK:
        if (mail)
            atomic_fetch_add(&r->connections, 1);
        return;
    case SLOTS_FULL:
        turn_away(*fd_io, mail ? "421 4.3.2 Too many connections\r\n" : NULL, peer, "connections");
        return;
    case SLOTS_HOST_FULL:
        turn_away(*fd_io, mail ? "421 4.7.0 Too many connections from your host\r\n" : NULL, peer,
                  "per-peer");
        return;
    case SLOTS_NO_THREAD:
        turn_away(*fd_io, mail ? "421 4.3.0 Out of resources\r\n" : NULL, peer, "threads");
        return;
    }
}

/* Accept one client. False: the system has no room, wait a moment. */
static bool accept_one(struct receive *r, const struct listener *listener)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    int on = 1;
    CLEANUP(fd_close)
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct peer peer;

    if (fd < 0)
        return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
    peer = peer_of(&address);
    if (peer.family == AF_INET || peer.family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    admit(r, &fd, &peer, listener);
    return true;
}

/* Wait for clients and take one from each listener that has some. False: stop, or a failure. */
static bool accept_round(struct receive *r, enum err *e_out)
{
    struct pollfd fds[LISTENERS_MAX + 1];
    bool room = true;

    fds[0] = (struct pollfd){.fd = r->stop_fd, .events = POLLIN};
    for (size_t i = 0; i < r->n_listeners; i++)
        fds[i + 1] = (struct pollfd){.fd = r->listeners[i].fd, .events = POLLIN};
    if (poll(fds, r->n_listeners + 1, -1) < 0) {
        if (errno == EINTR)
            return true;
        *e_out = err_note(ERR_IO, "poll", "%s", strerror(errno));
        return false;
    }
    if (fds[0].revents)
        return false;
    for (size_t i = 0; i < r->n_listeners; i++)
        if (fds[i + 1].revents)
            room = accept_one(r, &r->listeners[i]) && room;
    if (!room) {
        log_event(LOG_LEVEL_ERROR, "receive.accept", "-", ERR_BUSY, -1, "no room for a connection");
        (void)poll(fds, 1, ACCEPT_BACK_OFF_MS); /* only the stop */
    }
    return true;
}

enum err receive_run(struct receive *r)
{
    enum err e = ERR_OK;

    while (accept_round(r, &e))
        ;
    receive_stop(r); /* also after a failure: the threads must end */
    for (size_t i = 0; i < r->n_listeners; i++)
        fd_close(&r->listeners[i].fd);
    r->n_listeners = 0;
    slots_join(r->mail);
    slots_join(r->lookups);
    return e;
}

void receive_stop(struct receive *r)
{
    const uint64_t one = 1;
    int before = errno; /* may run in a signal handler */

    if (write(r->stop_fd, &one, sizeof one) < 0)
        errno = before; /* the counter is full: stopped often enough */
    errno = before;
}

void receive_stats_get(struct receive *r, struct receive_stats *out)
{
    *out = (struct receive_stats){
        .connections = atomic_load(&r->connections),
        .accepted = atomic_load(&r->counters.accepted),
        .refused_perm = atomic_load(&r->counters.refused_perm),
        .refused_temp = atomic_load(&r->counters.refused_temp),
        .connections_now = slots_running(r->mail),
        .memory_now_bytes = memory_used(&r->memory),
    };
}
