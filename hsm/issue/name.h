/* SPDX-License-Identifier: GPL-3.0-or-later */
/* name.h - the forms of names that may stand in certificates: lower-case ASCII. The key service
 * asks before it issues, the user's tool before its root signs. */
#ifndef SEALRELAY_HSM_ISSUE_NAME_H
#define SEALRELAY_HSM_ISSUE_NAME_H

#include <stdbool.h>

/* name_is_domain - at least two labels of letters, digits and inner hyphens; at most 253 bytes.
 * s: NULL is none. Source: RFC 1123 2.1 */
bool name_is_domain(const char *s);
/* name_is_address - a dot-atom of at most 64 bytes, "@", a domain; at most HSM_ADDRESS_MAX bytes in
 * all. s: NULL is none. Source: RFC 5321 4.1.2, 4.5.3.1; RFC 5322 3.2.3 */
bool name_is_address(const char *s);
/* name_is_reverse - "r-", 16 characters of an id, "@", a domain. s: NULL is none. */
bool name_is_reverse(const char *s);

#endif
