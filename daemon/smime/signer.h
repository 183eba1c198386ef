/* SPDX-License-Identifier: GPL-3.0-or-later */
/* signer.h - one signature by one enrolled user key, and nothing less. */
#ifndef SEALRELAY_SMIME_SIGNER_H
#define SEALRELAY_SMIME_SIGNER_H

#include "daemon/smime/open.h"

#include <openssl/cms.h>

#define SIGNER_CERTIFICATES_MAX 50
#define SIGNER_DIGESTS_MAX      8 /* digestAlgorithms: each costs a pass over the content */
#define SIGNER_RSA_BITS_MIN     2048
#define SIGNER_RSA_BITS_MAX     8192 /* RFC 8551 6: what a key may cost */

struct signature {
    CMS_ContentInfo *cms;
    CMS_SignerInfo *signer;
    X509 *cert; /* the signer's; NULL until it is found */
    int64_t signing_time_s;
};

/* signature_read - judge a SignedData by its form alone, whoever signed: bounds, exactly one
 * SignerInfo, digest, signed attributes each there once. cms, detached, out: as signature_take.
 * Errors: ERR_REFUSED, ERR_NOMEM. */
enum err signature_read(struct bytes ber, CMS_ContentInfo *cms, bool detached,
                        struct signature *out);

/* signer_key_is_good - RSA of 2048 to 8192 bits, or EC of 256 and more. */
bool signer_key_is_good(X509 *cert);

/* signature_take - judge a SignedData by its form: bounds, exactly one SignerInfo, digest, signed
 * attributes, and a certificate of job's among those it may name.
 *   ber       BER of the ContentInfo
 *   cms       taken, also on failure: the same, read
 *   detached  where the content has to be
 *   out       signature_clear
 * Errors: ERR_FORMAT, ERR_REFUSED, ERR_NOMEM. */
enum err signature_take(const struct open_job *job, struct bytes ber, CMS_ContentInfo *cms,
                        bool detached, struct signature *out);
void signature_clear(struct signature *s);

/* signature_holds - is it good for this content? detached: empty slice for opaque ones. */
bool signature_holds(const struct signature *s, const struct bytes *detached);

/* signature_content - an opaque signature's own content; wiped by signature_clear. */
struct bytes signature_content(const struct signature *s);

/* signature_judge - what a good signature says: is its time near, its certificate not long expired?
 * Fills the signer's part of out. Errors: ERR_REFUSED, ERR_NOMEM. */
enum err signature_judge(const struct open_job *job, const struct signature *s,
                         struct open_result *out);

/* signer_names - is an address, folded, one of cert's rfc822Names, case ignored? */
bool signer_names(X509 *cert, const char *folded);

/* signer_is_from - has header exactly one From field with exactly one mailbox, and is that one of
 * cert's rfc822Names, case ignored?
 * Errors: ERR_REFUSED, ERR_NOMEM. */
enum err signer_is_from(const struct message *header, X509 *cert);

#endif
