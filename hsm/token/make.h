/* SPDX-License-Identifier: GPL-3.0-or-later */
/* make.h - new keys in the token, with the attributes of their table or not at all.
 *
 * Internal to hsm/token. */
#ifndef SEALRELAY_HSM_TOKEN_MAKE_H
#define SEALRELAY_HSM_TOKEN_MAKE_H

#include "hsm/token/inside.h"

/* How a key is made. label NULL: a session object without a name. */
struct make {
    const struct key_table *table;
    const char *label;
    enum key_type type;        /* of a pair */
    CK_MECHANISM_TYPE allowed; /* 0: any */
};

/* make_secret - an AES-256 or 256-bit generic secret key.
 * Errors: ERR_CONFIG (the token lacks the mechanism, or does not keep the attributes). */
enum err make_secret(struct call *c, const struct make *how, CK_OBJECT_HANDLE *out);
/* make_pair - a key pair. The public half stays as an object beside a named key, and is destroyed
 * beside a session object. public_out: given. Errors: as above, ERR_REFUSED (no such key type). */
enum err make_pair(struct call *c, const struct make *how, CK_OBJECT_HANDLE *private_out,
                   EVP_PKEY **public_out);
/* public_read, public_find - a public key object by its handle or its name. out: given.
 * Errors: ERR_NOT_FOUND (none, or several, of that name), ERR_FORMAT. */
enum err public_read(struct call *c, CK_OBJECT_HANDLE o, EVP_PKEY **out);
enum err public_find(struct call *c, const char *label, EVP_PKEY **out);
/* pkey_type - which of our key types a public key is. Errors: ERR_FORMAT. */
enum err pkey_type(const EVP_PKEY *key, enum key_type *out);
/* pkey_free - for CLEANUP. */
void pkey_free(EVP_PKEY **key);

#endif
