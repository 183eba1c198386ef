/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs_bounce.c - what failed for good, here or behind the next hop: the operator's alarms. */
#include "daemon/control/verbs_internal.h"
#include "daemon/store/bounce.h"
#include "daemon/store/greeting.h"

#define FAILURES_TOLD 5 /* the latest; the rest is in the list of the queue */

/* What the operator should look at: messages that failed, here or behind the next hop. */
static enum err add_failures(const struct relay_verbs *v, cJSON *answer)
{
    struct queue_item items[FAILURES_TOLD];
    cJSON *list = cJSON_AddArrayToObject(answer, "failures");
    size_t n = 0;
    enum err e = queue_failures(v->queue, items, FAILURES_TOLD, &n);

    for (size_t i = 0; !e && i < n; i++) {
        cJSON *row = cJSON_CreateObject();

        add_text(row, "id", items[i].id);
        add_text(row, "profile", items[i].profile);
        add_number(row, "failed_at",
                   (double)(items[i].reported_s ? items[i].reported_s : items[i].finished_s));
        add_text(row, "result", items[i].last_result);
        (void)cJSON_AddItemToArray(list, row);
    }
    return e;
}

/* Reports and answers that came back, and how many senders were told. */
static void add_returned(const struct relay_verbs *v, cJSON *answer)
{
    cJSON *returned = cJSON_AddObjectToObject(answer, "returned");

    for (size_t i = 0; i < v->n_returned; i++)
        add_number(returned, v->returned[i].name, (double)atomic_load(&v->returned[i].n));
}

static enum err suspension_row(void *list, const struct store_suspension *s)
{
    cJSON *row = cJSON_CreateObject();

    add_text(row, "profile", s->profile);
    add_number(row, "suspended_at", (double)s->at_s);
    add_number(row, "bounces", s->bounces);
    return cJSON_AddItemToArray(list, row) ? ERR_OK : ERR_NOMEM;
}

enum err add_bounces(const struct relay_verbs *v, cJSON *answer)
{
    enum err e = add_failures(v, answer);

    add_returned(v, answer);
    return e ? e
             : store_suspension_each(v->store, suspension_row,
                                     cJSON_AddArrayToObject(answer, "suspensions"));
}

enum err verb_profile_suspension(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct store_suspension s;
    const char *profile;
    enum err e = verb_need_profile(request, &profile);

    if (!e)
        e = store_suspension_get(v->store, profile, &s);
    if (e)
        return e;
    add_number(answer, "suspended_at", (double)s.at_s);
    add_number(answer, "bounces", s.bounces);
    return ERR_OK;
}

/* Its next activation is greeted like the first. */
static enum err greeting_renew(const struct relay_verbs *v, const char *profile)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};
    enum err e = hsm_profile_get(v->hsm, profile, &p);

    return e || p.state == PROFILE_ACTIVE ? e : store_greeting_clear_profile(v->store, profile);
}

enum err verb_profile_resumed(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    const char *profile;
    enum err e = verb_need_profile(request, &profile);

    (void)answer;
    if (!e)
        e = greeting_renew(v, profile);
    return e ? e : store_suspension_clear(v->store, profile);
}
