/* SPDX-License-Identifier: GPL-3.0-or-later */
/* service.h - the record key inside one call on the sender token.
 *
 * Internal to hsm/token. */
#ifndef SEALRELAY_HSM_TOKEN_SERVICE_H
#define SEALRELAY_HSM_TOKEN_SERVICE_H

#include "hsm/token/inside.h"

#define HMAC_LEN 32

/* record_hmac - HMAC-SHA-256 under the record key over label, NUL, data. */
enum err record_hmac(struct call *c, const char *label, struct bytes data, uint8_t out[HMAC_LEN]);
/* record_check - does mac authenticate data? Errors: ERR_TAMPERED. */
enum err record_check(struct call *c, const char *label, struct bytes data,
                      const uint8_t mac[HMAC_LEN]);

#endif
