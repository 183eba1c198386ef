/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trust.h - the authorities whose word on a stranger's identity counts, and asking them.
 *
 * Revocation is not looked up: that would take the network, at addresses a stranger chose. */
#ifndef SEALRELAY_SMIME_TRUST_H
#define SEALRELAY_SMIME_TRUST_H

#include "daemon/base/err.h"

#include <openssl/x509.h>
#include <stdint.h>

#define TRUST_DEPTH_MAX 8 /* intermediates of a chain */

/* Shared by all threads. */
struct trust;

/* trust_open - read the authorities' certificates.
 *   path  PEM file, or folder whose *.pem, *.crt and *.cer files are read; NULL: nobody is trusted
 * Errors: ERR_CONFIG (cannot be read, holds no certificate), ERR_NOMEM. */
enum err trust_open(const char *path, struct trust **out);
void trust_free(struct trust *t);

enum trust_answer { TRUST_GOOD, TRUST_UNKNOWN_ISSUER, TRUST_BAD };

/* trust_ask - does cert chain to an authority, all of it valid now, for signing mail, with keys
 * and digests of 112 bits and more?
 *   extra  certificates to build the chain of; never trusted by themselves
 * Errors: ERR_NOMEM. Source: RFC 5280 6, RFC 8550 4. */
enum err trust_ask(const struct trust *t, X509 *cert, STACK_OF(X509) * extra, int64_t now_s,
                   enum trust_answer *out);

#endif
