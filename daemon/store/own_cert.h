/* SPDX-License-Identifier: GPL-3.0-or-later */
/* own_cert.h - correspondents' own certificates, which replies to them are encrypted to.
 *
 * A certificate names its owner, so it lies sealed as the address does, tied to its correspondent:
 * a row that was exchanged in the database does not open. Pinned byte for byte; nothing else of the
 * store says whose it is. */
#ifndef SEALRELAY_STORE_OWN_CERT_H
#define SEALRELAY_STORE_OWN_CERT_H

#include "daemon/store/store.h"

#define OWN_CERT_MAX_BYTES (32u * 1024) /* DER */

/* harvested: with a good signature on their mail; imported: by the operator. */
enum own_cert_source { OWN_CERT_HARVESTED, OWN_CERT_IMPORTED };
const char *own_cert_source_name(enum own_cert_source s); /* "harvested", "imported" */

struct own_cert {
    enum own_cert_source source;
    bool aes_128; /* encrypt with AES-128: their mail program said it knows nothing longer */
    int64_t first_seen_s;
    int64_t not_before_s; /* of the certificate */
    int64_t not_after_s;
    struct buf der;
};
void own_cert_clear(struct own_cert *c);

/* store_own_cert_get - Errors: ERR_NOT_FOUND. */
enum err store_own_cert_get(struct store *s, const struct store_correspondent *who,
                            struct own_cert *out);

/* store_own_cert_set - pin what the operator gives, whatever there was. Errors: ERR_NOT_FOUND (no
 * such correspondent), ERR_FORMAT (too long). */
enum err store_own_cert_set(struct store *s, const struct store_correspondent *who,
                            const struct own_cert *c);

/* store_own_cert_harvest - pin what came with a good signature, unless one is pinned that is
 * imported, or of the same or a younger certificate which has not expired at first_seen_s.
 *   changed_out  is it pinned now that was not before?
 * Errors: as store_own_cert_set. */
enum err store_own_cert_harvest(struct store *s, const struct store_correspondent *who,
                                const struct own_cert *c, bool *changed_out);

/* store_own_cert_forget - Errors: ERR_NOT_FOUND. */
enum err store_own_cert_forget(struct store *s, const struct store_correspondent *who);

#endif
