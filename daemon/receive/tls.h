/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tls.h - the server's TLS settings. */
#ifndef SEALRELAY_RECEIVE_TLS_H
#define SEALRELAY_RECEIVE_TLS_H

#include "daemon/base/err.h"

#include <openssl/ssl.h>

/* tls_server_new - a context for STARTTLS: TLS 1.2 and later, no renegotiation, no compression,
 * no sessions kept.
 *   certificate, key  PEM files; the certificate file holds the chain, leaf first
 * Errors: ERR_CONFIG (unreadable, or key and certificate are no pair), ERR_NOMEM. */
enum err tls_server_new(const char *certificate, const char *key, SSL_CTX **out);

#endif
