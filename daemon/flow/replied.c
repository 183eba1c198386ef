/* SPDX-License-Identifier: GPL-3.0-or-later */
/* replied.c - judge a user's message once, make one of it for each correspondent, commit them. */
#include "daemon/flow/replied.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/flow/judge.h"
#include "daemon/flow/reply.h"

#include <stdlib.h>
#include <string.h>

/* One recipient's. */
struct answer {
    enum err result;
    struct reply_made made;
};

/* A message and its session, judged. */
struct arrival {
    const struct receive_transaction *t;
    struct bytes data;
    int64_t deadline_mono_ms;
    struct sender_verdict verdict;
    id_text *made; /* their entries */
    size_t n_made;
};

static enum err reply_one(struct forward *f, struct arrival *a, size_t i, struct reply_made *out)
{
    const struct routes *r = a->t->handler_data;
    id_text queue_id;
    struct forward_job job = {.id = a->t->id,
                              .queue_id = queue_id,
                              .mail_from = a->t->mail_from,
                              .route = &r->items[i],
                              .verdict = &a->verdict,
                              .data = a->data,
                              .now_s = clock_now_s(),
                              .deadline_mono_ms = a->deadline_mono_ms,
                              .siblings = (const id_text *)a->made,
                              .n_siblings = a->n_made,
                              .drops = a->t->protocol == RECEIVE_LMTP};
    int64_t start = clock_mono_ms();
    enum err e = ERR_OK;

    memcpy(queue_id, a->t->id, sizeof queue_id);
    if (i > 0)
        e = id_new(queue_id);
    err_note_clear();
    if (!e)
        e = reply_message(f, &job, out);
    if (!e && out->claimed)
        memcpy(a->made[a->n_made++], queue_id, sizeof queue_id);
    log_event(e ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "flow.reply", a->t->id, e,
              clock_mono_ms() - start, "entry=%s bytes=%zu%s%s", queue_id, a->data.len,
              !e && out->encrypted ? " encrypted=1" : "", e || out->writer ? "" : " repeat=1");
    return e;
}

/* ERR_OK: go on; else the answer for everybody. */
static enum err make_all(struct forward *f, struct arrival *a, bool all_or_none,
                         struct answer *answers)
{
    const struct routes *r = a->t->handler_data;
    enum err judged = judge_reply(f, a->t, a->data, a->deadline_mono_ms, &a->verdict);
    enum err worst = ERR_OK;

    for (size_t i = 0; i < r->n && !(all_or_none && worst); i++) {
        if (!policy_is_reply(r->items[i].kind) || routes_first(r, i) != i)
            continue;
        answers[i].result = judged ? judged : reply_one(f, a, i, &answers[i].made);
        worst = answers[i].result ? answers[i].result : worst;
    }
    return all_or_none ? worst : ERR_OK;
}

static enum err commit_all(struct forward *f, const char *id, struct answer *answers, size_t n)
{
    struct reply_made **made = calloc(n, sizeof(struct reply_made *));
    size_t n_made = 0;
    enum err e = made ? ERR_OK : ERR_NOMEM;

    for (size_t i = 0; i < n; i++) {
        if (!made)
            reply_abort(f, &answers[i].made);
        else if (!answers[i].result && answers[i].made.claimed)
            made[n_made++] = &answers[i].made;
    }
    if (made)
        e = reply_commit(f, id, made, n_made);
    free(made);
    if (!e && failpoint("reply.settled"))
        e = ERR_OK;
    for (size_t i = 0; e && i < n; i++)
        answers[i].result = answers[i].result ? answers[i].result : e;
    return e;
}

void replied_take(struct forward *f, const struct receive_transaction *t, struct bytes data,
                  int64_t deadline_mono_ms, struct reply *replies)
{
    const struct routes *r = t->handler_data;
    bool all_or_none = t->protocol == RECEIVE_SMTP;
    struct answer *answers = calloc(r->n, sizeof *answers);
    struct arrival *arrival = calloc(1, sizeof *arrival);
    id_text *made = calloc(r->n, sizeof *made);
    enum err e = answers && arrival && made ? ERR_OK : ERR_NOMEM;

    if (!e) {
        *arrival = (struct arrival){
            .t = t, .data = data, .deadline_mono_ms = deadline_mono_ms, .made = made};
        e = make_all(f, arrival, all_or_none, answers);
        if (!e)
            e = commit_all(f, t->id, answers, r->n);
        else
            for (size_t i = 0; i < r->n; i++)
                reply_abort(f, &answers[i].made);
    }
    if (all_or_none)
        replies[0] = handler_answer(f, t, e, r->n);
    for (size_t i = 0; !all_or_none && i < r->n; i++)
        replies[i] = handler_answer(f, t, answers ? answers[routes_first(r, i)].result : e, 1);
    free(made);
    free(arrival);
    free(answers);
}
