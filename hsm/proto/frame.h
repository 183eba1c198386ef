/* SPDX-License-Identifier: GPL-3.0-or-later */
/* frame.h - one packet of a SOCK_SEQPACKET unix socket each way, bounded in size and in time.
 *
 * A packet is one protobuf message; the kernel keeps packets apart, so there is no length prefix
 * to lie about. Frames may carry data keys and opened content keys: callers wipe them. */
#ifndef SEALRELAY_HSM_FRAME_H
#define SEALRELAY_HSM_FRAME_H

#include "daemon/base/buf.h"

/* Bytes of a packet. Below twice the usual net.core.wmem_max (208 KiB), which is what the kernel
 * allows a socket that asks for it. */
#define FRAME_MAX ((size_t)256 * 1024)

/* frame_socket_prepare - room for FRAME_MAX in the socket's buffers. Errors: ERR_IO. */
enum err frame_socket_prepare(int fd);

/* frame_connect - connect to a SOCK_SEQPACKET socket at path within ms milliseconds, prepared.
 * Errors: ERR_NET (no server, or its backlog stays full), ERR_CONFIG (path too long), ERR_IO. */
enum err frame_connect(const char *path, int64_t ms, int *fd_out);

/* packet_send - one packet within ms milliseconds; all or nothing.
 * Errors: ERR_TOO_BIG; ERR_TIMEOUT; ERR_NET (the peer has gone). None of it was delivered. */
enum err packet_send(int fd, struct bytes packet, int64_t ms);

/* frame_receive - the next packet within ms milliseconds, replacing out's content.
 * Errors: ERR_TIMEOUT; ERR_TOO_BIG (more than FRAME_MAX; the packet stays unread); ERR_NET (the
 * peer has gone, or sent an empty packet, which looks the same); ERR_NOMEM. */
enum err frame_receive(int fd, int64_t ms, struct buf *out);

/* frame_peer_gone - has the peer closed its end? Unread packets do not matter. */
bool frame_peer_gone(int fd);

#endif
