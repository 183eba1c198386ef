/* SPDX-License-Identifier: GPL-3.0-or-later */
/* line_internal.h - what line.c (connecting, clear text) and line_tls.c share: the one connection,
 * and the way to the definitions that theirs hide. */
#ifndef SEALRELAY_DELIVER_LINE_INTERNAL_H
#define SEALRELAY_DELIVER_LINE_INTERNAL_H

#include "daemon/deliver/line.h"

#include <openssl/types.h>
#include <sys/types.h>

#define LINE_HELD_MAX 16384 /* bytes; one TLS record */

extern struct line_state {
    struct line_options options;
    struct wire *wire; /* NULL: not armed */
    int fd;            /* -1: not connected */
    SSL *ssl;          /* behind a good handshake; borrowed from libesmtp */
    bool waiting;      /* this program itself waits for the socket */
    bool polled;       /* libesmtp's poll() came through here */
    size_t n_held;
    uint8_t held[LINE_HELD_MAX]; /* content that libesmtp has written and the kernel has not seen */
} line_state;

/* line_symbol - the definition behind ours: libc's, libssl's, or a sanitizer's. */
void *line_symbol(const char *name);

/* A static pointer "next" to the definition that ours hides. */
#define NEXT(ours, name)                                                                           \
    static __typeof__(ours) *next;                                                                 \
    if (!next)                                                                                     \
    *(void **)(&next) = line_symbol(name)

/* line_received - show the witness what was read. Answers how much of it libesmtp may see. */
size_t line_received(const void *data, size_t got);
/* line_send - libesmtp writes, in TLS where ssl is not NULL. False: the connection is dead. */
bool line_send(SSL *ssl, const void *data, size_t len);
/* line_tls_whole - write all of it; false: the connection was cut. */
bool line_tls_whole(SSL *ssl, const uint8_t *data, size_t len);
/* line_wait - until the socket has one of the events. False: no progress for as long as the
 * transfer may stall; the connection was cut. */
bool line_wait(short events);

#endif
