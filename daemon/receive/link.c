/* SPDX-License-Identifier: GPL-3.0-or-later */
/* link.c - a client's socket: non-blocking underneath, deadlines on top. */
#include "daemon/receive/link.h"

#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define LINGER_MS        1000
#define LINGER_MAX_BYTES 262144u

/* Wait for events on the socket; watch_stop: also for the server's stop. */
static enum err wait_for(const struct link *l, short events, int64_t deadline, bool watch_stop)
{
    struct pollfd fds[2] = {{.fd = l->fd, .events = events},
                            {.fd = watch_stop ? l->stop_fd : -1, .events = POLLIN}};
    int ready;

    do {
        int64_t left = deadline - clock_mono_ms();

        if (left < 0)
            left = 0;
        ready = poll(fds, 2, left > INT_MAX ? INT_MAX : (int)left);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return err_note(ERR_NET, "poll", "%s", strerror(errno));
    if (ready == 0)
        return ERR_TIMEOUT;
    return fds[1].revents ? ERR_BUSY : ERR_OK;
}

/* What to wait for after a TLS call did not succeed; 0 when the stream is over. */
static short tls_wants(const struct link *l, int result)
{
    int why = SSL_get_error(l->ssl, result);

    ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ)
        return POLLIN;
    return why == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
}

static enum err read_tls(struct link *l, uint8_t *data, size_t cap, int64_t deadline,
                         size_t *got_out)
{
    for (;;) {
        int result;
        short wants;
        enum err e;

        ERR_clear_error();
        result = SSL_read_ex(l->ssl, data, cap, got_out);
        if (result == 1)
            return ERR_OK;
        wants = tls_wants(l, result);
        if (!wants)
            return ERR_NET;
        e = wait_for(l, wants, deadline, true);
        if (e)
            return e;
    }
}

enum err link_read(struct link *l, uint8_t *data, size_t cap, int64_t deadline_mono_ms,
                   size_t *got_out)
{
    for (;;) {
        ssize_t got;
        enum err e = ERR_OK;

        if (!l->ssl || SSL_pending(l->ssl) == 0)
            e = wait_for(l, POLLIN, deadline_mono_ms, true);
        if (e)
            return e;
        if (l->ssl)
            return read_tls(l, data, cap, deadline_mono_ms, got_out);
        got = recv(l->fd, data, cap, 0);
        if (got > 0) {
            *got_out = (size_t)got;
            return ERR_OK;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return ERR_NET;
    }
}

/* One attempt to write; 0 bytes and POLLIN or POLLOUT in wants_out when it has to wait. */
static enum err write_some(struct link *l, struct bytes data, size_t *put_out, short *wants_out)
{
    ssize_t put;

    *put_out = 0;
    if (l->ssl) {
        int result;

        ERR_clear_error();
        result = SSL_write_ex(l->ssl, data.data, data.len, put_out);
        if (result == 1)
            return ERR_OK;
        *put_out = 0;
        *wants_out = tls_wants(l, result);
        return *wants_out ? ERR_OK : ERR_NET;
    }
    put = send(l->fd, data.data, data.len, MSG_NOSIGNAL);
    if (put >= 0)
        *put_out = (size_t)put;
    else if (errno != EAGAIN && errno != EINTR)
        return ERR_NET;
    *wants_out = POLLOUT;
    return ERR_OK;
}

enum err link_write(struct link *l, struct bytes data, int64_t deadline_mono_ms)
{
    bool stopping = false;

    while (data.len) {
        short wants = POLLOUT;
        size_t put;
        enum err e = write_some(l, data, &put, &wants);

        if (!e && put == 0)
            e = wait_for(l, wants, deadline_mono_ms, !stopping);
        if (e == ERR_BUSY) {
            int64_t latest = clock_mono_ms() + LINK_STOP_WRITE_MS;

            stopping = true;
            deadline_mono_ms = latest < deadline_mono_ms ? latest : deadline_mono_ms;
            e = ERR_OK;
        }
        if (e)
            return e;
        data.data += put;
        data.len -= put;
    }
    return ERR_OK;
}

enum err link_start_tls(struct link *l, SSL_CTX *ctx, int64_t deadline_mono_ms)
{
    l->ssl = SSL_new(ctx);
    if (!l->ssl || SSL_set_fd(l->ssl, l->fd) != 1)
        return err_note_openssl(ERR_NET, "SSL_new");
    for (;;) {
        int result;
        short wants;
        enum err e;

        ERR_clear_error();
        result = SSL_accept(l->ssl);
        if (result == 1)
            return ERR_OK;
        wants = tls_wants(l, result);
        if (!wants)
            return err_note(ERR_NET, "SSL_accept", "handshake failed");
        e = wait_for(l, wants, deadline_mono_ms, true);
        if (e)
            return e;
    }
}

bool link_has_input(struct link *l)
{
    uint8_t c;

    if (l->ssl && SSL_pending(l->ssl) > 0)
        return true;
    return recv(l->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Closing with unread input makes the kernel reset the connection, and the client may never see
 * the last reply: stop sending, then read away what comes until the client closes. */
static void linger(const struct link *l)
{
    int64_t deadline = clock_mono_ms() + LINGER_MS;
    uint8_t sink[4096];
    size_t drained = 0;

    if (shutdown(l->fd, SHUT_WR) != 0)
        return;
    while (drained < LINGER_MAX_BYTES && wait_for(l, POLLIN, deadline, false) == ERR_OK) {
        ssize_t got = recv(l->fd, sink, sizeof sink, MSG_DONTWAIT);

        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return;
        drained += got > 0 ? (size_t)got : 0;
    }
}

void link_close(struct link *l, bool polite)
{
    if (l->ssl && polite && SSL_is_init_finished(l->ssl))
        (void)SSL_shutdown(l->ssl);
    ERR_clear_error();
    if (polite)
        linger(l);
    SSL_free(l->ssl);
    l->ssl = NULL;
    fd_close(&l->fd);
}
