/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs.c - the table of verbs, and those about the relay as a whole. */
#include "daemon/control/verbs.h"
#include "daemon/base/clock.h"
#include "daemon/control/verbs_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOPS_SHOWN_MAX 160 /* next hops in a status; an answer is one packet */

static enum err add_queue(const struct relay_verbs *v, cJSON *answer)
{
    struct queue_counts counts = {0};
    cJSON *queue = cJSON_AddObjectToObject(answer, "queue");
    enum err e = queue_count(v->queue, &counts);

    if (e)
        return e;
    add_number(queue, "ready", (double)counts.ready);
    add_number(queue, "active", (double)counts.active);
    add_number(queue, "held", (double)counts.held);
    add_number(queue, "failed", (double)counts.failed);
    add_number(queue, "bytes", (double)counts.bytes);
    add_number(queue, "oldest", (double)counts.oldest_s);
    add_number(queue, "failures", (double)counts.failures);
    return ERR_OK;
}

static void add_receive(const struct relay_verbs *v, cJSON *answer)
{
    struct receive_stats stats = {0};
    cJSON *receive = cJSON_AddObjectToObject(answer, "receive");

    receive_stats_get(v->receive, &stats);
    add_number(receive, "connections", (double)stats.connections);
    add_number(receive, "connections_now", (double)stats.connections_now);
    add_number(receive, "accepted", (double)stats.accepted);
    add_number(receive, "refused_perm", (double)stats.refused_perm);
    add_number(receive, "refused_temp", (double)stats.refused_temp);
    add_number(receive, "dropped", v->dropped ? (double)atomic_load(v->dropped) : 0);
    add_number(receive, "memory_now_bytes", (double)stats.memory_now_bytes);
}

static cJSON *hop_object(const struct runner_hop *hop, int64_t now_s)
{
    cJSON *row = cJSON_CreateObject();

    add_text(row, "domain", hop->domain[0] ? hop->domain : "default");
    add_text(row, "host", hop->host);
    add_number(row, "port", hop->port);
    add_number(row, "sessions", hop->sessions);
    add_number(row, "sessions_max", hop->sessions_max);
    add_number(row, "failures", hop->failures);
    add_number(row, "backing_off_until",
               hop->closed_until_s > now_s ? (double)hop->closed_until_s : 0);
    add_number(row, "last_session", (double)hop->last_s);
    add_text(row, "last_result", hop->last_result);
    return row;
}

static enum err add_hops(const struct relay_verbs *v, cJSON *answer)
{
    cJSON *rows = cJSON_AddArrayToObject(answer, "next_hops");
    struct runner_hop *hops = calloc(HOPS_SHOWN_MAX, sizeof *hops);
    size_t n = hops ? runner_hops(v->runner, hops, HOPS_SHOWN_MAX) : 0;
    int64_t now_s = clock_now_s();

    for (size_t i = 0; i < n; i++)
        (void)cJSON_AddItemToArray(rows, hop_object(&hops[i], now_s));
    free(hops);
    return hops ? ERR_OK : err_note(ERR_NOMEM, "status", "out of memory");
}

static void add_verdict(const struct relay_verbs *v, cJSON *answer)
{
    struct verdict_stats stats = {0};
    cJSON *verdict = cJSON_AddObjectToObject(answer, "verdict");

    verdict_stats_get(v->verdict, &stats);
    add_text(verdict, "source", verdict_source_name(stats.source));
    add_number(verdict, "checked", (double)stats.checked);
    add_number(verdict, "unchecked", (double)stats.unchecked);
    if (stats.checked + stats.unchecked)
        add_text(verdict, "last", verdict_gap_name(stats.last));
}

/* Does the user have both addresses that RFC 2142 asks for, in every relay domain? */
static bool has_role_addresses(const struct relay_verbs *v, const char *user)
{
    static const char *const locals[] = {"postmaster", "abuse"};
    struct store_alias alias;
    address_text address;

    for (size_t i = 0; i < 2 * v->n_domains; i++)
        if (snprintf(address, sizeof address, "%s@%s", locals[i % 2], v->domains[i / 2]) >=
                (int)sizeof address ||
            store_alias_find(v->store, address, &alias) || alias.catch_all ||
            strcmp(alias.user, user) != 0)
            return false;
    return true;
}

/* Does anybody read mail to postmaster? "active", or what is missing. */
static const char *operator_state(const struct relay_verbs *v)
{
    CLEANUP(store_user_clear) struct store_user user = {0};
    struct hsm_profile profile = {0};
    enum err e;

    if (!v->operator_user)
        return "no operator configured";
    if (store_user_find(v->store, v->operator_user, &user))
        return "operator's user is missing";
    e = hsm_user_profile(v->hsm, user.user, &profile);
    hsm_profile_clear(&profile);
    if (e)
        return e == ERR_NOT_ACTIVE ? "no active profile" : "unknown";
    return has_role_addresses(v, user.user) ? "active" : "postmaster@ or abuse@ has no alias";
}

static enum err verb_status(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    cJSON *domains = cJSON_AddArrayToObject(answer, "domains");
    enum err hsm = hsm_ping(v->hsm);
    enum err e;

    (void)request;
    add_number(answer, "uptime_s", (double)(clock_now_s() - v->started_s));
    (void)cJSON_AddBoolToObject(answer, "draining", atomic_load(v->draining));
    for (size_t i = 0; i < v->n_domains; i++)
        (void)cJSON_AddItemToArray(domains, cJSON_CreateString(v->domains[i]));
    add_text(answer, "key_service", hsm ? err_name(hsm) : "ready");
    add_text(answer, "postmaster", hsm ? "unknown" : operator_state(v));
    err_note_clear(); /* what is away is part of the answer, not a failure of it */
    if (v->receive)
        add_receive(v, answer);
    if (v->verdict)
        add_verdict(v, answer);
    e = add_queue(v, answer);
    e = e ? e : add_bounces(v, answer);
    return e || !v->runner ? e : add_hops(v, answer);
}

static enum err verb_drain_status(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct queue_counts counts = {0};
    enum err e = queue_count(v->queue, &counts);

    (void)request;
    if (e)
        return e;
    (void)cJSON_AddBoolToObject(answer, "draining", atomic_load(v->draining));
    add_number(answer, "waiting", (double)(counts.ready + counts.active));
    add_number(answer, "held", (double)counts.held);
    add_number(answer, "failed", (double)counts.failed);
    (void)cJSON_AddBoolToObject(answer, "empty", counts.ready + counts.active == 0);
    return ERR_OK;
}

static enum err verb_drain_start(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;

    atomic_store(v->draining, true);
    if (v->runner)
        runner_forget_backoff(v->runner);
    return verb_drain_status(ctx, request, answer);
}

static enum err verb_drain_stop(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;

    atomic_store(v->draining, false);
    return verb_drain_status(ctx, request, answer);
}

enum err verb_need_profile(const cJSON *request, const char **out)
{
    enum err e = verb_need(request, "profile", out);

    if (!e && !id_is_valid(*out))
        e = err_note(ERR_USAGE, "profile", "not an id");
    return e;
}

static enum err verb_profile_notify(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    const char *profile;
    enum err e = verb_need_profile(request, &profile);

    (void)answer;
    if (e)
        return e;
    if (!v->profile_notify)
        return err_note(ERR_WRONG_STATE, "profile.notify", "this relay sends no notices");
    return v->profile_notify(v->flow, profile);
}

static enum err verb_profile_keys(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    const char *profile;
    enum err e = verb_need_profile(request, &profile);

    (void)answer;
    if (e)
        return e;
    return v->keys_notify
               ? v->keys_notify(v->flow, profile)
               : err_note(ERR_WRONG_STATE, "profile.keys", "this relay sends no notices");
}

static enum err verb_profile_activated(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    const char *profile;
    enum err e = verb_need_profile(request, &profile);

    (void)answer;
    if (!e && v->profile_greet)
        v->profile_greet(v->greet);
    return e;
}

static enum err verb_profile_forget(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    const char *profile;
    enum err e = verb_need_profile(request, &profile);

    (void)answer;
    if (!e && v->profile_forget)
        e = v->profile_forget(v->flow, profile);
    return e ? e : store_profile_forget(v->store, profile);
}

const struct control_verb relay_verbs[] = {
    {"user.add", verb_user_add},
    {"user.list", verb_user_list},
    {"alias.add", verb_alias_add},
    {"alias.remove", verb_alias_remove},
    {"alias.list", verb_alias_list},
    {"correspondent.list", verb_correspondent_list},
    {"correspondent.show", verb_correspondent_show},
    {"correspondent.import", verb_correspondent_import},
    {"correspondent.forget", verb_correspondent_forget},
    {"correspondent.add", verb_correspondent_add},
    {"queue.list", verb_queue_list},
    {"queue.show", verb_queue_show},
    {"queue.hold", verb_queue_hold},
    {"queue.release", verb_queue_release},
    {"queue.retry", verb_queue_retry},
    {"queue.flush", verb_queue_flush},
    {"queue.drop", verb_queue_drop},
    {"message.test", verb_message_test},
    {"drain.start", verb_drain_start},
    {"drain.stop", verb_drain_stop},
    {"drain.status", verb_drain_status},
    {"profile.notify", verb_profile_notify},
    {"profile.keys", verb_profile_keys},
    {"profile.activated", verb_profile_activated},
    {"profile.forget", verb_profile_forget},
    {"profile.policy", verb_profile_policy},
    {"profile.suspension", verb_profile_suspension},
    {"profile.resumed", verb_profile_resumed},
    {"status", verb_status},
};
const size_t n_relay_verbs = sizeof relay_verbs / sizeof *relay_verbs;
