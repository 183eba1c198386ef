/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wrap.h - the original's MIME entity inside ours: as it is, or, for S/MIME mail, one level down.
 */
#ifndef SEALRELAY_MESSAGE_WRAP_H
#define SEALRELAY_MESSAGE_WRAP_H

#include "daemon/message/message.h"

/* entity_append - Content-* fields up to the place where the original's body starts, and what
 * follows behind it.
 *   protected_header  borrowed, may lie in head; our own From, Date and Subject for an attached
 *                     message
 *   head, tail        appended to
 * Errors: ERR_NOMEM, ERR_IO (no randomness). */
enum err entity_append(const struct message *m, struct bytes protected_header, struct buf *head,
                       struct buf *tail);

#endif
