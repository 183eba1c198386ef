/* SPDX-License-Identifier: GPL-3.0-or-later */
/* slots.h - a thread a connection, as many as there are slots, and not all of them for one host.
 *
 * Invariant: a slot that is not free has a thread to join, so nothing outlives slots_join(). One
 * thread starts and joins; any thread may ask slots_running(). */
#ifndef SEALRELAY_RECEIVE_SLOTS_H
#define SEALRELAY_RECEIVE_SLOTS_H

#include "daemon/receive/peers.h"

/* slots_serve_fn - serve one connection until it ends. fd: taken. peer: borrowed until it returns.
 */
typedef void slots_serve_fn(void *ctx, int fd, const struct peer *peer);

enum slots_result {
    SLOTS_OK,
    SLOTS_FULL,      /* every slot is taken */
    SLOTS_HOST_FULL, /* this host has its share */
    SLOTS_NO_THREAD  /* the system has none */
};

struct slots;

/* slots_new - n slots.
 *   per_host  how many of them one host may have; 0: all
 * Errors: ERR_NOMEM. */
enum err slots_new(size_t n, unsigned per_host, struct slots **out);
/* slots_free - after slots_join(). Accepts NULL. */
void slots_free(struct slots *s);

/* slots_start - serve a connection in a thread of its own.
 *   fd_io  taken and set to -1 on SLOTS_OK, else untouched
 *   ctx    borrowed until slots_join() */
enum slots_result slots_start(struct slots *s, int *fd_io, const struct peer *peer,
                              slots_serve_fn *serve, void *ctx);

/* slots_running - connections served at this moment. */
uint64_t slots_running(const struct slots *s);

/* slots_join - wait until the last connection has ended; none may be started meanwhile. */
void slots_join(struct slots *s);

#endif
