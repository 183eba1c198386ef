/* SPDX-License-Identifier: GPL-3.0-or-later */
/* onward.h - a finished reply, encrypted to its correspondent's own certificate.
 *
 * Encryption only: the relay holds no certificate for an alias, so there is nothing to sign with.
 * Invariant: what reaches the sink is the header that was given and ciphertext. RFC 8551 3.3,
 * RFC 9788 2 (hp="cipher" without a signature). */
#ifndef SEALRELAY_SMIME_ONWARD_H
#define SEALRELAY_SMIME_ONWARD_H

#include "daemon/smime/seal.h"

struct onward_job {
    struct bytes header; /* fields but Content-*, each with CRLF; no empty line behind */
    struct bytes entity; /* Content-* fields, empty line, body; CRLF */
    X509 *recipient;     /* own_cert_check() found it fit */
    bool aes_128;        /* the correspondent's capabilities know nothing longer */
};

/* onward_run - write the whole message: header, then EnvelopedData with AES-256-CBC (AES-128-CBC)
 * in base64. Inside, the same header stands again with an HP-Outer line for each field.
 * Errors: the sink's own; ERR_HEADER, ERR_BARE_LINE (a header that cannot be read), ERR_IO (no
 * randomness), ERR_BUG (OpenSSL refuses a step), ERR_NOMEM. */
enum err onward_run(const struct onward_job *job, seal_sink sink, void *ctx);

#endif
