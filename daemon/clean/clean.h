/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clean.h - a user's authenticated reply as its correspondent gets it: no trace of the user.
 *
 * The message is rebuilt from an allow-list, never filtered: what is not named here stays behind.
 * The header is From, To, Cc, Subject, Date, Message-ID, In-Reply-To, References, Auto-Submitted,
 * Importance, MIME-Version, written anew; each MIME part gets new boundaries and Content-IDs and
 * only the parameters it needs. Addresses of the user and reverse addresses in text, HTML, file
 * names, calendar entries and attached messages become what the correspondent knows. Then the
 * product is read once more, every encoding undone: while a mailbox address of the user is left
 * anywhere but inside a binary attachment, nothing leaves. RFC 9788 4, RFC 5322, RFC 2045 to 2047.
 */
#ifndef SEALRELAY_CLEAN_H
#define SEALRELAY_CLEAN_H

#include "daemon/message/message.h"

#define CLEAN_DEPTH_MAX    20u   /* multiparts and attached messages inside each other */
#define CLEAN_PARTS_MAX    1000u /* MIME parts of one message */
#define CLEAN_WARNINGS_MAX 32u   /* kept; more are counted in nobody's favour */
#define CLEAN_LOOKUPS_MAX  64u   /* different reverse addresses looked up for one message */

/* Why a reply is not forwarded; the text is for its authenticated user's eyes. */
#define CLEAN_REASONS(X)                                                                           \
    X(CLEAN_NOT_REFUSED, "Not refused")                                                            \
    X(CLEAN_RECIPIENT, "To or Cc names an address that is no reverse address of this alias: "      \
                       "write to it in a message of its own")                                      \
    X(CLEAN_TNEF, "It holds a winmail.dat, which names your mailbox: send as HTML or plain text "  \
                  "(Outlook: Options, Mail, message format; rich text to internet recipients: "    \
                  "convert to HTML)")                                                              \
    X(CLEAN_PIECE, "It is a piece of a message or points to one elsewhere: send it whole")         \
    X(CLEAN_DEPTH, "Its parts are nested too deep")                                                \
    X(CLEAN_PARTS, "It has too many parts")                                                        \
    X(CLEAN_SEALED, "It holds an attached S/MIME message, which names you to its recipient: "      \
                    "forward it as text")                                                          \
    X(CLEAN_REPORT, "It holds a delivery report, which names your mailbox: forward it as text")    \
    X(CLEAN_UNREADABLE,                                                                            \
      "Its parts cannot be told from each other: your mail program encoded them "                  \
      "as a whole")                                                                                \
    X(CLEAN_LOOKUPS, "It names too many reverse addresses")                                        \
    X(CLEAN_CHARSET, "It is written in a character set that the relay does not know: send it as "  \
                     "UTF-8")                                                                      \
    X(CLEAN_FILE,                                                                                  \
      "It holds a message as a file that names you and cannot be taken apart: forward "            \
      "it as text")                                                                                \
    X(CLEAN_ADDRESS, "Your mailbox address would still be found in it")

#define CLEAN_REASON(name, text) name,
enum clean_reason { CLEAN_REASONS(CLEAN_REASON) };
#undef CLEAN_REASON

/* What the user may want to know about a message that is forwarded. */
enum clean_warning_kind {
    CLEAN_WARN_ADDRESS,  /* a binary attachment holds a mailbox address of the user in clear */
    CLEAN_WARN_METADATA, /* a document or picture that names its author, place or device */
    CLEAN_WARN_DROPPED,  /* a key or signature was left out */
    CLEAN_WARN_CARD,     /* the user's own vCard was reduced to the alias */
    CLEAN_WARN_OPAQUE,   /* PGP-encrypted: what is inside was not looked at */
};

#define CLEAN_PART_MAX 64u
/* Where in the message: "2.1" as IMAP counts (RFC 9051 6.4.5.1), "0" for its header. */
typedef char clean_part[CLEAN_PART_MAX];

struct clean_refusal {
    enum clean_reason reason;
    clean_part part; /* "" when it is about no part */
};

struct clean_warning {
    enum clean_warning_kind kind;
    clean_part part;
};

/* What is known of a message id in References or In-Reply-To. */
enum clean_id {
    CLEAN_ID_UNKNOWN, /* stays, unless it names the user's mailbox or one of their domains */
    CLEAN_ID_KNOWN,   /* the correspondent's: stays, whatever its domain */
    CLEAN_ID_MAPPED,  /* the user's own: replaced */
    CLEAN_ID_HIDDEN,  /* the user's own, which nobody here has seen: left out */
};

struct clean_lookups {
    void *context;
    /* address_real - the real address behind a reverse address of this user, or behind whatever
     * else To and Cc name.
     *   real  given, an ASCII address; set with ERR_OK only
     * Errors: ERR_NOT_FOUND (none of this user's), others abort the cleaning. */
    enum err (*address_real)(void *context, const char *reverse, char **real);
    /* id_find - what is known of a message id ("<...>"); mapped: given, "<...>", for
     * CLEAN_ID_MAPPED only. Asked for the message's own id too: mapped, it leaves under that one.
     * Errors abort the cleaning. */
    enum err (*id_find)(void *context, const char *id, enum clean_id *known, char **mapped);
    /* address_own - is it one of the user's aliases? Such a recipient stays out of To and Cc. NULL:
     * there is none but the message's own. Errors abort the cleaning. */
    enum err (*address_own)(void *context, const char *address, bool *own);
};

struct clean_input {
    const struct message *outer;  /* the reply as it came; its header counts where no header was
                                     protected (RFC 9788, RFC 8551 3.1, "protected-headers") */
    struct bytes entity;          /* decrypted and authenticated MIME entity, or outer->raw */
    const char *alias;            /* local@domain, ASCII: From, and what mailboxes become in text */
    const char *alias_name;       /* display name of From; NULL for none */
    const char *const *mailboxes; /* all of the user's, domain as A-labels; the last is NULL */
    const char *const *domains;   /* that name this user: ids at or below them do not leave; leave a
                                     provider's shared domain out, or its other users' threads
                                     break. The last is NULL */
    const char *domain;           /* for new Message-IDs and Content-IDs: the alias's */
    struct clean_lookups lookups;
    int64_t now_s;
};

struct clean_output {
    struct buf header; /* fields but Content-*, CRLF, no empty line behind */
    struct buf entity; /* Content-* fields, empty line, body; CRLF, 7-bit, lines of 998 at most */
    char *message_id;  /* "<...>": new, or the one that original_id is mapped to */
    char *original_id; /* "<...>": the user's own, to be mapped to it; NULL when there is none */
    struct clean_warning warnings[CLEAN_WARNINGS_MAX];
    size_t n_warnings;
};

/* clean_reply - build the correspondent's message: header + entity.
 *   refusal  set with ERR_REFUSED
 * Effects: out is set with ERR_OK only. No input byte is kept without having been read.
 * Errors: ERR_REFUSED; ERR_HEADER, ERR_BARE_LINE (of an entity's header that cannot be read);
 * ERR_NOMEM, ERR_IO (no randomness), ERR_FORMAT (an address given is not ASCII); those of the
 * lookups. */
enum err clean_reply(const struct clean_input *in, struct clean_output *out,
                     struct clean_refusal *refusal);
void clean_output_clear(struct clean_output *o);

/* clean_names_domain - does an identifier name one of the domains, anywhere in it?
 *   domains  the last is NULL */
bool clean_names_domain(const char *const *domains, struct bytes id);

/* clean_reason_text - the text of the table, static. */
const char *clean_reason_text(enum clean_reason reason);

#endif
