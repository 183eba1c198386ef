/* SPDX-License-Identifier: GPL-3.0-or-later */
/* enveloped.h - EnvelopedData and AuthEnvelopedData: for whom, and what is inside.
 *
 * Two steps: what everybody can see is judged first; then, once a key is touched, the content
 * decryption always runs to its end. RFC 5652 6, RFC 5083, RFC 5753. */
#ifndef SEALRELAY_SMIME_ENVELOPED_H
#define SEALRELAY_SMIME_ENVELOPED_H

#include "daemon/smime/open.h"

#include <openssl/cms.h>

#define ENVELOPED_RECIPIENTS_MAX 100u

/* What a content decryption gave, good or not. */
struct enveloped_content {
    struct secret memory;
    struct bytes text; /* in memory */
    bool good;         /* nothing failed; no branch but the last may depend on it */
    bool unable;       /* the token has no such unwrapping, whatever the ciphertext */
};

struct enveloped {
    CMS_ContentInfo *cms;
    size_t content_len;     /* of the encrypted content */
    size_t content_key_len; /* the length its cipher wants */
};

/* cms_read - BER as a CMS object, within bounds. out: given; cms_drop.
 * Errors: ERR_FORMAT. */
enum err cms_read(struct bytes ber, CMS_ContentInfo **out);
void cms_drop(CMS_ContentInfo **cms);

/* enveloped_take - judge an encrypted CMS by what everybody can see of it: kind, cipher (AES-CBC,
 * AES-GCM, 3DES), number of recipients.
 *   cms  taken, also on failure
 *   out  enveloped_clear
 * Errors: ERR_FORMAT, ERR_NOMEM. */
enum err enveloped_take(CMS_ContentInfo *cms, struct enveloped *out);
void enveloped_clear(struct enveloped *v);

/* enveloped_recipients - everybody it names by a certificate. Errors: ERR_NOMEM. */
enum err enveloped_recipients(const struct enveloped *v, struct open_recipient **out,
                              size_t *n_out);

/* enveloped_is_for - is there a RecipientInfo for this certificate that its key could open? */
bool enveloped_is_for(const struct enveloped *v, X509 *cert);

/* enveloped_open - unwrap the content key, decrypt the content. Where the content key does not come
 * out, the content is decrypted with a random one all the same.
 *   key_error  as in struct open_job
 *   out        secret_free its memory
 * Errors: what key_error says if it is not about the ciphertext; ERR_NOMEM. */
enum err enveloped_open(struct enveloped *v, X509 *cert, EVP_PKEY *key, enum err (*key_error)(void),
                        struct enveloped_content *out);

#endif
