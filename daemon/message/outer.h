/* SPDX-License-Identifier: GPL-3.0-or-later */
/* outer.h - the fields a mailbox provider may read, as the relay writes them. */
#ifndef SEALRELAY_MESSAGE_OUTER_H
#define SEALRELAY_MESSAGE_OUTER_H

#include "daemon/message/date.h"
#include "daemon/message/rewrite.h"

#define LOOP_FIELD "Sealrelay-Loop"

/* field_begin - "Name: " at the end of out; what to hand to field_end.
 * field_end - CRLF, or nothing of the field at all when no value was written. */
size_t field_begin(struct buf *out, const char *name);
void field_end(struct buf *out, size_t begun);

/* field_keep - the message's first field of that name as unstructured text, if it has one. */
enum err field_keep(struct buf *out, const struct message *m, const char *name);

/* outer_append - every outer field but Content-* and MIME-Version, ASCII, CRLF, folded.
 *   made_message_id  given; NULL unless the message's own could not be kept
 * Errors: ERR_NOMEM, ERR_IO (no randomness), ERR_FORMAT (an address of in is not ASCII). */
enum err outer_append(const struct rewrite_input *in, const struct date *date, struct buf *out,
                      char **made_message_id);

#endif
