/* SPDX-License-Identifier: GPL-3.0-or-later */
/* own_cert.h - may mail for somebody be encrypted to this certificate of theirs?
 *
 * The one check behind harvesting, importing and using a correspondent's own certificate. It says
 * nothing of who issued it: that is known by the signature it came with, or by the operator. */
#ifndef SEALRELAY_SMIME_OWN_CERT_H
#define SEALRELAY_SMIME_OWN_CERT_H

#include "daemon/base/err.h"

#include <openssl/types.h>
#include <stdint.h>

/* own_cert_check - does it name the address (rfc822Name, case ignored), is it valid now, may its
 * key be encrypted to (keyEncipherment for RSA, keyAgreement for EC; no key usage allows both; an
 * extended key usage has emailProtection), is the key RSA of 2048 to 8192 bits, P-256 or P-384?
 * Errors: ERR_EXPIRED; ERR_REFUSED with a note that says why. Source: RFC 8550 3, 4.4. */
enum err own_cert_check(X509 *cert, const char *address, int64_t now_s);

/* own_cert_times - its life, in seconds since 1970. Errors: ERR_FORMAT. */
enum err own_cert_times(const X509 *cert, int64_t *not_before_s, int64_t *not_after_s);

#endif
