/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token.c - the token and the journal, as the key service reports them. */
#include "provisioning/sealctl/commands.h"
#include "provisioning/sealctl/output.h"
#include "provisioning/sealctl/progress.h"

#include <stdio.h>

void print_object(const struct session *s, const cJSON *object)
{
    if (s->json)
        output_json(object);
    else
        output_object(object);
}

void print_word(const struct session *s, const char *key, const char *value, const char *line)
{
    CLEANUP(json_free) cJSON *object = NULL;

    if (!s->json) {
        (void)puts(line);
        return;
    }
    object = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(object, key, value);
    output_json(object);
}

enum err parse_document(const struct buf *text, cJSON **out)
{
    cJSON *document = cJSON_ParseWithLength((const char *)text->data, text->len);

    if (!document)
        return err_note(ERR_FORMAT, "key service", "answer is not JSON");
    *out = document;
    return ERR_OK;
}

enum err token_init_command(struct session *s, char **args)
{
    struct hsm *hsm;
    enum err e = session_hsm(s, &hsm);

    (void)args;
    progress_begin("making the service keys");
    if (!e)
        e = hsm_token_init(hsm);
    progress_end();
    if (!e)
        print_word(s, "token", "ready", "The service keys are in the token; the service is ready.");
    return e;
}

enum err token_unlock_command(struct session *s, char **args)
{
    struct hsm *hsm;
    enum err e = session_hsm(s, &hsm);

    (void)args;
    progress_begin("logging in");
    if (!e)
        e = hsm_token_unlock(hsm);
    progress_end();
    if (!e)
        print_word(s, "token", "ready", "The token took the PIN.");
    return e;
}

/* A document of the key service, fetched by one call. */
static enum err fetch(struct session *s, enum err (*call)(struct hsm *, struct buf *),
                      const char *doing, cJSON **out)
{
    CLEANUP(buf_clear) struct buf text = {0};
    struct hsm *hsm;
    enum err e = session_hsm(s, &hsm);

    progress_begin(doing);
    if (!e)
        e = call(hsm, &text);
    progress_end();
    return e ? e : parse_document(&text, out);
}

enum err token_report_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *report = NULL;
    enum err e = fetch(s, hsm_token_report, "reading the token", &report);

    (void)args;
    if (!e)
        print_object(s, report);
    return e;
}

enum err journal_verify_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *result = NULL;
    enum err e = fetch(s, hsm_journal_verify, "verifying the journal", &result);

    (void)args;
    if (e)
        return e;
    print_object(s, result);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "good")))
        return ERR_OK;
    return err_note(ERR_TAMPERED, "journal", "is not what was written");
}
