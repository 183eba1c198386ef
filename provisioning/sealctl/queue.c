/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue.c - the relay's queue, and draining it before a restart or a move. */
#include "daemon/base/fdio.h"
#include "provisioning/sealctl/commands.h"
#include "provisioning/sealctl/output.h"
#include "provisioning/sealctl/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_POLL_MS 500

enum err queue_list_command(struct session *s, char **args)
{
    static const struct column plain[] = {
        {"id", "ID", COLUMN_TEXT},
        {"state", "STATE", COLUMN_TEXT},
        {"direction", "KIND", COLUMN_TEXT},
        {"hop", "NEXT HOP", COLUMN_TEXT},
        {"size_bytes", "SIZE", COLUMN_SIZE},
        {"created", "CREATED", COLUMN_TIME},
        {"attempts", "TRIES", COLUMN_TEXT},
        {"next_attempt", "NEXT TRY", COLUMN_TIME},
        {"last_result", "LAST RESULT", COLUMN_TEXT},
    };
    static const struct column opened[] = {
        {"id", "ID", COLUMN_TEXT},
        {"state", "STATE", COLUMN_TEXT},
        {"mail_from", "FROM", COLUMN_TEXT},
        {"rcpt_to", "TO", COLUMN_TEXT},
        {"size_bytes", "SIZE", COLUMN_SIZE},
        {"created", "CREATED", COLUMN_TIME},
        {"attempts", "TRIES", COLUMN_TEXT},
        {"next_attempt", "NEXT TRY", COLUMN_TIME},
        {"last_result", "LAST RESULT", COLUMN_TEXT},
    };
    CLEANUP(json_free) cJSON *rows = NULL;
    cJSON *request = cJSON_CreateObject();
    enum err e;

    (void)args;
    if (s->state)
        (void)cJSON_AddStringToObject(request, "state", s->state);
    (void)cJSON_AddBoolToObject(request, "addresses", s->addresses);
    progress_begin("listing");
    e = relay_rows(s, "queue.list", request, &rows);
    progress_end();
    if (e)
        return e;
    if (s->json)
        output_json(rows);
    else
        output_table(rows, s->addresses ? opened : plain, sizeof plain / sizeof *plain);
    return ERR_OK;
}

static cJSON *request_id(const char *id)
{
    cJSON *request = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(request, "id", id);
    return request;
}

enum err queue_show_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    enum err e = relay_call(s, "queue.show", request_id(args[0]), &answer);

    if (!e)
        print_object(s, cJSON_GetObjectItemCaseSensitive(answer, "entry"));
    return e;
}

/* An order for one entry, or with --all for every one. */
static enum err order(struct session *s, const char *verb, const char *id)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    CLEANUP(json_free) cJSON *result = NULL;
    cJSON *request;
    double changed;
    enum err e;

    if (s->all == (id != NULL))
        return err_note(ERR_USAGE, verb, "name one entry, or --all");
    request = id ? request_id(id) : cJSON_CreateObject();
    if (s->all)
        (void)cJSON_AddTrueToObject(request, "all");
    e = relay_call(s, verb, request, &answer);
    if (e)
        return e;
    changed = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(answer, "changed"));
    result = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(result, "changed", changed);
    print_object(s, result);
    return ERR_OK;
}

enum err queue_hold_command(struct session *s, char **args)
{
    return order(s, "queue.hold", args[0]);
}

enum err queue_release_command(struct session *s, char **args)
{
    return order(s, "queue.release", args[0]);
}

enum err queue_retry_command(struct session *s, char **args)
{
    return order(s, "queue.retry", args[0]);
}

enum err queue_flush_command(struct session *s, char **args)
{
    (void)args;
    s->all = true;
    return order(s, "queue.flush", NULL);
}

enum err queue_drop_command(struct session *s, char **args)
{
    enum err e = session_confirm(s, "Drop the entry? The message is lost, and nobody is told.\n");

    return e ? e : order(s, "queue.drop", args[0]);
}

/* ---- drain ---- */

static bool is_empty(const cJSON *answer)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "empty"));
}

static void show_waiting(const cJSON *answer, double *shown)
{
    double waiting = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(answer, "waiting"));
    bool terminal = isatty(STDERR_FILENO) == 1;

    if (waiting != *shown)
        (void)fprintf(stderr, terminal ? "\rsealctl: %.0f waiting   " : "sealctl: %.0f waiting\n",
                      waiting);
    *shown = waiting;
}

static enum err wait_empty(struct session *s, cJSON **answer)
{
    const struct timespec pause = {.tv_nsec = DRAIN_POLL_MS * 1000000L};
    double shown = -1;
    enum err e = ERR_OK;

    while (!e && !is_empty(*answer)) {
        show_waiting(*answer, &shown);
        (void)nanosleep(&pause, NULL);
        json_free(answer);
        e = relay_call(s, "drain.status", cJSON_CreateObject(), answer);
    }
    if (shown >= 0)
        (void)fputc('\n', stderr);
    return e;
}

enum err drain_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    const char *verb = s->stop ? "drain.stop" : s->status ? "drain.status" : "drain.start";
    enum err e = s->stop && s->status ? err_note(ERR_USAGE, "drain", "--stop or --status, not both")
                                      : relay_call(s, verb, cJSON_CreateObject(), &answer);

    (void)args;
    if (!e && !s->stop && !s->status && !s->no_wait)
        e = wait_empty(s, &answer);
    if (e)
        return e;
    cJSON_DeleteItemFromObjectCaseSensitive(answer, "ok");
    print_object(s, answer);
    return ERR_OK;
}
