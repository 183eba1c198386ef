/* SPDX-License-Identifier: GPL-3.0-or-later */
/* err.h - every failure the product knows, in one table: its class decides what happens next.
 *
 * A class, never a single code, decides on SMTP replies and retries. A deep cause (token, OpenSSL,
 * SQLite) adds a note for the log and the operator; notes never reach a correspondent. */
#ifndef SEALRELAY_BASE_ERR_H
#define SEALRELAY_BASE_ERR_H

#include <stdbool.h>

/* What to do about a failure. */
enum err_class {
    CLASS_OK,
    CLASS_TEMP, /* try again later: 4xx */
    CLASS_PERM, /* refuse or bounce: 5xx */
    CLASS_OPER, /* hold, tell the operator: 4xx to the outside */
    CLASS_BUG,  /* our own fault: 4xx, logged loudly */
};

/* name, class, enhanced status (RFC 3463), text fit for a stranger's eyes */
#define ERR_TABLE(X)                                                                               \
    X(ERR_OK, CLASS_OK, "2.0.0", "Done")                                                           \
    X(ERR_NOMEM, CLASS_TEMP, "4.3.0", "Out of memory, try again later")                            \
    X(ERR_IO, CLASS_TEMP, "4.3.0", "Local input/output failure, try again later")                  \
    X(ERR_NOSPACE, CLASS_TEMP, "4.3.1", "Storage is full, try again later")                        \
    X(ERR_BUSY, CLASS_TEMP, "4.3.2", "Too busy, try again later")                                  \
    X(ERR_TIMEOUT, CLASS_TEMP, "4.4.1", "Timed out, try again later")                              \
    X(ERR_NET, CLASS_TEMP, "4.4.2", "Connection failed, try again later")                          \
    X(ERR_LIMIT, CLASS_TEMP, "4.7.1", "Too many new correspondents, try again later")              \
    X(ERR_SHARE, CLASS_TEMP, "4.7.1", "No key ready for this recipient, try again later")          \
    X(ERR_NOT_ACTIVE, CLASS_TEMP, "4.2.1", "Mailbox is not ready to take mail, try again later")   \
    X(ERR_SENDER_DEFERRED, CLASS_TEMP, "4.7.1", "Not taken at first, try again later")             \
    X(ERR_UNCHECKED, CLASS_TEMP, "4.7.0", "Sender cannot be checked now, try again later")         \
    X(ERR_OTHER_PROFILE, CLASS_TEMP, "4.5.3", "One recipient at a time here, send again")          \
    X(ERR_NO_ALIAS, CLASS_PERM, "5.1.1", "No such recipient here")                                 \
    X(ERR_NOT_REPORT, CLASS_PERM, "5.7.1", "This address takes delivery reports only")             \
    X(ERR_TOO_BIG, CLASS_PERM, "5.3.4", "Message too big")                                         \
    X(ERR_BARE_LINE, CLASS_PERM, "5.6.0", "Bare CR, bare LF or NUL in message")                    \
    X(ERR_TWO_FROM, CLASS_PERM, "5.6.0", "More than one From field")                               \
    X(ERR_HEADER, CLASS_PERM, "5.6.0", "Header is malformed or over its limits")                   \
    X(ERR_HOPS, CLASS_PERM, "5.4.6", "Too many hops")                                              \
    X(ERR_LOOP, CLASS_PERM, "5.4.6", "Mail loop detected")                                         \
    X(ERR_NOT_FOUND, CLASS_PERM, "5.1.0", "Not found")                                             \
    X(ERR_EXISTS, CLASS_PERM, "5.1.0", "Exists already")                                           \
    X(ERR_REFUSED, CLASS_PERM, "5.7.1", "Refused by policy")                                       \
    X(ERR_SENDER_FAILED, CLASS_PERM, "5.7.1", "Sender's domain does not authorise this message")   \
    X(ERR_SPAM, CLASS_PERM, "5.7.1", "Message looks like spam")                                    \
    X(ERR_UNPROVEN, CLASS_PERM, "5.7.1", "Message refused")                                        \
    X(ERR_REPLY, CLASS_PERM, "5.6.0", "Reply cannot be sent on, a sealed notice says why")         \
    X(ERR_NOT_ASCII, CLASS_PERM, "5.6.7", "Recipient's address needs internationalised mail")      \
    X(ERR_FORMAT, CLASS_PERM, "5.6.0", "Malformed data")                                           \
    X(ERR_USAGE, CLASS_PERM, "5.5.4", "Wrong use of a command")                                    \
    X(ERR_WRONG_STATE, CLASS_PERM, "5.7.1", "Not possible in the present state")                   \
    X(ERR_EXPIRED, CLASS_OPER, "4.7.0", "Certificate has expired, try again later")                \
    X(ERR_TAMPERED, CLASS_OPER, "4.7.0", "Local data is not authentic, try again later")           \
    X(ERR_HSM_AWAY, CLASS_OPER, "4.3.0", "Key service is away, try again later")                   \
    X(ERR_PIN, CLASS_OPER, "4.3.0", "Key service is locked, try again later")                      \
    X(ERR_CONFIG, CLASS_OPER, "4.3.5", "Local configuration error, try again later")               \
    X(ERR_BUG, CLASS_BUG, "4.3.0", "Internal error, try again later")

#define ERR_ENUM(name, class, status, text) name,
enum err { ERR_TABLE(ERR_ENUM) ERR_COUNT };
#undef ERR_ENUM

/* err_class - what to do about an error. Unknown values are CLASS_BUG. */
enum err_class err_class(enum err e);

/* err_name, err_status, err_text - static strings: "ERR_IO", "4.3.0", the text of the table. */
const char *err_name(enum err e);
const char *err_status(enum err e);
const char *err_text(enum err e);

/* The cause below an error, one a thread: the first note since err_note_clear() wins. */
struct err_note {
    char action[64];  /* what was attempted: "C_Sign", "sqlite3_step" */
    char detail[256]; /* what came back, printable ASCII; never content, PIN or key bytes */
};

/* err_note - keep the cause of a failure and hand its error through, so that a caller can write
 * `return err_note(ERR_IO, "fsync", "%s", strerror(errno));`. Drains nothing by itself. */
enum err err_note(enum err e, const char *action, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* err_note_openssl - like err_note with the OpenSSL error queue as detail, which it empties. */
enum err err_note_openssl(enum err e, const char *action);

#ifdef __clang_analyzer__
/* What the analyzer cannot see: both hand their first argument through. */
#define err_note(e, ...)            ((void)err_note(e, __VA_ARGS__), (e))
#define err_note_openssl(e, action) ((void)err_note_openssl(e, action), (e))
#endif

/* err_note_get - the calling thread's note; empty strings when there is none. Borrowed. */
const struct err_note *err_note_get(void);
void err_note_clear(void);

#endif
