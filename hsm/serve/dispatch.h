/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dispatch.h - one decoded request: role, fields, what it needs, then its function. */
#ifndef SEALRELAY_HSM_DISPATCH_H
#define SEALRELAY_HSM_DISPATCH_H

#include "hsm/serve/verbs.h"

/* dispatch - do what a request asks, or say why not. Counts, and logs one line.
 *   request  request_is_whole() was true
 *   reply    all zero; filled, also when the call fails
 * Errors: ERR_REFUSED (not for this role); those of request_check and of the verb. */
enum err dispatch(struct engine *en, enum role role, const Seal__Request *request,
                  struct reply *reply);

#endif
