/* SPDX-License-Identifier: GPL-3.0-or-later */
/* charset.h - text of any charset as UTF-8, to be searched and rewritten. */
#ifndef SEALRELAY_CLEAN_CHARSET_H
#define SEALRELAY_CLEAN_CHARSET_H

#include "daemon/base/buf.h"

/* charset_to_utf8 - append text as UTF-8; what cannot be converted becomes U+FFFD.
 *   charset  a label as mail bears it, read as mail clients read it (WHATWG Encoding 4.2): gb2312
 *            is GB18030, iso-8859-1 is windows-1252. NULL or blank: UTF-8 if the text is, else
 *            windows-1252
 *   guessed  set when nobody knows what the text is: its label is unknown and it is not UTF-8. It
 *            was read as windows-1252 then, good to be searched only
 * Errors: ERR_NOMEM. */
enum err charset_to_utf8(struct bytes text, const char *charset, struct buf *out, bool *guessed);

/* charset_words_name - append a header field's value with the labels of its encoded words as GMime
 * is to read them: the same table. Errors: ERR_NOMEM. Source: RFC 2047 2, RFC 2231 5. */
enum err charset_words_name(struct bytes value, struct buf *out);

#endif
