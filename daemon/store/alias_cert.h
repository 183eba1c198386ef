/* SPDX-License-Identifier: GPL-3.0-or-later */
/* alias_cert.h - the certificates of aliases, as the key service made them: one for each alias in
 * each profile, in clear like the alias itself. They go with the alias and with the profile. */
#ifndef SEALRELAY_STORE_ALIAS_CERT_H
#define SEALRELAY_STORE_ALIAS_CERT_H

#include "daemon/store/store.h"

/* store_alias_cert_get - der_out: DER, appended. Errors: ERR_NOT_FOUND. */
enum err store_alias_cert_get(struct store *s, int64_t alias, const char *profile,
                              struct buf *der_out);
/* store_alias_cert_set - in place of the one before. Errors: ERR_NOT_FOUND (alias), ERR_FORMAT (not
 * the id of a profile, no certificate). */
enum err store_alias_cert_set(struct store *s, int64_t alias, const char *profile,
                              struct bytes der);

#endif
