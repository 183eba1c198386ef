/* SPDX-License-Identifier: GPL-3.0-or-later */
/* correspond.h - the reverse alias, certificate and key that stand for a real address at an alias.
 *
 * Found in the store or made by the key service; a key near its end is certified anew. The user's
 * own reverse aliases never change: a new profile certifies the same ones with its own keys. */
#ifndef SEALRELAY_FLOW_CORRESPOND_H
#define SEALRELAY_FLOW_CORRESPOND_H

#include "daemon/store/store.h"
#include "hsm/hsm.h"

#include <openssl/x509.h>

#define CORRESPOND_RENEW_S (30 * 86400) /* certify anew this long before the end */

struct correspondent {
    struct store_correspondent row;
    X509 *cert;
    struct buf blob;
};

struct correspond_request {
    struct store *store;
    struct hsm *hsm;
    const struct hsm_profile *profile;
    const struct store_alias *alias;
    int64_t now_s;
    int64_t deadline_mono_ms; /* for waiting on another session that makes the same correspondent */
};

/* correspond_find - the correspondent as it is known already, its key renewed if that is due.
 * Errors: ERR_NOT_FOUND (no such correspondent, or no key of it in this profile yet). */
enum err correspond_find(const struct correspond_request *r, const char *address,
                         struct correspondent *out);

/* correspond_make - make what correspond_find did not find: a key at least, a reverse alias too
 * when there is none. Sessions that want the same one at once make it once.
 *   idle_only  do not wait for a key: for the addresses beyond a message's sender
 * Errors: ERR_SHARE, ERR_LIMIT, ERR_TIMEOUT, and those of store and key service. */
enum err correspond_make(const struct correspond_request *r, const char *address, bool idle_only,
                         struct correspondent *out);

void correspondent_clear(struct correspondent *c);

#endif
