/* SPDX-License-Identifier: GPL-3.0-or-later */
/* command.c - the table of commands and their handlers.
 *
 * A handler checks the state, answers, and moves the state; what belongs to one mail transaction
 * is in transaction.c. Every command line gets exactly one answer. */
#include "daemon/receive/command.h"

#include <string.h>

static bool is_lmtp(const struct session *s)
{
    return s->options.protocol == RECEIVE_LMTP;
}

/* Commands that move no mail are free up to a number. Source: Postfix's junk command limit. */
static bool junk_is_spent(struct session *s)
{
    if (++s->junk <= JUNK_MAX)
        return false;
    session_answer(s, 421, "4.7.0", "Too many commands without mail");
    return true;
}

static bool wants_argument(struct session *s, struct bytes argument, bool wanted)
{
    if ((argument.len != 0) == wanted)
        return true;
    session_fault(s, 501, "5.5.4", wanted ? "Parameter missing" : "No parameters allowed");
    return false;
}

/* Keep the name the client gives itself, fit for a Received field: what is no name becomes "?". */
static bool keep_helo(struct session *s, struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] <= ' ' || name.data[i] >= 0x7F)
            return false;
    return xforward_host_text(name, s->helo);
}

static bool begin_hello(struct session *s, struct bytes argument)
{
    if (junk_is_spent(s) || !wants_argument(s, argument, true))
        return false;
    if (!keep_helo(s, argument)) {
        session_fault(s, 501, "5.5.4", "Bad host name");
        return false;
    }
    transaction_end(s);
    s->mail_refused = false;
    s->state = SESSION_READY;
    return true;
}

static void run_helo(struct session *s, struct bytes argument)
{
    if (begin_hello(s, argument))
        buf_printf(&s->out, "250 %s\r\n", s->options.hostname);
}

/* EHLO and LHLO. Source: RFC 5321 4.1.1.1, RFC 2033 4.1. */
static void run_ehlo(struct session *s, struct bytes argument)
{
    if (!begin_hello(s, argument))
        return;
    buf_printf(&s->out, "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n", s->options.hostname,
               (unsigned long long)s->options.message_max_bytes);
    if (s->options.tls_offered && !s->tls)
        buf_append_str(&s->out, "250-STARTTLS\r\n");
    if (s->options.xforward)
        buf_append_str(&s->out, "250-XFORWARD " XFORWARD_KEYWORDS "\r\n");
    buf_append_str(&s->out, "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n");
}

static void run_starttls(struct session *s, struct bytes argument)
{
    if (!wants_argument(s, argument, false))
        return;
    if (s->tls) {
        session_fault(s, 503, "5.5.1", "TLS is active");
        return;
    }
    if (!s->options.tls_offered) {
        session_fault(s, 502, "5.5.1", "Command not implemented");
        return;
    }
    transaction_end(s);
    s->state = SESSION_TLS; /* answered when it is known that nothing follows in clear */
}

static void run_mail(struct session *s, struct bytes argument)
{
    if (s->state == SESSION_READY)
        transaction_mail(s, argument);
    else if (s->state == SESSION_GREETED)
        session_fault(s, 503, "5.5.1", is_lmtp(s) ? "LHLO first" : "HELO or EHLO first");
    else
        session_fault(s, 503, "5.5.1", "Nested MAIL");
}

/* RCPT or DATA out of turn. Behind a refused MAIL a pipelining client cannot know better. */
static void refuse_out_of_turn(struct session *s, const char *text)
{
    if (s->mail_refused)
        session_answer(s, 503, "5.5.1", text);
    else
        session_fault(s, 503, "5.5.1", text);
}

static void run_rcpt(struct session *s, struct bytes argument)
{
    if (s->state == SESSION_MAIL || s->state == SESSION_RCPT)
        transaction_rcpt(s, argument);
    else
        refuse_out_of_turn(s, "MAIL first");
}

static void run_data(struct session *s, struct bytes argument)
{
    s->data_refused = true;
    if (!wants_argument(s, argument, false))
        return;
    if (s->state == SESSION_RCPT) {
        s->data_refused = false;
        transaction_data(s);
    } else if (s->state == SESSION_MAIL && s->rcpt_refused && is_lmtp(s)) {
        session_answer(s, 503, "5.5.1", "No valid recipients"); /* RFC 2033 4.2 */
    } else if (s->state == SESSION_MAIL && s->rcpt_refused) {
        session_answer(s, 554, "5.5.1", "No valid recipients"); /* RFC 2920 3.1 */
    } else {
        refuse_out_of_turn(s, s->state == SESSION_MAIL ? "RCPT first" : "MAIL first");
    }
}

static void run_rset(struct session *s, struct bytes argument)
{
    if (junk_is_spent(s) || !wants_argument(s, argument, false))
        return;
    transaction_end(s);
    s->mail_refused = false;
    if (s->state != SESSION_GREETED)
        s->state = SESSION_READY;
    session_answer(s, 250, "2.0.0", "OK");
}

static void run_noop(struct session *s, struct bytes argument)
{
    (void)argument;
    if (!junk_is_spent(s))
        session_answer(s, 250, "2.0.0", "OK");
}

static void run_vrfy(struct session *s, struct bytes argument)
{
    if (!junk_is_spent(s) && wants_argument(s, argument, true))
        session_answer(s, 252, "2.5.0", "Send mail to find out");
}

static void run_help(struct session *s, struct bytes argument)
{
    (void)argument;
    if (!junk_is_spent(s))
        session_answer(s, 214, "2.0.0", "RFC 5321");
}

static void run_quit(struct session *s, struct bytes argument)
{
    if (!wants_argument(s, argument, false))
        return;
    transaction_end(s);
    session_answer(s, 221, "2.0.0", "Bye");
    s->state = SESSION_CLOSED;
}

static void answer_xforward(struct session *s, enum xforward_result result)
{
    switch (result) {
    case XFORWARD_OK:
        session_answer(s, 250, "2.0.0", "OK");
        return;
    case XFORWARD_SYNTAX:
        session_fault(s, 501, "5.5.4", "Want NAME=value");
        return;
    case XFORWARD_NAME:
        session_fault(s, 501, "5.5.4", "Unknown attribute");
        return;
    case XFORWARD_BAD_VALUE:
        session_fault(s, 501, "5.5.4", "Bad attribute value");
        return;
    }
}

/* A trusted front names its client; several commands add up until the transaction ends. */
static void run_xforward(struct session *s, struct bytes argument)
{
    if (!s->options.xforward)
        session_fault(s, 500, "5.5.1", "Command not recognized");
    else if (s->state == SESSION_GREETED)
        session_fault(s, 503, "5.5.1", is_lmtp(s) ? "LHLO first" : "HELO or EHLO first");
    else if (s->state != SESSION_READY)
        session_fault(s, 503, "5.5.1", "Mail transaction in progress");
    else if (!junk_is_spent(s) && wants_argument(s, argument, true))
        answer_xforward(s, xforward_parse(argument, &s->forwarded));
}

static void run_not_offered(struct session *s, struct bytes argument)
{
    (void)argument;
    session_fault(s, 502, "5.5.1", "Command not implemented");
}

/* A client that says BDAT sends its chunk at once: what follows is content, not commands. */
static void run_bdat(struct session *s, struct bytes argument)
{
    (void)argument;
    session_answer(s, 502, "5.5.1", "Command not implemented");
    s->state = SESSION_CLOSED;
}

/* A web client made to talk to us: nothing behind it is mail. */
static void run_foreign(struct session *s, struct bytes argument)
{
    (void)argument;
    session_answer(s, 554, "5.5.0", "This is a mail server");
    s->state = SESSION_CLOSED;
}

enum spoken { IN_SMTP = 1, IN_LMTP = 2, IN_BOTH = 3 };

static const struct command {
    const char *verb;
    enum spoken spoken;
    void (*run)(struct session *s, struct bytes argument);
} commands[] = {
    {"HELO", IN_SMTP, run_helo},         {"EHLO", IN_SMTP, run_ehlo},
    {"LHLO", IN_LMTP, run_ehlo},         {"STARTTLS", IN_BOTH, run_starttls},
    {"MAIL", IN_BOTH, run_mail},         {"RCPT", IN_BOTH, run_rcpt},
    {"DATA", IN_BOTH, run_data},         {"RSET", IN_BOTH, run_rset},
    {"NOOP", IN_BOTH, run_noop},         {"VRFY", IN_BOTH, run_vrfy},
    {"HELP", IN_BOTH, run_help},         {"QUIT", IN_BOTH, run_quit},
    {"XFORWARD", IN_BOTH, run_xforward}, {"EXPN", IN_BOTH, run_not_offered},
    {"AUTH", IN_BOTH, run_not_offered},  {"ETRN", IN_BOTH, run_not_offered},
    {"TURN", IN_BOTH, run_not_offered},  {"BDAT", IN_BOTH, run_bdat},
    {"GET", IN_BOTH, run_foreign},       {"POST", IN_BOTH, run_foreign},
    {"PUT", IN_BOTH, run_foreign},       {"HEAD", IN_BOTH, run_foreign},
    {"DELETE", IN_BOTH, run_foreign},    {"CONNECT", IN_BOTH, run_foreign},
    {"OPTIONS", IN_BOTH, run_foreign},   {"TRACE", IN_BOTH, run_foreign},
    {"PATCH", IN_BOTH, run_foreign},     {"PRI", IN_BOTH, run_foreign},
};

static const struct command *find_command(const struct session *s, struct bytes verb)
{
    unsigned spoken = is_lmtp(s) ? IN_LMTP : IN_SMTP;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (((unsigned)commands[i].spoken & spoken) && bytes_equal_nocase(verb, commands[i].verb))
            return &commands[i];
    return NULL;
}

void command_run(struct session *s, struct bytes line)
{
    const struct command *command;
    bool after_refused_data = s->data_refused;
    struct bytes argument = line;
    struct bytes verb = {line.data, 0};

    s->data_refused = false;
    while (argument.len && (argument.data[argument.len - 1] == ' '))
        argument.len--;
    while (verb.len < argument.len && argument.data[verb.len] != ' ')
        verb.len++;
    argument.data += verb.len;
    argument.len -= verb.len;
    while (argument.len && argument.data[0] == ' ') {
        argument.data++;
        argument.len--;
    }
    command = find_command(s, verb);
    if (command) {
        command->run(s, argument);
    } else if (after_refused_data) {
        session_abort(s, ERR_WRONG_STATE); /* a body, sent although DATA was refused */
    } else {
        session_fault(s, 500, "5.5.1", "Command not recognized");
    }
}
