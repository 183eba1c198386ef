/* SPDX-License-Identifier: GPL-3.0-or-later */
/* crl.h - the intermediate's CRL over a profile's leaves, and the judge of the root's empty one. */
#ifndef SEALRELAY_HSM_ISSUE_CRL_H
#define SEALRELAY_HSM_ISSUE_CRL_H

#include "hsm/issue/certificate.h"
#include "hsm/issue/key.h"

#define CRL_LIFE_S    (7 * DAY_S)
#define CRL_REFRESH_S DAY_S

enum crl_reason { CRL_SUPERSEDED = 4, CRL_CESSATION = 5 }; /* RFC 5280 5.3.1 */

/* crl_revoke - add an entry to a CRL that is not signed yet. serial: hex. */
enum err crl_revoke(X509_CRL *crl, const char *serial, int64_t at_s, enum crl_reason reason);

/* crl_root_check - the root's one CRL: signed by it with its algorithm, nothing revoked, begun by
 * now and valid as long as the root itself. Errors: ERR_REFUSED. */
enum err crl_root_check(X509_CRL *crl, X509 *root, int64_t now_s);

#endif
