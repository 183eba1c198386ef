/* SPDX-License-Identifier: GPL-3.0-or-later */
/* message.c - what would become of a message? The relay is asked; nothing is queued.
 *
 * The message lies in memory files only, which the relay reads and writes. */
#include "daemon/base/fdio.h"
#include "daemon/control/control.h"
#include "provisioning/sealctl/commands.h"
#include "provisioning/sealctl/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MESSAGE_MAX_BYTES (1u << 30)
#define TIMEOUT_MIN_MS    30000u /* the relay gives a message 20 s */

/* As on the wire: every lone LF becomes CRLF, the last line has one too. */
static void to_crlf(struct bytes in, struct buf *out)
{
    size_t start = 0;

    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] != '\n' || (i > 0 && in.data[i - 1] == '\r'))
            continue;
        buf_append(out, in.data + start, i - start);
        buf_append_str(out, "\r\n");
        start = i + 1;
    }
    if (in.len > start)
        buf_append(out, in.data + start, in.len - start);
    if (in.len && in.data[in.len - 1] != '\n')
        buf_append_str(out, "\r\n");
}

static enum err memory_file(const char *name, struct bytes content, int *fd_out)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        return err_note(ERR_IO, "memfd_create", "%s", strerror(errno));
    *fd_out = fd;
    return write_all(fd, content.data, content.len);
}

static enum err read_message(const char *path, int *fd_out)
{
    CLEANUP(buf_wipe) struct buf raw = {0};
    CLEANUP(buf_wipe) struct buf wire = {0};
    enum err e = strcmp(path, "-") == 0 ? session_read(path, &raw)
                                        : file_read(path, MESSAGE_MAX_BYTES, &raw);

    if (e)
        return e;
    to_crlf(buf_bytes(&raw), &wire);
    e = buf_error(&wire);
    return e ? e : memory_file("message", buf_bytes(&wire), fd_out);
}

static enum err ask(struct session *s, const char *alias, const int files[CONTROL_FILES_MAX],
                    cJSON **answer_out)
{
    CLEANUP(json_free) cJSON *request = cJSON_CreateObject();
    unsigned timeout_ms = s->settings.timeout_s * 1000;

    (void)cJSON_AddStringToObject(request, "verb", "message.test");
    (void)cJSON_AddStringToObject(request, "alias", alias);
    (void)cJSON_AddStringToObject(request, "mail_from", s->from ? s->from : "");
    if (!cJSON_AddBoolToObject(request, "make", s->make))
        return ERR_NOMEM;
    if (timeout_ms < TIMEOUT_MIN_MS)
        timeout_ms = TIMEOUT_MIN_MS;
    return control_call_files(s->relay_socket, request, files, timeout_ms, answer_out);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return text ? text : "";
}

/* For people: the steps and the answer on standard error, the sealed message on standard output. */
static void print_steps(const cJSON *answer)
{
    const cJSON *step;
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(answer, "code");

    cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(answer, "steps"))(void)
        fprintf(stderr, "%-22s %-16s %6.0f ms\n", text_of(step, "step"), text_of(step, "result"),
                cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(step, "ms")));
    if (cJSON_IsNumber(code))
        (void)fprintf(stderr, "%d %s %s\n", code->valueint, text_of(answer, "status"),
                      text_of(answer, "text"));
}

static enum err print_sealed(int fd)
{
    uint8_t chunk[16384];
    ssize_t got;
    enum err e = ERR_OK;

    if (lseek(fd, 0, SEEK_SET) != 0)
        return err_note(ERR_IO, "lseek", "%s", strerror(errno));
    while (!e && (got = read_some(fd, chunk, sizeof chunk)) > 0)
        e = write_all(STDOUT_FILENO, chunk, (size_t)got);
    return e;
}

/* A refusal is what this command was asked to find, and its exit code says so. */
static enum err verdict(const cJSON *answer)
{
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(answer, "code");
    const char *note = text_of(answer, "note");
    enum err e = ERR_NOT_FOUND;

    if (cJSON_IsNumber(code))
        e = code->valueint < 300 ? ERR_OK : code->valueint < 500 ? ERR_BUSY : ERR_REFUSED;
    if (e == ERR_NOT_FOUND)
        return err_note(e, "message test", "%s; --make makes what is missing", note);
    return e ? err_note(e, "message test", "%s", note[0] ? note : text_of(answer, "text")) : ERR_OK;
}

enum err message_test_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    CLEANUP(fd_close) int in = -1;
    CLEANUP(fd_close) int out = -1;
    enum err e = read_message(args[0], &in);

    if (!e)
        e = memory_file("sealed", (struct bytes){0}, &out);
    if (!e)
        e = ask(s, args[1], (const int[]){in, out}, &answer);
    if (e)
        return e;
    cJSON_DeleteItemFromObjectCaseSensitive(answer, "ok");
    e = verdict(answer);
    if (s->json)
        output_json(answer);
    else
        print_steps(answer);
    return e || s->json ? e : print_sealed(out);
}
