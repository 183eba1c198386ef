/* SPDX-License-Identifier: GPL-3.0-or-later */
/* link.h - one client's byte stream, plain or TLS, with absolute deadlines.
 *
 * No call blocks longer than its deadline; reads also end when the server is told to stop. */
#ifndef SEALRELAY_RECEIVE_LINK_H
#define SEALRELAY_RECEIVE_LINK_H

#include "daemon/base/buf.h"

#include <openssl/ssl.h>

#define LINK_STOP_WRITE_MS 2000 /* for replies to a client, when the server stops */

struct link {
    int fd;      /* non-blocking socket, owned */
    int stop_fd; /* readable once the server stops, borrowed; -1: not watched */
    SSL *ssl;    /* owned; NULL while plain */
};

/* link_read - whatever has come, at least one byte.
 * Errors: ERR_TIMEOUT, ERR_BUSY (the server stops), ERR_NET (closed or broken). */
enum err link_read(struct link *l, uint8_t *data, size_t cap, int64_t deadline_mono_ms,
                   size_t *got_out);

/* link_write - all of data. Once the server stops, at most LINK_STOP_WRITE_MS are left for it.
 * Errors: ERR_TIMEOUT, ERR_NET. */
enum err link_write(struct link *l, struct bytes data, int64_t deadline_mono_ms);

/* link_start_tls - shake hands as the server. Errors: ERR_TIMEOUT, ERR_BUSY, ERR_NET. */
enum err link_start_tls(struct link *l, SSL_CTX *ctx, int64_t deadline_mono_ms);

/* link_has_input - are there bytes to read right now? */
bool link_has_input(struct link *l);

/* link_close - release everything. polite: the last reply must arrive, so the client gets a moment
 * to read it and to close first. */
void link_close(struct link *l, bool polite);

#endif
