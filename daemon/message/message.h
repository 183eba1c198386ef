/* SPDX-License-Identifier: GPL-3.0-or-later */
/* message.h - a message as it came: header fields and body, found and never changed.
 *
 * The body begins after the first empty line; a line without colon belongs to no field (and no
 * field continues across it), nor does a first line that begins with a blank. Content is opaque
 * bytes. RFC 5322 2.2, 3.6.8, 4.5. */
#ifndef SEALRELAY_MESSAGE_H
#define SEALRELAY_MESSAGE_H

#include "daemon/base/buf.h"

#define MESSAGE_HEADER_MAX_BYTES (1024u * 1024) /* of the whole header block */
#define MESSAGE_FIELDS_MAX       10000u
#define MESSAGE_HOPS_MAX         50u /* Received fields, RFC 5321 6.3 */

struct message_field {
    struct bytes name;  /* not empty; without blanks before the colon; odd bytes as they came */
    struct bytes value; /* behind the colon, folds and all, without the final CRLF */
    struct bytes whole; /* the field's lines, final CRLF included */
};

struct message {
    struct bytes raw; /* borrowed; CRLF line ends only */
    struct bytes body;
    struct message_field *fields;
    size_t n_fields;
};

/* message_parse - raw stays borrowed by out. A last line without CRLF counts as a line.
 * Errors: ERR_HEADER (over a limit), ERR_BARE_LINE (bare CR, bare LF or NUL in the header: the
 * receiver lets none pass, and none may get into a header we write), ERR_NOMEM. */
enum err message_parse(struct bytes raw, struct message *out);
void message_clear(struct message *m);

/* message_find - the nth field (0 first) of that name, case ignored; NULL if there is none. */
const struct message_field *message_find(const struct message *m, const char *name, size_t nth);
/* message_next - the field of that name that comes next behind one of m's; NULL for the first, and
 * NULL when there is none. A walk over all of them takes one pass. */
const struct message_field *message_next(const struct message *m, const char *name,
                                         const struct message_field *behind);
size_t message_count(const struct message *m, const char *name);

/* message_unfold - a field's value without folds and blanks at its ends; control bytes become '?'.
 */
enum err message_unfold(struct bytes value, struct buf *out);

#endif
