/* SPDX-License-Identifier: GPL-3.0-or-later */
/* connection.h - one client's connection, from its first packet to its last. */
#ifndef SEALRELAY_HSM_CONNECTION_H
#define SEALRELAY_HSM_CONNECTION_H

#include "hsm/serve/engine.h"
#include "hsm/serve/verbs.h"

/* connection_serve - answer requests until the client goes, is idle for too long, or sends
 * something that is no request (counted and logged). fd: borrowed. */
void connection_serve(struct engine *en, enum role role, int fd, int64_t idle_ms);

#endif
