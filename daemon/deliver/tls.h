/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tls.h - the TLS of a next hop: context and name check. */
#ifndef SEALRELAY_DELIVER_TLS_H
#define SEALRELAY_DELIVER_TLS_H

#include "daemon/deliver/job.h"

#include <openssl/types.h>

/* tls_client_new - TLS 1.2 or 1.3, verification on, the CAs of ca_file ("" for the system's).
 * Given: SSL_CTX_free. Errors: ERR_CONFIG (no usable CA file), ERR_NOMEM. */
enum err tls_client_new(const char *ca_file, SSL_CTX **out);
/* tls_name_ok - did the peer show a verified certificate that names host, as DNS name or, for an
 * address literal, as IP address? The common name does not count. */
bool tls_name_ok(const SSL *ssl, const char *host);

#endif
