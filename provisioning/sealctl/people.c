/* SPDX-License-Identifier: GPL-3.0-or-later */
/* people.c - users, aliases and correspondents, which the relay keeps. */
#include "provisioning/sealctl/commands.h"
#include "provisioning/sealctl/output.h"
#include "provisioning/sealctl/progress.h"

static enum err print_rows(struct session *s, const char *verb, cJSON *request,
                           const struct column *columns, size_t n)
{
    CLEANUP(json_free) cJSON *rows = NULL;
    enum err e;

    progress_begin("listing");
    e = relay_rows(s, verb, request, &rows);
    progress_end();
    if (e)
        return e;
    if (s->json)
        output_json(rows);
    else
        output_table(rows, columns, n);
    return ERR_OK;
}

static cJSON *request_with(const char *key, const char *value)
{
    cJSON *request = cJSON_CreateObject();

    if (value)
        (void)cJSON_AddStringToObject(request, key, value);
    return request;
}

enum err user_add_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    cJSON *request = request_with("name", args[0]);
    cJSON *mailboxes = cJSON_AddArrayToObject(request, "mailboxes");
    const char *user;
    enum err e;

    for (char **mailbox = args + 1; *mailbox; mailbox++)
        (void)cJSON_AddItemToArray(mailboxes, cJSON_CreateString(*mailbox));
    e = relay_call(s, "user.add", request, &answer);
    if (e)
        return e;
    user = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "user"));
    if (!user)
        return err_note(ERR_FORMAT, "relay", "answered no id");
    print_word(s, "user", user, user);
    return ERR_OK;
}

enum err user_list_command(struct session *s, char **args)
{
    static const struct column columns[] = {{"user", "USER", COLUMN_TEXT},
                                            {"name", "NAME", COLUMN_TEXT},
                                            {"mailboxes", "MAILBOXES", COLUMN_TEXT},
                                            {"created", "CREATED", COLUMN_TIME}};

    (void)args;
    return print_rows(s, "user.list", cJSON_CreateObject(), columns,
                      sizeof columns / sizeof *columns);
}

enum err alias_add_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    cJSON *request = request_with("address", args[0]);
    const cJSON *alias;
    enum err e;

    (void)cJSON_AddStringToObject(request, "user", args[1]);
    if (s->mailbox)
        (void)cJSON_AddStringToObject(request, "mailbox", s->mailbox);
    e = relay_call(s, "alias.add", request, &answer);
    if (e)
        return e;
    alias = cJSON_GetObjectItemCaseSensitive(answer, "alias");
    if (!cJSON_IsObject(alias))
        return err_note(ERR_FORMAT, "relay", "answered no alias");
    print_object(s, alias);
    return ERR_OK;
}

enum err alias_remove_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    enum err e = session_confirm(
        s, "Remove the alias? The reverse addresses of its correspondents end with it.\n");

    if (!e)
        e = relay_call(s, "alias.remove", request_with("address", args[0]), &answer);
    if (!e)
        print_word(s, "address", args[0], "The alias is removed.");
    return e;
}

enum err alias_list_command(struct session *s, char **args)
{
    static const struct column columns[] = {{"address", "ALIAS", COLUMN_TEXT},
                                            {"name", "USER", COLUMN_TEXT},
                                            {"mailbox", "MAILBOX", COLUMN_TEXT},
                                            {"catch_all", "CATCH-ALL", COLUMN_TEXT},
                                            {"made_by_catch_all", "MADE BY IT", COLUMN_TEXT},
                                            {"created", "CREATED", COLUMN_TIME}};

    return print_rows(s, "alias.list", request_with("user", args[0] ? args[0] : s->user), columns,
                      sizeof columns / sizeof *columns);
}

enum err correspondent_list_command(struct session *s, char **args)
{
    static const struct column columns[] = {{"alias", "ALIAS", COLUMN_TEXT},
                                            {"address", "CORRESPONDENT", COLUMN_TEXT},
                                            {"reverse", "REVERSE", COLUMN_TEXT},
                                            {"messages", "MESSAGES", COLUMN_TEXT},
                                            {"last_seen", "LAST SEEN", COLUMN_TIME}};
    cJSON *request = args[0] ? request_with("alias", args[0]) : request_with("user", s->user);

    return print_rows(s, "correspondent.list", request, columns, sizeof columns / sizeof *columns);
}
