/* SPDX-License-Identifier: GPL-3.0-or-later */
/* charset.h - text of any charset as UTF-8, to be searched. */
#ifndef SEALRELAY_CLEAN_CHARSET_H
#define SEALRELAY_CLEAN_CHARSET_H

#include "daemon/base/buf.h"

/* charset_to_utf8 - append text as UTF-8; what cannot be converted becomes U+FFFD. Text without a
 * charset, or of an unknown one, is UTF-8 if it is valid, else windows-1252.
 *   charset  NULL for none
 * Errors: ERR_NOMEM. */
enum err charset_to_utf8(struct bytes text, const char *charset, struct buf *out);

#endif
