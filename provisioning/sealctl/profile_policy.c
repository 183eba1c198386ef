/* SPDX-License-Identifier: GPL-3.0-or-later */
/* profile_policy.c - what becomes of a profile's mail when its sender is doubtful, and what is
 * asked of its user's replies. */
#include "provisioning/sealctl/commands.h"

#include <stdio.h>

/* Adds the options that were given. */
static cJSON *policy_request(const struct session *s, const char *profile)
{
    const char *const options[][2] = {
        {"failing", s->failing},       {"spam", s->spam},   {"unchecked", s->unchecked},
        {"reply_pass", s->reply_pass}, {"plain", s->plain}, {"reply_signature", s->reply_signature},
        {"onward", s->onward}};
    cJSON *request = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(request, "profile", profile);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i][1])
            (void)cJSON_AddStringToObject(request, options[i][0], options[i][1]);
    return request;
}

enum err profile_policy_command(struct session *s, char **args)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    enum err e = relay_call(s, "profile.policy", policy_request(s, args[0]), &answer);

    if (!e)
        print_object(s, answer);
    return e;
}

static void words_move(cJSON *from, const char *const *names, size_t n, cJSON *shown,
                       const char *title)
{
    cJSON *object = cJSON_CreateObject();

    for (size_t i = 0; i < n; i++) {
        cJSON *word = cJSON_DetachItemFromObjectCaseSensitive(from, names[i]);

        if (word)
            (void)cJSON_AddItemToObject(object, names[i], word);
    }
    (void)cJSON_AddItemToObject(shown, title, object);
}

/* The key service knows a profile, the relay what becomes of its mail: without the relay the first
 * half is shown. */
void profile_policy_add(struct session *s, const char *profile, cJSON *shown)
{
    static const char *const sender[] = {"failing", "spam", "unchecked"};
    static const char *const reply[] = {"reply_pass", "reply_signature", "plain", "onward"};
    CLEANUP(json_free) cJSON *answer = NULL;
    cJSON *request = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(request, "profile", profile);
    if (relay_call(s, "profile.policy", request, &answer)) {
        err_note_clear();
        (void)fputs("sealctl: the relay does not tell the profile's policy\n", stderr);
        return;
    }
    words_move(answer, sender, sizeof sender / sizeof *sender, shown, "sender_policy");
    words_move(answer, reply, sizeof reply / sizeof *reply, shown, "reply_policy");
}
