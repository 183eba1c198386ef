/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hop_fixture.h - processes around the runner: sealdeliver and next hops, on private sockets. */
#ifndef TESTS_DELIVER_HOP_FIXTURE_H
#define TESTS_DELIVER_HOP_FIXTURE_H

#include "daemon/base/buf.h"

#include <sys/types.h>

struct hop_process {
    pid_t pid;
    char report[256]; /* file: what next_hop.py saw */
    uint16_t port;
};

/* fixture_dir - a private folder for this test program, removed by fixture_end. */
const char *fixture_dir(void);
void fixture_end(void);

/* deliver_start - sealdeliver with the lines given as its [deliver] section; returns its pid and
 * sets socket_out. environment: NULL, or one more "NAME=value". */
pid_t deliver_start(const char *config_lines, const char *environment, char socket_out[256]);
/* hop_start - next_hop.py; cert, key: NULL without TLS. */
void hop_start(const char *scenario, const char *cert, const char *key, struct hop_process *out);
/* sink_start - any program that listens on port once it is up. */
pid_t sink_start(const char *const *argv, uint16_t port);
void process_end(pid_t pid);

/* report_count - how many lines of the report begin with prefix. */
size_t report_count(const struct hop_process *hop, const char *prefix);
/* sha256_hex - of what the next hop should have got. */
void sha256_hex(struct bytes data, char out[65]);
/* free_port - a loopback port nobody listens on. */
uint16_t free_port(void);

/* certificates_make - a CA and leaves of it, as PEM files in fixture_dir(): ca.pem; good.pem (names
 * "localhost" and 127.0.0.1), wrong.pem (another name), cn.pem (localhost only as common name),
 * expired.pem, self.pem (not of the CA); each with its key in NAME.key. */
void certificates_make(void);
/* fixture_path - "<fixture_dir>/<name>", in one of a few static buffers. */
const char *fixture_path(const char *name);

#endif
