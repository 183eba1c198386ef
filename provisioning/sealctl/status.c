/* SPDX-License-Identifier: GPL-3.0-or-later */
/* status.c - both services at a glance; says what is away and goes on. */
#include "provisioning/sealctl/commands.h"
#include "provisioning/sealctl/progress.h"

#include <string.h>

#define STATUS_TIMEOUT_S 6

static void add_error(cJSON *object, enum err e)
{
    const struct err_note *note = err_note_get();

    (void)cJSON_AddStringToObject(object, "error", err_name(e));
    if (note->action[0])
        (void)cJSON_AddStringToObject(object, "note", note->detail);
}

static enum err ask_relay(struct session *s, cJSON **out)
{
    enum err e = relay_call(s, "status", cJSON_CreateObject(), out);

    if (!e)
        cJSON_DeleteItemFromObjectCaseSensitive(*out, "ok");
    return e;
}

/* ERR_HSM_AWAY also when the service answers, but its token is not ready. */
static enum err ask_key_service(struct session *s, cJSON **out)
{
    CLEANUP(buf_clear) struct buf text = {0};
    struct hsm *hsm;
    const char *token;
    enum err e = session_hsm(s, &hsm);

    if (!e)
        e = hsm_status(hsm, &text);
    if (!e)
        e = parse_document(&text, out);
    if (e)
        return e;
    token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(*out, "token"));
    return token && strcmp(token, "ready") == 0
               ? ERR_OK
               : err_note(ERR_HSM_AWAY, "token", "%s", token ? token : "unknown");
}

enum err status_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *all = cJSON_CreateObject();
    cJSON *relay = NULL;
    cJSON *key_service = NULL;
    enum err relay_error;
    enum err hsm_error;

    (void)args;
    if (s->settings.timeout_s > STATUS_TIMEOUT_S)
        s->settings.timeout_s = STATUS_TIMEOUT_S;
    progress_begin("asking");
    relay_error = ask_relay(s, &relay);
    if (relay_error) {
        relay = cJSON_CreateObject();
        add_error(relay, relay_error);
    }
    err_note_clear();
    hsm_error = ask_key_service(s, &key_service);
    if (!key_service) {
        key_service = cJSON_CreateObject();
        add_error(key_service, hsm_error);
    }
    progress_end();
    (void)cJSON_AddItemToObject(all, "relay", relay);
    (void)cJSON_AddItemToObject(all, "key_service", key_service);
    print_object(s, all);
    return relay_error ? relay_error : hsm_error;
}
