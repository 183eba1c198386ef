/* SPDX-License-Identifier: GPL-3.0-or-later */
/* references.h - message ids and unsubscribe links: what stands in angle brackets. */
#ifndef SEALRELAY_MESSAGE_REFERENCES_H
#define SEALRELAY_MESSAGE_REFERENCES_H

#include "daemon/message/message.h"

#define MESSAGE_ID_MAX_BYTES 976u /* with its brackets; fits on a line of 998 behind any name */
#define REFERENCES_MAX       32u  /* ids in one field: the first and the last ones are kept */

/* bracketed_next - take the next "<...>" from the front of rest, its brackets included: printable
 * ASCII without blanks or brackets inside, at most max bytes. False: there is none, rest is empty.
 * Source: RFC 5322 3.6.4 (msg-id), RFC 2369 2. */
bool bracketed_next(struct bytes *rest, size_t max, struct bytes *out);

/* reference_next - the same, of ids that may not be ASCII: these no header of ours carries, but
 * what they stand for can be looked up. */
bool reference_next(struct bytes *rest, size_t max, struct bytes *out);

/* message_id_append - the Message-ID field: the message's own if it is "<", printable ASCII
 * without blanks or brackets, ">", else one made at domain.
 *   made  given; NULL when the message's own was kept
 * Errors: ERR_NOMEM, ERR_IO (no randomness). Source: RFC 5322 3.6.4. */
enum err message_id_append(struct buf *out, const struct message *m, const char *domain,
                           char **made);

/* Who knows by which id the user's client knows a message. */
struct id_lookup {
    /* own  given: the other id, ASCII; untouched when there is none.
     * Errors end what asked. NULL: nothing is known. */
    enum err (*find)(void *ctx, const char *id, char **own);
    void *ctx;
};

/* references_append - In-Reply-To or References with the usable ids of the message's, if any; those
 * that the user's client knows by another name under that.
 * Errors: ERR_NOMEM, those of the look-up. */
enum err references_append(struct buf *out, const struct message *m, const char *name,
                           const struct id_lookup *lookup);

/* unsubscribe_append - List-Unsubscribe with its http and https links only (a mailto would carry
 * the user's real address to the list), and List-Unsubscribe-Post where such a link is left.
 * Source: RFC 2369 3.2, RFC 8058 3. */
enum err unsubscribe_append(struct buf *out, const struct message *m);

#endif
