/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs_policy.c - what a profile wants done with doubtful senders, shown and set. */
#include "daemon/control/verbs_internal.h"
#include "daemon/store/sender_policy.h"

static const char *const words[] = {"failing", "spam", "unchecked"};

/* Sets what the request names. Only a profile that is there gets a policy. */
static enum err policy_change(const struct relay_verbs *v, const cJSON *request,
                              const char *profile, struct sender_policy *p)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile found = {0};
    bool changed = false;
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < sizeof words / sizeof *words; i++) {
        const char *word = verb_text(request, words[i]);

        if (!word)
            continue;
        changed = true;
        e = sender_policy_set_word(p, words[i], word);
    }
    if (e || !changed)
        return e;
    e = hsm_profile_get(v->hsm, profile, &found);
    if (!e && found.state == PROFILE_DELETED)
        e = err_note(ERR_WRONG_STATE, "profile", "is deleted");
    return e ? e : store_policy_set(v->store, profile, p);
}

enum err verb_profile_policy(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct sender_policy p;
    const char *profile;
    enum err e = verb_need_profile(request, &profile);

    if (!e)
        e = store_policy_get(v->store, profile, &p);
    if (!e)
        e = policy_change(v, request, profile, &p);
    if (e)
        return e;
    add_text(answer, "profile", profile);
    add_text(answer, "failing", failing_action_name(p.failing));
    add_text(answer, "spam", spam_choice_name(p.spam));
    add_text(answer, "unchecked", unchecked_action_name(p.unchecked));
    return ERR_OK;
}
