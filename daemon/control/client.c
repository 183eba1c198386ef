/* SPDX-License-Identifier: GPL-3.0-or-later */
/* client.c - the operator's side of the control socket: one request, one answer. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/control/control.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static enum err error_by_name(const char *name)
{
    for (int e = 0; name && e < ERR_COUNT; e++)
        if (strcmp(name, err_name((enum err)e)) == 0)
            return e == ERR_OK ? ERR_BUG : (enum err)e;
    return ERR_BUG;
}

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* answer: taken; handed on when it says ok. */
static enum err judge(cJSON *answer, const char *verb, cJSON **out)
{
    const char *note;
    enum err e;

    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"))) {
        *out = answer;
        return ERR_OK;
    }
    e = error_by_name(text_of(answer, "error"));
    note = text_of(answer, "note");
    if (!note)
        note = text_of(answer, "text");
    (void)err_note(e, verb ? verb : "relay", "%s", note ? note : "no reason given");
    cJSON_Delete(answer);
    return e;
}

/* One packet, with descriptors unless files is NULL. As send(2). */
static ssize_t packet_send(int fd, char *text, size_t len, const int *files)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(CONTROL_FILES_MAX * sizeof *files)];
    } control = {0};
    struct iovec part = {text, len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *c = &control.align;

    if (files) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(CONTROL_FILES_MAX * sizeof *files);
        memcpy(CMSG_DATA(c), files, CONTROL_FILES_MAX * sizeof *files);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static enum err send_request(int fd, const cJSON *request, const int *files)
{
    char *text = cJSON_PrintUnformatted(request);
    size_t len = text ? strlen(text) : 0;
    enum err e = ERR_OK;

    if (!text)
        return ERR_NOMEM;
    if (len > CONTROL_PACKET_MAX_BYTES)
        e = err_note(ERR_TOO_BIG, "relay", "request too long");
    else if (packet_send(fd, text, len, files) != (ssize_t)len)
        e = err_note(ERR_NET, "relay", "%s", strerror(errno));
    cJSON_free(text);
    return e;
}

static enum err receive_answer(int fd, int64_t deadline_ms, cJSON **out)
{
    char *packet;
    ssize_t got;
    enum err e = fd_wait(fd, POLLIN, deadline_ms - clock_mono_ms());

    if (e)
        return e;
    packet = malloc(CONTROL_PACKET_MAX_BYTES + 1);
    if (!packet)
        return ERR_NOMEM;
    got = recv(fd, packet, CONTROL_PACKET_MAX_BYTES + 1, 0);
    if (got <= 0)
        e = err_note(ERR_NET, "relay", got < 0 ? "%s" : "the connection ended", strerror(errno));
    else if ((size_t)got > CONTROL_PACKET_MAX_BYTES ||
             !(*out = cJSON_ParseWithLength(packet, (size_t)got)))
        e = err_note(ERR_FORMAT, "relay", "answer is not JSON");
    free(packet);
    return e;
}

static enum err call(const char *path, const struct cJSON *request, const int *files,
                     unsigned timeout_ms, struct cJSON **answer_out)
{
    CLEANUP(fd_close) int fd = -1;
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    cJSON *answer = NULL;
    enum err e = unix_connect(path, SOCK_SEQPACKET, &fd);

    if (!e)
        e = send_request(fd, request, files);
    if (!e)
        e = receive_answer(fd, deadline_ms, &answer);
    return e ? e : judge(answer, text_of(request, "verb"), answer_out);
}

enum err control_call(const char *path, const struct cJSON *request, unsigned timeout_ms,
                      struct cJSON **answer_out)
{
    return call(path, request, NULL, timeout_ms, answer_out);
}

enum err control_call_files(const char *path, const struct cJSON *request,
                            const int files[CONTROL_FILES_MAX], unsigned timeout_ms,
                            struct cJSON **answer_out)
{
    return call(path, request, files, timeout_ms, answer_out);
}
