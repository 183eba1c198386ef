/* SPDX-License-Identifier: GPL-3.0-or-later */
/* blob.h - a sender key outside the token: version | profile | KEK generation | mechanism | key
 * type | reverse alias | public key | IV | wrapped key | HMAC.
 *
 * Internal to hsm/token. The HMAC, by the record key, is over everything before it. */
#ifndef SEALRELAY_HSM_TOKEN_BLOB_H
#define SEALRELAY_HSM_TOKEN_BLOB_H

#include "hsm/token/service.h"

struct blob {
    id_text profile;
    address_text reverse;
    uint32_t kek_generation;
    CK_MECHANISM_TYPE mechanism;
    enum key_type type;
    struct bytes spki; /* DER SubjectPublicKeyInfo; slices are borrowed from what was read */
    struct bytes iv;   /* empty unless the mechanism is CBC */
    struct bytes wrapped;
};

/* blob_write - append the blob with its HMAC. */
enum err blob_write(struct call *c, const struct blob *b, struct buf *out);
/* blob_read - authentic, and of this profile and reverse alias? Errors: ERR_TAMPERED. */
enum err blob_read(struct call *c, const struct hsm_key_ref *key, struct blob *out);
/* blob_parse - only the form, and profile and reverse alias; for a blob whose bytes were found
 * authentic before. Errors: ERR_TAMPERED. */
enum err blob_parse(const struct hsm_key_ref *key, struct blob *out);

#endif
