/* SPDX-License-Identifier: GPL-3.0-or-later */
/* esmtp.c - the only file that knows libesmtp.
 *
 * What it says is never believed alone: smtp_start_session() answers 1 for nearly every failure
 * behind the connect, a message's code may be a stale 354 or a 250 out of step, smtp_errno() keeps
 * the error of an earlier session. Codes and the "complete" flag go into the result beside what the
 * witness saw; whoever judges (outcome.c) wants all of them to agree.
 * Never called: authentication (its plug-ins overflow), DSN parameters (xtext overflows its
 * buffer), 8BITMIME (the session quits where it is not offered), client certificates. */
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/deliver/line.h"
#include "daemon/deliver/tls.h"
#include "daemon/deliver/worker.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* Behind its own prerequisites: libesmtp.h includes neither stddef.h nor ssl.h. */
#include <libesmtp.h>

struct run {
    struct esmtp_session *session;
    struct wire wire;
    smtp_session_t smtp;
    struct run_message {
        struct body body;
        smtp_message_t message;
        smtp_recipient_t recipient;
        bool told; /* answered() was called */
    } * messages;
};

static uint16_t code_of(const smtp_status_t *status)
{
    return status && status->code > 0 && status->code < 1000 ? (uint16_t)status->code : 0;
}

static void tell(struct run *r, size_t index)
{
    struct run_message *m = &r->messages[index];
    struct job_result *result = &r->session->results[index];

    if (m->told)
        return;
    m->told = true;
    result->message_code = code_of(smtp_message_transfer_status(m->message));
    result->recipient_code = code_of(smtp_recipient_status(m->recipient));
    result->complete = smtp_recipient_check_complete(m->recipient) != 0;
    if (!result->fault)
        result->fault = m->body.fault;
    r->session->answered(r->session, index);
}

/* The contract: errno is 0 behind every good call, or libesmtp takes the message for broken. Its
 * opposite is the way to end a session: errno set, NULL, and again at every further call. */
static const char *message_callback(void **ctx, int *len, void *arg)
{
    struct body *b = arg;
    struct bytes data = {0};
    bool ok;

    (void)ctx;
    ok = len ? body_next(b, &data) : body_rewind(b);
    if (!ok)
        line_cut(b->fault);
    if (len)
        *len = (int)data.len;
    errno = ok ? 0 : ETIMEDOUT;
    return ok && data.len ? (const char *)data.data : NULL;
}

static void message_sent(struct run *r, smtp_message_t message)
{
    for (size_t i = 0; i < r->session->job->n_messages; i++)
        if (r->messages[i].message == message)
            tell(r, i);
}

static void verify_peer(struct run *r, const SSL *ssl, int *accept)
{
    bool ok = tls_name_ok(ssl, r->session->job->host);

    if (!r->wire.in_tls || !line_is_polled())
        abort(); /* as in connected() */
    r->session->bodies->tls_verified = ok;
    if (accept)
        *accept = ok;
    if (!ok)
        line_cut(FAULT_CERTIFICATE);
    else if (r->session->summary->reached < STAGE_TLS)
        r->session->summary->reached = STAGE_TLS;
    r->session->summary->tls = ok;
}

static void connected(struct run *r)
{
    /* All guards on the line rest on libesmtp calling this program's connect(), read(), write() and
     * their like. Built or linked in a way that it does not, a worker has to die before it speaks.
     */
    if (!line_is_connected())
        abort();
    r->session->summary->reached = STAGE_CONNECTED;
    if (failpoint("worker.connected"))
        line_cut(FAULT_LOCAL);
}

/* libesmtp's own name check has failed when WRONG_PEER_CERTIFICATE comes (it knows no IP
 * addresses); ours decides there, and once more when it says that all is well. */
/* NOLINTBEGIN(clang-analyzer-valist.Uninitialized): va_start is right there */
static void event_callback(smtp_session_t smtp, int event, void *arg, ...)
{
    struct run *r = arg;
    va_list args;

    (void)smtp;
    va_start(args, arg);
    if (event == SMTP_EV_CONNECT) {
        connected(r);
    } else if (event == SMTP_EV_MESSAGESENT) {
        message_sent(r, va_arg(args, smtp_message_t));
    } else if (event == SMTP_EV_STARTTLS_OK) {
        verify_peer(r, va_arg(args, SSL *), NULL);
    } else if (event == SMTP_EV_WRONG_PEER_CERTIFICATE) {
        int *accept = va_arg(args, int *);

        (void)va_arg(args, char *);
        verify_peer(r, va_arg(args, SSL *), accept);
    } else if (event == SMTP_EV_INVALID_PEER_CERTIFICATE || event == SMTP_EV_NO_PEER_CERTIFICATE ||
               event == SMTP_EV_WEAK_CIPHER) {
        line_cut(FAULT_CERTIFICATE);
    } else if (event == SMTP_EV_EXTNA_STARTTLS) {
        line_cut(FAULT_TLS);
        job_text_set(r->session->summary->text, bytes_of("STARTTLS is not offered"));
    }
    va_end(args);
    errno = 0;
}
/* NOLINTEND(clang-analyzer-valist.Uninitialized) */

static bool add_message(struct run *r, size_t index)
{
    const struct job_message *envelope = &r->session->job->messages[index];
    struct run_message *m = &r->messages[index];

    m->body = (struct body){.session = r->session->bodies, .index = (uint16_t)index};
    m->message = smtp_add_message(r->smtp);
    if (!m->message || !smtp_set_reverse_path(m->message, envelope->mail_from) ||
        !smtp_set_messagecb(m->message, message_callback, &m->body))
        return false;
    if (envelope->size_bytes)
        (void)smtp_size_set_estimate(m->message, (unsigned long)envelope->size_bytes);
    m->recipient = smtp_add_recipient(m->message, envelope->rcpt_to);
    return m->recipient != NULL;
}

/* The defaults (5 minutes and more) are minima unless overridden. */
static void set_timeout(smtp_session_t smtp, int which, unsigned seconds)
{
    (void)smtp_set_timeout(smtp, which | Timeout_OVERRIDE_RFC2822_MINIMUM, (long)seconds * 1000);
}

static void set_timeouts(const struct run *r)
{
    const struct worker_options *o = r->session->options;

    set_timeout(r->smtp, Timeout_GREETING, o->command_timeout_s);
    set_timeout(r->smtp, Timeout_ENVELOPE, o->command_timeout_s);
    set_timeout(r->smtp, Timeout_DATA, o->command_timeout_s);
    set_timeout(r->smtp, Timeout_TRANSFER, o->transfer_timeout_s);
    set_timeout(r->smtp, Timeout_DATA2, o->final_timeout_s);
}

static enum err prepare(struct run *r)
{
    const struct job *job = r->session->job;
    /* line.c looks up the true host: an IPv6 literal has colons, and this string is cut there */
    char server[32];

    r->smtp = smtp_create_session();
    r->messages = calloc(job->n_messages, sizeof *r->messages);
    if (!r->smtp || !r->messages)
        return err_note(ERR_NOMEM, "smtp_create_session", "out of memory");
    (void)snprintf(server, sizeof server, "next-hop:%u", job->port);
    if (!smtp_set_server(r->smtp, server) ||
        !smtp_set_hostname(r->smtp, r->session->options->hostname) ||
        !smtp_set_eventcb(r->smtp, event_callback, r))
        return err_note(ERR_NOMEM, "smtp_set_server", "refused");
    set_timeouts(r);
    for (size_t i = 0; i < job->n_messages; i++)
        if (!add_message(r, i))
            return err_note(ERR_NOMEM, "smtp_add_message", "refused");
    return ERR_OK;
}

static enum err prepare_tls(const struct run *r)
{
    const struct job *job = r->session->job;
    SSL_CTX *ctx;
    enum err e;

    if (job->tls == HOP_TLS_NONE) {
        (void)smtp_starttls_enable(r->smtp, Starttls_DISABLED);
        return ERR_OK;
    }
    e = tls_client_new(job->ca_file, &ctx);
    if (e)
        return e;
    if (!smtp_starttls_set_ctx(r->smtp, ctx) || !smtp_starttls_enable(r->smtp, Starttls_REQUIRED))
        e = err_note(ERR_BUG, "smtp_starttls_enable", "refused");
    SSL_CTX_free(ctx); /* libesmtp holds its own reference */
    return e;
}

/* Called before the messages that are still open are told of. */
static void explain(struct run *r)
{
    struct job_summary *summary = r->session->summary;
    char text[128] = "";

    if (!summary->fault && summary->reached == STAGE_NONE)
        summary->fault = FAULT_CONNECT;
    /* libesmtp says QUIT into a connection that ended, too. */
    if (!summary->fault && (!r->wire.quit || wire_owes(&r->wire)))
        wire_fail(&r->wire, FAULT_DROPPED);
    if (summary->fault != FAULT_CONNECT || !smtp_strerror(smtp_errno(), text, sizeof text))
        return;
    text[sizeof text - 1] = '\0';
    job_text_set(summary->text, bytes_of(text));
}

static void transact(struct run *r)
{
    const struct worker_options *o = r->session->options;
    const struct line_options line = {r->session->job->host, o->connect_timeout_s * 1000,
                                      o->transfer_timeout_s * 1000};

    wire_init(&r->wire, r->session->job->tls == HOP_TLS_REQUIRED, r->session->results,
              r->session->job->n_messages, r->session->summary);
    line_arm(&line, &r->wire);
    (void)smtp_start_session(r->smtp);
    explain(r);
    for (size_t i = 0; i < r->session->job->n_messages; i++)
        tell(r, i);
    line_disarm();
}

enum err esmtp_run(struct esmtp_session *s)
{
    struct run r = {.session = s};
    enum err e = prepare(&r);

    if (!e)
        e = prepare_tls(&r);
    if (!e)
        transact(&r);
    if (r.smtp)
        (void)smtp_destroy_session(r.smtp);
    free(r.messages);
    return e;
}
