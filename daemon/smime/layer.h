/* SPDX-License-Identifier: GPL-3.0-or-later */
/* layer.h - is the root of a MIME entity an S/MIME layer, and where are its parts?
 *
 * Only the root is ever asked: S/MIME inside a multipart is content like any other, never opened
 * and never believed. RFC 8551 3.2, 3.5; RFC 2046 5.1.1. */
#ifndef SEALRELAY_SMIME_LAYER_H
#define SEALRELAY_SMIME_LAYER_H

#include "daemon/base/secret.h"
#include "daemon/message/message.h"

enum layer_kind {
    LAYER_NONE,    /* content */
    LAYER_CMS,     /* application/pkcs7-mime; the CMS itself says what it is */
    LAYER_DETACHED /* multipart/signed with an S/MIME signature */
};

enum layer_transfer { TRANSFER_TEXT, TRANSFER_BASE64, TRANSFER_BINARY, TRANSFER_OTHER };

struct layer {
    enum layer_kind kind;
    struct bytes body;            /* LAYER_CMS: still in its transfer encoding */
    enum layer_transfer transfer; /* of body, or of the signature */
    struct bytes signed_entity;   /* LAYER_DETACHED: the first part, header and body */
    struct bytes signature;       /* LAYER_DETACHED: the second part's body */
};

/* layer_read - look at m's root; out borrows from m. Fields that readers understand differently
 * (two Content-Types of which one says S/MIME, a coded boundary) are refused.
 * Errors: ERR_FORMAT, ERR_NOMEM. */
enum err layer_read(const struct message *m, struct layer *out);

/* layer_decode - a body in its transfer encoding as BER. Base64 may hold blanks and line ends and
 * nothing else that is foreign to it; from a binary body one final CRLF is taken off.
 *   out  appended to; wipe it where the body was in clear only for us
 * Errors: ERR_FORMAT (any other transfer encoding, not base64), ERR_NOMEM. */
enum err layer_decode(struct bytes body, enum layer_transfer transfer, struct buf *out);

/* lines_fix - give an entity whose header has bare LF line ends CRLF throughout, as its signer
 * had to sign it (RFC 8551 3.1.1); any other is left alone, and out with it.
 * Errors: ERR_NOMEM. */
enum err lines_fix(struct bytes entity, struct secret *out);

/* lines_make_crlf - a copy with CRLF for every bare LF. Errors: ERR_NOMEM. */
enum err lines_make_crlf(struct bytes text, struct secret *out);

/* lines_have_bare_lf - is there a bare LF in text? */
bool lines_have_bare_lf(struct bytes text);

#endif
