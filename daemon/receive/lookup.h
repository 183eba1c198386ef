/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lookup.h - one socketmap connection, in its thread. */
#ifndef SEALRELAY_RECEIVE_LOOKUP_H
#define SEALRELAY_RECEIVE_LOOKUP_H

#include "daemon/receive/conn.h"

/* lookup_serve - answer one socketmap client until it or we close. A request and its answer each
 * have the command timeout. fd: non-blocking socket, taken. */
void lookup_serve(const struct conn_shared *shared, int fd, const struct peer *peer);

#endif
