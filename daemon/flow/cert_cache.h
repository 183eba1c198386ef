/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cert_cache.h - certificates by their encoding, parsed once. Thread-safe. */
#ifndef SEALRELAY_FLOW_CERT_CACHE_H
#define SEALRELAY_FLOW_CERT_CACHE_H

#include "daemon/base/buf.h"

#include <openssl/types.h>

/* cert_parse - the certificate that der encodes. Given: X509_free; shared with other threads, so it
 * is only ever read. NULL: it is none (OpenSSL's error queue says why), or out of memory. */
X509 *cert_parse(struct bytes der);

#endif
