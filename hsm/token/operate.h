/* SPDX-License-Identifier: GPL-3.0-or-later */
/* operate.h - one private-key operation with a handle: sign a digest, decrypt, derive.
 *
 * Internal to hsm/token. */
#ifndef SEALRELAY_HSM_TOKEN_OPERATE_H
#define SEALRELAY_HSM_TOKEN_OPERATE_H

#include "hsm/token/inside.h"

struct operation {
    enum hsm_mechanism mechanism;
    enum key_type type; /* of the key */
    const char *md;
    const char *mgf1_md;
    struct bytes input;
};

/* operate - out is appended to; wipe it where the mechanism decrypts or derives.
 * Errors: ERR_REFUSED (mechanism, digest or length not of this key; the token has not this OAEP),
 * ERR_FORMAT (padding, peer point), ERR_HSM_AWAY. */
enum err operate(struct call *c, CK_OBJECT_HANDLE key, const struct operation *op, struct buf *out);

#endif
