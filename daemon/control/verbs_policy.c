/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs_policy.c - what a profile wants done with doubtful senders, and asks of its user's replies;
 * shown and set. What is given is set together or not at all. */
#include "daemon/control/verbs_internal.h"
#include "daemon/store/reply_policy.h"
#include "daemon/store/sender_policy.h"

static const char *const sender_words[] = {"failing", "spam", "unchecked"};
static const char *const reply_words[] = {"reply_pass", "reply_signature", "plain", "onward"};

struct policies {
    struct sender_policy sender;
    struct reply_policy reply;
    bool sender_changed, reply_changed;
};

static enum err words_read(const cJSON *request, struct policies *p)
{
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < sizeof sender_words / sizeof *sender_words; i++) {
        const char *word = verb_text(request, sender_words[i]);

        p->sender_changed = p->sender_changed || word;
        e = word ? sender_policy_set_word(&p->sender, sender_words[i], word) : ERR_OK;
    }
    for (size_t i = 0; !e && i < sizeof reply_words / sizeof *reply_words; i++) {
        const char *word = verb_text(request, reply_words[i]);

        p->reply_changed = p->reply_changed || word;
        e = word ? reply_policy_set_word(&p->reply, reply_words[i], word) : ERR_OK;
    }
    return e ? e : reply_policy_check(&p->reply);
}

/* Sets what the request names. Only a profile that is there gets a policy. */
static enum err policy_change(const struct relay_verbs *v, const cJSON *request,
                              const char *profile, struct policies *p)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile found = {0};
    enum err e = words_read(request, p);

    if (e || !(p->sender_changed || p->reply_changed))
        return e;
    e = hsm_profile_get(v->hsm, profile, &found);
    if (!e && found.state == PROFILE_DELETED)
        e = err_note(ERR_WRONG_STATE, "profile", "is deleted");
    if (!e && p->sender_changed)
        e = store_policy_set(v->store, profile, &p->sender);
    if (!e && p->reply_changed)
        e = store_reply_policy_set(v->store, profile, &p->reply);
    return e;
}

enum err verb_profile_policy(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct policies p = {.sender_changed = false};
    const char *profile;
    enum err e = verb_need_profile(request, &profile);

    if (!e)
        e = store_policy_get(v->store, profile, &p.sender);
    if (!e)
        e = store_reply_policy_get(v->store, profile, &p.reply);
    if (!e)
        e = policy_change(v, request, profile, &p);
    if (e)
        return e;
    add_text(answer, "profile", profile);
    add_text(answer, "failing", failing_action_name(p.sender.failing));
    add_text(answer, "spam", spam_choice_name(p.sender.spam));
    add_text(answer, "unchecked", unchecked_action_name(p.sender.unchecked));
    add_text(answer, "reply_pass", reply_proof_name(p.reply.pass));
    add_text(answer, "reply_signature", reply_proof_name(p.reply.signature));
    add_text(answer, "plain", reply_plain_name(p.reply.plain));
    add_text(answer, "onward", onward_choice_name(p.reply.onward));
    return ERR_OK;
}
