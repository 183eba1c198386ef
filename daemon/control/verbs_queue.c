/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs_queue.c - the queue as the operator sees and steers it. */
#include "daemon/base/clock.h"
#include "daemon/control/verbs_internal.h"

#include <string.h>

struct queue_walk {
    struct page page;
    const char *state; /* only this one; NULL: all */
    bool addresses;
};

static cJSON *item_object(const struct queue_item *item, bool addresses)
{
    cJSON *row = cJSON_CreateObject();

    add_text(row, "id", item->id);
    add_text(row, "state", queue_state_name(item->state));
    add_text(row, "direction", queue_direction_name(item->direction));
    add_text(row, "profile", item->profile);
    add_text(row, "hop", item->hop);
    if (addresses) {
        add_text(row, "mail_from", item->mail_from);
        add_text(row, "rcpt_to", item->rcpt_to);
    }
    add_number(row, "created", (double)item->created_s);
    add_number(row, "next_attempt", (double)item->next_attempt_s);
    add_number(row, "attempts", item->attempts);
    add_number(row, "size_bytes", (double)item->size_bytes);
    add_text(row, "last_result", item->last_result);
    if (item->finished_s) {
        add_number(row, "finished", (double)item->finished_s);
        add_text(row, "hop_id", item->hop_id);
    }
    if (item->reported_s)
        add_number(row, "reported", (double)item->reported_s);
    return row;
}

static enum err item_row(void *ctx, const struct queue_item *item)
{
    struct queue_walk *w = ctx;

    if (w->state && strcmp(w->state, queue_state_name(item->state)) != 0)
        return ERR_OK;
    if (!page_wants(&w->page))
        return ERR_OK;
    return page_row(&w->page, item_object(item, w->addresses));
}

enum err verb_queue_list(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct queue_walk w = {.state = verb_text(request, "state"),
                           .addresses = verb_flag(request, "addresses")};
    enum err e = page_begin(&w.page, request, answer);

    if (!e)
        e = queue_each(v->queue, w.addresses, item_row, &w);
    return page_end(&w.page, answer, e);
}

static enum err need_id(const cJSON *request, const char **out)
{
    enum err e = verb_need(request, "id", out);

    if (!e && !id_is_valid(*out))
        e = err_note(ERR_USAGE, "id", "not the id of a queue entry");
    return e;
}

enum err verb_queue_show(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct queue_item item;
    const char *id;
    enum err e = need_id(request, &id);

    if (!e)
        e = queue_show(v->queue, id, &item);
    if (!e)
        (void)cJSON_AddItemToObject(answer, "entry", item_object(&item, item.rcpt_to[0] != '\0'));
    return e;
}

/* Why an order to one entry changed nothing. */
static enum err explain(const struct relay_verbs *v, const char *id, enum queue_order order)
{
    static const char *const why[] = {
        [ORDER_HOLD] = "not waiting for delivery: nothing to hold",
        [ORDER_RELEASE] = "not held: nothing to release",
        [ORDER_RETRY] = "not waiting for delivery",
        [ORDER_DROP] = "gone already",
    };
    struct queue_item item;
    enum err e = queue_show(v->queue, id, &item);

    if (e)
        return e;
    return err_note(ERR_WRONG_STATE, "queue", "%s",
                    order == ORDER_RETRY && item.state == QUEUE_HELD ? "held: release it first"
                                                                     : why[order]);
}

/* One entry by "id", or with "all": true every one that is not being delivered. */
static enum err give_order(const struct relay_verbs *v, const cJSON *request,
                           enum queue_order order, cJSON *answer)
{
    bool all = verb_flag(request, "all");
    const char *id = NULL;
    size_t changed = 0;
    enum err e = all ? ERR_OK : need_id(request, &id);

    if (!e && all && order == ORDER_DROP)
        e = err_note(ERR_USAGE, "queue.drop", "drops one entry, never all");
    if (!e)
        e = queue_order(v->queue, id, order, clock_now_s(), &changed);
    if (e == ERR_WRONG_STATE)
        e = err_note(e, "queue", "being delivered now: try again in a moment");
    if (!e && id && changed == 0)
        e = explain(v, id, order);
    if (!e)
        add_number(answer, "changed", (double)changed);
    return e;
}

enum err verb_queue_hold(void *ctx, const cJSON *request, cJSON *answer)
{
    return give_order(ctx, request, ORDER_HOLD, answer);
}

enum err verb_queue_release(void *ctx, const cJSON *request, cJSON *answer)
{
    return give_order(ctx, request, ORDER_RELEASE, answer);
}

enum err verb_queue_retry(void *ctx, const cJSON *request, cJSON *answer)
{
    return give_order(ctx, request, ORDER_RETRY, answer);
}

enum err verb_queue_drop(void *ctx, const cJSON *request, cJSON *answer)
{
    return give_order(ctx, request, ORDER_DROP, answer);
}

enum err verb_queue_flush(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    size_t changed = 0;
    enum err e = queue_order(v->queue, NULL, ORDER_RETRY, clock_now_s(), &changed);

    (void)request;
    if (!e && v->runner)
        runner_forget_backoff(v->runner);
    if (!e)
        add_number(answer, "changed", (double)changed);
    return e;
}
