/* SPDX-License-Identifier: GPL-3.0-or-later */
/* line.c - libesmtp's calls to the network, taken over by the executable: connecting, reading and
 * writing in clear. line_tls.c has those in TLS.
 *
 * Invariants: no byte leaves that the witness (wire.c) did not see and allow; no byte reaches
 * libesmtp that the witness refused; a write either completes or the connection is dead, so that a
 * message can never arrive with a hole in it. */
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/fdio.h"
#include "daemon/deliver/line_internal.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNSENT_MAX (128 * 1024) /* bytes in the kernel that the peer's window has no room for */

struct line_state line_state = {.fd = -1};

void line_arm(const struct line_options *options, struct wire *wire)
{
    line_state.options = *options;
    line_state.wire = wire;
    line_state.fd = -1;
    line_state.ssl = NULL;
    line_state.polled = false;
}

void line_disarm(void)
{
    line_state.wire = NULL;
    line_state.fd = -1;
    line_state.ssl = NULL;
}

bool line_is_connected(void)
{
    return line_state.wire && line_state.fd >= 0;
}

bool line_is_polled(void)
{
    return line_state.wire && line_state.polled;
}

void line_cut(enum job_fault fault)
{
    if (!line_state.wire)
        return;
    wire_fail(line_state.wire, fault);
    if (line_state.fd >= 0)
        (void)shutdown(line_state.fd, SHUT_RDWR);
}

static bool is_line(int fd)
{
    return line_state.wire && fd >= 0 && fd == line_state.fd;
}

void *line_symbol(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    if (!symbol)
        abort();
    return symbol;
}

/* Our definitions carry libc's names on the symbol only: its headers declare some of them with
 * attributes or as inline functions. */
int line_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                     struct addrinfo **out) __asm__("getaddrinfo");
int line_connect(int fd, const struct sockaddr *address, socklen_t len) __asm__("connect");
ssize_t line_read(int fd, void *data, size_t len) __asm__("read");
ssize_t line_write(int fd, const void *data, size_t len) __asm__("write");

/* libesmtp cuts "host:port" at the first colon, so it never learns the host; and it asks for the
 * canonical name, against which it then checks the certificate, though DNS may say what it likes
 * there. Look up what is configured, and give it no other name. */
int line_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                     struct addrinfo **out)
{
    NEXT(line_getaddrinfo, "getaddrinfo");
    struct addrinfo ours = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    if (!line_state.wire)
        return next(node, service, hints, out);
    return next(line_state.options.host, service, &ours, out);
}

/* ---- connecting ---- */

static int connect_wait(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int64_t deadline = clock_mono_ms() + line_state.options.connect_timeout_ms;
    int error = 0;
    socklen_t error_len = sizeof error;
    int ready;

    do {
        int64_t left = deadline - clock_mono_ms();

        ready = poll(&p, 1, left > 0 ? (int)left : 0);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return -1;
    if (ready == 0) {
        errno = ETIMEDOUT;
        return -1;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) != 0)
        return -1;
    errno = error;
    return error ? -1 : 0;
}

/* Nagle's algorithm costs 41 ms a message against a peer that delays its ACKs. And the kernel calls
 * a socket writable again only when a good part of its buffer is free, which grows to megabytes: a
 * slow next hop would look like one that has stopped. */
static void tune(int fd)
{
    int on = 1;
    int unsent = UNSENT_MAX;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

/* connect() in libesmtp blocks for as long as the kernel tries: over two minutes. */
int line_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    NEXT(line_connect, "connect");
    int flags;

    if (!line_state.wire || (address->sa_family != AF_INET && address->sa_family != AF_INET6))
        return next(fd, address, len);
    tune(fd);
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return -1;
    if (next(fd, address, len) != 0 && (errno != EINPROGRESS || connect_wait(fd) != 0))
        return -1;
    line_state.fd = fd;
    line_state.ssl = NULL;
    line_state.n_held = 0;
    return 0;
}

/* ---- in clear ---- */

/* What was asked for goes on, so that a good reply counts though a fault is right behind it; with a
 * fault that is the last thing libesmtp reads. */
size_t line_received(const void *data, size_t got)
{
    size_t good = wire_received(line_state.wire, (struct bytes){data, got});

    if (line_state.wire->fault)
        line_cut(line_state.wire->fault);
    return good;
}

/* libesmtp polls when it must, and passes EAGAIN on: no waiting here. */
ssize_t line_read(int fd, void *data, size_t len)
{
    NEXT(line_read, "read");
    ssize_t got = next(fd, data, len);

    if (!is_line(fd) || line_state.wire->in_tls || got <= 0)
        return got;
    return (ssize_t)line_received(data, (size_t)got);
}

bool line_wait(short events)
{
    enum err e;

    line_state.waiting = true;
    e = fd_wait(line_state.fd, events, line_state.options.transfer_timeout_ms);
    line_state.waiting = false;
    if (!e)
        return true;
    err_note_clear();
    line_cut(FAULT_STALL);
    return false;
}

/* Where the message ends: the last place to die at before the next hop owns it. */
static void passed_dot(enum job_stage before)
{
    const struct wire *w = line_state.wire;

    if (w->n_begun && before != STAGE_DOT && w->results[w->n_begun - 1].stage == STAGE_DOT)
        (void)failpoint("worker.dot");
}

static enum job_stage stage_now(void)
{
    const struct wire *w = line_state.wire;

    return w->n_begun ? w->results[w->n_begun - 1].stage : STAGE_NONE;
}

/* When a write cannot go on, libesmtp drops what is in its buffer, clears errno and continues
 * with the next part of the message: the peer gets a message with a hole and a correct final dot,
 * and answers 250. So a write waits here until it is whole, and a stall ends the connection. */
static bool clear_whole(const uint8_t *data, size_t len)
{
    NEXT(line_write, "write");

    while (len) {
        ssize_t put = next(line_state.fd, data, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN) {
            if (!line_wait(POLLOUT))
                return false;
            continue;
        }
        if (put < 0) {
            line_cut(FAULT_DROPPED);
            return false;
        }
        data += put;
        len -= (size_t)put;
    }
    return true;
}

static bool send_whole(SSL *ssl, const uint8_t *data, size_t len)
{
    if (len == 0)
        return true;
    return ssl ? line_tls_whole(ssl, data, len) : clear_whole(data, len);
}

static bool flush(SSL *ssl)
{
    size_t len = line_state.n_held;

    line_state.n_held = 0;
    return send_whole(ssl, line_state.held, len);
}

/* libesmtp writes content in pieces of 1,024 bytes, each a packet without Nagle's algorithm, each a
 * record in TLS. Until the end of the content nobody waits for an answer, so pieces are gathered.
 */
bool line_send(SSL *ssl, const void *data, size_t len)
{
    enum job_stage before = stage_now();

    if (!wire_sending(line_state.wire, (struct bytes){data, len})) {
        line_cut(line_state.wire->fault);
        return false;
    }
    if (len > LINE_HELD_MAX - line_state.n_held && !flush(ssl))
        return false;
    if (len > LINE_HELD_MAX) {
        if (!send_whole(ssl, data, len))
            return false;
    } else {
        memcpy(line_state.held + line_state.n_held, data, len);
        line_state.n_held += len;
    }
    if (line_state.wire->phase == PHASE_COMMAND && !flush(ssl))
        return false;
    passed_dot(before);
    errno = 0; /* libesmtp asks it behind a BDAT chunk; an EAGAIN that was waited for is none */
    return true;
}

ssize_t line_write(int fd, const void *data, size_t len)
{
    NEXT(line_write, "write");

    if (!is_line(fd) || line_state.wire->in_tls)
        return next(fd, data, len);
    if (line_send(NULL, data, len))
        return (ssize_t)len;
    errno = EPIPE;
    return -1;
}
