/* SPDX-License-Identifier: GPL-3.0-or-later */
/* listen.c - the relay's listening sockets. */
#include "daemon/listen.h"
#include "daemon/base/fdio.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define LISTEN_BACKLOG 256

/* "127.0.0.1:25", "[::1]:25", "localhost:25" */
static enum err split_address(const char *text, char host[256], char port[8])
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;

    if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len > 255 || strlen(colon + 1) > 5 || !colon[1] ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return err_note(ERR_CONFIG, text, "want HOST:PORT, as in 127.0.0.1:10025");
    memcpy(host, text, len);
    host[len] = '\0';
    (void)snprintf(port, 8, "%s", colon + 1);
    return ERR_OK;
}

static enum err tcp_listen(const char *text, int *fd_out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[256], port[8];
    int fd, rc, on = 1;
    enum err e = split_address(text, host, port);

    if (e)
        return e;
    rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0)
        return err_note(ERR_CONFIG, text, "%s", gai_strerror(rc));
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
        listen(fd, LISTEN_BACKLOG) != 0) {
        e = err_note(ERR_IO, text, "%s", strerror(errno));
        fd_close(&fd);
    }
    freeaddrinfo(found);
    *fd_out = fd;
    return e;
}

/* What is spoken on a socket. */
enum service { SERVICE_SMTP, SERVICE_LMTP, SERVICE_SOCKETMAP };

static const char *const service_names[] = {
    [SERVICE_SMTP] = "smtp", [SERVICE_LMTP] = "lmtp", [SERVICE_SOCKETMAP] = "socketmap"};

#define N_SERVICES (sizeof service_names / sizeof *service_names)

static enum err listen_on(struct receive *server, int fd, enum service service)
{
    switch (service) {
    case SERVICE_SMTP:
        return receive_listen(server, fd, RECEIVE_SMTP);
    case SERVICE_LMTP:
        return receive_listen(server, fd, RECEIVE_LMTP);
    case SERVICE_SOCKETMAP:
        return receive_listen_socketmap(server, fd);
    }
    return ERR_BUG;
}

/* unix_path: NULL when there is none */
static enum err listen_configured(struct receive *server, const struct ini_list *addresses,
                                  const char *unix_path, enum service service)
{
    enum err e = ERR_OK;
    int fd = -1;

    for (size_t i = 0; !e && i < addresses->n; i++) {
        e = tcp_listen(addresses->items[i], &fd);
        if (!e)
            e = listen_on(server, fd, service);
    }
    if (e || !unix_path)
        return e;
    e = unix_listen(unix_path, SOCK_STREAM, 0660, &fd);
    return e ? e : listen_on(server, fd, service);
}

static void names_free(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        free(names[i]);
    free(names);
}

static enum err listen_named(struct receive *server, int fd, const char *name)
{
    for (size_t i = 0; i < N_SERVICES; i++)
        if (strcmp(name, service_names[i]) == 0)
            return listen_on(server, fd, (enum service)i);
    return err_note(ERR_CONFIG, name, "FileDescriptorName: want smtp, lmtp or socketmap");
}

static enum err listen_inherited(struct receive *server, int *count_out)
{
    char **names = NULL;
    enum err e = ERR_OK;

    *count_out = sd_listen_fds_with_names(1, &names);
    for (int i = 0; !e && i < *count_out; i++)
        e = listen_named(server, SD_LISTEN_FDS_START + i, names[i]);
    names_free(names);
    return e;
}

enum err listen_all(const struct relay_config *config, struct receive *server)
{
    int inherited = 0;
    enum err e = listen_inherited(server, &inherited);

    if (e || inherited > 0)
        return e;
    if (config->smtp.n + config->lmtp.n == 0 && !config->lmtp_socket)
        return err_note(ERR_CONFIG, "[listen]", "names no socket; set smtp, lmtp or lmtp_socket");
    e = listen_configured(server, &config->smtp, NULL, SERVICE_SMTP);
    if (!e)
        e = listen_configured(server, &config->lmtp, config->lmtp_socket, SERVICE_LMTP);
    if (!e)
        e = listen_configured(server, &config->socketmap, config->socketmap_socket,
                              SERVICE_SOCKETMAP);
    return e;
}
