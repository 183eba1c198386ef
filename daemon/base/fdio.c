/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fdio.c - descriptors: whole reads and writes, durable files, unix sockets. */
#include "daemon/base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128

ssize_t read_some(int fd, void *data, size_t len)
{
    ssize_t got;

    do
        got = read(fd, data, len);
    while (got < 0 && errno == EINTR);
    return got;
}

static enum err io_error(const char *action)
{
    return err_note(errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE : ERR_IO, action, "%s",
                    strerror(errno));
}

enum err write_all(int fd, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len) {
        ssize_t put = write(fd, p, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return io_error("write");
        p += put;
        len -= (size_t)put;
    }
    return ERR_OK;
}

enum err file_read(const char *path, size_t max, struct buf *out)
{
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t chunk[16384];
    size_t left = max;
    ssize_t got;

    if (fd < 0)
        return err_note(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, path, "%s", strerror(errno));
    while ((got = read_some(fd, chunk, sizeof chunk)) > 0) {
        if ((size_t)got > left)
            return err_note(ERR_TOO_BIG, path, "more than %zu bytes", max);
        buf_append(out, chunk, (size_t)got);
        left -= (size_t)got;
    }
    return got < 0 ? io_error(path) : buf_error(out);
}

enum err dir_sync(const char *path)
{
    char dir[PATH_MAX];
    struct stat st;
    char *slash;
    enum err e;

    if (snprintf(dir, sizeof dir, "%s", path) >= (int)sizeof dir)
        return err_note(ERR_CONFIG, "dir_sync", "path too long");
    slash = strrchr(dir, '/');
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
        if (slash)
            slash[slash == dir] = '\0';
        else
            memcpy(dir, ".", 2);
    }
    CLEANUP(fd_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return io_error("open directory");
    e = fsync(fd) == 0 ? ERR_OK : io_error("fsync directory");
    return e;
}

enum err file_write_durable(const char *path, struct bytes data, mode_t mode)
{
    char temporary[PATH_MAX];
    enum err e;
    int fd;

    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return err_note(ERR_CONFIG, "file_write_durable", "path too long");
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return io_error("mkostemp");
    e = write_all(fd, data.data, data.len);
    if (!e && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
        e = io_error("fsync");
    if (close(fd) != 0 && !e)
        e = io_error("close");
    if (!e && rename(temporary, path) != 0)
        e = io_error("rename");
    if (e) {
        (void)unlink(temporary);
        return e;
    }
    return dir_sync(path);
}

static enum err unix_address(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof out->sun_path)
        return err_note(ERR_CONFIG, path, "socket path too long");
    memcpy(out->sun_path, path, strlen(path) + 1);
    return ERR_OK;
}

enum err unix_connect(const char *path, int type, int *fd_out)
{
    struct sockaddr_un address;
    enum err e = unix_address(path, &address);
    int fd;

    if (e)
        return e;
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return io_error("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        e = err_note(ERR_NET, path, "%s", strerror(errno));
        (void)close(fd);
        return e;
    }
    *fd_out = fd;
    return ERR_OK;
}

enum err unix_listen(const char *path, int type, mode_t mode, int *fd_out)
{
    struct sockaddr_un address;
    enum err e = unix_address(path, &address);
    int fd = -1;

    if (e)
        return e;
    if (!unix_connect(path, type, &fd)) {
        (void)close(fd);
        return err_note(ERR_CONFIG, path, "another server listens here");
    }
    err_note_clear();
    (void)unlink(path);
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return io_error("socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(path, mode) != 0 ||
        listen(fd, LISTEN_BACKLOG) != 0) {
        e = err_note(ERR_IO, path, "%s", strerror(errno));
        (void)close(fd);
        return e;
    }
    *fd_out = fd;
    return ERR_OK;
}

enum err fd_wait(int fd, short events, int64_t ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int ready;

    if (ms < 0)
        ms = 0;
    do
        ready = poll(&p, 1, ms > INT_MAX ? INT_MAX : (int)ms);
    while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return io_error("poll");
    return ready == 0 ? err_note(ERR_TIMEOUT, "poll", "nothing within %lld ms", (long long)ms)
                      : ERR_OK;
}

void fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}
