/* SPDX-License-Identifier: GPL-3.0-or-later */
/* judge.c - put a message and its session to whoever judges senders. */
#include "daemon/flow/judge.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"

#include <strings.h>

static void verdict_log(const char *id, const struct sender_verdict *v, int64_t ms)
{
    bool lost = v->gap != VERDICT_CHECKED && v->gap != VERDICT_NOT_ASKED;

    log_event(lost ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "flow.verdict", id, ERR_OK, ms,
              "source=%s gap=%s dmarc=%s policy=%s spf=%s dkim=%s from=%s spam=%s",
              verdict_source_name(v->source), verdict_gap_name(v->gap), auth_result_name(v->dmarc),
              dmarc_policy_name(v->policy), auth_result_name(v->spf), auth_result_name(v->dkim),
              v->unclear ? "unclear" : "clear", spam_action_name(v->spam));
}

static enum err verdict_ask(struct forward *f, const struct receive_transaction *t,
                            struct bytes data, int64_t deadline_mono_ms, struct sender_verdict *out)
{
    CLEANUP(message_clear) struct message message = {0};
    CLEANUP(rewrite_parties_clear) struct rewrite_parties parties = {0};
    struct verdict_request request = {.id = t->id,
                                      .address = t->client.address,
                                      .name = t->client.name,
                                      .helo = t->client.helo,
                                      .mail_from = t->mail_from,
                                      .rcpts = t->rcpts,
                                      .n_rcpts = t->n_rcpts,
                                      .message = &message,
                                      .deadline_mono_ms = deadline_mono_ms};
    enum err e = message_parse(data, &message);

    if (!e)
        e = rewrite_parties_find(&message, f->relay_id, f->policy.domains, f->policy.n_domains,
                                 &parties);
    if (!e && failpoint("forward.judged"))
        e = ERR_BUSY;
    if (e)
        return e;
    request.from = parties.from.addr;
    request.from_many = parties.from_many;
    verdict_check(f->verdict, &request, out);
    return ERR_OK;
}

static void asked_log(const char *id, enum err e, const struct sender_verdict *v, int64_t start_ms,
                      size_t bytes)
{
    if (e)
        log_event(LOG_LEVEL_WARNING, "flow.verdict", id, e, -1, "bytes=%zu", bytes);
    else
        verdict_log(id, v, clock_mono_ms() - start_ms);
}

enum err judge_message(struct forward *f, const struct receive_transaction *t, struct bytes data,
                       int64_t deadline_mono_ms, struct sender_verdict *out)
{
    int64_t start_ms = clock_mono_ms();
    enum err e;

    err_note_clear();
    e = verdict_ask(f, t, data, deadline_mono_ms, out);
    asked_log(t->id, e, out, start_ms, data.len);
    return e;
}

enum err judge_reply(struct forward *f, const struct receive_transaction *t, struct bytes data,
                     int64_t deadline_mono_ms, struct sender_verdict *out)
{
    int64_t start_ms = clock_mono_ms();
    enum err e;

    err_note_clear();
    e = verdict_ask(f, t, data, deadline_mono_ms, out);
    if (err_class(e) == CLASS_PERM) {
        err_note_clear();
        *out = (struct sender_verdict){.gap = VERDICT_NOT_ASKED, .unclear = true};
        e = ERR_OK;
    }
    asked_log(t->id, e, out, start_ms, data.len);
    return e;
}

bool judge_is_users(const struct sender_verdict *verdict, const struct rewrite_parties *parties,
                    const struct hsm_profile *profile)
{
    if (!sender_verdict_aligned(verdict) || verdict->unclear || !parties->from.addr ||
        parties->from_many)
        return false;
    for (size_t i = 0; i < profile->n_addresses; i++)
        if (strcasecmp(parties->from.addr, profile->addresses[i]) == 0)
            return true;
    return false;
}
