/* SPDX-License-Identifier: GPL-3.0-or-later */
/* host.h - a server under test on loopback, and clients that talk to it byte by byte.
 *
 * The server listens for SMTP, LMTP and look-ups on TCP, and for LMTP on a unix socket. Its handler
 * accepts everything but recipients that begin with "bad", and remembers what it was given. */
#ifndef SEALRELAY_TESTS_RECEIVE_HOST_H
#define SEALRELAY_TESTS_RECEIVE_HOST_H

#include "daemon/receive/receive.h"

#include <openssl/ssl.h>
#include <pthread.h>

struct host {
    struct receive *receive;
    struct receive_handler handler;
    pthread_t thread;
    bool running;
    char dir[64];
    char certificate[96], key[96], unix_path[96];
    int smtp_port, lmtp_port, socketmap_port;
    int handler_ms; /* how long the handler works on a message */

    pthread_mutex_t lock;
    struct buf messages;
    unsigned n_messages, n_ends;
};

/* host_options - settings that suit a test: short time-outs, TLS on. */
struct receive_options host_options(void);

/* host_open - make files and listeners; a certificate and key are made for it when options has
 * none. host_start - serve in a thread. host_stop - stop and wait. host_close - all of the rest. */
void host_open(struct host *h, struct receive_options options);
void host_start(struct host *h);
void host_stop(struct host *h);
void host_close(struct host *h);

/* host_wait_idle - until no connection is left; the test fails after 5 s. */
void host_wait_idle(struct host *h);

/* open_descriptors - of this process. */
unsigned open_descriptors(void);

/* A client. */
struct client {
    int fd;
    SSL *ssl;
    char line[1024]; /* the last reply line */
};

void client_connect(struct client *c, int port);
void client_connect_unix(struct client *c, const char *path);
void client_send(struct client *c, struct bytes data);
void client_say(struct client *c, const char *text);
/* client_code - the code of the next whole reply; 0 when the server closed, -1 after ms. */
int client_code(struct client *c, int ms);
/* client_expect - the code of the next reply within 5 s, or the test fails. */
void client_expect(struct client *c, int code);
/* client_expect_closed - the server closes within 5 s without another reply. */
void client_expect_closed(struct client *c);
/* client_command - client_say, then client_expect. */
void client_command(struct client *c, const char *text, int code);
/* client_handshake - TLS at most of the version given (0: any). False when it fails. */
bool client_handshake(struct client *c, int max_version);
void client_close(struct client *c);

#endif
