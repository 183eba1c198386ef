/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bundle.h - PKCS #12 files (RFC 7292) in the two flavours that importers understand. */
#ifndef SEALRELAY_ENROLL_BUNDLE_H
#define SEALRELAY_ENROLL_BUNDLE_H

#include "daemon/base/secret.h"

#include <openssl/types.h>

/* modern: PBES2 with AES-256-CBC and hmacWithSHA256, MAC SHA-256 (Windows since 1709, macOS 15,
 * iOS 18, NSS). compatible: PBE-SHA1-3DES, MAC SHA-1 (older Apple, gpgsm 2.2); its weak derivation
 * rests on the passphrase's 128 bits. */
enum bundle_flavour { BUNDLE_MODERN, BUNDLE_COMPATIBLE };

struct bundle {
    EVP_PKEY *key; /* all borrowed */
    X509 *cert;
    X509 *chain[2]; /* intermediate and root; NULL: identity only */
    const char *name;
};

/* bundle_make - DER, appended. bundle_check - does a file open with the passphrase and hold
 * exactly these? Errors: ERR_FORMAT, ERR_NOMEM; bundle_check: ERR_TAMPERED. */
enum err bundle_make(const struct bundle *b, enum bundle_flavour flavour,
                     const struct secret *passphrase, struct buf *out);
enum err bundle_check(const struct bundle *b, const struct secret *passphrase, struct bytes der);

#endif
