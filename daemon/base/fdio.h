/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fdio.h - descriptors: whole reads and writes, files that survive a power cut, sockets. */
#ifndef SEALRELAY_BASE_FDIO_H
#define SEALRELAY_BASE_FDIO_H

#include "daemon/base/buf.h"

#include <sys/types.h>

/* read_some - read(2) past EINTR. */
ssize_t read_some(int fd, void *data, size_t len);

/* write_all - the whole of data, past EINTR and short writes.
 * Errors: ERR_NOSPACE (ENOSPC, EDQUOT), ERR_IO. */
enum err write_all(int fd, const void *data, size_t len);

/* file_read - append a whole file of at most max bytes. Errors: ERR_NOT_FOUND, ERR_TOO_BIG, ERR_IO.
 */
enum err file_read(const char *path, size_t max, struct buf *out);

/* file_write_durable - replace path by data: temporary file in the same folder, fsync, rename,
 * fsync of the folder. mode: permission bits. Errors: ERR_NOSPACE, ERR_IO; path is then as before.
 */
enum err file_write_durable(const char *path, struct bytes data, mode_t mode);

/* dir_sync - fsync the folder that holds path, or path itself when it is a folder. */
enum err dir_sync(const char *path);

/* unix_listen - a listening unix socket (type SOCK_STREAM or SOCK_SEQPACKET) at path, a stale one
 * replaced, with the mode given. Errors: ERR_CONFIG (path too long, live server there), ERR_IO. */
enum err unix_listen(const char *path, int type, mode_t mode, int *fd_out);

/* unix_connect - connect to a unix socket. Errors: ERR_NET. */
enum err unix_connect(const char *path, int type, int *fd_out);

/* fd_wait - wait for POLLIN or POLLOUT at most ms milliseconds. Errors: ERR_TIMEOUT, ERR_IO. */
enum err fd_wait(int fd, short events, int64_t ms);

/* fd_close - close and set to -1; for CLEANUP(fd_close) int fd = -1. */
void fd_close(int *fd);

#endif
