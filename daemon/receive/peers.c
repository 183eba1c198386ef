/* SPDX-License-Identifier: GPL-3.0-or-later */
/* peers.c - client addresses against a list of networks. */
#include "daemon/receive/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct network {
    int family;
    unsigned prefix;
    uint8_t bits[16];
};

struct peers {
    bool with_unix;
    size_t n;
    struct network networks[];
};

static const char *const loopback[] = {"127.0.0.0/8", "::1"};

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

struct peer peer_of(const struct sockaddr_storage *address)
{
    struct peer p = {.family = address->ss_family, .text = "unknown"};

    if (p.family == AF_UNIX) {
        memcpy(p.text, "unix", sizeof "unix");
        return p;
    }
    if (p.family == AF_INET) {
        memcpy(p.bits, &((const struct sockaddr_in *)address)->sin_addr, 4);
    } else if (p.family == AF_INET6) {
        memcpy(p.bits, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
        if (memcmp(p.bits, mapped_prefix, sizeof mapped_prefix) == 0) {
            memmove(p.bits, p.bits + sizeof mapped_prefix, 4);
            memset(p.bits + 4, 0, 12);
            p.family = AF_INET;
        }
    } else {
        p.family = AF_UNSPEC;
        return p;
    }
    if (!inet_ntop(p.family, p.bits, p.text, sizeof p.text))
        p.family = AF_UNSPEC;
    return p;
}

bool peer_parse(const char *text, struct peer *out)
{
    struct sockaddr_storage address = {0};
    struct peer peer;

    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&address)->sin_addr) == 1)
        address.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&address)->sin6_addr) == 1)
        address.ss_family = AF_INET6;
    else
        return false;
    peer = peer_of(&address);
    if (peer.family == AF_UNSPEC)
        return false;
    *out = peer;
    return true;
}

static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned rest = bits % 8;
    unsigned mask = (0xFF00u >> rest) & 0xFFu;

    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return rest == 0 || ((unsigned)(a[bits / 8] ^ b[bits / 8]) & mask) == 0;
}

bool peer_is_same_host(const struct peer *a, const struct peer *b)
{
    if (a->family != b->family || a->family == AF_UNIX)
        return false;
    return prefix_equal(a->bits, b->bits, a->family == AF_INET ? 32 : 64);
}

/* A typing error in a prefix must not open the relay to a wider network: bits beyond it are 0. */
static bool host_bits_are_zero(const struct network *n, unsigned width)
{
    static const uint8_t zero[16];

    for (unsigned bit = n->prefix; bit < width; bit++)
        if (n->bits[bit / 8] & (0x80u >> bit % 8))
            return false;
    return n->prefix || memcmp(n->bits, zero, sizeof zero) == 0;
}

static bool parse_prefix(const char *s, unsigned width, unsigned *out)
{
    unsigned value = 0;
    size_t len = strlen(s);

    if (len == 0 || len > 3)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        value = value * 10 + (unsigned)(*s - '0');
    }
    *out = value;
    return value <= width;
}

static enum err parse_network(const char *text, struct network *out)
{
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    char address[INET6_ADDRSTRLEN] = "";
    unsigned width;

    *out = (struct network){0};
    if (len >= sizeof address)
        return err_note(ERR_CONFIG, "list of peers", "no network: %.64s", text);
    (void)snprintf(address, sizeof address, "%.*s", (int)len, text);
    out->family = strchr(address, ':') ? AF_INET6 : AF_INET;
    width = out->family == AF_INET ? 32 : 128;
    out->prefix = width;
    if (inet_pton(out->family, address, out->bits) != 1)
        return err_note(ERR_CONFIG, "list of peers", "no network: %.64s", text);
    if (slash && !parse_prefix(slash + 1, width, &out->prefix))
        return err_note(ERR_CONFIG, "list of peers", "bad prefix length: %.64s", text);
    if (!host_bits_are_zero(out, width))
        return err_note(ERR_CONFIG, "list of peers", "address bits behind the prefix: %.64s", text);
    return ERR_OK;
}

/* trusted: the word "unix" may stand in the list. */
static enum err parse_all(const char *const *networks, size_t n, bool trusted, struct peers **out)
{
    struct peers *p = calloc(1, sizeof *p + n * sizeof p->networks[0]);

    if (!p)
        return err_note(ERR_NOMEM, "peers_new", "out of memory");
    for (size_t i = 0; i < n; i++) {
        bool is_unix = trusted && strcmp(networks[i], "unix") == 0;
        enum err e = is_unix ? ERR_OK : parse_network(networks[i], &p->networks[p->n]);

        if (e) {
            peers_free(p);
            return e;
        }
        p->with_unix = p->with_unix || is_unix;
        p->n += !is_unix;
    }
    *out = p;
    return ERR_OK;
}

enum err peers_new(const char *const *networks, size_t n, struct peers **out)
{
    if (n == 0)
        return parse_all(loopback, sizeof loopback / sizeof loopback[0], false, out);
    return parse_all(networks, n, false, out);
}

enum err peers_trusted_new(const char *const *networks, size_t n, struct peers **out)
{
    return parse_all(networks, n, true, out);
}

void peers_free(struct peers *p)
{
    free(p);
}

bool peers_allow(const struct peers *p, const struct peer *peer)
{
    return peer->family == AF_UNIX || peers_hold(p, peer);
}

bool peers_hold(const struct peers *p, const struct peer *peer)
{
    if (peer->family == AF_UNIX)
        return p->with_unix;
    for (size_t i = 0; i < p->n; i++)
        if (p->networks[i].family == peer->family &&
            prefix_equal(p->networks[i].bits, peer->bits, p->networks[i].prefix))
            return true;
    return false;
}
