/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lane.c - the table of lanes: made from the configured next hops, grown by strays, settled behind
 * each session. */
#include "daemon/deliver/lane.h"
#include "daemon/deliver/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_DEFAULT 4 /* to one next hop */

/* ---- the table ---- */

static enum err hop_copy(const struct hop *from, struct hop *to)
{
    if (!job_host_is_sane(from->host) || from->port == 0 ||
        (from->ca_file && from->ca_file[0] != '/') ||
        (from->domain[0] && !job_host_is_sane(from->domain)))
        return err_note(ERR_CONFIG, "next hop", "domain, host, port or CA file is wrong");
    *to = *from;
    to->domain = strdup(from->domain);
    to->host = strdup(from->host);
    to->ca_file = from->ca_file ? strdup(from->ca_file) : NULL;
    if (!to->sessions_max)
        to->sessions_max = SESSIONS_DEFAULT;
    if (!to->domain || !to->host || (from->ca_file && !to->ca_file))
        return err_note(ERR_NOMEM, "next hop", "out of memory");
    return ERR_OK;
}

enum err lane_table_init(struct lane_table *t, const struct hop *hops, size_t n,
                         size_t sessions_most)
{
    enum err e = ERR_OK;

    *t = (struct lane_table){0};
    if (n == 0 || n > sessions_most)
        return err_note(ERR_CONFIG, "next hop", "one at least, %zu at most", sessions_most);
    t->hops = calloc(n, sizeof *t->hops);
    t->lanes = calloc(n + LANE_STRAYS_MAX, sizeof *t->lanes);
    if (!t->hops || !t->lanes)
        return err_note(ERR_NOMEM, "next hop", "out of memory");
    for (size_t i = 0; !e && i < n; i++) {
        struct lane *l = &t->lanes[i];

        t->n_hops = t->n_lanes = i + 1;
        e = hop_copy(&hops[i], &t->hops[i]);
        *l = (struct lane){.hop = &t->hops[i], .sessions_max = t->hops[i].sessions_max};
        t->n_sessions += l->sessions_max;
        if (!e)
            (void)snprintf(l->key, sizeof l->key, "%s", t->hops[i].domain);
    }
    if (!e && t->n_sessions > sessions_most)
        e = err_note(ERR_CONFIG, "next hop", "over %zu sessions in all", sessions_most);
    return e;
}

void lane_table_clear(struct lane_table *t)
{
    for (size_t i = 0; i < t->n_hops; i++) {
        free((void *)(uintptr_t)t->hops[i].domain);
        free((void *)(uintptr_t)t->hops[i].host);
        free((void *)(uintptr_t)t->hops[i].ca_file);
    }
    free(t->lanes);
    free(t->hops);
    *t = (struct lane_table){0};
}

/* ---- a lane ---- */

struct lane *lane_find(const struct lane_table *t, const char *key)
{
    for (size_t i = 0; i < t->n_lanes; i++)
        if (strcmp(t->lanes[i].key, key) == 0)
            return &t->lanes[i];
    return NULL;
}

struct lane *lane_for(struct lane_table *t, const char *key)
{
    struct lane *l = lane_find(t, key);
    const struct hop *hop = l ? l->hop : hop_find(t->hops, t->n_hops, key);

    if (l)
        return l;
    if (!hop || t->n_lanes == t->n_hops + LANE_STRAYS_MAX)
        return NULL;
    l = &t->lanes[t->n_lanes++];
    *l = (struct lane){.hop = hop, .sessions_max = 1};
    (void)snprintf(l->key, sizeof l->key, "%s", key);
    return l;
}

bool lane_waits(const struct lane *l, int64_t now_s)
{
    return l->settled_s <= now_s && l->closed_until_s > now_s;
}

bool lane_closed(const struct lane *l, int64_t now_s)
{
    return l->active >= l->sessions_max || lane_waits(l, now_s);
}

void lane_settle(struct lane *l, const struct session_report *report, int64_t now_s)
{
    l->active--;
    l->settled_s = now_s;
    (void)snprintf(l->last_result, sizeof l->last_result, "%s", report->last_result);
    switch (report->health) {
    case HOP_GOOD:
        l->failures = 0;
        l->closed_until_s = 0;
        return;
    case HOP_BAD:
        l->failures++;
        l->closed_until_s = now_s + report->wait_s;
        return;
    case HOP_UNTRIED:
        l->closed_until_s = now_s + report->wait_s;
        return;
    }
}

void lane_table_forget(struct lane_table *t)
{
    for (size_t i = 0; i < t->n_lanes; i++) {
        t->lanes[i].failures = 0;
        t->lanes[i].closed_until_s = 0;
    }
}
