/* SPDX-License-Identifier: GPL-3.0-or-later */
/* utf8.h - UTF-8 (RFC 3629), as far as reading what somebody else wrote needs it. */
#ifndef SEALRELAY_BASE_UTF8_H
#define SEALRELAY_BASE_UTF8_H

#include "daemon/base/buf.h"

/* utf8_is_valid - shortest forms only, no surrogates, nothing above U+10FFFF, no NUL. */
bool utf8_is_valid(struct bytes text);
/* utf8_is_text - valid, and free of control characters (C0, DEL, C1). */
bool utf8_is_text(struct bytes text);
/* utf8_append - encode one scalar value at the end of out. */
void utf8_append(struct buf *out, uint32_t code);
/* utf8_is_printable - text, and free of the marks that turn it around on a terminal (U+200E/F,
 * U+202A-202E, U+2028/9, U+2066-2069). */
bool utf8_is_printable(struct bytes text);

#endif
