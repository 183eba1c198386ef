/* SPDX-License-Identifier: GPL-3.0-or-later */
/* session.c - configuration, the two sockets, questions and files of one run. */
#include "provisioning/sealctl/session.h"
#include "daemon/base/fdio.h"
#include "daemon/control/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HSM_SOCKET_DEFAULT   "/run/sealhsmd/admin"
#define RELAY_SOCKET_DEFAULT "/run/sealrelay/control.sock"
#define TIMEOUT_DEFAULT_S    60 /* a hardware token makes keys for that long */
#define FILE_MAX_BYTES       (256u * 1024)

static const struct ini_key keys[] = {
    {.section = "sockets",
     .key = "key_service",
     .type = INI_STRING,
     .offset = offsetof(struct settings, hsm_socket)},
    {.section = "sockets",
     .key = "relay",
     .type = INI_STRING,
     .offset = offsetof(struct settings, relay_socket)},
    {.section = "sockets",
     .key = "timeout",
     .type = INI_TIME,
     .offset = offsetof(struct settings, timeout_s),
     .min = 1,
     .max = 3600},
};
#define N_KEYS (sizeof keys / sizeof *keys)

enum err session_configure(struct session *s)
{
    const char *path = s->config ? s->config : SEALCTL_CONFIG_DEFAULT;
    enum err e = ERR_OK;

    s->settings.timeout_s = TIMEOUT_DEFAULT_S;
    if (s->config || access(path, F_OK) == 0)
        e = ini_load(path, keys, N_KEYS, &s->settings, NULL);
    if (e)
        return e;
    if (!s->hsm_socket)
        s->hsm_socket = s->settings.hsm_socket ? s->settings.hsm_socket : HSM_SOCKET_DEFAULT;
    if (!s->relay_socket)
        s->relay_socket =
            s->settings.relay_socket ? s->settings.relay_socket : RELAY_SOCKET_DEFAULT;
    return ERR_OK;
}

void session_clear(struct session *s)
{
    hsm_free(s->hsm);
    s->hsm = NULL;
    ini_clear(keys, N_KEYS, &s->settings);
}

enum err session_hsm(struct session *s, struct hsm **out)
{
    struct hsm_options options = {.socket_path = s->hsm_socket,
                                  .timeout_ms = s->settings.timeout_s * 1000,
                                  .connections_max = 1};
    enum err e = s->hsm ? ERR_OK : hsm_open(&options, &s->hsm);

    if (!e)
        *out = s->hsm;
    return e;
}

enum err relay_call(struct session *s, const char *verb, cJSON *request, cJSON **answer_out)
{
    enum err e = ERR_NOMEM;

    if (request && cJSON_AddStringToObject(request, "verb", verb))
        e = control_call(s->relay_socket, request, s->settings.timeout_s * 1000, answer_out);
    cJSON_Delete(request);
    return e;
}

/* Move the rows of one page over; next_out: where the next begins, 0 at the end. */
static enum err take_page(cJSON *answer, cJSON *rows, double *next_out)
{
    cJSON *page = cJSON_GetObjectItemCaseSensitive(answer, "rows");
    const cJSON *next = cJSON_GetObjectItemCaseSensitive(answer, "next");
    bool any = cJSON_GetArraySize(page) > 0;

    if (!cJSON_IsArray(page) || (cJSON_IsNumber(next) && !any))
        return err_note(ERR_FORMAT, "relay", "not a page of a list");
    while (cJSON_GetArraySize(page) > 0)
        (void)cJSON_AddItemToArray(rows, cJSON_DetachItemFromArray(page, 0));
    *next_out = cJSON_IsNumber(next) ? next->valuedouble : 0;
    return ERR_OK;
}

enum err relay_rows(struct session *s, const char *verb, cJSON *request, cJSON **rows_out)
{
    CLEANUP(json_free) cJSON *rows = cJSON_CreateArray();
    CLEANUP(json_free) cJSON *template = request;
    double from = 0;
    enum err e = rows && template ? ERR_OK : ERR_NOMEM;

    while (!e) {
        CLEANUP(json_free) cJSON *answer = NULL;
        cJSON *page = cJSON_Duplicate(template, true);

        (void)cJSON_AddNumberToObject(page, "from", from);
        e = relay_call(s, verb, page, &answer);
        if (!e)
            e = take_page(answer, rows, &from);
        if (!e && from == 0)
            break;
    }
    if (e)
        return e;
    *rows_out = rows;
    rows = NULL;
    return ERR_OK;
}

enum err session_confirm(const struct session *s, const char *question)
{
    char answer[16];

    if (s->yes)
        return ERR_OK;
    (void)fprintf(stderr, "%s Type yes: ", question);
    if (fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0)
        return ERR_OK;
    return err_note(ERR_REFUSED, "sealctl", "not confirmed; nothing was done");
}

enum err session_read(const char *path, struct buf *out)
{
    uint8_t chunk[4096];
    ssize_t got;

    if (strcmp(path, "-") != 0)
        return file_read(path, FILE_MAX_BYTES, out);
    while ((got = read_some(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
        if ((size_t)got > FILE_MAX_BYTES - out->len)
            return err_note(ERR_TOO_BIG, "standard input", "more than %u bytes", FILE_MAX_BYTES);
        buf_append(out, chunk, (size_t)got);
    }
    return got < 0 ? err_note(ERR_IO, "standard input", "%s", strerror(errno)) : buf_error(out);
}

void json_free(cJSON **json)
{
    cJSON_Delete(*json);
    *json = NULL;
}
