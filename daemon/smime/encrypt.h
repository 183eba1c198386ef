/* SPDX-License-Identifier: GPL-3.0-or-later */
/* encrypt.h - the outer layer of what leaves: EnvelopedData, base64 lines, sink.
 *
 * Whoever calls fills the pipe from above with what shall be read by the recipients alone; below it
 * there is nothing but ciphertext. RFC 5652 6, RFC 8551 2.7 and 3.3, RFC 5753. */
#ifndef SEALRELAY_SMIME_ENCRYPT_H
#define SEALRELAY_SMIME_ENCRYPT_H

#include "daemon/smime/seal.h"

#include <openssl/bio.h>

/* What is encrypted: the pieces of an entity, written into pipe. */
typedef enum err (*encrypt_fill)(void *ctx, BIO *pipe);

/* pipe_write - all of data into an OpenSSL BIO, by chunks. Errors: ERR_BUG. */
enum err pipe_write(BIO *bio, struct bytes data);

/* encrypt_run - write the body of an application/pkcs7-mime entity.
 *   recipients      at least one; RSA key transport PKCS#1 v1.5, or ECDH with the SHA-256 KDF
 *   cipher          EVP_aes_256_cbc() or EVP_aes_128_cbc()
 *   fill, fill_ctx  called once, with the pipe
 *   sink, sink_ctx  takes base64 lines of 76 with CRLF
 * Errors: fill's own; the sink's own; ERR_BUG (no recipient, OpenSSL refuses a step), ERR_NOMEM. */
enum err encrypt_run(const STACK_OF(X509) * recipients, const EVP_CIPHER *cipher, encrypt_fill fill,
                     void *fill_ctx, seal_sink sink, void *sink_ctx);

#endif
