/* SPDX-License-Identifier: GPL-3.0-or-later */
/* introduce.h - a correspondent who has not written yet, so that the user can write first. */
#ifndef SEALRELAY_FLOW_INTRODUCE_H
#define SEALRELAY_FLOW_INTRODUCE_H

#include "daemon/flow/forward.h"

/* introduce - make the correspondent, unless there is one already, and mail the user, sealed, the
 * reverse address and its certificate. Asked again it mails again.
 *   alias    an alias, not a catch-all
 *   address  ASCII; not of a domain of this relay
 *   out      the correspondent
 * Errors: ERR_NO_ALIAS, ERR_FORMAT (not an address), ERR_REFUSED (of this relay), ERR_NOT_ACTIVE,
 * ERR_LIMIT, ERR_SHARE, those of notice_post. */
enum err introduce(struct forward *f, const char *alias, const char *address, int64_t now_s,
                   struct store_correspondent *out);

#endif
