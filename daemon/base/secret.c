/* SPDX-License-Identifier: GPL-3.0-or-later */
/* secret.c - locked memory for keys and PINs, and the hardening of a process that holds them. */
#include "daemon/base/secret.h"
#include "daemon/base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t secret_mapped(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (len + page - 1) / page * page;
}

enum err secret_new(size_t len, struct secret *out)
{
    size_t mapped = secret_mapped(len ? len : 1);
    void *p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return err_note(ERR_NOMEM, "mmap", "%s", strerror(errno));
    (void)mlock(p, mapped);
    (void)madvise(p, mapped, MADV_DONTDUMP);
    out->data = p;
    out->len = len;
    return ERR_OK;
}

void secret_free(struct secret *s)
{
    size_t mapped;

    if (!s || !s->data)
        return;
    mapped = secret_mapped(s->len ? s->len : 1);
    OPENSSL_cleanse(s->data, mapped);
    (void)munmap(s->data, mapped);
    s->data = NULL;
    s->len = 0;
}

static enum err secret_open(const char *path, int *fd_out)
{
    struct stat st;

    if (strncmp(path, "fd:", 3) == 0) {
        char *end;
        long fd = strtol(path + 3, &end, 10);

        if (*end || end == path + 3 || fd < 0 || fd > 1024)
            return err_note(ERR_CONFIG, path, "not a descriptor");
        *fd_out = (int)fd;
        return ERR_OK;
    }
    *fd_out = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*fd_out < 0)
        return err_note(ERR_CONFIG, path, "%s", strerror(errno));
    if (fstat(*fd_out, &st) != 0 || (S_ISREG(st.st_mode) && (st.st_mode & 077))) {
        (void)close(*fd_out);
        return err_note(ERR_CONFIG, path, "readable by others; make it mode 0600 or 0400");
    }
    return ERR_OK;
}

enum err secret_read_file(const char *path, size_t max, struct secret *out)
{
    struct secret s;
    size_t len = 0;
    ssize_t got;
    int fd = -1;
    enum err e = secret_open(path, &fd);

    if (e)
        return e;
    e = secret_new(max + 1, &s);
    if (e) {
        (void)close(fd);
        return e;
    }
    while (len <= max && (got = read_some(fd, s.data + len, max + 1 - len)) > 0)
        len += (size_t)got;
    (void)close(fd);
    if (len && s.data[len - 1] == '\n')
        s.data[--len] = '\0';
    if (len == 0 || len > max) {
        secret_free(&s);
        return err_note(ERR_CONFIG, path, len ? "longer than allowed" : "empty or unreadable");
    }
    /* The mapping is a whole number of pages; a shorter length wipes all of what was used. */
    if (secret_mapped(len) != secret_mapped(max + 1)) {
        struct secret fit;

        e = secret_new(len, &fit);
        if (!e)
            memcpy(fit.data, s.data, len);
        secret_free(&s);
        if (e)
            return e;
        s = fit;
    }
    s.len = len;
    *out = s;
    return ERR_OK;
}

void process_harden(void)
{
    struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(077);
}
