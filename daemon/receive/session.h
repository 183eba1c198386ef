/* SPDX-License-Identifier: GPL-3.0-or-later */
/* session.h - the SMTP and LMTP protocol as a pure machine: bytes in, replies and events out.
 *
 * No socket and no clock: the caller moves bytes, does what an event asks and says what time it is.
 * However the input is cut into pieces, the same replies come out. */
#ifndef SEALRELAY_RECEIVE_SESSION_H
#define SEALRELAY_RECEIVE_SESSION_H

#include "daemon/receive/memory.h"
#include "daemon/receive/receive.h"
#include "daemon/receive/xforward.h"

#define COMMAND_MAX_BYTES     2048u /* with its CRLF; RFC 5321 4.5.3.1.4 asks for 512 and more */
#define ERRORS_MAX            20u   /* protocol errors; the last is answered 421 */
#define JUNK_MAX              100u  /* NOOP, RSET, EHLO and the like since the last message */
#define RCPT_REFUSED_MAX      1000u /* recipients the handler refused, a session, then 421 */
#define STRAY_MESSAGES_MAX    3u    /* messages with bare CR, bare LF or NUL, then 421 */
#define DRAIN_MAX_FACTOR      4u    /* a refused message is read on to this many times the limit */
#define DATA_RATE_MIN_BYTES_S 500u

enum session_state {
    SESSION_GREETED, /* banner sent, no HELO yet */
    SESSION_READY,   /* no transaction */
    SESSION_MAIL,    /* sender known */
    SESSION_RCPT,    /* at least one recipient accepted */
    SESSION_DATA,    /* reading a message */
    SESSION_DONE,    /* message complete, waits for session_finish() */
    SESSION_TLS,     /* waits for session_tls_started() */
    SESSION_CLOSED   /* send what is in the output, then close */
};

const char *session_state_name(enum session_state state);

/* What the caller does next. */
enum session_event {
    SESSION_EVENT_NONE,     /* all input taken: send the output, read on */
    SESSION_EVENT_STARTTLS, /* send the output, shake hands, session_tls_started() */
    SESSION_EVENT_MESSAGE,  /* send the output, session_finish() */
    SESSION_EVENT_CLOSE     /* send the output, close; the rest of the input is void */
};

/* Everything borrowed for the session's life. */
struct session_options {
    enum receive_protocol protocol;
    const char *hostname;
    const char *peer;    /* for logs */
    const char *address; /* of the peer, textual IP; "" when it has none */
    bool xforward;       /* the peer is trusted to name its clients */
    bool tls_offered;
    unsigned recipients_max;
    uint64_t message_max_bytes;
    unsigned command_timeout_s;
    unsigned data_timeout_s;
    struct memory_budget *memory;
    const struct receive_handler *handler;
};

/* What became of a message, for logs and counters. */
struct session_outcome {
    id_text id;
    char client[INET6_ADDRSTRLEN];      /* "" unknown */
    char ident[XFORWARD_IDENT_MAX + 1]; /* the front's queue id or "" */
    enum err refused; /* why the session refused it before the handler saw it, or ERR_OK */
    uint64_t bytes;
    size_t recipients;
    unsigned accepted, refused_perm, refused_temp; /* answers given: one, in LMTP one a recipient */
};

struct session;

/* session_new - a session with its banner in the output. Errors: ERR_NOMEM. */
enum err session_new(const struct session_options *options, struct session **out);
/* session_free - ends a running transaction and releases everything. Accepts NULL. */
void session_free(struct session *s);

enum session_state session_state(const struct session *s);

/* session_feed - take bytes from the front of in until an event or until in is empty. */
enum session_event session_feed(struct session *s, struct bytes *in);

/* session_finish - give the complete message to the handler and answer it.
 *   deadline_mono_ms  handed on to the handler
 * In state SESSION_DONE only. */
void session_finish(struct session *s, int64_t deadline_mono_ms, struct session_outcome *out);

/* session_tls_started - the connection is encrypted now: everything said before is forgotten.
 * In state SESSION_TLS only. Source: RFC 3207 4.2. */
void session_tls_started(struct session *s);

/* session_output - replies not yet sent; the caller sends them and calls buf_reset() on it.
 * Borrowed. */
struct buf *session_output(struct session *s);

/* session_touch - the client is to act from now on: call it when replies were sent. */
void session_touch(struct session *s, int64_t now_mono_ms);
/* session_deadline_ms - when to give up on the client: the command timeout for a whole command;
 * the data timeout for a message, longer by what was received at the minimum rate. */
int64_t session_deadline_ms(const struct session *s);

/* session_expects_silence - DATA was just refused: bytes that are there before the reply is sent
 * are a body nobody asked for, and never commands. */
bool session_expects_silence(const struct session *s);

/* session_abort - one last reply, then closed: for time-outs (ERR_TIMEOUT), a stopping server
 * (ERR_BUSY), bytes out of turn (ERR_WRONG_STATE) and refused clients (ERR_REFUSED). */
void session_abort(struct session *s, enum err why);

#endif
