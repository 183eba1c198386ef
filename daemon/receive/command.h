/* SPDX-License-Identifier: GPL-3.0-or-later */
/* command.h - inside the session: its members, the table of commands, the transaction.
 *
 * For session.c, command.c and transaction.c only. */
#ifndef SEALRELAY_RECEIVE_COMMAND_H
#define SEALRELAY_RECEIVE_COMMAND_H

#include "daemon/receive/data.h"
#include "daemon/receive/reply.h"
#include "daemon/receive/session.h"
#include "daemon/receive/xforward.h"

struct session {
    struct session_options options;
    enum session_state state;
    struct buf out;
    char helo[XFORWARD_TEXT_MAX_BYTES + 1];
    struct xforward forwarded; /* of the present transaction, or the one to come */
    bool tls;
    unsigned errors;
    unsigned junk;
    unsigned rcpts_refused;
    unsigned stray_messages;
    int64_t since_ms;

    uint8_t line[COMMAND_MAX_BYTES]; /* command being read, without its line end */
    size_t line_len;
    bool line_long;
    bool line_stray; /* holds a bare CR, bare LF or NUL */
    bool line_answered;

    bool data_refused; /* the last command was DATA, and it was refused */
    bool mail_refused; /* the last MAIL was: pipelined RCPT and DATA are no errors */

    struct receive_transaction t;
    bool t_open;
    size_t rcpts_cap;
    bool rcpt_refused;
    uint64_t declared; /* SIZE= of the transaction */
    struct data data;
};

/* command_run - run one command line (without its line end) and answer it. */
void command_run(struct session *s, struct bytes line);

/* session_answer - a reply; 421 closes. session_answer_reply returns the code written. */
void session_answer(struct session *s, int code, const char *status, const char *text);
int session_answer_reply(struct session *s, struct reply r);
/* session_fault - a reply to a protocol error; the last one of ERRORS_MAX becomes 421. */
void session_fault(struct session *s, int code, const char *status, const char *text);

/* transaction_mail, transaction_rcpt - the commands MAIL and RCPT behind their state checks. */
void transaction_mail(struct session *s, struct bytes argument);
void transaction_rcpt(struct session *s, struct bytes argument);
/* transaction_data - begin to read a message. */
void transaction_data(struct session *s);
/* transaction_refusal - the answer to a message that the session itself refuses. */
struct reply transaction_refusal(struct session *s, enum err why);
/* transaction_end - forget sender, recipients and message; tells the handler. */
void transaction_end(struct session *s);

#endif
