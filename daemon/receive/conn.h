/* SPDX-License-Identifier: GPL-3.0-or-later */
/* conn.h - one connection from banner to close, in its thread. */
#ifndef SEALRELAY_RECEIVE_CONN_H
#define SEALRELAY_RECEIVE_CONN_H

#include "daemon/receive/peers.h"
#include "daemon/receive/session.h"

#include <openssl/ssl.h>

/* Answers given to messages, over all connections. */
struct conn_counters {
    _Atomic uint64_t accepted, refused_perm, refused_temp;
};

/* What all connections of a server share; constant while it runs, but for the counters. */
struct conn_shared {
    struct session_options session; /* who is there and its protocol are each one's own */
    SSL_CTX *tls;                   /* NULL: no STARTTLS */
    const struct peers *xforward;   /* who may name its own clients */
    int stop_fd;                    /* readable once the server stops */
    unsigned work_timeout_s;
    unsigned stop_grace_s;
    struct conn_counters *counters;
};

/* conn_serve - serve one client until it or we close. fd: non-blocking socket, taken. */
void conn_serve(const struct conn_shared *shared, int fd, enum receive_protocol protocol,
                const struct peer *peer);

#endif
