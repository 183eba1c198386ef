/* SPDX-License-Identifier: GPL-3.0-or-later */
/* drive.c - a session under test. */
#include "tests/receive/drive.h"

#include <stdlib.h>
#include <string.h>

#define WORK_MS 20000

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static struct reply judge_rcpt(void *ctx, struct receive_transaction *t, const char *address)
{
    (void)ctx;
    (void)t;
    if (begins(address, "bad"))
        return reply_of(ERR_NO_ALIAS);
    if (begins(address, "busy"))
        return reply_of(ERR_HSM_AWAY);
    return (struct reply){250, "2.1.5", "Recipient OK"};
}

static void take_message(void *ctx, struct receive_transaction *t, struct bytes data,
                         int64_t deadline, struct reply *replies)
{
    struct drive *d = ctx;

    d->n_messages++;
    d->deadline = deadline;
    buf_append_bytes(&d->messages, data);
    buf_printf(&d->envelopes, "%s>", t->mail_from);
    for (size_t i = 0; i < t->n_rcpts; i++) {
        buf_printf(&d->envelopes, "%s%s", i ? "," : "", t->rcpts[i]);
        replies[i] = reply_of(begins(t->rcpts[i], "late") ? ERR_NOT_ACTIVE : ERR_OK);
    }
    buf_append_str(&d->envelopes, ";");
    buf_printf(&d->clients, "%s|%s|%s|%s|%s;", t->client.address, t->client.name, t->client.helo,
               t->client.ident, t->client.forwarded ? "forwarded" : "own");
    memcpy(d->last_id, t->id, sizeof d->last_id);
}

static void end_transaction(void *ctx, struct receive_transaction *t)
{
    struct drive *d = ctx;

    (void)t;
    d->n_ends++;
}

static void collect(struct drive *d)
{
    struct buf *out = session_output(d->session);

    if (buf_error(out))
        abort();
    buf_append_bytes(&d->replies, buf_bytes(out));
    buf_reset(out);
}

static void open_with(struct drive *d, enum receive_protocol protocol, bool trusted)
{
    *d = (struct drive){.memory = {.max = 1u << 20}};
    d->handler = (struct receive_handler){
        .ctx = d, .rcpt = judge_rcpt, .message = take_message, .end = end_transaction};
    d->options = (struct session_options){.protocol = protocol,
                                          .hostname = "relay.test",
                                          .peer = "192.0.2.1",
                                          .address = "192.0.2.1",
                                          .xforward = trusted,
                                          .tls_offered = true,
                                          .recipients_max = 5,
                                          .message_max_bytes = DRIVE_MESSAGE_MAX,
                                          .command_timeout_s = 300,
                                          .data_timeout_s = 300,
                                          .memory = &d->memory,
                                          .handler = &d->handler};
    if (session_new(&d->options, &d->session))
        abort();
    buf_reset(session_output(d->session));
}

void drive_open(struct drive *d, enum receive_protocol protocol)
{
    open_with(d, protocol, false);
}

void drive_open_trusted(struct drive *d, enum receive_protocol protocol)
{
    open_with(d, protocol, true);
}

void drive_close(struct drive *d)
{
    session_free(d->session);
    buf_clear(&d->replies);
    buf_clear(&d->messages);
    buf_clear(&d->envelopes);
    buf_clear(&d->clients);
    if (memory_used(&d->memory) != 0)
        abort();
}

void drive_feed(struct drive *d, struct bytes in)
{
    struct session_outcome outcome;

    while (!d->closed) {
        enum session_event event = session_feed(d->session, &in);

        collect(d);
        switch (event) {
        case SESSION_EVENT_NONE:
            return;
        case SESSION_EVENT_CLOSE:
            d->closed = true;
            return;
        case SESSION_EVENT_MESSAGE:
            session_finish(d->session, WORK_MS, &outcome);
            collect(d);
            break;
        case SESSION_EVENT_STARTTLS: /* the test decides about the handshake */
            d->n_starttls++;
            return;
        }
    }
}

void drive_feed_pieces(struct drive *d, struct bytes in, size_t n)
{
    while (in.len && !d->closed) {
        size_t len = in.len < n ? in.len : n;

        drive_feed(d, (struct bytes){in.data, len});
        in.data += len;
        in.len -= len;
    }
}

void drive_say(struct drive *d, const char *text)
{
    drive_feed(d, bytes_of(text));
}

const char *drive_codes(struct drive *d)
{
    static char codes[4096];
    const char *line = buf_str(&d->replies);
    size_t len = 0;

    codes[0] = '\0';
    while (*line && len + 5 < sizeof codes) {
        const char *end = strstr(line, "\r\n");

        if (!end || end - line < 4 || (line[3] != ' ' && line[3] != '-'))
            abort(); /* no well-formed reply line */
        if (line[3] == ' ') {
            if (len)
                codes[len++] = ' ';
            memcpy(codes + len, line, 3);
            len += 3;
            codes[len] = '\0';
        }
        line = end + 2;
    }
    buf_reset(&d->replies);
    if (d->replies.data)
        d->replies.data[0] = '\0';
    return codes;
}
