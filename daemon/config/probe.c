/* SPDX-License-Identifier: GPL-3.0-or-later */
/* probe.c - what a next hop says it can take, asked before mail depends on it.
 *
 * For the operator's --check-config only: a short EHLO dialogue, with STARTTLS where it is
 * required, and the certificate checked as the delivery worker will check it. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/config/relay_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_TIMEOUT_MS   10000
#define PROBE_REPLY_BYTES  8192
#define SEALED_HEADER_SIZE (64u * 1024)

uint64_t relay_sealed_size(uint64_t size)
{
    return size + size / 100 * 38 + SEALED_HEADER_SIZE;
}

struct probe {
    int fd;
    SSL *ssl;
    char reply[PROBE_REPLY_BYTES];
};

static enum err probe_connect(const struct relay_hop *hop, int *fd_out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct timeval limit = {PROBE_TIMEOUT_MS / 1000, 0};
    struct addrinfo *found = NULL;
    char port[8];
    int rc;

    (void)snprintf(port, sizeof port, "%u", hop->port);
    rc = getaddrinfo(hop->host, port, &hints, &found);
    if (rc != 0)
        return err_note(ERR_NET, hop->host, "%s", gai_strerror(rc));
    for (struct addrinfo *a = found; a && *fd_out < 0; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);

        if (fd < 0)
            continue;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
            *fd_out = fd;
        else
            (void)close(fd);
    }
    freeaddrinfo(found);
    return *fd_out >= 0 ? ERR_OK : err_note(ERR_NET, hop->host, "%s", strerror(errno));
}

static ssize_t probe_read(struct probe *p, char *data, size_t len)
{
    return p->ssl ? SSL_read(p->ssl, data, (int)len) : read_some(p->fd, data, len);
}

/* A whole reply: its last line has a blank behind the code. */
static bool reply_is_whole(const char *reply)
{
    const char *end = strrchr(reply, '\n');
    const char *line;

    if (!end || end[1])
        return false;
    for (line = end; line > reply && line[-1] != '\n'; line--)
        ;
    return end - line >= 4 && line[3] == ' ';
}

static enum err probe_say(struct probe *p, const char *line, char want)
{
    size_t len = 0;

    if (line && p->ssl && SSL_write(p->ssl, line, (int)strlen(line)) <= 0)
        return err_note_openssl(ERR_NET, "SSL_write");
    if (line && !p->ssl && write_all(p->fd, line, strlen(line)))
        return ERR_NET;
    p->reply[0] = '\0';
    while (!reply_is_whole(p->reply)) {
        ssize_t got = probe_read(p, p->reply + len, sizeof p->reply - 1 - len);

        if (got <= 0)
            return err_note(ERR_NET, "next hop", "no whole reply");
        len += (size_t)got;
        p->reply[len] = '\0';
    }
    return p->reply[0] == want ? ERR_OK : err_note(ERR_NET, "next hop", "answers %.60s", p->reply);
}

/* The line of an extension in the EHLO answer, behind "250-" or "250 ". */
static const char *extension(const char *reply, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = reply; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strlen(line) > 4 + len && strncasecmp(line + 4, name, len) == 0 &&
            strchr(" \r\n", line[4 + len]))
            return line + 4;
    }
    return NULL;
}

static enum err probe_tls(struct probe *p, const struct relay_hop *hop, SSL_CTX *ctx)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool literal =
        inet_pton(AF_INET, hop->host, address) == 1 || inet_pton(AF_INET6, hop->host, address) == 1;
    X509_VERIFY_PARAM *param;

    if ((hop->ca_file ? SSL_CTX_load_verify_file(ctx, hop->ca_file)
                      : SSL_CTX_set_default_verify_paths(ctx)) != 1)
        return err_note_openssl(ERR_CONFIG, hop->ca_file ? hop->ca_file : "system CA files");
    /* What the delivery worker takes. */
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    p->ssl = SSL_new(ctx);
    if (!p->ssl || SSL_set_fd(p->ssl, p->fd) != 1)
        return err_note_openssl(ERR_NOMEM, "SSL_new");
    param = SSL_get0_param(p->ssl);
    if ((literal ? X509_VERIFY_PARAM_set1_ip_asc(param, hop->host)
                 : X509_VERIFY_PARAM_set1_host(param, hop->host, 0)) != 1)
        return err_note_openssl(ERR_CONFIG, hop->host);
    if (!literal)
        (void)SSL_set_tlsext_host_name(p->ssl, hop->host);
    if (SSL_connect(p->ssl) == 1)
        return ERR_OK;
    if (SSL_get_verify_result(p->ssl) != X509_V_OK)
        return err_note(ERR_CONFIG, hop->host, "its certificate cannot be accepted: %s",
                        X509_verify_cert_error_string(SSL_get_verify_result(p->ssl)));
    return err_note_openssl(ERR_CONFIG, "TLS handshake (1.2 or 1.3 is wanted)");
}

static enum err probe_dialogue(struct probe *p, const struct relay_config *c,
                               const struct relay_hop *hop, SSL_CTX *ctx)
{
    char ehlo[300];
    bool tls = strcmp(hop->tls, "required") == 0;
    enum err e = probe_connect(hop, &p->fd);

    (void)snprintf(ehlo, sizeof ehlo, "EHLO %s\r\n", c->hostname);
    if (!e)
        e = probe_say(p, NULL, '2');
    if (!e)
        e = probe_say(p, ehlo, '2');
    if (e || !tls)
        return e;
    if (!extension(p->reply, "STARTTLS"))
        return err_note(ERR_CONFIG, hop->host, "offers no STARTTLS, but tls = required");
    e = probe_say(p, "STARTTLS\r\n", '2');
    if (!e)
        e = probe_tls(p, hop, ctx);
    return e ? e : probe_say(p, ehlo, '2');
}

static enum err probe_limits(const struct probe *p, const struct relay_config *c,
                             const struct relay_hop *hop)
{
    const char *line = extension(p->reply, "SIZE");
    uint64_t size = line && line[4] == ' ' ? strtoull(line + 5, NULL, 10) : 0;
    uint64_t need = relay_sealed_size(c->message_size);

    printf("next hop %s (%s:%u): size limit %" PRIu64 ", tls %s%s%s%s\n",
           hop->domain[0] ? hop->domain : "default", hop->host, hop->port, size, hop->tls,
           p->ssl ? ", " : "", p->ssl ? SSL_get_version(p->ssl) : "",
           extension(p->reply, "CHUNKING") ? ", offers CHUNKING (better discarded there)" : "");
    if (size && size < need)
        return err_note(ERR_CONFIG, hop->host,
                        "takes %" PRIu64 " bytes, but [limits] message_size grows to %" PRIu64
                        " when sealed: at most %" PRIu64 " would fit",
                        size, need,
                        size > SEALED_HEADER_SIZE ? (size - SEALED_HEADER_SIZE) / 138 * 100 : 0);
    return ERR_OK;
}

static enum err probe_hop(const struct relay_config *c, const struct relay_hop *hop)
{
    struct probe p = {.fd = -1};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    enum err e = ctx ? probe_dialogue(&p, c, hop, ctx) : err_note_openssl(ERR_NOMEM, "SSL_CTX_new");

    if (!e)
        e = probe_limits(&p, c, hop);
    if (p.fd >= 0 && !p.ssl)
        (void)write_all(p.fd, "QUIT\r\n", 6);
    SSL_free(p.ssl);
    SSL_CTX_free(ctx);
    fd_close(&p.fd);
    return e;
}

static void probe_tell(const struct relay_hop *hop, const struct err_note *why)
{
    (void)printf("next hop %s (%s:%u): %s: %s\n", hop->domain[0] ? hop->domain : "default",
                 hop->host, hop->port, why->action, why->detail);
}

enum err relay_config_probe(const struct relay_config *c)
{
    struct err_note why = {"", ""};
    enum err first = ERR_OK;

    for (size_t i = 0; i < c->n_hops; i++) {
        enum err e;

        err_note_clear();
        e = probe_hop(c, &c->hops[i]);
        if (e)
            probe_tell(&c->hops[i], err_note_get());
        if (e && !first) {
            first = e;
            why = *err_note_get();
        }
    }
    err_note_clear();
    return first ? err_note(first, why.action, "%s", why.detail) : ERR_OK;
}
