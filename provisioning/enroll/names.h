/* SPDX-License-Identifier: GPL-3.0-or-later */
/* names.h - host names and addresses as they may stand in our certificates: lower-case ASCII. */
#ifndef SEALRELAY_ENROLL_NAMES_H
#define SEALRELAY_ENROLL_NAMES_H

#include <stdbool.h>

/* name_is_domain - at least two labels of letters, digits and inner hyphens; at most 253 bytes.
 * Source: RFC 1123 2.1 */
bool name_is_domain(const char *s);
/* name_is_address - a dot-atom of at most 64 bytes, "@", a domain; at most 254 bytes in all.
 * Source: RFC 5321 4.1.2, 4.5.3.1 */
bool name_is_address(const char *s);
/* name_domain_of - what stands behind the last "@". Borrowed. */
const char *name_domain_of(const char *address);
/* name_is_url - "http://", a host name, printable ASCII, at most 200 bytes. */
bool name_is_url(const char *s);

#endif
