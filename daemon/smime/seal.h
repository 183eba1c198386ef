/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal.h - sign, then encrypt, as one pipeline over chunks: hash and sign -> encrypt -> base64 ->
 * sink.
 *
 * seal.c composes the two CMS layers, armor.c is the base64 end of the pipe. The one form every
 * client opens: multipart/signed with SHA-256 inside EnvelopedData with AES-256-CBC and RSA PKCS#1
 * v1.5 (or ECDH for EC certificates). Invariant: nothing reaches the sink but ciphertext and the
 * two lines of MIME around it, and on any failure the caller has ERR_* and throws away what the
 * sink took. RFC 8551 2.4, 3.2, 3.3, 3.5. */
#ifndef SEALRELAY_SMIME_SEAL_H
#define SEALRELAY_SMIME_SEAL_H

#include "daemon/base/buf.h"

#include <openssl/types.h>
#include <openssl/x509.h>
#include <stdint.h>

/* Takes more output. Any error ends the pipeline with that error. */
typedef enum err (*seal_sink)(void *ctx, const uint8_t *data, size_t len);

struct seal_job {
    const struct bytes *entity; /* the signed entity, in pieces, CRLF line ends only */
    size_t n_entity;
    X509 *signer;
    EVP_PKEY *signer_key;               /* of hsm/provider, or any other */
    const STACK_OF(X509) * extra_certs; /* intermediate and other leaves for the CMS bag */
    int64_t signing_time_s;
    const STACK_OF(X509) * recipients; /* at least one */
    enum err (*key_error)(void); /* why the private-key operation failed (provider_last_error), or
                                  * NULL: a failure is then ERR_BUG */
};

/* seal_header_append - the outer entity's Content-* and MIME-Version fields, each with CRLF. */
void seal_header_append(struct buf *out);

/* seal_run - write the body of the outer entity: base64 lines of 76 with CRLF.
 * Memory beyond the entity stays constant: chunks of 4 KiB pass through. Self-signed certificates
 * among extra_certs and repeated ones are left out of the CMS.
 * Errors: what key_error says of the private-key operation; the sink's own; ERR_BUG (no recipient,
 * key does not match certificate, OpenSSL refuses a step); ERR_NOMEM. */
enum err seal_run(const struct seal_job *job, seal_sink sink, void *ctx);

#endif
