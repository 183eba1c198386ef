/* SPDX-License-Identifier: GPL-3.0-or-later */
/* correspondent.c - one correspondent: shown, added, given a certificate of their own. */
#include "provisioning/sealctl/commands.h"
#include "provisioning/sealctl/output.h"

#include <string.h>

static cJSON *request_with(const char *key, const char *value)
{
    cJSON *request = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(request, key, value);
    return request;
}

static void print_answer(const struct session *s, cJSON *answer)
{
    cJSON_DeleteItemFromObjectCaseSensitive(answer, "ok");
    print_object(s, answer);
}

enum err correspondent_show_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    enum err e = relay_call(s, "correspondent.show", request_with("who", args[0]), &answer);
    const cJSON *rows;

    if (e)
        return e;
    rows = cJSON_GetObjectItemCaseSensitive(answer, "correspondents");
    if (!cJSON_IsArray(rows))
        return err_note(ERR_FORMAT, "relay", "answered no correspondents");
    if (s->json)
        output_json(rows);
    else
        output_object(cJSON_GetArraySize(rows) == 1 ? rows->child : answer);
    return ERR_OK;
}

enum err correspondent_add_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    cJSON *request = request_with("alias", args[0]);
    enum err e;

    (void)cJSON_AddStringToObject(request, "address", args[1]);
    e = relay_call(s, "correspondent.add", request, &answer);
    if (!e)
        print_answer(s, answer);
    return e;
}

enum err correspondent_import_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    CLEANUP(buf_clear) struct buf file = {0};
    cJSON *request;
    enum err e = session_read(args[1], &file);

    if (e)
        return e;
    if (strlen(buf_str(&file)) != file.len)
        return err_note(ERR_FORMAT, args[1], "is not PEM");
    if (strstr(buf_str(&file), "PRIVATE KEY-----"))
        return err_note(ERR_FORMAT, args[1],
                        "holds a private key, which is its owner's alone: give the certificate");
    request = request_with("reverse", args[0]);
    (void)cJSON_AddStringToObject(request, "certificate", buf_str(&file));
    e = relay_call(s, "correspondent.import", request, &answer);
    if (!e)
        print_answer(s, answer);
    return e;
}

enum err correspondent_forget_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    enum err e = session_confirm(
        s, "Forget the certificate? Replies to this correspondent are then not encrypted to it.\n");

    if (!e)
        e = relay_call(s, "correspondent.forget", request_with("reverse", args[0]), &answer);
    if (!e)
        print_word(s, "reverse", args[0], "The certificate is forgotten.");
    return e;
}
