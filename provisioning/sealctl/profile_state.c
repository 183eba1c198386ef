/* SPDX-License-Identifier: GPL-3.0-or-later */
/* profile_state.c - a profile's changes of state, and its end. */
#include "provisioning/sealctl/commands.h"
#include "provisioning/sealctl/progress.h"

#include <stdio.h>
#include <string.h>

/* A call that takes a profile and answers nothing else. */
static enum err simple(struct session *s, const char *profile,
                       enum err (*call)(struct hsm *, const char *), const char *doing,
                       const char *line)
{
    struct hsm *hsm;
    enum err e = session_hsm(s, &hsm);

    progress_begin(doing);
    if (!e)
        e = call(hsm, profile);
    progress_end();
    if (!e)
        print_word(s, "profile", profile, line);
    return e;
}

static enum err tell_relay(struct session *s, const char *verb, const char *profile)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    cJSON *request = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(request, "profile", profile);
    return relay_call(s, verb, request, &answer);
}

enum err profile_activate_command(struct session *s, char **args)
{
    struct hsm *hsm;
    enum err e = session_hsm(s, &hsm);

    if (!e)
        e = hsm_profile_activate(hsm, args[0], args[1]);
    if (!e)
        print_word(s, "profile", args[0], "The profile is active.");
    /* Only sooner than by itself: the relay finds out what is active. */
    if (!e && tell_relay(s, "profile.activated", args[0]))
        err_note_clear();
    return e;
}

enum err profile_notify_command(struct session *s, char **args)
{
    enum err e = tell_relay(s, "profile.notify", args[0]);

    if (!e)
        print_word(s, "profile", args[0], "A new activation code goes to the mailbox, sealed.");
    return e;
}

enum err profile_nonce_command(struct session *s, char **args)
{
    char nonce[HSM_NONCE_LEN + 1];
    struct hsm *hsm;
    enum err e = session_hsm(s, &hsm);

    if (!e)
        e = hsm_profile_nonce(hsm, args[0], nonce);
    if (!e)
        print_word(s, "nonce", nonce, nonce);
    return e;
}

enum err profile_suspend_command(struct session *s, char **args)
{
    return simple(s, args[0], hsm_suspend, "suspending", "The profile is suspended.");
}

/* The relay first: it sends no code to a mailbox that bounced, and begins to count anew. */
enum err profile_resume_command(struct session *s, char **args)
{
    enum err e = tell_relay(s, "profile.resumed", args[0]);

    return e ? e
             : simple(s, args[0], hsm_profile_resume, "resuming",
                      "The profile is ready; it takes mail once activated with a new code.");
}

enum err profile_rekey_command(struct session *s, char **args)
{
    return simple(s, args[0], hsm_profile_rekey, "making a key-encryption key",
                  "New sender keys lie under a new key-encryption key.");
}

/* Why the relay suspended it, where it did. */
void profile_suspension_add(struct session *s, const char *profile, cJSON *shown)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(shown, "state"));
    cJSON *request;

    if (!state || strcmp(state, "suspended") != 0)
        return;
    request = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(request, "profile", profile);
    if (relay_call(s, "profile.suspension", request, &answer)) {
        err_note_clear(); /* by the operator, or the relay does not answer */
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(answer, "ok");
    (void)cJSON_AddStringToObject(answer, "reason", "its mailbox bounces");
    (void)cJSON_AddItemToObject(shown, "suspended_for", answer);
    answer = NULL;
}

/* The key service first: once its keys are gone, nothing that the relay keeps is of any use. Run
 * again it finds the profile deleted and tells the relay once more. */
enum err profile_delete_command(struct session *s, char **args)
{
    CLEANUP(buf_clear) struct buf question = {0};
    struct hsm *hsm;
    enum err e;

    buf_printf(
        &question,
        "Delete profile %s? Its keys are destroyed: replies to old mail of this profile\n"
        "can then never be opened by the relay. Copies of the token made before keep them.\n",
        args[0]);
    e = session_confirm(s, buf_str(&question));
    if (!e)
        e = session_hsm(s, &hsm);
    progress_begin("destroying keys");
    if (!e)
        e = hsm_profile_delete(hsm, args[0]);
    progress_end();
    if (e)
        return e;
    e = tell_relay(s, "profile.forget", args[0]);
    if (e)
        (void)fputs("sealctl: the profile is deleted, but the relay was not told; run this again "
                    "when it answers\n",
                    stderr);
    else
        print_word(s, "profile", args[0], "The profile is deleted.");
    return e;
}
