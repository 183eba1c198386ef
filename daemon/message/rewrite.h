/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rewrite.h - a stranger's message as the user will see it: new header outside, protected header
 * inside, content untouched.
 *
 * Pure: who the reverse addresses are is decided by flow/forward.c between the two calls. Kept are
 * From, To, Cc, Reply-To (mapped), Subject, Date, Message-ID, In-Reply-To, References, List-Id,
 * List-Unsubscribe (web links only), List-Unsubscribe-Post, Auto-Submitted, Precedence; all else
 * stays behind, above all what claims to be a verdict. The inner entity protects the same fields
 * (RFC 9788), the original Date, and the verdict.
 */
#ifndef SEALRELAY_MESSAGE_REWRITE_H
#define SEALRELAY_MESSAGE_REWRITE_H

#include "daemon/message/address.h"
#include "daemon/message/message.h"
#include "daemon/message/references.h"

#include <stdint.h>

#define REWRITE_ADDRESSES_MAX   20u /* mapped addresses; the rest stay out of the header */
#define REWRITE_LOOPS_MAX       5u  /* passages through this relay */
#define REWRITE_LOOP_FIELDS_MAX 25u /* passages through relays of this kind */
#define LOOP_ID_MAX_BYTES       64u

/* What the message says of its parties; step one. */
struct rewrite_parties {
    struct mailbox from; /* the first one; addr NULL: no usable From */
    bool from_many;      /* it was not the only one */
    struct mailbox_list to, cc, reply_to;
};

/* rewrite_parties_find - reads From, To, Cc and Reply-To.
 * Errors: ERR_TWO_FROM, ERR_HOPS (over 50 Received), ERR_LOOP (our own loop field too often, or
 * From has the form of a reverse alias in one of the relay's domains). */
enum err rewrite_parties_find(const struct message *m, const char *relay_id,
                              const char *const *domains, size_t n_domains,
                              struct rewrite_parties *out);
void rewrite_parties_clear(struct rewrite_parties *p);

/* One address as the user shall see it. */
struct rewrite_map {
    const char *from_addr; /* real address as in the message */
    const char *to_addr;   /* reverse alias, or the alias itself, unchanged */
};

struct rewrite_input {
    const struct message *message;
    const struct rewrite_parties *parties;
    const char *relay_id;    /* for the loop field: "Sealrelay-Loop: <relay_id>" */
    const char *alias;       /* in To, added when the message does not name it */
    const char *sender_addr; /* real address shown in the display name; NULL: "unknown sender" */
    const char *sender_reverse;
    const struct rewrite_map *map; /* addresses not in it are left out of the header */
    size_t n_map;
    const char *const
        *verdict; /* protected field lines, ASCII, without CRLF: "Sealrelay-Verdict: unchecked" */
    size_t n_verdict;
    bool unverified; /* From is shown as "[unverified] Name - user at example.com" */
    bool spam;       /* X-Spam-Flag: YES, for the mailbox's filters */
    int64_t now_s;
    int64_t cert_not_before_s;     /* of the sender certificate */
    const char *message_id_domain; /* for a message without (usable) Message-ID: alias domain */
    bool hide_subject;
    struct id_lookup ids; /* of the user's own messages */
};

struct rewrite_output {
    struct buf outer; /* header fields, each with CRLF, without the S/MIME Content-* fields */
    struct buf
        inner_head;        /* of the signed entity up to and including the empty line, or, where the
                            * content is wrapped, up to the point where the original's bytes start */
    struct bytes content;  /* original bytes, borrowed from the message */
    struct buf inner_tail; /* behind the content, of a wrapped one */
    int64_t signing_time_s;
    char *made_message_id; /* NULL unless the original's had to be replaced */
};

/* rewrite_forward - step two. The inner entity is inner_head + content + inner_tail, CRLF only.
 * hp="cipher" is added to the single Content-Type when it parses (RFC 2045 5.1), text/plain with it
 * when there is none; every other Content-* byte is as it came. Mail that is S/MIME already is
 * wrapped: signed as only child of multipart/mixed, other pkcs7-mime as attached message/rfc822
 * beside a line of explanation. A Content-Type that has an hp parameter already stays as it is.
 * Errors: ERR_NOMEM, ERR_IO (no randomness), ERR_FORMAT (a relay address that is not ASCII),
 * ERR_BUG (a verdict line that is not one line of printable ASCII), those of the look-up. out is
 * set on success only. */
enum err rewrite_forward(const struct rewrite_input *in, struct rewrite_output *out);
void rewrite_output_clear(struct rewrite_output *o);

#endif
