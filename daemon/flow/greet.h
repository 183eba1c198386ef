/* SPDX-License-Identifier: GPL-3.0-or-later */
/* greet.h - first contact: what a user is told when a profile became active.
 *
 * One sealed message to each mailbox, signed by the relay's notice key. It says what the relay is
 * and how to reply, and brings the certificates of correspondents that exist already, so that a
 * first reply to them can be encrypted. Once an activation: the id of its queue entry is written
 * down before the entry is made, and after a crash the queue knows whether it was. */
#ifndef SEALRELAY_FLOW_GREET_H
#define SEALRELAY_FLOW_GREET_H

#include "daemon/flow/forward.h"

#define GREET_CERTS_MAX 50u /* correspondents' certificates, of those seen last */
#define GREET_KEYS_MAX  20u /* made for it, out of idle ones: strangers need keys too */

/* greet_user - greet the user's active profile if it was not greeted since it became active.
 * Errors: those of notice_post, store, queue and key service; asked again it goes on. */
enum err greet_user(struct forward *f, const char *user, int64_t now_s);

/* greet_all - greet_user for every user. Errors: the last one met. */
enum err greet_all(struct forward *f, int64_t now_s);

struct greet;
/* greet_start - a thread that calls greet_all now, whenever greet_kick says that a profile was
 * activated, and every ten minutes; after a failure sooner. Errors: ERR_NOMEM.
 * greet_stop - accepts NULL. */
enum err greet_start(struct forward *f, struct greet **out);
void greet_kick(struct greet *g);
void greet_stop(struct greet *g);

#endif
