/* SPDX-License-Identifier: GPL-3.0-or-later */
/* handler.c - where a receive session meets the flow: recipients are routed as they are named,
 * a message is sealed for each of them, and all become durable in one commit before any 250.
 *
 * SMTP has one answer for all recipients, so all or none are taken; LMTP has one for each. In front
 * of LMTP stands a queue that has taken the message already: what SMTP refuses for good is dropped
 * there and counted, for a bounce would carry the content to a sender who may be forged.
 *
 * A transaction is for aliases or for return paths, never for both; an answer to a user's reply
 * becomes one for an alias. One that names a reverse alias is a user's reply, and the user's own
 * aliases in it are dropped. */
#include "daemon/flow/handler.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/flow/judge.h"
#include "daemon/flow/replied.h"
#include "daemon/flow/returned.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A message as it came in, judged. */
struct arrival {
    struct bytes data;
    int64_t deadline_mono_ms;
    struct sender_verdict verdict;
};

/* One recipient's entry on its way into the queue. */
struct entry {
    enum err result;
    bool duplicate; /* the same alias was named before; it shares that answer */
    size_t same_as;
    struct queue_writer *writer;
};

static enum err routes_add(struct receive_transaction *t, const struct policy_route *route)
{
    struct routes *r = t->handler_data;
    struct policy_route *grown;

    if (!r) {
        r = calloc(1, sizeof *r);
        if (!r)
            return ERR_NOMEM;
        t->handler_data = r;
    }
    grown = realloc(r->items, (r->n + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    r->items = grown;
    grown[r->n++] = *route;
    return ERR_OK;
}

static enum err find_route(struct forward *f, const char *address, struct policy_route *out)
{
    return atomic_load(f->draining) ? ERR_BUSY
                                    : policy_recipient(&f->policy, address, clock_now_s(), out);
}

/* May the two be recipients of one transaction? SMTP has one answer for all of them, so they are of
 * one user; and whether two aliases are one user's is nobody's business, so of one alias, unless a
 * reverse alias says that the user is writing. In either protocol a message is a report or not, and
 * a reply or not: a reply and an alias of its own user is a reply. */
static bool go_together(enum receive_protocol protocol, bool users, const struct policy_route *a,
                        const struct policy_route *b)
{
    if (a->kind == POLICY_RETURN_PATH || b->kind == POLICY_RETURN_PATH)
        return a->kind == b->kind && strcmp(a->returned, b->returned) == 0;
    if (protocol != RECEIVE_SMTP && a->kind == b->kind)
        return true;
    return users ? strcmp(a->alias.user, b->alias.user) == 0 : a->alias.id == b->alias.id;
}

static bool goes_with_all(const struct receive_transaction *t, const struct policy_route *route)
{
    const struct routes *r = t->handler_data;
    bool users = route->kind == POLICY_REVERSE;

    for (size_t i = 0; r && i < r->n; i++)
        users = users || r->items[i].kind == POLICY_REVERSE;
    for (size_t i = 0; r && i < r->n; i++)
        if (!go_together(t->protocol, users, &r->items[i], route))
            return false;
    return true;
}

static bool is_reply(const struct routes *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (policy_is_reply(r->items[i].kind))
            return true;
    return false;
}

/* A front asks before it takes a message from a stranger. */
static enum err on_lookup(void *ctx, const char *address)
{
    struct policy_route route;
    enum err e;

    err_note_clear();
    e = find_route(ctx, address, &route);
    if (e)
        log_event(err_class(e) == CLASS_PERM ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "receive.lookup",
                  "-", e, -1, "no recipient");
    return e;
}

static struct reply on_rcpt(void *ctx, struct receive_transaction *t, const char *address)
{
    struct forward *f = ctx;
    struct policy_route route;
    enum err e;

    err_note_clear();
    e = find_route(f, address, &route);
    if (!e && !goes_with_all(t, &route))
        e = ERR_OTHER_PROFILE;
    if (!e)
        e = routes_add(t, &route);
    if (e)
        log_event(err_class(e) == CLASS_PERM ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "receive.rcpt",
                  t->id, e, -1, "peer=%s", t->peer);
    return reply_of(e);
}

/* Only what is wrong with the message itself, or with its recipient, is refused for good. The same
 * word from store or key service is a fault of ours: the sender shall try again. */
static bool is_refusal(enum err e)
{
    static const enum err refusals[] = {
        ERR_NO_ALIAS, ERR_TOO_BIG, ERR_BARE_LINE,     ERR_TWO_FROM,   ERR_HEADER,   ERR_HOPS,
        ERR_LOOP,     ERR_SPAM,    ERR_SENDER_FAILED, ERR_NOT_REPORT, ERR_UNPROVEN, ERR_REPLY};

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (refusals[i] == e)
            return true;
    return false;
}

struct reply forward_answer(enum err e)
{
    return reply_of(err_class(e) != CLASS_PERM || is_refusal(e) ? e : ERR_BUG);
}

struct reply handler_answer(struct forward *f, const struct receive_transaction *t, enum err e,
                            size_t n_rcpts)
{
    struct reply answer = forward_answer(e);

    if (answer.code < 500 || t->protocol != RECEIVE_LMTP)
        return answer;
    atomic_fetch_add(&f->dropped, n_rcpts);
    log_event(LOG_LEVEL_WARNING, "flow.drop", t->id, e, -1, "peer=%s", t->peer);
    return reply_of(ERR_OK);
}

/* A reverse alias has one answer to whatever proves nothing, and one line in the log. */
static struct reply on_refused(void *ctx, struct receive_transaction *t, enum err why)
{
    const struct routes *r = t->handler_data;

    if (r && is_reply(r) && err_class(why) == CLASS_PERM) {
        why = ERR_UNPROVEN;
        err_note_clear();
        log_event(LOG_LEVEL_WARNING, "flow.reply", t->id, why, -1, "%s", "");
    }
    return handler_answer(ctx, t, why, t->n_rcpts);
}

size_t routes_first(const struct routes *r, size_t i)
{
    size_t first = 0;

    while (strcmp(r->items[first].address, r->items[i].address) != 0)
        first++;
    return first;
}

static enum err seal_one(struct forward *f, const struct receive_transaction *t,
                         const struct arrival *a, size_t i, struct entry *out)
{
    const struct routes *r = t->handler_data;
    id_text queue_id;
    struct forward_job job = {.id = t->id,
                              .mail_from = t->mail_from,
                              .route = &r->items[i],
                              .verdict = &a->verdict,
                              .data = a->data,
                              .now_s = clock_now_s(),
                              .deadline_mono_ms = a->deadline_mono_ms};
    int64_t start = clock_mono_ms();
    enum err e = ERR_OK;

    memcpy(queue_id, t->id, sizeof queue_id);
    if (i > 0)
        e = id_new(queue_id);
    job.queue_id = queue_id;
    err_note_clear();
    if (!e)
        e = forward_message(f, &job, &out->writer);
    log_event(e ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "flow.forward", t->id, e,
              clock_mono_ms() - start, "entry=%s bytes=%zu", queue_id, a->data.len);
    return e;
}

/* Commit all that was sealed; after this a 250 is safe. */
static void commit_all(struct forward *f, const char *id, struct entry *entries, size_t n)
{
    struct queue_writer **batch = calloc(n, sizeof *batch);
    size_t n_batch = 0;
    enum err e;

    for (size_t i = 0; i < n; i++) {
        if (!entries[i].writer)
            continue;
        if (batch)
            batch[n_batch++] = entries[i].writer;
        else
            queue_abort(entries[i].writer);
    }
    e = !batch ? ERR_NOMEM : n_batch ? queue_commit(f->queue, batch, n_batch) : ERR_OK;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].writer && e)
            entries[i].result = e;
        entries[i].writer = NULL;
    }
    free(batch);
    if (e)
        log_event(LOG_LEVEL_ERROR, "flow.commit", id, e, -1, "entries=%zu", n_batch);
    if (failpoint("forward.committed"))
        return;
}

static void abort_all(struct entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        queue_abort(entries[i].writer);
        entries[i].writer = NULL;
    }
}

/* A message for return paths, no answer: what it says of each is dealt with and not forwarded. */
static void take_reports(struct forward *f, const struct receive_transaction *t, struct bytes data,
                         struct reply *replies)
{
    const struct routes *r = t->handler_data;
    enum err worst = ERR_OK;

    for (size_t i = 0; i < r->n; i++) {
        enum err e;

        err_note_clear();
        e = returned_take(f, t, r->items[i].returned, data);
        worst = e ? e : worst;
        if (t->protocol == RECEIVE_LMTP)
            replies[i] = handler_answer(f, t, e, 1);
    }
    if (t->protocol == RECEIVE_SMTP)
        replies[0] = handler_answer(f, t, worst, r->n);
}

static bool names_one(const struct routes *r)
{
    for (size_t i = 1; i < r->n; i++)
        if (routes_first(r, i) != 0)
            return false;
    return true;
}

/* Whoever answers writes to one return path. False: it is dealt with. */
static bool is_answer(struct forward *f, const struct receive_transaction *t, struct bytes data,
                      struct reply *replies)
{
    const struct routes *r = t->handler_data;
    id_text about;
    enum err e = ERR_NOT_FOUND;

    memcpy(about, r->items[0].returned, sizeof about);
    err_note_clear();
    if (names_one(r))
        e = returned_answer(f, data, &r->items[0]);
    if (e == ERR_NOT_FOUND) {
        take_reports(f, t, data, replies);
        return false;
    }
    log_event(e ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "flow.answer", t->id, e, -1, "about=%s",
              about);
    for (size_t i = 0; e && i < (t->protocol == RECEIVE_LMTP ? r->n : 1); i++)
        replies[i] = handler_answer(f, t, e, 1);
    for (size_t i = 1; !e && i < r->n; i++)
        r->items[i] = r->items[0];
    return !e;
}

static void on_message(void *ctx, struct receive_transaction *t, struct bytes data,
                       int64_t deadline_mono_ms, struct reply *replies)
{
    struct forward *f = ctx;
    const struct routes *r = t->handler_data;
    size_t n = r ? r->n : 0;
    struct entry *entries = n ? calloc(n, sizeof *entries) : NULL;
    bool all_or_none = t->protocol == RECEIVE_SMTP;
    struct arrival arrival = {.data = data, .deadline_mono_ms = deadline_mono_ms};
    enum err worst = ERR_OK;
    enum err judged;

    if (n && r->items[0].kind == POLICY_RETURN_PATH && !is_answer(f, t, data, replies)) {
        free(entries);
        return;
    }
    if (n && is_reply(r)) {
        free(entries);
        replied_take(f, t, data, deadline_mono_ms, replies);
        return;
    }
    if (!entries) {
        for (size_t i = 0; i < (all_or_none ? 1 : t->n_rcpts); i++)
            replies[i] = reply_of(n ? ERR_NOMEM : ERR_BUG);
        return;
    }
    judged = judge_message(f, t, data, deadline_mono_ms, &arrival.verdict);
    for (size_t i = 0; i < n && !(all_or_none && worst); i++) {
        entries[i].same_as = routes_first(r, i);
        entries[i].duplicate = entries[i].same_as != i;
        if (!entries[i].duplicate)
            entries[i].result = judged ? judged : seal_one(f, t, &arrival, i, &entries[i]);
        if (entries[i].result)
            worst = entries[i].result;
    }
    if (all_or_none && worst)
        abort_all(entries, n);
    else
        commit_all(f, t->id, entries, n);
    if (r->items[0].return_path[0] && !entries[0].result)
        atomic_fetch_add(&f->counters[FORWARD_ANSWER].n, 1);
    for (size_t i = 0; i < n; i++) {
        enum err e = entries[entries[i].duplicate ? entries[i].same_as : i].result;

        if (e)
            worst = e;
        if (!all_or_none)
            replies[i] = handler_answer(f, t, e, 1);
    }
    if (all_or_none)
        replies[0] = handler_answer(f, t, worst, n);
    free(entries);
}

static void on_end(void *ctx, struct receive_transaction *t)
{
    struct routes *r = t->handler_data;

    (void)ctx;
    if (!r)
        return;
    free(r->items);
    free(r);
    t->handler_data = NULL;
}

void forward_counters_name(struct forward *f)
{
    static const char *const names[FORWARD_COUNTERS] = {
        [FORWARD_REPORT_FAILED] = "failed",    [FORWARD_REPORT_DELAYED] = "delayed",
        [FORWARD_REPORT_PASSED] = "passed",    [FORWARD_REPORT_UNPARSED] = "unparsed",
        [FORWARD_AUTO_REPLY] = "auto_replies", [FORWARD_ANSWER] = "answers",
        [FORWARD_NOT_REPORT] = "refused",      [FORWARD_TOLD] = "senders_told",
        [FORWARD_UNTOLD] = "senders_not_told",
    };

    for (size_t i = 0; i < FORWARD_COUNTERS; i++)
        f->counters[i].name = names[i];
}

struct receive_handler forward_handler(struct forward *f)
{
    return (struct receive_handler){.ctx = f,
                                    .rcpt = on_rcpt,
                                    .lookup = on_lookup,
                                    .message = on_message,
                                    .end = on_end,
                                    .refused = on_refused};
}
