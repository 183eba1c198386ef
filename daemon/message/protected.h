/* SPDX-License-Identifier: GPL-3.0-or-later */
/* protected.h - header fields inside the signed and encrypted entity (RFC 9788). */
#ifndef SEALRELAY_MESSAGE_PROTECTED_H
#define SEALRELAY_MESSAGE_PROTECTED_H

#include "daemon/message/date.h"
#include "daemon/message/rewrite.h"

/* protected_append - what the signature vouches for: a copy of every outer field, but the true
 * Subject where the outer one is hidden and the original Date where the outer one differs; the
 * verdict; then an HP-Outer line for every outer field, value as outside.
 *   outer          header as outer_append wrote it
 *   date_kept      outer and original Date are the same instant, or there was none
 *   original_date  parsed; NULL when the original cannot be read: it is then protected as text
 * Errors: ERR_NOMEM, ERR_BUG (a verdict line that is not one line of printable ASCII). */
enum err protected_append(struct buf *out, const struct rewrite_input *in, struct bytes outer,
                          bool date_kept, const struct date *original_date);

#endif
