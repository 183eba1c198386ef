/* SPDX-License-Identifier: GPL-3.0-or-later */
/* frame.c - frames on the socket between runner and worker: an 8-byte header (type, version,
 * index, length; big-endian), then the payload. Each direction is bounded by a deadline, so that
 * neither side can hold the other. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/deliver/job.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FRAME_HEAD_LEN    8
#define FRAME_PAYLOAD_MAX JOB_CHUNK_MAX

static enum err net_error(const char *action)
{
    return err_note(ERR_NET, action, "%s", strerror(errno));
}

/* Header and payload in one call: the other side wakes once. */
static enum err send_all(int fd, struct iovec *parts, size_t n_parts, int64_t deadline_ms)
{
    while (n_parts) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = n_parts};
        ssize_t put = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (put < 0 && errno == EAGAIN) {
            enum err e = fd_wait(fd, POLLOUT, deadline_ms - clock_mono_ms());

            if (e)
                return e;
        } else if (put < 0 && errno != EINTR) {
            return net_error("sendmsg");
        }
        while (n_parts && put >= 0 && (size_t)put >= parts->iov_len) {
            put -= (ssize_t)parts->iov_len;
            parts++;
            n_parts--;
        }
        if (n_parts && put > 0) {
            parts->iov_base = (uint8_t *)parts->iov_base + put;
            parts->iov_len -= (size_t)put;
        }
    }
    return ERR_OK;
}

static enum err recv_all(int fd, uint8_t *data, size_t len, int64_t deadline_ms)
{
    while (len) {
        ssize_t got = recv(fd, data, len, MSG_DONTWAIT);

        if (got > 0) {
            data += got;
            len -= (size_t)got;
            continue;
        }
        if (got == 0)
            return err_note(ERR_NET, "recv", "closed by the other side");
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return net_error("recv");
        enum err e = fd_wait(fd, POLLIN, deadline_ms - clock_mono_ms());

        if (e)
            return e;
    }
    return ERR_OK;
}

enum err frame_send(int fd, enum frame_type type, uint16_t index, struct bytes payload,
                    int64_t deadline_ms)
{
    uint8_t head[FRAME_HEAD_LEN] = {(uint8_t)type,
                                    JOB_VERSION,
                                    (uint8_t)(index >> 8),
                                    (uint8_t)index,
                                    (uint8_t)(payload.len >> 24),
                                    (uint8_t)(payload.len >> 16),
                                    (uint8_t)(payload.len >> 8),
                                    (uint8_t)payload.len};
    uint8_t *body = (uint8_t *)(uintptr_t)payload.data; /* sendmsg only reads it */
    struct iovec parts[] = {{head, sizeof head}, {body, payload.len}};

    if (payload.len > FRAME_PAYLOAD_MAX)
        return err_note(ERR_BUG, "frame_send", "%zu bytes", payload.len);
    return send_all(fd, parts, payload.len ? 2 : 1, deadline_ms);
}

enum err frame_recv(int fd, struct frame *out, int64_t deadline_ms)
{
    uint8_t head[FRAME_HEAD_LEN];
    size_t len;
    enum err e = recv_all(fd, head, sizeof head, deadline_ms);

    if (e)
        return e;
    len = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];
    if (head[0] < FRAME_READY || head[0] > FRAME_SUMMARY || head[1] != JOB_VERSION ||
        len > FRAME_PAYLOAD_MAX)
        return err_note(ERR_FORMAT, "frame_recv", "type %u version %u length %zu", head[0], head[1],
                        len);
    buf_reset(&out->payload);
    buf_reserve(&out->payload, FRAME_PAYLOAD_MAX);
    e = buf_error(&out->payload);
    if (e)
        return e;
    out->type = (enum frame_type)head[0];
    out->index = (uint16_t)(head[2] << 8 | head[3]);
    e = recv_all(fd, out->payload.data, len, deadline_ms);
    if (!e)
        out->payload.len = len;
    return e;
}
