/* SPDX-License-Identifier: GPL-3.0-or-later */
/* codec.h - hexadecimal, base32 and base64 (RFC 4648). */
#ifndef SEALRELAY_BASE_CODEC_H
#define SEALRELAY_BASE_CODEC_H

#include "daemon/base/buf.h"

/* hex_append, base32_append, base64_append - encode data at the end of b.
 * Hex and base32 are lower case; base32 has no padding; base64 is one line with padding. */
void hex_append(struct buf *b, struct bytes data);
void base32_append(struct buf *b, struct bytes data);
void base64_append(struct buf *b, struct bytes data);

/* hex_decode, base32_decode, base64_decode - decode a whole string, appended to out.
 * base64 may hold white space between its characters and nothing else besides.
 * Errors: ERR_FORMAT (out is unchanged), ERR_NOMEM. */
enum err hex_decode(struct bytes text, struct buf *out);
enum err base32_decode(struct bytes text, struct buf *out);
enum err base64_decode(struct bytes text, struct buf *out);

#endif
