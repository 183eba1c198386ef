/* SPDX-License-Identifier: GPL-3.0-or-later */
/* server.h - the three listening sockets and the connections behind them.
 *
 * A thread accepts; each connection has a thread of its own, one call at a time. Whatever a
 * connection sends, it can only end itself. */
#ifndef SEALRELAY_HSM_SERVER_H
#define SEALRELAY_HSM_SERVER_H

#include "hsm/serve/engine.h"
#include "hsm/serve/verbs.h"

#include <sys/types.h>

struct server_options {
    struct engine *engine;     /* borrowed, outlives the server */
    int listeners[ROLE_COUNT]; /* SOCK_SEQPACKET, listening; -1: role not served; taken */
    uid_t uids[ROLE_COUNT];    /* who may connect; the admin socket also takes root */
    int64_t idle_ms;           /* 0: 300,000; a connection without a request for so long ends */
};

struct server;

/* server_start - begin to serve. Errors: ERR_NOMEM, ERR_IO (no thread); the sockets are closed. */
enum err server_start(const struct server_options *options, struct server **out);

/* server_stop - accept no more, let calls end, close everything.
 * Errors: ERR_TIMEOUT when calls still run after ms milliseconds; the server then stays allocated,
 * since they use it, and the process must end without tidying up. */
enum err server_stop(struct server *s, int64_t ms);

#endif
