/* SPDX-License-Identifier: GPL-3.0-or-later */
/* line.h - the one TCP connection of a worker, between libesmtp and the kernel.
 *
 * libesmtp has no hook below its buffers, so the program defines the calls through which it reaches
 * the network (getaddrinfo, connect, poll, read, write, SSL_connect, SSL_read, SSL_write) over
 * libc's and libssl's, the way the dynamic linker resolves them: the executable first. A worker is
 * one thread with one session, therefore the state is one static object. On every other descriptor
 * the calls are libc's, unchanged.
 *
 * A guard that finds a fault shuts the socket down: whatever libesmtp then believes, not one more
 * byte leaves, the final dot included. */
#ifndef SEALRELAY_DELIVER_LINE_H
#define SEALRELAY_DELIVER_LINE_H

#include "daemon/deliver/wire.h"

struct line_options {
    const char *host; /* looked up and verified; borrowed */
    unsigned connect_timeout_ms;
    unsigned transfer_timeout_ms; /* without progress while writing */
};

/* line_arm - watch the next connection that is made; wire: borrowed until line_disarm. */
void line_arm(const struct line_options *options, struct wire *wire);
void line_disarm(void);
/* line_is_connected - was the connection made through here? Where it was not, the dynamic linker
 * did not give this program's definitions to libesmtp, and nothing may be sent. */
bool line_is_connected(void);
/* line_is_polled - did libesmtp wait for the connection through here? Where it did not, TLS 1.3
 * must not be used. */
bool line_is_polled(void);
/* line_cut - a guard found a fault: no byte more in either direction. */
void line_cut(enum job_fault fault);

#endif
