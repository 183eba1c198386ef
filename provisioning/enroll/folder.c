/* SPDX-License-Identifier: GPL-3.0-or-later */
/* folder.c - the user's folder and its files. */
#include "provisioning/enroll/folder.h"
#include "daemon/base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE 0700
#define FILE_MODE   0600

static enum err file_path(const struct folder *f, const char *name, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s", f->path, name) >= PATH_MAX)
        return err_note(ERR_IO, f->path, "path too long");
    return ERR_OK;
}

enum err folder_check(const struct folder *f)
{
    struct stat st;

    if (lstat(f->path, &st) != 0)
        return err_note(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, f->path, "%s", strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return err_note(ERR_REFUSED, f->path, "not a folder");
    if (st.st_uid != geteuid())
        return err_note(ERR_REFUSED, f->path, "belongs to another user; name a folder of yours");
    if (st.st_mode & 077)
        return err_note(ERR_REFUSED, f->path, "is open to others; run chmod 700 on it");
    return ERR_OK;
}

enum err folder_make(const struct folder *f)
{
    if (mkdir(f->path, FOLDER_MODE) != 0 && errno != EEXIST)
        return err_note(ERR_IO, f->path, "cannot be made: %s", strerror(errno));
    return folder_check(f);
}

bool folder_has(const struct folder *f, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    return file_path(f, name, path) == ERR_OK && lstat(path, &st) == 0;
}

enum err folder_expect_free(const struct folder *f, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!f->force && folder_has(f, names[i]))
            return err_note(ERR_EXISTS, names[i],
                            "is there already; use another folder, or --force to replace it");
    return ERR_OK;
}

enum err folder_write(const struct folder *f, const char *name, struct bytes data)
{
    char path[PATH_MAX];
    enum err e = folder_expect_free(f, &name, 1);

    if (!e)
        e = file_path(f, name, path);
    return e ? e : file_write_durable(path, data, FILE_MODE);
}

enum err folder_append(const struct folder *f, const char *name, struct bytes data)
{
    char path[PATH_MAX];
    enum err e = file_path(f, name, path);

    if (e)
        return e;
    CLEANUP(fd_close)
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return err_note(ERR_IO, name, "%s", strerror(errno));
    e = write_all(fd, data.data, data.len);
    if (!e && fsync(fd) != 0)
        e = err_note(ERR_IO, name, "%s", strerror(errno));
    return e;
}

enum err folder_read(const struct folder *f, const char *name, struct buf *out)
{
    char path[PATH_MAX];
    enum err e = file_path(f, name, path);

    return e ? e : file_read(path, FOLDER_FILE_MAX_BYTES, out);
}
