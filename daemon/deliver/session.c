/* SPDX-License-Identifier: GPL-3.0-or-later */
/* session.c - the runner's half of the talk with a worker.
 *
 * Holds one chunk of one message at a time. What is answered is recorded while the session goes on,
 * a few results to a transaction: a crash of the relay repeats what was not recorded yet, so that
 * is kept short. What is never answered is unknown: tried again. */
#include "daemon/deliver/session.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"
#include "daemon/deliver/ledger.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READY_WAIT_MS     30000 /* for a free worker */
#define DEADLINE_GRACE_MS 5000  /* behind the worker's own deadline */
#define RECORD_PAUSE_MS   50    /* of silence, then what there is gets recorded */

#define UNREADABLE "content not readable now"

struct session {
    const struct session_context *context;
    struct ledger ledger;
    size_t *order; /* of the job: index in it to index in the ledger */
    size_t n_order;
    int fd;
    int64_t deadline_ms;
    struct queue_body *body; /* of the ledger's entry body_of */
    size_t body_of;
    struct buf chunk;
    struct frame frame;
    struct job_summary summary;
    bool over; /* the summary came */
};

/* ---- contents ---- */

static void body_close(struct session *s)
{
    if (s->body)
        queue_body_close(s->body);
    s->body = NULL;
}

/* What the queue found altered it has put on hold: nothing to record. */
static void body_failed(struct session *s, size_t index, enum err e)
{
    struct verdict unknown;

    log_event(LOG_LEVEL_ERROR, "deliver.body", s->ledger.entries[index].item->id, e, -1, "%s", "");
    outcome_unknown(false, UNREADABLE, &unknown);
    if (e == ERR_TAMPERED)
        ledger_held(&s->ledger, index);
    else
        ledger_judge(&s->ledger, index, &unknown);
}

static enum err body_open(struct session *s, size_t index)
{
    enum err e;

    if (s->body && s->body_of == index)
        return ERR_OK;
    body_close(s);
    e = queue_body_open(s->context->queue, s->ledger.entries[index].item, &s->body);
    s->body_of = index;
    return e;
}

static enum err chunk_read(struct session *s, bool *last_out)
{
    size_t got = 1;
    enum err e = ERR_OK;

    s->chunk.len = 0;
    while (!e && got && s->chunk.len < JOB_CHUNK_MAX) {
        e = queue_body_read(s->body, s->chunk.data + s->chunk.len, JOB_CHUNK_MAX - s->chunk.len,
                            &got);
        s->chunk.len += e ? 0 : got;
    }
    *last_out = got == 0;
    return e;
}

static enum err chunk_send(struct session *s, uint16_t index)
{
    size_t of = s->order[index];
    bool last = false;
    enum err e = body_open(s, of);

    if (!e)
        e = chunk_read(s, &last);
    if (e) {
        body_failed(s, of, e);
        return frame_send(s->fd, FRAME_ABORT, index, (struct bytes){0}, s->deadline_ms);
    }
    s->ledger.entries[of].wanted = true;
    e = frame_send(s->fd, last ? FRAME_LAST : FRAME_CHUNK, index, buf_bytes(&s->chunk),
                   s->deadline_ms);
    if (last)
        body_close(s);
    return e;
}

/* ---- the talk ---- */

static enum err result_take(struct session *s, uint16_t index)
{
    size_t of = s->order[index];
    struct job_result result;
    struct verdict verdict;
    enum err e = job_decode_result(buf_bytes(&s->frame.payload), &result);

    if (e || s->ledger.entries[of].judged)
        return e;
    (void)failpoint("deliver.answered");
    outcome_judge(&result, &verdict);
    if (verdict.answered)
        s->ledger.health = HOP_GOOD;
    /* What was not answered is judged in the end, when the next hop's health is known. */
    if (verdict.answered || verdict.outcome != OUTCOME_RETRY)
        ledger_judge(&s->ledger, of, &verdict);
    else
        s->ledger.entries[of].verdict = verdict;
    return ERR_OK;
}

static enum err frame_handle(struct session *s)
{
    const struct frame *f = &s->frame;

    if (f->type == FRAME_SUMMARY) {
        s->over = true;
        return job_decode_summary(buf_bytes(&f->payload), &s->summary);
    }
    if (f->index >= s->n_order || (f->type != FRAME_WANT && f->type != FRAME_RESULT))
        return err_note(ERR_FORMAT, "frame_handle", "type %d index %u", (int)f->type, f->index);
    return f->type == FRAME_WANT ? chunk_send(s, f->index) : result_take(s, f->index);
}

static enum err converse(struct session *s)
{
    enum err e = ERR_OK;

    while (!e && !s->over) {
        if (s->ledger.n_pending && fd_wait(s->fd, POLLIN, RECORD_PAUSE_MS)) {
            err_note_clear();
            ledger_record(&s->ledger);
        }
        e = frame_recv(s->fd, &s->frame, s->deadline_ms);
        if (!e)
            e = frame_handle(s);
    }
    return e;
}

static enum err head_send(struct session *s)
{
    CLEANUP(buf_clear) struct buf payload = {0};
    const struct hop *hop = s->ledger.hop;
    char host[JOB_HOST_MAX + 1];
    char ca_file[JOB_PATH_MAX + 1];
    struct job job = {.host = host,
                      .ca_file = ca_file,
                      .port = hop->port,
                      .tls = hop->tls,
                      .deadline_s = s->context->deadline_s,
                      .n_messages = (uint16_t)s->n_order};
    enum err e;

    (void)snprintf(host, sizeof host, "%s", hop->host);
    (void)snprintf(ca_file, sizeof ca_file, "%s", hop->ca_file ? hop->ca_file : "");
    e = job_encode_head(&job, &payload);
    return e ? e : frame_send(s->fd, FRAME_HEAD, 0, buf_bytes(&payload), s->deadline_ms);
}

static enum err message_send(struct session *s, size_t index)
{
    CLEANUP(buf_wipe) struct buf payload = {0};
    const struct queue_item *item = s->ledger.entries[s->order[index]].item;
    char mail_from[sizeof item->mail_from];
    char rcpt_to[sizeof item->rcpt_to];
    struct job_message message = {
        .mail_from = mail_from, .rcpt_to = rcpt_to, .size_bytes = item->size_bytes};
    enum err e;

    memcpy(message.id, item->id, sizeof message.id);
    memcpy(mail_from, item->mail_from, sizeof mail_from);
    memcpy(rcpt_to, item->rcpt_to, sizeof rcpt_to);
    e = job_encode_message(&message, &payload);
    return e ? e
             : frame_send(s->fd, FRAME_MESSAGE, (uint16_t)index, buf_bytes(&payload),
                          s->deadline_ms);
}

/* READY says that a worker is there: from then on silence is the next hop's. */
static enum err hand_over(struct session *s)
{
    enum err e = unix_connect(s->context->socket_path, SOCK_STREAM, &s->fd);

    if (!e)
        e = frame_recv(s->fd, &s->frame, clock_mono_ms() + READY_WAIT_MS);
    if (!e && s->frame.type != FRAME_READY)
        e = err_note(ERR_FORMAT, "hand_over", "no worker");
    s->deadline_ms = clock_mono_ms() + (int64_t)s->context->deadline_s * 1000 + DEADLINE_GRACE_MS;
    if (!e)
        e = head_send(s);
    for (size_t i = 0; !e && i < s->n_order; i++)
        e = message_send(s, i);
    if (!e && failpoint("deliver.handed"))
        e = err_note(ERR_NET, "hand_over", "fail point");
    return e;
}

/* ---- before and behind ---- */

/* Only entries that can be read go on the line: with the token away none can, and the next hop is
 * not to blame. False: this entry, and with it the whole group, has to wait. */
static bool select_entry(struct session *s, size_t index)
{
    static const struct verdict insane = {.outcome = OUTCOME_FAILED,
                                          .text = "address cannot be sent"};
    const struct queue_item *item = s->ledger.entries[index].item;
    enum err e = ERR_OK;

    if (!job_address_is_sane(item->mail_from, true) || !job_address_is_sane(item->rcpt_to, false)) {
        ledger_judge(&s->ledger, index, &insane);
        return true;
    }
    if (s->n_order == 0)
        e = body_open(s, index);
    if (e)
        body_failed(s, index, e);
    else
        s->order[s->n_order++] = index;
    return !e || e == ERR_TAMPERED;
}

/* A fault on our side is not the next hop's. */
static void judge_hop(struct session *s)
{
    struct ledger *l = &s->ledger;

    if (l->health != HOP_BAD)
        return;
    if (l->fault == FAULT_LOCAL) {
        l->health = HOP_UNTRIED;
    } else if (l->fault == FAULT_CONTENT || l->fault == FAULT_BODY) {
        l->health = HOP_UNTRIED;
        l->wait_s = 0;
    } else {
        l->wait_s = backoff_s(s->context->hop_failures + 1, s->context->retry_first_s,
                              s->context->retry_max_s, arc4random());
    }
}

/* The next hop may not be who it should be, or somebody stands in between: nobody but the operator
 * can mend that. */
static bool is_alarm(enum job_fault fault)
{
    return fault == FAULT_CERTIFICATE || fault == FAULT_TLS || fault == FAULT_INJECTED ||
           fault == FAULT_CLEARTEXT;
}

static void log_session(const struct session *s, enum err e)
{
    const struct job_summary *summary = &s->summary;
    enum log_level level = is_alarm(summary->fault) ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING;

    if (e || summary->fault)
        log_event(level, "deliver.session", s->ledger.entries[s->order[0]].item->id,
                  e ? e : ERR_NET, clock_mono_ms() - s->ledger.begun_ms,
                  "hop=%s:%u reached=%s fault=%s code=%u tls=%d", s->ledger.hop->host,
                  s->ledger.hop->port, job_stage_name(summary->reached),
                  job_fault_name(summary->fault), summary->code, summary->tls);
}

#define WHY_MAX (JOB_TEXT_MAX + 40)

/* What the operator is told of messages without an answer of their own. */
static void explain_end(const struct job_summary *summary, enum err e, char why[WHY_MAX])
{
    if (e)
        (void)snprintf(why, WHY_MAX, "worker died or was too slow");
    else if (summary->code >= 400)
        (void)snprintf(why, WHY_MAX, "%u %s", summary->code, summary->text);
    else
        (void)snprintf(why, WHY_MAX, "%s, at %s%s%s", job_fault_name(summary->fault),
                       job_stage_name(summary->reached), summary->text[0] ? ": " : "",
                       summary->text);
}

static void deliver(struct session *s)
{
    const struct job_summary *summary = &s->summary;
    char why[WHY_MAX] = "the delivery service is away";
    enum err e = hand_over(s);

    if (!e) {
        s->ledger.health = HOP_BAD;
        e = converse(s);
        s->ledger.fault = summary->fault;
        explain_end(summary, e, why);
    }
    log_session(s, e);
    judge_hop(s);
    ledger_close(&s->ledger, why);
}

void session_run(const struct session_context *context, const struct hop *hop,
                 const struct queue_item *items, size_t n, struct session_report *report)
{
    struct session s = {.context = context, .fd = -1};
    bool ready = true;

    *report = (struct session_report){.health = HOP_UNTRIED, .wait_s = context->retry_first_s};
    s.order = calloc(n, sizeof *s.order);
    buf_reserve(&s.chunk, JOB_CHUNK_MAX);
    /* Without memory the entries stay active until the next start: there is nothing to say it with.
     */
    if (!s.order || buf_error(&s.chunk) || ledger_open(&s.ledger, context, hop, items, n)) {
        log_event(LOG_LEVEL_ERROR, "deliver.session", items[0].id, ERR_NOMEM, -1, "%s", "");
    } else {
        for (size_t i = 0; ready && i < n; i++)
            ready = select_entry(&s, i);
        if (ready && s.n_order)
            deliver(&s);
        else
            ledger_close(&s.ledger, UNREADABLE);
        report->health = s.ledger.health;
        report->wait_s = s.ledger.wait_s;
        memcpy(report->last_result, s.ledger.last_result, sizeof report->last_result);
    }
    body_close(&s);
    fd_close(&s.fd);
    buf_wipe(&s.chunk);
    buf_wipe(&s.frame.payload);
    free(s.order);
}
