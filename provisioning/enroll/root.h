/* SPDX-License-Identifier: GPL-3.0-or-later */
/* root.h - the root key's whole life: made, four things signed besides its own certificate, wiped.
 *
 * The key never leaves this module and is never written. */
#ifndef SEALRELAY_ENROLL_ROOT_H
#define SEALRELAY_ENROLL_ROOT_H

#include "provisioning/enroll/request.h"

/* What the root leaves behind; owned. */
struct root_enrolment {
    X509 *root;
    X509 *intermediate;
    X509_CRL *crl;         /* empty, as long as the root */
    X509_CRL *kill_switch; /* revokes the intermediate; the user's alone */
    struct buf statement;  /* text that was signed */
    struct buf signature;
};

/* root_enrolment_make - make a root key, sign, wipe it.
 *   intermediate_key  public; from the request's CSR
 *   user_key          the first user key, public part used
 * Errors: ERR_FORMAT, ERR_NOMEM. */
enum err root_enrolment_make(const struct request *r, EVP_PKEY *intermediate_key,
                             EVP_PKEY *user_key, int64_t now_s, struct root_enrolment *out);
void root_enrolment_clear(struct root_enrolment *e);

#endif
