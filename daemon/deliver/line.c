/* SPDX-License-Identifier: GPL-3.0-or-later */
/* line.c - libesmtp's calls to the network, taken over by the executable.
 *
 * Invariants: no byte leaves that the witness (wire.c) did not see and allow; no byte reaches
 * libesmtp that the witness refused; a write either completes or the connection is dead, so that a
 * message can never arrive with a hole in it. */
#include "daemon/deliver/line.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/fdio.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELD_MAX 16384 /* bytes; one TLS record */

static struct {
    struct line_options options;
    struct wire *wire;      /* NULL: not armed */
    int fd;                 /* -1: not connected */
    uint8_t held[HELD_MAX]; /* content that libesmtp has written and the kernel has not seen yet */
    size_t n_held;
} line = {.fd = -1};

void line_arm(const struct line_options *options, struct wire *wire)
{
    line.options = *options;
    line.wire = wire;
    line.fd = -1;
}

void line_disarm(void)
{
    line.wire = NULL;
    line.fd = -1;
}

bool line_is_connected(void)
{
    return line.wire && line.fd >= 0;
}

void line_cut(enum job_fault fault)
{
    if (!line.wire)
        return;
    wire_fail(line.wire, fault);
    if (line.fd >= 0)
        (void)shutdown(line.fd, SHUT_RDWR);
}

static bool is_line(int fd)
{
    return line.wire && fd >= 0 && fd == line.fd;
}

/* The definition behind ours: libc's, libssl's, or a sanitizer's. */
static void *next_symbol(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    if (!symbol)
        abort();
    return symbol;
}

/* A static pointer "next" to the definition that ours hides. */
#define NEXT(ours, name)                                                                           \
    static __typeof__(ours) *next;                                                                 \
    if (!next)                                                                                     \
    *(void **)(&next) = next_symbol(name)

/* Our definitions carry libc's names on the symbol only: its headers declare some of them with
 * attributes or as inline functions. */
int line_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                     struct addrinfo **out) __asm__("getaddrinfo");
int line_connect(int fd, const struct sockaddr *address, socklen_t len) __asm__("connect");
ssize_t line_read(int fd, void *data, size_t len) __asm__("read");
ssize_t line_write(int fd, const void *data, size_t len) __asm__("write");
int line_ssl_connect(SSL *ssl) __asm__("SSL_connect");
int line_ssl_read(SSL *ssl, void *data, int len) __asm__("SSL_read");
int line_ssl_write(SSL *ssl, const void *data, int len) __asm__("SSL_write");

/* libesmtp cuts "host:port" at the first colon, so it never learns the host; and it asks for the
 * canonical name, against which it then checks the certificate, though DNS may say what it likes
 * there. Look up what is configured, and give it no other name. */
int line_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                     struct addrinfo **out)
{
    NEXT(line_getaddrinfo, "getaddrinfo");
    struct addrinfo ours = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    if (!line.wire)
        return next(node, service, hints, out);
    return next(line.options.host, service, &ours, out);
}

/* ---- connecting ---- */

static int connect_wait(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int64_t deadline = clock_mono_ms() + line.options.connect_timeout_ms;
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

/* connect() in libesmtp blocks for as long as the kernel tries (over two minutes), and it leaves
 * Nagle's algorithm on, which costs 41 ms a message against a peer that delays its ACKs. */
int line_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    NEXT(line_connect, "connect");
    int on = 1;
    int flags;

    if (!line.wire || (address->sa_family != AF_INET && address->sa_family != AF_INET6))
        return next(fd, address, len);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return -1;
    if (next(fd, address, len) != 0 && (errno != EINPROGRESS || connect_wait(fd) != 0))
        return -1;
    line.fd = fd;
    line.n_held = 0;
    return 0;
}

/* ---- in clear ---- */

/* What was asked for goes on, so that a good reply counts though a fault is right behind it; with a
 * fault that is the last thing libesmtp reads. */
static size_t received(const void *data, size_t got)
{
    size_t good = wire_received(line.wire, (struct bytes){data, got});

    if (line.wire->fault)
        line_cut(line.wire->fault);
    return good;
}

/* libesmtp polls when it must, and passes EAGAIN on: no waiting here. */
ssize_t line_read(int fd, void *data, size_t len)
{
    NEXT(line_read, "read");
    ssize_t got = next(fd, data, len);

    if (!is_line(fd) || line.wire->in_tls || got <= 0)
        return got;
    return (ssize_t)received(data, (size_t)got);
}

/* False: no progress for as long as the transfer may stall. */
static bool wait_progress(short events)
{
    if (!fd_wait(line.fd, events, line.options.transfer_timeout_ms))
        return true;
    err_note_clear();
    line_cut(FAULT_STALL);
    return false;
}

/* Where the message ends: the last place to die at before the next hop owns it. */
static void passed_dot(enum job_stage before)
{
    const struct wire *w = line.wire;

    if (w->n_begun && before != STAGE_DOT && w->results[w->n_begun - 1].stage == STAGE_DOT)
        (void)failpoint("worker.dot");
}

static enum job_stage stage_now(void)
{
    const struct wire *w = line.wire;

    return w->n_begun ? w->results[w->n_begun - 1].stage : STAGE_NONE;
}

/* When a write cannot go on, libesmtp drops what is in its buffer, clears errno and continues
 * with the next part of the message: the peer gets a message with a hole and a correct final dot,
 * and answers 250. So a write waits here until it is whole, and a stall ends the connection. */
static bool clear_whole(const uint8_t *data, size_t len)
{
    NEXT(line_write, "write");

    while (len) {
        ssize_t put = next(line.fd, data, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN) {
            if (!wait_progress(POLLOUT))
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

/* The same in TLS. Once the connection is shut down the true SSL_write fails by itself, and its
 * error is what libesmtp asks OpenSSL for. */
static bool tls_whole(SSL *ssl, const uint8_t *data, size_t len)
{
    NEXT(line_ssl_write, "SSL_write");
    int put;

    while ((put = next(ssl, data, (int)len)) <= 0) {
        int why = SSL_get_error(ssl, put);

        if (line.wire->fault || (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)) {
            line_cut(FAULT_DROPPED);
            return false;
        }
        (void)wait_progress(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
    }
    return true; /* partial writes are not enabled */
}

static bool send_whole(SSL *ssl, const uint8_t *data, size_t len)
{
    if (len == 0)
        return true;
    return ssl ? tls_whole(ssl, data, len) : clear_whole(data, len);
}

static bool flush(SSL *ssl)
{
    size_t len = line.n_held;

    line.n_held = 0;
    return send_whole(ssl, line.held, len);
}

/* libesmtp writes content in pieces of 1,024 bytes, each a packet without Nagle's algorithm, each a
 * record in TLS. Until the end of the content nobody waits for an answer, so pieces are gathered.
 */
static bool send_line(SSL *ssl, const void *data, size_t len)
{
    enum job_stage before = stage_now();

    if (!wire_sending(line.wire, (struct bytes){data, len})) {
        line_cut(line.wire->fault);
        return false;
    }
    if (len > HELD_MAX - line.n_held && !flush(ssl))
        return false;
    if (len > HELD_MAX) {
        if (!send_whole(ssl, data, len))
            return false;
    } else {
        memcpy(line.held + line.n_held, data, len);
        line.n_held += len;
    }
    if (line.wire->phase == PHASE_COMMAND && !flush(ssl))
        return false;
    passed_dot(before);
    errno = 0; /* libesmtp asks it behind a BDAT chunk; an EAGAIN that was waited for is none */
    return true;
}

ssize_t line_write(int fd, const void *data, size_t len)
{
    NEXT(line_write, "write");

    if (!is_line(fd) || line.wire->in_tls)
        return next(fd, data, len);
    if (send_line(NULL, data, len))
        return (ssize_t)len;
    errno = EPIPE;
    return -1;
}

/* ---- in TLS ---- */

/* libesmtp keeps what it read in clear behind the 220 of STARTTLS and takes it for replies inside
 * TLS, sends no server name, and checks the certificate against whatever name DNS gave. Here the
 * clear part ends with nothing left over, the configured name is sent, and OpenSSL itself fails
 * the handshake unless the certificate carries it. */
static void handshake_begins(SSL *ssl)
{
    const char *host = line.options.host;
    struct in6_addr ignored;
    bool literal =
        inet_pton(AF_INET, host, &ignored) == 1 || inet_pton(AF_INET6, host, &ignored) == 1;

    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!wire_start_tls(line.wire))
        line_cut(line.wire->fault);
    else if (literal ? !X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host)
                     : !SSL_set1_host(ssl, host) || !SSL_set_tlsext_host_name(ssl, host))
        line_cut(FAULT_LOCAL);
}

static void handshake_failed(const SSL *ssl, int why)
{
    long verify = SSL_get_verify_result(ssl);

    if (line.wire->fault || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return;
    job_text_set(line.wire->summary->text,
                 bytes_of(verify == X509_V_OK ? "TLS 1.2 handshake failed"
                                              : X509_verify_cert_error_string(verify)));
    line_cut(verify == X509_V_OK ? FAULT_TLS : FAULT_CERTIFICATE);
}

int line_ssl_connect(SSL *ssl)
{
    NEXT(line_ssl_connect, "SSL_connect");
    int result;

    if (line.wire && SSL_in_before(ssl))
        handshake_begins(ssl);
    result = next(ssl);
    if (line.wire && result <= 0)
        handshake_failed(ssl, SSL_get_error(ssl, result));
    return result;
}

int line_ssl_read(SSL *ssl, void *data, int len)
{
    NEXT(line_ssl_read, "SSL_read");
    int got = next(ssl, data, len);

    if (!line.wire || got <= 0)
        return got;
    return (int)received(data, (size_t)got);
}

int line_ssl_write(SSL *ssl, const void *data, int len)
{
    NEXT(line_ssl_write, "SSL_write");

    if (line.wire && send_line(ssl, data, (size_t)len))
        return len;
    return next(ssl, data, len); /* not ours, or dead: then this fails with an error to show */
}
