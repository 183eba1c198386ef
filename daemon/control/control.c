/* SPDX-License-Identifier: GPL-3.0-or-later */
/* control.c - the server behind the operator's socket: one thread, a poll loop, a verb at a time.
 *
 * Verbs run one after the other, so that they need no locks among themselves; none of them waits
 * for anything but the store, the queue and the key service, which all have deadlines. */
#include "daemon/control/control.h"
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX    16
#define SILENCE_MAX_MS (60 * 1000)
#define SEND_MAX_MS    2000

struct client {
    int fd;
    uid_t uid;
    int64_t heard_ms;
};

struct control {
    int listen_fd;
    int stop_fd; /* an eventfd */
    uid_t uid;
    const struct control_verb *verbs;
    size_t n_verbs;
    void *ctx;
    char path[PATH_MAX];
    pthread_t thread;
    struct client clients[CLIENTS_MAX];
    size_t n_clients;
    uint8_t packet[CONTROL_PACKET_MAX_BYTES + 1];
};

/* Of the request in hand; there is one at a time. */
static _Thread_local int request_files[CONTROL_FILES_MAX] = {-1, -1};

int control_file(size_t nth)
{
    return nth < CONTROL_FILES_MAX ? request_files[nth] : -1;
}

static void files_close(void)
{
    for (size_t i = 0; i < CONTROL_FILES_MAX; i++)
        fd_close(&request_files[i]);
}

/* One packet, its descriptors into request_files. As recv(2). */
static ssize_t packet_receive(int fd, void *data, size_t cap)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof request_files)];
    } control = {0};
    struct iovec part = {data, cap};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *c = got < 0 ? NULL : CMSG_FIRSTHDR(&message);

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(request_files, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    return got;
}

static enum err run_verb(const struct control *c, const cJSON *request, cJSON *answer,
                         const char **verb_out)
{
    const cJSON *verb = cJSON_GetObjectItemCaseSensitive(request, "verb");

    if (!cJSON_IsString(verb))
        return err_note(ERR_FORMAT, "request", "no verb");
    for (size_t i = 0; i < c->n_verbs; i++) {
        if (strcmp(c->verbs[i].name, verb->valuestring) != 0)
            continue;
        *verb_out = c->verbs[i].name;
        return c->verbs[i].fn(c->ctx, request, answer);
    }
    return err_note(ERR_USAGE, "request", "unknown verb");
}

/* What goes back: the verb's own object with "ok", or the error alone. Owned; NULL: no memory. */
static char *answer_text(cJSON *answer, enum err e)
{
    const struct err_note *note = err_note_get();
    cJSON *failure;
    char *text;

    if (!e)
        return cJSON_AddTrueToObject(answer, "ok") ? cJSON_PrintUnformatted(answer) : NULL;
    failure = cJSON_CreateObject();
    (void)cJSON_AddFalseToObject(failure, "ok");
    (void)cJSON_AddStringToObject(failure, "error", err_name(e));
    (void)cJSON_AddStringToObject(failure, "text", err_text(e));
    if (note->action[0]) {
        CLEANUP(buf_clear) struct buf both = {0};

        buf_printf(&both, "%s: %s", note->action, note->detail);
        (void)cJSON_AddStringToObject(failure, "note", buf_str(&both));
    }
    text = cJSON_PrintUnformatted(failure);
    cJSON_Delete(failure);
    return text;
}

static bool send_packet(int fd, const char *text)
{
    size_t len = strlen(text);
    ssize_t sent = send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) &&
        fd_wait(fd, POLLOUT, SEND_MAX_MS) == ERR_OK)
        sent = send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == (ssize_t)len;
}

/* Answer one packet. False: drop the client. */
static bool serve_packet(struct control *c, const struct client *client, size_t len)
{
    int64_t began_ms = clock_mono_ms();
    const char *verb = "unknown";
    cJSON *request = cJSON_ParseWithLength((const char *)c->packet, len);
    cJSON *answer = cJSON_CreateObject();
    char *text;
    enum err e;
    bool sent;

    err_note_clear();
    e = !answer                   ? ERR_NOMEM
        : cJSON_IsObject(request) ? run_verb(c, request, answer, &verb)
                                  : err_note(ERR_FORMAT, "request", "not a JSON object");
    text = answer_text(answer, e);
    if (text && strlen(text) > CONTROL_PACKET_MAX_BYTES) {
        cJSON_free(text);
        e = err_note(ERR_TOO_BIG, verb, "answer does not fit a packet");
        text = answer_text(answer, e);
    }
    log_event(e ? LOG_LEVEL_WARNING : LOG_LEVEL_TRACE, "control", verb, e,
              clock_mono_ms() - began_ms, "uid=%u", (unsigned)client->uid);
    sent = text && send_packet(client->fd, text);
    cJSON_free(text);
    cJSON_Delete(answer);
    cJSON_Delete(request);
    return sent;
}

static bool receive_and_serve(struct control *c, struct client *client)
{
    ssize_t got;

    do
        got = packet_receive(client->fd, c->packet, sizeof c->packet);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return true;
    if (got <= 0)
        return false;
    if ((size_t)got > CONTROL_PACKET_MAX_BYTES) {
        log_event(LOG_LEVEL_WARNING, "control", "-", ERR_TOO_BIG, -1, "uid=%u",
                  (unsigned)client->uid);
        return false;
    }
    client->heard_ms = clock_mono_ms();
    return serve_packet(c, client, (size_t)got);
}

static bool serve_client(struct control *c, struct client *client)
{
    bool kept = receive_and_serve(c, client);

    files_close();
    return kept;
}

static bool is_allowed(const struct control *c, int fd, uid_t *uid_out)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof peer)
        return false;
    *uid_out = peer.uid;
    return peer.uid == 0 || peer.uid == geteuid() || (c->uid != (uid_t)-1 && peer.uid == c->uid);
}

static void accept_client(struct control *c)
{
    int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    uid_t uid = (uid_t)-1;

    if (fd < 0)
        return;
    if (!is_allowed(c, fd, &uid) || c->n_clients == CLIENTS_MAX) {
        log_event(LOG_LEVEL_WARNING, "control.accept", "-",
                  c->n_clients == CLIENTS_MAX ? ERR_BUSY : ERR_REFUSED, -1, "uid=%u",
                  (unsigned)uid);
        (void)close(fd);
        return;
    }
    c->clients[c->n_clients++] = (struct client){fd, uid, clock_mono_ms()};
}

static void drop_client(struct control *c, size_t at)
{
    (void)close(c->clients[at].fd);
    c->clients[at] = c->clients[--c->n_clients];
}

static void *serve(void *arg)
{
    struct control *c = arg;
    struct pollfd fds[2 + CLIENTS_MAX];

    for (;;) {
        size_t n = c->n_clients;
        int64_t now_ms;

        fds[0] = (struct pollfd){.fd = c->stop_fd, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = c->listen_fd, .events = POLLIN};
        for (size_t i = 0; i < n; i++)
            fds[2 + i] = (struct pollfd){.fd = c->clients[i].fd, .events = POLLIN};
        if (poll(fds, 2 + n, SILENCE_MAX_MS / 4) < 0 && errno != EINTR)
            log_event(LOG_LEVEL_ERROR, "control.poll", "-", ERR_IO, -1, "errno=%d", errno);
        if (fds[0].revents)
            return NULL;
        now_ms = clock_mono_ms();
        /* From the back: dropping moves the last client forward. */
        for (size_t i = n; i-- > 0;)
            if ((fds[2 + i].revents && !serve_client(c, &c->clients[i])) ||
                now_ms - c->clients[i].heard_ms > SILENCE_MAX_MS)
                drop_client(c, i);
        if (fds[1].revents)
            accept_client(c);
    }
}

enum err control_start(const char *path, uid_t uid, const struct control_verb *verbs,
                       size_t n_verbs, void *ctx, struct control **out)
{
    struct control *c = calloc(1, sizeof *c);
    enum err e;

    if (!c)
        return ERR_NOMEM;
    c->listen_fd = c->stop_fd = -1;
    c->uid = uid;
    c->verbs = verbs;
    c->n_verbs = n_verbs;
    c->ctx = ctx;
    e = unix_listen(path, SOCK_SEQPACKET, 0660, &c->listen_fd);
    if (!e) {
        memcpy(c->path, path, strlen(path) + 1); /* a socket's path is shorter than PATH_MAX */
        c->stop_fd = eventfd(0, EFD_CLOEXEC);
    }
    if (!e && (c->stop_fd < 0 || pthread_create(&c->thread, NULL, serve, c) != 0))
        e = err_note(ERR_IO, "control_start", "no thread or eventfd");
    if (e) {
        fd_close(&c->listen_fd);
        fd_close(&c->stop_fd);
        free(c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

void control_stop(struct control *c)
{
    uint64_t one = 1;

    if (!c)
        return;
    (void)write_all(c->stop_fd, &one, sizeof one);
    (void)pthread_join(c->thread, NULL);
    while (c->n_clients)
        drop_client(c, c->n_clients - 1);
    (void)unlink(c->path);
    fd_close(&c->listen_fd);
    fd_close(&c->stop_fd);
    free(c);
}
