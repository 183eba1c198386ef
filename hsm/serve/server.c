/* SPDX-License-Identifier: GPL-3.0-or-later */
/* server.c - accepting connections: who may connect, how many, and the end of them all. */
#include "hsm/serve/server.h"

#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"
#include "hsm/proto/frame.h"
#include "hsm/serve/connection.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IDLE_DEFAULT_MS   300000
#define ACCEPT_PAUSE_MS   100 /* after a failed accept, for want of descriptors or memory */
#define CONNECTIONS_TOTAL 64

/* Connections of a role; a flood through one socket must not lock the operator out. */
static const unsigned connections_max[ROLE_COUNT] = {
    [ROLE_RELAY] = 48, [ROLE_ADMIN] = 8, [ROLE_WEB] = 8};

/* A seat whose thread has ended is free once the thread is joined: threads that are still ending
 * when the token is finalised would race OpenSSL's own end. */
enum seat_state { SEAT_FREE, SEAT_TAKEN, SEAT_ENDED };

struct seat {
    struct server *server;
    enum seat_state state;
    enum role role;
    int fd;
    pthread_t thread;
};

struct server {
    struct server_options options;
    pthread_t acceptor;
    int stop_fd;
    pthread_mutex_t lock;
    pthread_cond_t left;
    /* under lock: */
    unsigned n_seated[ROLE_COUNT];
    struct seat seats[CONNECTIONS_TOTAL];
};

/* ---- seats: one a connection ---- */

/* Under lock. */
static void seats_join(struct server *s)
{
    for (size_t i = 0; i < CONNECTIONS_TOTAL; i++) {
        if (s->seats[i].state != SEAT_ENDED)
            continue;
        (void)pthread_join(s->seats[i].thread, NULL);
        s->seats[i].state = SEAT_FREE;
    }
}

/* Under lock. NULL: the role has all it may have. */
static struct seat *seat_find(struct server *s, enum role role)
{
    seats_join(s);
    for (size_t i = 0; i < CONNECTIONS_TOTAL && s->n_seated[role] < connections_max[role]; i++)
        if (s->seats[i].state == SEAT_FREE)
            return &s->seats[i];
    return NULL;
}

static void seat_leave(struct seat *seat)
{
    struct server *s = seat->server;

    (void)pthread_mutex_lock(&s->lock);
    fd_close(&seat->fd);
    seat->state = SEAT_ENDED;
    s->n_seated[seat->role]--;
    atomic_fetch_sub(&engine_counters(s->options.engine)->connections, 1);
    (void)pthread_cond_signal(&s->left);
    (void)pthread_mutex_unlock(&s->lock);
}

static void *seat_main(void *arg)
{
    struct seat *seat = arg;

    connection_serve(seat->server->options.engine, seat->role, seat->fd,
                     seat->server->options.idle_ms);
    seat_leave(seat);
    return NULL;
}

/* Under lock. Errors: ERR_IO. */
static enum err seat_begin(struct seat *seat, enum role role, int fd)
{
    struct server *s = seat->server;

    seat->fd = fd;
    seat->role = role;
    if (pthread_create(&seat->thread, NULL, seat_main, seat) != 0)
        return err_note(ERR_IO, "connection", "no thread");
    seat->state = SEAT_TAKEN;
    s->n_seated[role]++;
    atomic_fetch_add(&engine_counters(s->options.engine)->connections, 1);
    return ERR_OK;
}

/* Give a connection a seat and a thread; fd is taken on ERR_OK. Errors: ERR_BUSY, ERR_IO. */
static enum err seat_take(struct server *s, enum role role, int fd)
{
    struct seat *seat;
    enum err e;

    (void)pthread_mutex_lock(&s->lock);
    seat = seat_find(s, role);
    e = seat ? seat_begin(seat, role, fd)
             : err_note(ERR_BUSY, "connection", "%u are open", connections_max[role]);
    (void)pthread_mutex_unlock(&s->lock);
    return e;
}

/* ---- accepting ---- */

static bool peer_is_allowed(const struct server *s, enum role role, int fd)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    bool allowed;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    allowed = peer.uid == s->options.uids[role] || (role == ROLE_ADMIN && peer.uid == 0);
    if (!allowed)
        log_event(LOG_LEVEL_WARNING, "hsm.accept", "-", ERR_REFUSED, -1, "role=%s uid=%u",
                  role_name(role), (unsigned)peer.uid);
    return allowed;
}

static void connection_begin(struct server *s, enum role role, int fd)
{
    enum err e = ERR_REFUSED;

    err_note_clear();
    if (peer_is_allowed(s, role, fd)) {
        e = frame_socket_prepare(fd);
        if (!e)
            e = seat_take(s, role, fd);
        if (e)
            log_event(LOG_LEVEL_WARNING, "hsm.accept", "-", e, -1, "role=%s", role_name(role));
    }
    if (e) {
        atomic_fetch_add(&engine_counters(s->options.engine)->peers_refused, 1);
        fd_close(&fd);
    }
}

static void accept_one(struct server *s, enum role role)
{
    int fd = accept4(s->options.listeners[role], NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        connection_begin(s, role, fd);
        return;
    }
    if (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED)
        return;
    err_note_clear();
    (void)err_note(ERR_IO, "accept", "%s", strerror(errno));
    log_event(LOG_LEVEL_ERROR, "hsm.accept", "-", ERR_IO, -1, "role=%s", role_name(role));
    (void)poll(NULL, 0, ACCEPT_PAUSE_MS);
}

static void *acceptor_main(void *arg)
{
    struct server *s = arg;
    struct pollfd fds[ROLE_COUNT + 1];

    for (int i = 0; i < ROLE_COUNT; i++)
        fds[i] = (struct pollfd){.fd = s->options.listeners[i], .events = POLLIN};
    fds[ROLE_COUNT] = (struct pollfd){.fd = s->stop_fd, .events = POLLIN};
    while (poll(fds, ROLE_COUNT + 1, -1) >= 0 || errno == EINTR) {
        if (fds[ROLE_COUNT].revents)
            return NULL;
        for (int i = 0; i < ROLE_COUNT; i++)
            if (fds[i].revents)
                accept_one(s, (enum role)i);
    }
    return NULL;
}

/* ---- beginning and end ---- */

static void server_free(struct server *s)
{
    for (int i = 0; i < ROLE_COUNT; i++)
        fd_close(&s->options.listeners[i]);
    fd_close(&s->stop_fd);
    (void)pthread_cond_destroy(&s->left);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static enum err server_init(struct server *s)
{
    pthread_condattr_t monotonic;

    for (size_t i = 0; i < CONNECTIONS_TOTAL; i++)
        s->seats[i] = (struct seat){.server = s, .fd = -1};
    if (pthread_mutex_init(&s->lock, NULL) || pthread_condattr_init(&monotonic) ||
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) ||
        pthread_cond_init(&s->left, &monotonic))
        return ERR_NOMEM;
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (s->stop_fd < 0 || pthread_create(&s->acceptor, NULL, acceptor_main, s) != 0)
        return err_note(ERR_IO, "server", "no descriptor or thread to accept with");
    return ERR_OK;
}

enum err server_start(const struct server_options *options, struct server **out)
{
    struct server *s = calloc(1, sizeof *s);
    enum err e;

    if (!s)
        return ERR_NOMEM;
    s->options = *options;
    s->stop_fd = -1;
    if (!s->options.idle_ms)
        s->options.idle_ms = IDLE_DEFAULT_MS;
    e = server_init(s);
    if (e) {
        server_free(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

/* Idle connections see the end of input; a call that is going on may still answer. */
static void connections_end(struct server *s)
{
    for (size_t i = 0; i < CONNECTIONS_TOTAL; i++)
        if (s->seats[i].state == SEAT_TAKEN)
            (void)shutdown(s->seats[i].fd, SHUT_RD);
}

static bool anyone_seated(const struct server *s)
{
    return s->n_seated[ROLE_RELAY] || s->n_seated[ROLE_ADMIN] || s->n_seated[ROLE_WEB];
}

enum err server_stop(struct server *s, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    uint64_t one = 1;
    int waited = 0;
    bool empty;

    if (!s)
        return ERR_OK;
    if (write(s->stop_fd, &one, sizeof one) != (ssize_t)sizeof one)
        return err_note(ERR_IO, "eventfd", "%s", strerror(errno));
    (void)pthread_join(s->acceptor, NULL);
    (void)pthread_mutex_lock(&s->lock);
    connections_end(s);
    while (anyone_seated(s) && waited == 0)
        waited = pthread_cond_timedwait(&s->left, &s->lock, &until);
    empty = !anyone_seated(s);
    seats_join(s);
    (void)pthread_mutex_unlock(&s->lock);
    if (!empty)
        return err_note(ERR_TIMEOUT, "server stop", "calls still run after %lld ms", (long long)ms);
    server_free(s);
    return ERR_OK;
}
