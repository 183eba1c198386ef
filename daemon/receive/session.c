/* SPDX-License-Identifier: GPL-3.0-or-later */
/* session.c - the session's outer machine: command lines, message data, events, deadlines.
 *
 * Invariant: only CRLF ends a command line. A line with a bare CR, bare LF or NUL is answered 500
 * and nothing in it, up to its CRLF, is run. */
#include "daemon/receive/command.h"

#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {
    [SESSION_GREETED] = "greeted", [SESSION_READY] = "ready",   [SESSION_MAIL] = "mail",
    [SESSION_RCPT] = "rcpt",       [SESSION_DATA] = "data",     [SESSION_DONE] = "done",
    [SESSION_TLS] = "tls",         [SESSION_CLOSED] = "closed",
};

const char *session_state_name(enum session_state state)
{
    return (size_t)state < sizeof state_names / sizeof state_names[0] ? state_names[state] : "?";
}

enum err session_new(const struct session_options *options, struct session **out)
{
    struct session *s = calloc(1, sizeof *s);
    enum err e;

    if (!s)
        return err_note(ERR_NOMEM, "session_new", "out of memory");
    s->options = *options;
    buf_printf(&s->out, "220 %s %s\r\n", options->hostname,
               options->protocol == RECEIVE_LMTP ? "LMTP" : "ESMTP");
    e = buf_error(&s->out);
    if (e) {
        session_free(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    transaction_end(s);
    buf_clear(&s->out);
    free(s);
}

enum session_state session_state(const struct session *s)
{
    return s->state;
}

struct buf *session_output(struct session *s)
{
    return &s->out;
}

int session_answer_reply(struct session *s, struct reply r)
{
    int code = reply_append(&s->out, r);

    if (code == 421)
        s->state = SESSION_CLOSED;
    return code;
}

void session_answer(struct session *s, int code, const char *status, const char *text)
{
    (void)session_answer_reply(s, (struct reply){code, status, text});
}

void session_fault(struct session *s, int code, const char *status, const char *text)
{
    if (++s->errors >= ERRORS_MAX)
        session_answer(s, 421, "4.7.0", "Too many errors");
    else
        session_answer(s, code, status, text);
}

void session_abort(struct session *s, enum err why)
{
    if (s->state == SESSION_CLOSED)
        return;
    if (why == ERR_REFUSED)
        session_answer(s, 554, "5.7.1", "Access denied");
    else if (why == ERR_WRONG_STATE)
        session_answer(s, 554, "5.5.0", "Data sent out of turn");
    else if (why == ERR_TIMEOUT)
        session_answer(s, 421, "4.4.2", "Too slow, closing");
    else
        session_answer(s, 421, "4.3.2", "Service is stopping, try again later");
    s->state = SESSION_CLOSED;
}

/* A line that is no command: too long, or with stray line ends or NUL. */
static void refuse_line(struct session *s)
{
    if (s->line_answered)
        return;
    if (s->line_stray)
        session_fault(s, 500, "5.5.2", "Bare CR, bare LF or NUL in command");
    else
        session_fault(s, 500, "5.5.2", "Line too long");
}

static void end_line(struct session *s)
{
    struct bytes line = {s->line, s->line_len - 1}; /* without the CR */
    bool usable = !s->line_stray && !s->line_long;

    if (usable)
        command_run(s, line);
    else
        refuse_line(s);
    s->line_len = 0;
    s->line_long = false;
    s->line_stray = false;
    s->line_answered = false;
}

/* A line feed without CR: answered at once, for a client that ends all its lines so would wait for
 * ever. The rest up to the next CRLF stays part of this line. */
static void take_bare_lf(struct session *s)
{
    s->line_stray = true;
    s->line_answered = false;
    refuse_line(s);
    s->line_answered = true;
}

/* One byte of a command line; true when it ended the line. A CR stays in the line until the next
 * byte tells what it was. */
static bool take_line_byte(struct session *s, uint8_t c)
{
    bool after_cr = s->line_len && s->line[s->line_len - 1] == '\r';

    if (c == '\n' && after_cr) {
        end_line(s);
        return true;
    }
    if (c == '\n') {
        take_bare_lf(s);
        return false;
    }
    if (after_cr || c == '\0')
        s->line_stray = true;
    if (s->line_stray || s->line_len == sizeof s->line) {
        s->line_long = s->line_long || !s->line_stray;
        s->line_len = 0; /* content no longer matters, a CR at its end does */
    }
    s->line[s->line_len++] = c;
    return false;
}

/* Commands until the state is no longer one that reads them, or in is empty. */
static void feed_commands(struct session *s, struct bytes *in)
{
    while (in->len && s->state <= SESSION_RCPT) {
        bool ended = take_line_byte(s, in->data[0]);

        in->data++;
        in->len--;
        if (ended && s->data_refused && in->len)
            s->state = SESSION_CLOSED; /* a body behind a refused DATA: never commands */
    }
    if (s->state != SESSION_TLS)
        return;
    if (in->len)
        session_abort(s, ERR_WRONG_STATE); /* commands in clear behind STARTTLS */
    else
        session_answer(s, 220, "2.0.0", "Ready to start TLS");
}

/* A message is read to its end even when refused, but not for ever. */
static void give_up_on_data(struct session *s)
{
    if (s->options.protocol == RECEIVE_LMTP)
        session_answer(s, 421, "4.7.0", "Too much data");
    else
        (void)session_answer_reply(s, transaction_refusal(s, data_verdict(&s->data)));
    s->state = SESSION_CLOSED;
}

static void feed_data(struct session *s, struct bytes *in)
{
    if (data_feed(&s->data, in))
        s->state = SESSION_DONE;
    else if (data_seen(&s->data) / DRAIN_MAX_FACTOR > s->options.message_max_bytes)
        give_up_on_data(s);
}

enum session_event session_feed(struct session *s, struct bytes *in)
{
    while (in->len && s->state <= SESSION_DATA) {
        if (s->state == SESSION_DATA)
            feed_data(s, in);
        else
            feed_commands(s, in);
    }
    if (s->state == SESSION_TLS && in->len)
        session_abort(s, ERR_WRONG_STATE);
    if (s->state == SESSION_CLOSED)
        return SESSION_EVENT_CLOSE;
    if (s->state == SESSION_TLS)
        return SESSION_EVENT_STARTTLS;
    return s->state == SESSION_DONE ? SESSION_EVENT_MESSAGE : SESSION_EVENT_NONE;
}

void session_tls_started(struct session *s)
{
    transaction_end(s);
    s->tls = true;
    s->state = SESSION_GREETED;
    s->mail_refused = false;
    s->data_refused = false;
    s->helo[0] = '\0'; /* transaction_end() forgot what was forwarded */
}

void session_touch(struct session *s, int64_t now_mono_ms)
{
    s->since_ms = now_mono_ms;
}

int64_t session_deadline_ms(const struct session *s)
{
    uint64_t received_ms = 0;
    unsigned timeout_s = s->options.command_timeout_s;

    if (s->state == SESSION_DATA) {
        timeout_s = s->options.data_timeout_s;
        received_ms = data_seen(&s->data) / DATA_RATE_MIN_BYTES_S * 1000u;
    }
    return s->since_ms + (int64_t)timeout_s * 1000 + (int64_t)received_ms;
}

bool session_expects_silence(const struct session *s)
{
    return s->data_refused;
}
