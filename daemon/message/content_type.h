/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content_type.h - one Content-Type value: is it well-formed, and what does it say of S/MIME? */
#ifndef SEALRELAY_MESSAGE_CONTENT_TYPE_H
#define SEALRELAY_MESSAGE_CONTENT_TYPE_H

#include "daemon/base/buf.h"

#define CONTENT_TYPE_TEXT_MAX 63u /* a longer word is none of those we look for: kept as "" */

struct content_type {
    bool parses;         /* by the letter of RFC 2045 5.1, ASCII only */
    bool protocol_coded; /* protocol is told in pieces or coded (RFC 2231), which is not read */
    bool has_hp;         /* a parameter named hp is there already (RFC 9788) */
    /* lower case, "" when absent; filled as far as the value could be read, well-formed or not */
    char type[CONTENT_TYPE_TEXT_MAX + 1];
    char subtype[CONTENT_TYPE_TEXT_MAX + 1];
    char protocol[CONTENT_TYPE_TEXT_MAX + 1];
    char smime_type[CONTENT_TYPE_TEXT_MAX + 1];
};

/* content_type_read - value: behind the colon, folds, comments and all. Never fails. */
void content_type_read(struct bytes value, struct content_type *out);

#endif
