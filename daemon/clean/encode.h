/* SPDX-License-Identifier: GPL-3.0-or-later */
/* encode.h - content as 7-bit bytes that any server takes: RFC 2045 6. */
#ifndef SEALRELAY_CLEAN_ENCODE_H
#define SEALRELAY_CLEAN_ENCODE_H

#include "daemon/base/buf.h"

enum encoding { ENCODING_7BIT, ENCODING_QUOTED_PRINTABLE, ENCODING_BASE64 };

/* encoding_choose - the shortest that keeps the text as it is: base64 for bare CR, bare LF, NUL. */
enum encoding encoding_choose(struct bytes text);
const char *encoding_name(enum encoding encoding);
void encoded_append(struct buf *out, enum encoding encoding, struct bytes data);

/* base64_lines_* - base64 of a stream, in lines of 76 with CRLF. */
struct base64_lines {
    uint8_t held[57];
    size_t n;
};
void base64_lines_write(struct base64_lines *b, struct buf *out, struct bytes data);
void base64_lines_end(struct base64_lines *b, struct buf *out);

/* parameter_append - "; name=value" on a line of its own; RFC 2231 where it is long or not ASCII.
 *   value  UTF-8 without control bytes */
void parameter_append(struct buf *out, const char *name, struct bytes value);

#endif
