/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial.c - a message from a file on the way that strangers' messages take. */
#include "daemon/flow/trial.h"
#include "daemon/base/clock.h"
#include "daemon/flow/judge.h"
#include "daemon/message/address.h"

/* What a receive session would have refused at the end of data. */
static enum err check_message(const struct trial *t)
{
    const uint8_t *data = t->message.data;

    if (t->message.len > t->max_bytes)
        return err_note(ERR_TOO_BIG, "trial", "over message_size");
    for (size_t i = 0; i < t->message.len; i++) {
        bool after_cr = i > 0 && data[i - 1] == '\r';
        bool before_lf = i + 1 < t->message.len && data[i + 1] == '\n';

        if (data[i] == '\0' || (data[i] == '\n' && !after_cr) || (data[i] == '\r' && !before_lf))
            return err_note(ERR_BARE_LINE, "trial", "byte %zu", i);
    }
    return ERR_OK;
}

static enum err find_recipient(struct forward *f, const struct trial *t, struct policy_route *out)
{
    enum err e = check_message(t);

    if (!e)
        e = policy_recipient(&f->policy, t->alias, t->now_s, out);
    if (!e && out->kind != POLICY_ALIAS)
        e = err_note(ERR_REFUSED, "trial", "a reverse alias or return path, not an alias");
    return e;
}

/* The session that a stranger would have had, as far as this is known. */
static enum err judge_sender(struct forward *f, const struct trial *t, struct sender_verdict *out)
{
    char *rcpt = (char *)t->alias; /* borrowed; nothing on this way writes to it */
    struct receive_transaction session = {
        .protocol = RECEIVE_SMTP,
        .peer = "trial",
        .client = {.address = "", .name = "", .helo = "", .ident = ""},
        .mail_from = (char *)t->mail_from,
        .rcpts = &rcpt,
        .n_rcpts = 1};
    enum err e = id_new(session.id);

    return e ? e : judge_message(f, &session, t->message, t->deadline_mono_ms, out);
}

/* A step of the trial itself is over; the next begins. */
static enum err tell(const struct trial *t, const char *step, enum err e, int64_t *since_ms)
{
    int64_t now_ms = clock_mono_ms();

    t->outlet->step(t->outlet->ctx, step, e, now_ms - *since_ms);
    *since_ms = now_ms;
    return e;
}

static enum err run(struct forward *f, const struct trial *t)
{
    int64_t since_ms = clock_mono_ms();
    struct policy_route route;
    struct sender_verdict verdict = {0};
    id_text id;
    struct forward_job job = {.id = id,
                              .queue_id = id,
                              .mail_from = t->mail_from,
                              .route = &route,
                              .verdict = &verdict,
                              .data = t->message,
                              .now_s = t->now_s,
                              .deadline_mono_ms = t->deadline_mono_ms,
                              .trial = t->outlet};
    struct queue_writer *nothing = NULL;
    enum err e = id_new(id);

    if (!e)
        e = tell(t, "trial.recipient", find_recipient(f, t, &route), &since_ms);
    if (!e)
        e = tell(t, "trial.sender", judge_sender(f, t, &verdict), &since_ms);
    return e ? e : forward_message(f, &job, &nothing);
}

enum err trial_run(struct forward *f, const struct trial *t, struct reply *answer_out)
{
    enum err e;

    err_note_clear();
    e = run(f, t);
    /* A recipient is refused by its own words; the rest as the end of data is answered. */
    if (e != ERR_NOT_FOUND)
        *answer_out = e == ERR_REFUSED ? reply_of(e) : forward_answer(e);
    return e;
}
