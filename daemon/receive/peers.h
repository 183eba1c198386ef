/* SPDX-License-Identifier: GPL-3.0-or-later */
/* peers.h - who is at the other end, and which networks may be there. */
#ifndef SEALRELAY_RECEIVE_PEERS_H
#define SEALRELAY_RECEIVE_PEERS_H

#include "daemon/base/err.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* A client's address. IPv4 in IPv6 counts as IPv4. */
struct peer {
    int family;       /* AF_UNIX, AF_INET, AF_INET6 */
    uint8_t bits[16]; /* network order, 4 or 16 used */
    char text[INET6_ADDRSTRLEN];
};

/* peer_of - the peer behind an accepted socket's address. An unknown family is AF_UNSPEC, which
 * no network holds. */
struct peer peer_of(const struct sockaddr_storage *address);

/* peer_parse - the peer an IPv4 or IPv6 address in text names. False, out untouched: it is none. */
bool peer_parse(const char *text, struct peer *out);

/* peer_is_same_host - one host as far as caps go: IPv4 address, IPv6 /64. Unix peers are never the
 * same host: every local process is its own. */
bool peer_is_same_host(const struct peer *a, const struct peer *b);

/* Networks, and perhaps the peers of unix sockets. */
struct peers;

/* peers_new - parse "10.0.0.0/8", "2001:db8::/32" or a single address, n of them; loopback when n
 * is 0. Errors: ERR_CONFIG (no address, bits beyond the prefix, prefix too long), ERR_NOMEM. */
enum err peers_new(const char *const *networks, size_t n, struct peers **out);
/* peers_trusted_new - networks as above, where the word "unix" stands for every unix peer. An empty
 * list holds nobody. Errors: as peers_new(). */
enum err peers_trusted_new(const char *const *networks, size_t n, struct peers **out);
void peers_free(struct peers *p);
/* peers_allow - may this peer connect? Unix peers always: the socket's file mode decides. */
bool peers_allow(const struct peers *p, const struct peer *peer);
/* peers_hold - is this peer in the list itself? */
bool peers_hold(const struct peers *p, const struct peer *peer);

#endif
