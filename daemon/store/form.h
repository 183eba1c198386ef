/* SPDX-License-Identifier: GPL-3.0-or-later */
/* form.h - which addresses may be aliases and mailboxes. Narrower than RFC 5321: they end in
 * certificates as rfc822Name, so ASCII, lower case, no quoted local part. */
#ifndef SEALRELAY_STORE_FORM_H
#define SEALRELAY_STORE_FORM_H

#include "daemon/base/err.h"
#include "hsm/hsm.h"

/* form_lower - copy with ASCII letters in lower case. Errors: ERR_FORMAT (too long). */
enum err form_lower(const char *s, address_text out);
/* form_lower_domain - copy with only the domain in lower case, as correspondents are kept.
 * Errors: ERR_FORMAT (empty, too long, control bytes). */
enum err form_lower_domain(const char *s, address_text out);
/* form_is_address - dot-atom@host (RFC 5321 4.1.2), 64 and 254 bytes at most. */
bool form_is_address(const char *s);
/* form_is_catch_all - "*@host". */
bool form_is_catch_all(const char *s);
/* form_is_reverse - local part r-<16 of a-z2-7>. */
bool form_is_reverse(const char *s);
/* form_is_reserved - of a reverse alias or of a return path (b-...): no alias or mailbox. */
bool form_is_reserved(const char *s);
/* form_is_name - 1 to 64 bytes of printable UTF-8, no blank at either end, not like an id. */
bool form_is_name(const char *s);

#endif
