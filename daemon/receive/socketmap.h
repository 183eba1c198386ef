/* SPDX-License-Identifier: GPL-3.0-or-later */
/* socketmap.h - tables for Postfix: valid recipients, answered by the function behind RCPT, and
 * senders whose address our MAIL would refuse.
 *
 * Pure: bytes in, answers out. A front behind whose queue we stand refuses with it what we would
 * refuse, while its client still waits: a later refusal would be a bounce to a forged sender. So no
 * recipient is OK here that RCPT answers with 5xx. */
#ifndef SEALRELAY_RECEIVE_SOCKETMAP_H
#define SEALRELAY_RECEIVE_SOCKETMAP_H

#include "daemon/receive/receive.h"

#define SOCKETMAP_RECIPIENTS        "recipients" /* relay_recipient_maps: found is valid */
#define SOCKETMAP_SENDERS           "senders"    /* check_sender_access: found is refused */
#define SOCKETMAP_REQUEST_MAX_BYTES 1024u        /* an address has 254 */
#define SOCKETMAP_REQUESTS_MAX      10000u       /* a connection; Postfix opens a new one */
#define SOCKETMAP_LENGTH_MAX_DIGITS 4u

/* What is read of a netstring so far. All zero: ready for the first byte. Members are private. */
struct socketmap {
    enum { SOCKETMAP_LENGTH, SOCKETMAP_TEXT, SOCKETMAP_COMMA } state;
    unsigned digits;
    size_t want;
    size_t len;
    unsigned requests;
    uint8_t text[SOCKETMAP_REQUEST_MAX_BYTES];
};

/* socketmap_feed - take bytes, answer every whole request "map key" among them.
 *   handler  its lookup is asked for keys that RCPT would take as an address
 *   out      answers are appended: OK key, NOTFOUND, TEMP reason, TIMEOUT reason, PERM reason
 * Returns false when no more is to be read: no netstring, a request too long, or too many of them.
 * What is in out then is still to be sent.
 * Source: Postfix socketmap_table(5); netstrings: cr.yp.to/proto/netstrings.txt. */
bool socketmap_feed(struct socketmap *m, struct bytes in, const struct receive_handler *handler,
                    struct buf *out);

#endif
