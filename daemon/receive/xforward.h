/* SPDX-License-Identifier: GPL-3.0-or-later */
/* xforward.h - what a mail server in front of us says about its own client (XFORWARD).
 *
 * Only a trusted peer is asked for it, and still nothing it says is believed to be well-formed:
 * what is kept is a parsed address and text of a closed alphabet. */
#ifndef SEALRELAY_RECEIVE_XFORWARD_H
#define SEALRELAY_RECEIVE_XFORWARD_H

#include "daemon/base/buf.h"

#include <arpa/inet.h>

#define XFORWARD_KEYWORDS       "NAME ADDR PORT PROTO HELO IDENT SOURCE"
#define XFORWARD_TEXT_MAX_BYTES 255u /* a host name; RFC 5321 4.5.3.1.2 */
#define XFORWARD_IDENT_MAX      64u  /* longer identifiers are cut */

/* What is known of a front's client; "" is unknown. All zero is a valid value. */
struct xforward {
    bool given;
    char address[INET6_ADDRSTRLEN]; /* textual IP */
    char name[XFORWARD_TEXT_MAX_BYTES + 1];
    char helo[XFORWARD_TEXT_MAX_BYTES + 1];
    char ident[XFORWARD_IDENT_MAX + 1]; /* the front's queue id */
};

enum xforward_result {
    XFORWARD_OK,
    XFORWARD_SYNTAX,   /* a word that is not NAME=value */
    XFORWARD_NAME,     /* an attribute that was not announced */
    XFORWARD_BAD_VALUE /* no xtext, too long, no address, no port */
};

/* xforward_parse - take over the attributes of one command; the others stay as they are.
 *   argument  what follows "XFORWARD ": NAME=value words, values in xtext
 *   io        changed on XFORWARD_OK only
 * [UNAVAILABLE] and [TEMPUNAVAIL] make an attribute unknown. PORT, PROTO and SOURCE are checked
 * and not kept. Source: Postfix XFORWARD_README; xtext is RFC 3461 section 4 (once RFC 1891). */
enum xforward_result xforward_parse(struct bytes argument, struct xforward *io);

/* xforward_host_text - a host name as somebody gave it, fit for any log line and header field:
 * what is in no host name or address literal becomes "?".
 *   out  of XFORWARD_TEXT_MAX_BYTES + 1 bytes, terminated
 * False, out untouched: name is too long. */
bool xforward_host_text(struct bytes name, char *out);

#endif
