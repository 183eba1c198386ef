/* SPDX-License-Identifier: GPL-3.0-or-later */
/* job.h - what the runner in the relay and a delivery worker say to each other.
 *
 * One connected SOCK_STREAM unix socket a group of messages. Frames carry a length that is checked
 * before a byte of them is read, and every field is checked when it is decoded: the worker talks
 * to hostile next hops, so the relay believes nothing of its form. Order of events:
 *
 *   worker READY ─> runner HEAD, MESSAGE x n ─> worker WANT i ─> runner CHUNK | LAST | ABORT ...
 *          RESULT i as soon as message i is answered ... ─> SUMMARY, then the worker closes */
#ifndef SEALRELAY_DELIVER_JOB_H
#define SEALRELAY_DELIVER_JOB_H

#include "daemon/base/buf.h"
#include "daemon/base/id.h"
#include "daemon/deliver/hop.h"

#define JOB_VERSION        1
#define JOB_MESSAGES_MAX   256         /* in one session */
#define JOB_CHUNK_MAX      (32 * 1024) /* bytes of a message in one frame */
#define JOB_TEXT_MAX       120         /* printable characters of a reply that are kept */
#define JOB_HOST_MAX       253         /* bytes of a host name, RFC 1035 2.3.4 in text form */
#define JOB_ADDRESS_MAX    254         /* bytes of an address, RFC 5321 4.5.3.1.3 */
#define JOB_PATH_MAX       1024        /* bytes of a file name */
#define JOB_DEADLINE_MAX_S 86400       /* longest life of a session that may be asked for */

/* How far a message, or the session before its first message, came. */
#define JOB_STAGE_TABLE(X)                                                                         \
    X(STAGE_NONE, "not-tried")                                                                     \
    X(STAGE_CONNECTED, "connected")                                                                \
    X(STAGE_GREETED, "greeted")                                                                    \
    X(STAGE_TLS, "tls")                                                                            \
    X(STAGE_MAIL, "mail")                                                                          \
    X(STAGE_RCPT, "rcpt")                                                                          \
    X(STAGE_DATA, "data")                                                                          \
    X(STAGE_DOT, "dot")                                                                            \
    X(STAGE_ANSWERED, "answered")

/* Why a guard ended the session. */
#define JOB_FAULT_TABLE(X)                                                                         \
    X(FAULT_NONE, "none")                                                                          \
    X(FAULT_STALL, "stall")             /* the next hop stopped reading for too long */            \
    X(FAULT_OUT_OF_STEP, "out-of-step") /* a reply that nothing asked for */                       \
    X(FAULT_INJECTED, "injected")       /* clear text behind the reply to STARTTLS */              \
    X(FAULT_LONG_REPLY, "long-reply")   /* a reply line, or a whole reply, beyond its limit */     \
    X(FAULT_BAD_REPLY, "bad-reply")     /* a reply line that is none */                            \
    X(FAULT_CLEARTEXT, "cleartext")     /* an envelope was about to leave without TLS */           \
    X(FAULT_CERTIFICATE, "certificate") /* not valid, or not the next hop's name */                \
    X(FAULT_TLS, "tls")                 /* no handshake, or STARTTLS not offered */                \
    X(FAULT_CLOSING, "closing")         /* reply 421 */                                            \
    X(FAULT_CONTENT, "content")         /* bare CR, bare LF, NUL or 8-bit byte in the message */   \
    X(FAULT_BODY, "body")               /* the relay could not hand over the message */            \
    X(FAULT_CONNECT, "connect")         /* no address, refused, or no connection in time */        \
    X(FAULT_DROPPED, "dropped")         /* the connection ended, and replies were due */           \
    X(FAULT_LOCAL, "local")             /* the worker itself could not go on */                    \
    X(FAULT_SILENT, "silent")           /* no reply in time */

#define JOB_ENUM(name, text) name,
enum job_stage { JOB_STAGE_TABLE(JOB_ENUM) STAGE_COUNT };
enum job_fault { JOB_FAULT_TABLE(JOB_ENUM) FAULT_COUNT };
#undef JOB_ENUM

/* job_stage_name, job_fault_name - static strings for the log. */
const char *job_stage_name(enum job_stage s);
const char *job_fault_name(enum job_fault f);

/* The next hop of a group. Given strings: job_clear frees them. */
struct job {
    char *host;    /* name or address literal */
    char *ca_file; /* absolute path, or "" for the system's */
    uint16_t port;
    enum hop_tls tls;
    uint32_t deadline_s;
    uint16_t n_messages;
    struct job_message {
        id_text id;
        char *mail_from; /* "" is the null sender */
        char *rcpt_to;
        uint64_t size_bytes; /* 0: unknown */
    } * messages;
};

/* Everything seen of one message. Codes are 0 where no reply came. */
struct job_result {
    /* as the line itself was read */
    uint16_t mail_code;
    uint16_t rcpt_code;
    uint16_t data_code; /* first reply that was neither 2xx nor 3xx behind RCPT */
    uint16_t end_code;  /* reply to the end of the message */
    /* as libesmtp says */
    uint16_t message_code;
    uint16_t recipient_code;
    bool complete;
    enum job_stage stage;
    enum job_fault fault;        /* of the session while this message was the current one */
    char text[JOB_TEXT_MAX + 1]; /* of the reply that decides; printable ASCII without addresses */
};

/* The session as a whole. */
struct job_summary {
    enum job_stage
        reached; /* before the first message; STAGE_MAIL and beyond: transactions began */
    enum job_fault fault;
    uint16_t code; /* of the last reply outside of transactions */
    bool tls;
    char text[JOB_TEXT_MAX + 1];
};

/* job_address_is_sane - may this go into an SMTP command? At most 254 bytes of printable ASCII,
 * blanks and angle brackets only inside a quoted local part; "" only where empty_ok.
 * Why: libesmtp copies envelope strings raw onto the line (a CRLF is one more command) and cuts
 * a command at 1,023 bytes without a word. */
bool job_address_is_sane(const char *address, bool empty_ok);
/* job_host_is_sane - host name or address literal: letters, digits, '.', '-', '_', ':'. */
bool job_host_is_sane(const char *host);

/* job_text_set - keep a reply's text: printable ASCII, at most JOB_TEXT_MAX characters, every word
 * with an '@' masked (next hops quote addresses). */
void job_text_set(char out[JOB_TEXT_MAX + 1], struct bytes text);

/* ---- frames ---- */

enum frame_type {
    FRAME_READY = 1, /* worker: one byte, JOB_VERSION */
    FRAME_HEAD,      /* runner: the job without its messages */
    FRAME_MESSAGE,   /* runner: one message's envelope */
    FRAME_WANT,      /* worker: more of message index */
    FRAME_CHUNK,     /* runner: bytes, more will follow */
    FRAME_LAST,      /* runner: bytes, possibly none; the end */
    FRAME_ABORT,     /* runner: the message cannot be read */
    FRAME_RESULT,    /* worker: message index is answered */
    FRAME_SUMMARY    /* worker: the session is over */
};

struct frame {
    enum frame_type type;
    uint16_t index;
    struct buf payload; /* reused from frame to frame; buf_wipe it: it carries opened mail */
};

/* frame_send - one frame, whole, by deadline_ms (clock_mono_ms).
 * Errors: ERR_NET (peer is gone), ERR_TIMEOUT, ERR_BUG (payload too long). */
enum err frame_send(int fd, enum frame_type type, uint16_t index, struct bytes payload,
                    int64_t deadline_ms);
/* frame_recv - one frame. Errors: ERR_NET (peer closed or is gone), ERR_TIMEOUT, ERR_FORMAT
 * (unknown type, too long), ERR_NOMEM. */
enum err frame_recv(int fd, struct frame *out, int64_t deadline_ms);

/* Encoders append to an empty buffer; decoders answer ERR_FORMAT for anything out of bounds and
 * then leave what they filled to be cleared. */
enum err job_encode_head(const struct job *job, struct buf *out);
enum err job_encode_message(const struct job_message *m, struct buf *out);
enum err job_encode_result(const struct job_result *r, struct buf *out);
enum err job_encode_summary(const struct job_summary *s, struct buf *out);
/* job_decode_head - also makes room for n_messages envelopes, empty. */
enum err job_decode_head(struct bytes payload, struct job *out);
enum err job_decode_message(struct bytes payload, struct job_message *out);
enum err job_decode_result(struct bytes payload, struct job_result *out);
enum err job_decode_summary(struct bytes payload, struct job_summary *out);
void job_clear(struct job *job);

#endif
