/* SPDX-License-Identifier: GPL-3.0-or-later */
/* receive.h - SMTP and LMTP servers, and a table of recipients, in front of a handler that decides.
 *
 * A thread a connection with hard caps; the protocol machine itself (session.h) is pure. STARTTLS,
 * PIPELINING, 8BITMIME, SIZE, SMTPUTF8, ENHANCEDSTATUSCODES, XFORWARD from trusted peers; no
 * CHUNKING, DSN or AUTH. Only CRLF ends a line; a bare CR, bare LF or NUL in a message is read to
 * the true end of data and refused.
 */
#ifndef SEALRELAY_RECEIVE_H
#define SEALRELAY_RECEIVE_H

#include "daemon/base/buf.h"
#include "daemon/base/id.h"

#include <stdint.h>

/* One answer: code, enhanced status and text, as in "550 5.1.1 No such recipient here". */
struct reply {
    int code;
    const char *status; /* static */
    const char *text;   /* static */
};

/* reply_of - the answer an error's class calls for: TEMP, OPER and BUG 4xx, PERM 5xx, OK 250. */
struct reply reply_of(enum err e);

enum receive_protocol { RECEIVE_SMTP, RECEIVE_LMTP };

/* Who sends a message: the peer itself, or whom a trusted peer forwards for. Text is sanitised. */
struct receive_client {
    const char *address; /* textual IP, "" unknown */
    const char *name;    /* reverse name or "" */
    const char *helo;    /* "" unknown */
    const char *ident;   /* the front's queue id or "" */
    bool forwarded;      /* by XFORWARD of a trusted peer */
};

/* One SMTP or LMTP transaction as the handler sees it; valid until the transaction ends. */
struct receive_transaction {
    id_text id; /* in every log line of this message */
    enum receive_protocol protocol;
    const char *peer; /* address of who is connected, or "unix" */
    struct receive_client client;
    bool tls;
    bool smtputf8;
    char *mail_from; /* "" for the null sender */
    char **rcpts;    /* accepted ones, as given, in order */
    size_t n_rcpts;
    void *handler_data; /* the handler's own, freed through handler->end */
};

struct receive_handler {
    void *ctx;
    /* May the transaction have this recipient? On code 250 it is appended to rcpts afterwards.
     * address: valid as RFC 5321 wants it, ASCII or (t->smtputf8) UTF-8, quoting kept, source
     * route stripped; or "postmaster" in any case without a domain. */
    struct reply (*rcpt)(void *ctx, struct receive_transaction *t, const char *address);
    /* May mail for this address be taken? Asked by a front outside of any transaction; the answer
     * is the one rcpt would get alone. address: as for rcpt, ASCII. NULL: no socketmap. */
    enum err (*lookup)(void *ctx, const char *address);
    /* A whole message, dot-unstuffed, CRLF line ends, no bare CR, LF or NUL. data is the
     * handler's to read until it returns. Write one reply a recipient (LMTP), or replies[0] (SMTP);
     * one left alone is 451. Whatever is written is sent, also past the deadline; a 250 is sent as
     * "250 2.0.0 Done: queued as ID" with the transaction's id. */
    void (*message)(void *ctx, struct receive_transaction *t, struct bytes data,
                    int64_t deadline_mono_ms, struct reply *replies);
    /* The transaction is over, whatever its end. May be NULL. */
    void (*end)(void *ctx, struct receive_transaction *t);
    /* The answer to a message that is refused before message() sees it: ERR_TOO_BIG, ERR_BARE_LINE,
     * ERR_NOSPACE. In LMTP it is given for every recipient. NULL: reply_of(why). */
    struct reply (*refused)(void *ctx, struct receive_transaction *t, enum err why);
};

struct receive_options {
    const char *hostname;     /* in the banner and EHLO answer */
    const char *const *peers; /* allowed client networks, CIDR; loopback only when empty */
    size_t n_peers;
    const char *const *xforward; /* who may say XFORWARD: CIDR, "unix"; nobody when empty */
    size_t n_xforward;
    const char *tls_certificate; /* PEM, or NULL: no STARTTLS */
    const char *tls_key;
    unsigned connections_max;      /* 0: 200 */
    unsigned connections_per_peer; /* 0: 50 */
    unsigned lookups_max;          /* socketmap connections; 0: 200 */
    unsigned recipients_max;       /* 0: 100 */
    uint64_t message_max_bytes;    /* advertised SIZE; 0: 25 MiB */
    uint64_t memory_max_bytes;     /* message bytes of all sessions, >= one message; 0: 1 GiB */
    unsigned command_timeout_s;    /* 0: 300 */
    unsigned data_timeout_s;       /* 0: 300, and a minimum rate of 500 bytes/s */
    unsigned work_timeout_s;       /* from the final dot to its reply; 0: 20 */
    unsigned stop_grace_s;         /* for a message on its way when the server stops; 0: 10 */
};

struct receive;

/* receive_new - copies options (strings too) and handler.
 * Errors: ERR_CONFIG (TLS files, peers, host name), ERR_NOMEM, ERR_IO. */
enum err receive_new(const struct receive_options *options, const struct receive_handler *handler,
                     struct receive **out);
/* receive_listen - add a listening TCP or unix stream socket, taken (closed on error too). Before
 * receive_run(). Errors: ERR_CONFIG (not a listening socket, too many). */
enum err receive_listen(struct receive *r, int fd, enum receive_protocol protocol);
/* receive_listen_socketmap - the same for a socket on which fronts look recipients up
 * (socketmap.h). Errors: also ERR_CONFIG when the handler has no lookup. */
enum err receive_listen_socketmap(struct receive *r, int fd);
/* receive_run - serve until receive_stop(); then a message on its way has stop_grace_s to arrive
 * and is answered, everything else gets 421 4.3.2. Returns when the last connection is closed.
 * Errors: ERR_IO. */
enum err receive_run(struct receive *r);
/* receive_stop - async-signal-safe; for good: what is stopped is not run again. */
void receive_stop(struct receive *r);
void receive_free(struct receive *r);

struct receive_stats {
    uint64_t connections;                          /* of mail; refused ones not counted */
    uint64_t accepted, refused_perm, refused_temp; /* answers to messages; LMTP: a recipient each */
    uint64_t connections_now, memory_now_bytes;
};
void receive_stats_get(struct receive *r, struct receive_stats *out);

#endif
