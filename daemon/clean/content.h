/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content.h - a MIME part's content, decoded, and what kind of content it is. */
#ifndef SEALRELAY_CLEAN_CONTENT_H
#define SEALRELAY_CLEAN_CONTENT_H

#include "daemon/clean/internal.h"

enum content_kind {
    CONTENT_TEXT,
    CONTENT_HTML,
    CONTENT_CALENDAR,
    CONTENT_VCARD,
    CONTENT_BINARY,
    CONTENT_OPAQUE,  /* PGP-encrypted: leaves, with a warning */
    CONTENT_MESSAGE, /* a message that is a file: encoded, or called x.eml */
    CONTENT_ARCHIVE, /* x.mht, x.msg: mail to some programs, pages or text to others */
    CONTENT_RECEIPT, /* message/disposition-notification */
    CONTENT_DROPPED, /* keys, signatures, other forms of the same message */
    CONTENT_TNEF,
    CONTENT_PIECE,
    CONTENT_SEALED,
    CONTENT_REPORT,
};

/* content_kind - by type, and by file name where the type says nothing. */
enum content_kind content_kind(GMimePart *part);

/* content_sink - takes decoded bytes; false ends the reading. */
typedef bool content_sink(void *context, struct bytes data);
/* content_read - the decoded content, in pieces. Errors: ERR_NOMEM. */
enum err content_read(GMimePart *part, content_sink *sink, void *context);
/* content_decode - all of it. */
enum err content_decode(GMimePart *part, struct buf *out);

#endif
