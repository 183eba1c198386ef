/* SPDX-License-Identifier: GPL-3.0-or-later */
/* transaction.c - one mail transaction: MAIL, RCPT, DATA, and the answers to the message.
 *
 * Invariant: the handler's end is called once for every transaction whose MAIL was accepted, and
 * every message gets exactly one answer, in LMTP exactly one for each accepted recipient. */
#include "daemon/base/failpoint.h"
#include "daemon/receive/command.h"
#include "daemon/receive/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refuse_path(struct session *s, enum path_result result, enum path_kind kind)
{
    const char *bad_address = kind == PATH_MAIL ? "5.1.7" : "5.1.3";

    switch (result) {
    case PATH_OK:
        return;
    case PATH_SYNTAX:
        session_fault(s, 501, "5.5.4", "Syntax error in parameters");
        return;
    case PATH_BAD_ADDRESS:
        session_fault(s, 501, bad_address, "Bad address syntax");
        return;
    case PATH_NOT_ASCII:
        session_fault(s, 550, "5.6.7", "Non-ASCII address without SMTPUTF8");
        return;
    case PATH_BAD_PARAMETER:
        session_fault(s, 501, "5.5.4", "Bad parameter value");
        return;
    case PATH_NOT_OFFERED:
        session_fault(s, 501, "5.5.4", "Parameter of an extension that is not offered");
        return;
    case PATH_UNKNOWN_PARAMETER:
        session_fault(s, 555, "5.5.4", "Parameter not recognized");
        return;
    case PATH_NO_MEMORY:
        (void)session_answer_reply(s, reply_of(ERR_NOMEM));
        return;
    }
}

/* Once a front has said anything about its client, nothing of the front itself stands in for it. */
static struct receive_client client_of(const struct session *s)
{
    if (!s->forwarded.given)
        return (struct receive_client){
            .address = s->options.address, .name = "", .helo = s->helo, .ident = ""};
    return (struct receive_client){.address = s->forwarded.address,
                                   .name = s->forwarded.name,
                                   .helo = s->forwarded.helo,
                                   .ident = s->forwarded.ident,
                                   .forwarded = true};
}

static void open_transaction(struct session *s, struct path *path)
{
    s->t = (struct receive_transaction){
        .protocol = s->options.protocol,
        .peer = s->options.peer,
        .client = client_of(s),
        .tls = s->tls,
        .smtputf8 = path->smtputf8,
    };
    err_note_clear();
    if (id_new(s->t.id)) {
        (void)session_answer_reply(s, reply_of(ERR_IO));
        return;
    }
    s->t.mail_from = path->address;
    path->address = NULL;
    s->declared = path->has_size ? path->size : 0;
    s->rcpt_refused = false;
    s->mail_refused = false;
    s->t_open = true;
    s->state = SESSION_MAIL;
    session_answer(s, 250, "2.1.0", "Sender OK");
}

void transaction_mail(struct session *s, struct bytes argument)
{
    CLEANUP(path_clear) struct path path = {0};
    enum path_result result = path_parse(argument, PATH_MAIL, false, &path);

    s->mail_refused = true;
    if (result)
        refuse_path(s, result, PATH_MAIL);
    else if (path.has_size && path.size > s->options.message_max_bytes)
        (void)session_answer_reply(s, reply_of(ERR_TOO_BIG));
    else if (path.has_size && !memory_has_room(s->options.memory, path.size))
        (void)session_answer_reply(s, reply_of(ERR_NOSPACE));
    else
        open_transaction(s, &path);
}

static bool make_room_for_rcpt(struct session *s)
{
    size_t cap = s->rcpts_cap ? s->rcpts_cap * 2 : 8;
    char **grown;

    if (s->t.n_rcpts < s->rcpts_cap)
        return true;
    grown = realloc(s->t.rcpts, cap * sizeof *grown);
    if (!grown)
        return false;
    s->t.rcpts = grown;
    s->rcpts_cap = cap;
    return true;
}

void transaction_rcpt(struct session *s, struct bytes argument)
{
    const struct receive_handler *handler = s->options.handler;
    CLEANUP(path_clear) struct path path = {0};
    enum path_result result = path_parse(argument, PATH_RCPT, s->t.smtputf8, &path);
    struct reply r;

    s->rcpt_refused = true;
    if (result) {
        refuse_path(s, result, PATH_RCPT);
        return;
    }
    if (s->t.n_rcpts >= s->options.recipients_max) {
        session_answer(s, 452, "4.5.3", "Too many recipients");
        return;
    }
    if (!make_room_for_rcpt(s)) {
        (void)session_answer_reply(s, reply_of(ERR_NOMEM));
        return;
    }
    r = handler->rcpt(handler->ctx, &s->t, path.address);
    if (r.code / 100 == 2 && r.code != 250)
        r = reply_of(ERR_BUG);
    if (r.code != 250 && ++s->rcpts_refused > RCPT_REFUSED_MAX)
        r = (struct reply){421, "4.7.0", "Too many refused recipients"};
    if (session_answer_reply(s, r) == 250) {
        s->t.rcpts[s->t.n_rcpts++] = path.address;
        path.address = NULL;
        s->state = SESSION_RCPT;
    }
}

void transaction_data(struct session *s)
{
    data_init(&s->data, s->options.memory, s->declared, s->options.message_max_bytes);
    s->state = SESSION_DATA;
    buf_append_str(&s->out, "354 End data with <CR><LF>.<CR><LF>\r\n");
}

void transaction_end(struct session *s)
{
    const struct receive_handler *handler = s->options.handler;

    if (s->t_open && handler->end)
        handler->end(handler->ctx, &s->t);
    for (size_t i = 0; i < s->t.n_rcpts; i++)
        free(s->t.rcpts[i]);
    free(s->t.rcpts);
    free(s->t.mail_from);
    s->t = (struct receive_transaction){0};
    s->forwarded = (struct xforward){0};
    s->t_open = false;
    s->rcpts_cap = 0;
    data_clear(&s->data);
}

struct reply transaction_refusal(struct session *s, enum err why)
{
    const struct receive_handler *handler = s->options.handler;

    return handler->refused ? handler->refused(handler->ctx, &s->t, why) : reply_of(why);
}

static void answer_message(struct session *s, struct reply r, struct session_outcome *out)
{
    int code = reply_append_queued(&s->out, r, s->t.id);

    (void)failpoint("receive.answer");
    if (code < 300)
        out->accepted++;
    else if (code < 500)
        out->refused_temp++;
    else
        out->refused_perm++;
    if (code == 421)
        s->state = SESSION_CLOSED;
}

/* One answer for each recipient in LMTP, else one. */
static size_t answer_count(const struct session *s)
{
    return s->options.protocol == RECEIVE_LMTP ? s->t.n_rcpts : 1;
}

static void give_to_handler(struct session *s, int64_t deadline, struct session_outcome *out)
{
    const struct receive_handler *handler = s->options.handler;
    size_t n = answer_count(s);
    struct reply *replies = calloc(s->t.n_rcpts, sizeof *replies);

    for (size_t i = 0; replies && i < s->t.n_rcpts; i++)
        replies[i] = reply_of(ERR_BUG); /* for a handler that forgets one */
    if (replies)
        handler->message(handler->ctx, &s->t, data_content(&s->data), deadline, replies);
    for (size_t i = 0; i < n; i++)
        answer_message(s, replies ? replies[i] : reply_of(ERR_NOMEM), out);
    free(replies);
}

void session_finish(struct session *s, int64_t deadline_mono_ms, struct session_outcome *out)
{
    enum err verdict = data_verdict(&s->data);

    *out = (struct session_outcome){
        .refused = verdict, .bytes = data_seen(&s->data), .recipients = s->t.n_rcpts};
    memcpy(out->id, s->t.id, sizeof out->id);
    (void)snprintf(out->client, sizeof out->client, "%s", s->t.client.address);
    (void)snprintf(out->ident, sizeof out->ident, "%s", s->t.client.ident);
    s->state = SESSION_READY;
    s->junk = 0;
    if (verdict) {
        struct reply r = transaction_refusal(s, verdict);

        for (size_t i = 0; i < answer_count(s); i++)
            answer_message(s, r, out);
    } else {
        give_to_handler(s, deadline_mono_ms, out);
    }
    transaction_end(s);
    if (verdict == ERR_BARE_LINE && ++s->stray_messages >= STRAY_MESSAGES_MAX &&
        s->state != SESSION_CLOSED)
        session_answer(s, 421, "4.7.0", "Too many errors");
}
