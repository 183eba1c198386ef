/* SPDX-License-Identifier: GPL-3.0-or-later */
/* date.h - the date-time of header fields (RFC 5322 3.3, 4.3). */
#ifndef SEALRELAY_MESSAGE_DATE_H
#define SEALRELAY_MESSAGE_DATE_H

#include "daemon/base/buf.h"

struct date {
    int64_t time_s; /* since 1970, UTC */
    int offset_min; /* of the zone it is told in, east positive */
};

/* date_parse - a field's value, folds allowed; the day's name, seconds and comments are optional,
 * obsolete years and zone names understood, unknown zone names are -0000.
 * Errors: ERR_FORMAT (not a date, or a year outside 1900 to 9999), ERR_NOMEM. */
enum err date_parse(struct bytes value, struct date *out);

/* date_append - "Sun, 22 Nov 2026 06:59:06 +0000". */
void date_append(struct buf *out, const struct date *d);

#endif
