/* SPDX-License-Identifier: GPL-3.0-or-later */
/* frame.c - packets over SOCK_SEQPACKET with deadlines. */
#include "hsm/proto/frame.h"

#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum err frame_socket_prepare(int fd)
{
    int size = (int)FRAME_MAX;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) != 0)
        return err_note(ERR_IO, "setsockopt", "%s", strerror(errno));
    return ERR_OK;
}

/* Hand a descriptor over, out of reach of its clean-up. */
static int fd_take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

enum err frame_connect(const char *path, int64_t ms, int *fd_out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* connect(2) waits for room in the backlog as long as a send would wait. */
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    CLEANUP(fd_close) int fd = -1;
    enum err e;

    if (ms <= 0)
        return err_note(ERR_NET, path, "no time left to connect");
    if (strlen(path) >= sizeof address.sun_path)
        return err_note(ERR_CONFIG, path, "socket path too long");
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) != 0)
        return err_note(ERR_IO, "socket", "%s", strerror(errno));
    e = frame_socket_prepare(fd);
    if (e)
        return e;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return err_note(ERR_NET, path, "%s", strerror(errno));
    *fd_out = fd_take(&fd);
    return ERR_OK;
}

enum err packet_send(int fd, struct bytes packet, int64_t ms)
{
    int64_t deadline = clock_mono_ms() + ms;

    if (packet.len > FRAME_MAX || packet.len == 0)
        return err_note(ERR_TOO_BIG, "send", "%zu bytes in a packet", packet.len);
    for (;;) {
        enum err e;

        if (send(fd, packet.data, packet.len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return ERR_OK;
        if (errno == EINTR)
            continue;
        if (errno == EMSGSIZE)
            return err_note(ERR_TOO_BIG, "send", "%zu bytes in a packet", packet.len);
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
            return err_note(ERR_NET, "send", "%s", strerror(errno));
        e = fd_wait(fd, POLLOUT, deadline - clock_mono_ms());
        if (e)
            return e;
    }
}

/* The next packet's length, without taking it: 0 when the peer has gone. */
static enum err packet_length(int fd, size_t *len_out)
{
    ssize_t len;
    uint8_t none;

    do
        len = recv(fd, &none, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return err_note(ERR_NET, "recv", "%s", strerror(errno));
    *len_out = (size_t)len;
    return ERR_OK;
}

enum err frame_receive(int fd, int64_t ms, struct buf *out)
{
    size_t len = 0;
    ssize_t got;
    enum err e = fd_wait(fd, POLLIN, ms);

    if (!e)
        e = packet_length(fd, &len);
    if (e)
        return e;
    if (len == 0)
        return err_note(ERR_NET, "recv", "connection closed");
    if (len > FRAME_MAX)
        return err_note(ERR_TOO_BIG, "recv", "%zu bytes in a packet", len);
    buf_wipe(out);
    buf_reserve(out, len);
    e = buf_error(out);
    if (e)
        return e;
    do
        got = recv(fd, out->data, len, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)len)
        return err_note(ERR_NET, "recv", "%s", got < 0 ? strerror(errno) : "packet cut short");
    out->len = len;
    out->data[len] = '\0';
    return ERR_OK;
}

bool frame_peer_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}
