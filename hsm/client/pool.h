/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pool.h - the connections behind a struct hsm: bounded, made when needed, kept while good. */
#ifndef SEALRELAY_HSM_POOL_H
#define SEALRELAY_HSM_POOL_H

#include "hsm/client/silence.h"
#include "hsm/hsm.h"

/* client_pool_take - a connection for one call.
 *   deadline_ms  by clock_mono_ms
 *   fresh        never an idle one: a new connection
 *   idle_out     was it idle before? Then the service may have closed it meanwhile.
 * Errors: ERR_BUSY (all in use until the deadline), ERR_HSM_AWAY (no service there, or it fell
 * silent while we waited). */
enum err client_pool_take(struct hsm *h, int64_t deadline_ms, bool fresh, int *fd_out,
                          bool *idle_out);

/* client_pool_give - hand a connection back. healthy: the call ended as it should; otherwise it is
 * closed, so that a late answer can never be taken for another call's. */
void client_pool_give(struct hsm *h, int fd, bool healthy);

/* client_pool_ask - is a silent service there again? One short call on a connection of its own;
 * only for who was advised to, and the answer is reported. Errors: ERR_HSM_AWAY, ERR_NOMEM. */
enum err client_pool_ask(struct hsm *h);

/* client_pool_missed - a call that began at began_ms had its whole time and got no answer. Those
 * who wait for a connection fail at once when that means that the service is silent. */
void client_pool_missed(struct hsm *h, int64_t began_ms);

/* client_pool_silence - what all calls of the handle know of the service. */
struct silence *client_pool_silence(struct hsm *h);

/* client_pool_timeout_ms - the time a call may take. */
int64_t client_pool_timeout_ms(const struct hsm *h);

#endif
