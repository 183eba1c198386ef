/* SPDX-License-Identifier: GPL-3.0-or-later */
/* id.h - random identifiers of users, profiles, sessions and messages: 16 characters [a-z2-7]. */
#ifndef SEALRELAY_BASE_ID_H
#define SEALRELAY_BASE_ID_H

#include "daemon/base/err.h"

#define ID_LEN 16 /* characters; 80 random bits */

typedef char id_text[ID_LEN + 1];

/* id_new - a fresh identifier. Errors: ERR_IO (no randomness). */
enum err id_new(id_text out);
/* id_is_valid - does s have the form of an identifier? Checked at every module's door. */
bool id_is_valid(const char *s);

/* boundary_new - a fresh MIME boundary: two identifiers, 160 random bits, so that no content holds
 * it. Errors: ERR_IO (no randomness). */
typedef char boundary_text[2 * ID_LEN + 1];
enum err boundary_new(boundary_text out);

#endif
