/* SPDX-License-Identifier: GPL-3.0-or-later */
/* armor.h - the last stage of sealing: an OpenSSL BIO that writes base64 lines to the sink. */
#ifndef SEALRELAY_SMIME_ARMOR_H
#define SEALRELAY_SMIME_ARMOR_H

#include "daemon/smime/seal.h"

#include <openssl/bio.h>

/* armor_new - a write-only BIO; NULL when memory is short. BIO_free releases it.
 *   sink, ctx  take whole blocks of lines of 76 characters with CRLF (RFC 2045 6.8) */
BIO *armor_new(seal_sink sink, void *ctx);

/* armor_finish - write the last, short line and whatever is still held. A BIO_flush from above
 * must not end the base64, so that is its own call. Errors: the sink's. */
enum err armor_finish(BIO *armor);

/* armor_error - the first error the sink gave, ERR_OK if none. */
enum err armor_error(BIO *armor);

#endif
