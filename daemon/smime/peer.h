/* SPDX-License-Identifier: GPL-3.0-or-later */
/* peer.h - a stranger's own S/MIME signature: is it good, and by whose word?
 *
 * Content is never touched for it; the answer is a word in the protected header, and a good one's
 * certificate is what replies may be encrypted to. Only a signature at the root counts, by the one
 * mailbox of the one From field. RFC 8551 3.5, RFC 8550. */
#ifndef SEALRELAY_SMIME_PEER_H
#define SEALRELAY_SMIME_PEER_H

#include "daemon/message/message.h"
#include "daemon/smime/trust.h"

#define PEER_BY_MAX        64u                /* bytes of an issuer's name that are shown */
#define PEER_CMS_BYTES_MAX (8u * 1024 * 1024) /* of a CMS, in its transfer encoding */

enum peer_state {
    PEER_NONE, /* nobody signed: no S/MIME, encrypted, or certificates alone */
    PEER_GOOD,
    PEER_BAD,            /* altered, malformed, weak, expired, or not From's */
    PEER_UNKNOWN_ISSUER, /* holds, but nobody who is trusted says whose key it is */
    PEER_UNCHECKED       /* an opaque one of over PEER_CMS_BYTES_MAX */
};

struct peer_signature {
    enum peer_state state;
    X509 *cert;               /* PEER_GOOD: the signer's; else NULL */
    char by[PEER_BY_MAX + 1]; /* PEER_GOOD: who issued it, harmless characters only */
    bool aes_128;             /* PEER_GOOD: its capabilities have AES-128 and no AES-256 */
};

/* peer_verify - look at a message as it came in.
 *   trust  NULL: as of nobody
 * Errors: ERR_NOMEM; whatever is wrong with the message is a state. */
enum err peer_verify(const struct trust *trust, const struct message *m, int64_t now_s,
                     struct peer_signature *out);
void peer_signature_clear(struct peer_signature *s);

const char *peer_state_name(enum peer_state s); /* "none", "good", "bad", "unknown-issuer" ... */

/* peer_line_append - "Sealrelay-Signature: ..." without CRLF. Grammar:
 *   value = "none" / "bad" / "unknown-issuer" / "unchecked" / "good; by=" name
 *   name  = 1*64( ALPHA / DIGIT / " " / "." / "," / "-" / "_" / "'" / "&" / "(" / ")" / "?" )
 *           ; common name of the issuer, else its organisation; "?" for any other character */
void peer_line_append(struct buf *out, const struct peer_signature *s);

#endif
