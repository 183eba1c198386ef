/* SPDX-License-Identifier: GPL-3.0-or-later */
/* material.h - what a folder holds of a begun enrolment, read back and checked. */
#ifndef SEALRELAY_ENROLL_MATERIAL_H
#define SEALRELAY_ENROLL_MATERIAL_H

#include "provisioning/enroll/commands.h"
#include "provisioning/enroll/request.h"

#include <openssl/types.h>

struct material {
    struct request request;
    X509 *root;
    X509 *intermediate;
    X509 *user; /* NULL before finish */
};

/* material_read - request, root and intermediate, and the user certificate where there is one.
 * Errors: ERR_NOT_FOUND (begin was not run here), ERR_FORMAT, ERR_IO. */
enum err material_read(const struct folder *f, struct material *out);
void material_clear(struct material *m);
/* material_key - the user key, opened with the passphrase from o or the terminal.
 *   passphrase_out  NULL, or given
 * Errors: ERR_CONFIG, ERR_REFUSED (wrong passphrase). */
struct secret;
enum err material_key(const struct options *o, EVP_PKEY **key_out, struct secret *passphrase_out);

/* certificate_check - is this the certificate that the profile's user asked for?
 *   key  the user's
 * Errors: ERR_REFUSED; the note says what is wrong with it. */
enum err certificate_check(const struct material *m, EVP_PKEY *key, X509 *cert, int64_t now_s);

#endif
