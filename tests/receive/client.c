/* SPDX-License-Identifier: GPL-3.0-or-later */
/* client.c - a mail client that sends exactly the bytes it is told to. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "tests/receive/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#define PATIENCE_MS 5000

void client_connect(struct client *c, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};

    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(c->fd >= 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&address, sizeof address), 0);
}

void client_connect_unix(struct client *c, const char *path)
{
    *c = (struct client){.fd = -1};
    assert_int_equal(unix_connect(path, SOCK_STREAM, &c->fd), ERR_OK);
}

void client_send(struct client *c, struct bytes data)
{
    while (data.len) {
        ssize_t put = c->ssl ? SSL_write(c->ssl, data.data, (int)data.len)
                             : send(c->fd, data.data, data.len, MSG_NOSIGNAL);

        if (put <= 0)
            return; /* the server has closed: the test sees it when it reads */
        data.data += put;
        data.len -= (size_t)put;
    }
}

void client_say(struct client *c, const char *text)
{
    client_send(c, bytes_of(text));
}

/* One byte: 1, 0 when closed, -1 when none came in time. */
static int read_byte(struct client *c, char *out, int64_t deadline)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    int64_t left = deadline - clock_mono_ms();

    if (!c->ssl || SSL_pending(c->ssl) == 0)
        if (poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
            return -1;
    if (c->ssl)
        return SSL_read(c->ssl, out, 1) == 1;
    return recv(c->fd, out, 1, 0) == 1;
}

static int read_line(struct client *c, int64_t deadline)
{
    size_t len = 0;

    while (len < sizeof c->line - 1) {
        int got = read_byte(c, &c->line[len], deadline);

        if (got != 1)
            return got;
        if (c->line[len++] == '\n')
            break;
    }
    c->line[len] = '\0';
    return 1;
}

int client_code(struct client *c, int ms)
{
    int64_t deadline = clock_mono_ms() + ms;

    do {
        int got = read_line(c, deadline);

        if (got != 1)
            return got;
    } while (strlen(c->line) > 3 && c->line[3] == '-');
    return (int)strtol(c->line, NULL, 10);
}

void client_expect(struct client *c, int code)
{
    int got = client_code(c, PATIENCE_MS);

    if (got != code)
        fail_msg("got %d, want %d (%s)", got, code, c->line);
}

void client_expect_closed(struct client *c)
{
    client_expect(c, 0);
}

void client_command(struct client *c, const char *text, int code)
{
    client_say(c, text);
    client_expect(c, code);
}

bool client_handshake(struct client *c, int max_version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool done;

    assert_non_null(ctx);
    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, max_version), 1);
    c->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    assert_non_null(c->ssl);
    assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
    done = SSL_connect(c->ssl) == 1;
    if (!done) {
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    return done;
}

void client_close(struct client *c)
{
    SSL_free(c->ssl);
    c->ssl = NULL;
    fd_close(&c->fd);
}
