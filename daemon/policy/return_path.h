/* SPDX-License-Identifier: GPL-3.0-or-later */
/* return_path.h - the envelope sender of what leaves: says which message failed, to us alone.
 *
 * b-<base32 of message id, day of expiry, HMAC>@relay-domain. Forged or expired ones do not parse,
 * so nobody can suspend a profile with made-up bounces. */
#ifndef SEALRELAY_POLICY_RETURN_PATH_H
#define SEALRELAY_POLICY_RETURN_PATH_H

#include "daemon/base/id.h"
#include "hsm/hsm.h"

#include <stdint.h>

#define RETURN_PATH_DAYS    14 /* a next hop's queue is empty after 5, its reports may be slow */
#define RETURN_PATH_KEY_LEN 32

/* return_path_make - for a message id.
 *   key  of store_derived_key(), 32 bytes
 * Errors: ERR_FORMAT (id, or address too long), ERR_NOMEM. */
enum err return_path_make(const uint8_t key[RETURN_PATH_KEY_LEN], const char *id,
                          const char *domain, int64_t now_s, address_text out);

/* return_path_read - the message id of a return path we made.
 * Errors: ERR_FORMAT (not one, forged, or of another domain), ERR_EXPIRED. */
enum err return_path_read(const uint8_t key[RETURN_PATH_KEY_LEN], const char *address,
                          int64_t now_s, id_text id_out);

#endif
