/* SPDX-License-Identifier: GPL-3.0-or-later */
/* signed.h - the inner layer of sealing: the detached SignedData of one signer. */
#ifndef SEALRELAY_SMIME_SIGNED_H
#define SEALRELAY_SMIME_SIGNED_H

#include "daemon/smime/seal.h"

#include <openssl/cms.h>

/* signature_new - a SignedData without content or signature yet: certificates and the signer with
 * its signed attributes (RFC 5652 5.3; RFC 8551 2.5).
 *   out  given; CMS_ContentInfo_free
 * Errors: ERR_BUG (key does not match certificate, OpenSSL refuses), ERR_NOMEM. */
enum err signature_new(const struct seal_job *job, CMS_ContentInfo **out);

/* signature_finish - sign what passed through chain (of CMS_dataInit); the private-key operation.
 * Errors: job's key_error, else ERR_BUG. */
enum err signature_finish(const struct seal_job *job, CMS_ContentInfo *cms, BIO *chain);

#endif
