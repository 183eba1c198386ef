/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hop.h - next hops: the static table from recipient's domain to host. */
#ifndef SEALRELAY_DELIVER_HOP_H
#define SEALRELAY_DELIVER_HOP_H

#include <stddef.h>
#include <stdint.h>

/* HOP_TLS_REQUIRED: STARTTLS, a certificate that verifies for the host's name, TLS 1.2 or 1.3;
 * never in clear, whatever the next hop offers. */
enum hop_tls { HOP_TLS_NONE, HOP_TLS_REQUIRED };

struct hop {
    const char *domain; /* of the recipients; "" is the default next hop */
    const char *host;   /* name or address literal */
    uint16_t port;
    enum hop_tls tls;
    const char *ca_file;   /* for HOP_TLS_REQUIRED; NULL: the system's */
    unsigned sessions_max; /* in parallel; 0: 4 */
};

/* hop_find - the next hop for a domain (ASCII case ignored), else the default one, else NULL. */
const struct hop *hop_find(const struct hop *hops, size_t n, const char *domain);
/* hop_key - what queue_envelope.hop is for a recipient's domain: the table's spelling of it, or ""
 * where the table does not name it. Borrowed from the table. */
const char *hop_key(const struct hop *hops, size_t n, const char *domain);

#endif
