/* SPDX-License-Identifier: GPL-3.0-or-later */
/* xforward.c - the attributes of an XFORWARD command, as a table of readers.
 *
 * A value is decoded into a bounded buffer first and read there; nothing is taken over from a
 * command with one bad word in it. */
#include "daemon/receive/xforward.h"
#include "daemon/receive/peers.h"

#include <string.h>

#define PROTO_MAX_BYTES 64u
#define IPV6_TAG        "IPV6:"

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool xforward_host_text(struct bytes name, char *out)
{
    if (name.len > XFORWARD_TEXT_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];

        out[i] = is_alnum(c) || (c && strchr("-._:[]", c)) ? (char)c : '?';
    }
    out[name.len] = '\0';
    return true;
}

static bool take_name(struct bytes value, struct xforward *io)
{
    return xforward_host_text(value, io->name);
}

static bool take_helo(struct bytes value, struct xforward *io)
{
    return xforward_host_text(value, io->helo);
}

/* 192.0.2.1, IPV6:2001:db8::1, or an IPv6 address without the tag. */
static bool take_address(struct bytes value, struct xforward *io)
{
    size_t tag = strlen(IPV6_TAG);
    char text[INET6_ADDRSTRLEN] = "";
    struct peer peer;

    io->address[0] = '\0';
    if (value.len == 0)
        return true;
    if (value.len > tag && bytes_equal_nocase((struct bytes){value.data, tag}, IPV6_TAG)) {
        value.data += tag;
        value.len -= tag;
    }
    if (value.len >= sizeof text || memchr(value.data, '\0', value.len))
        return false;
    memcpy(text, value.data, value.len);
    if (!peer_parse(text, &peer))
        return false;
    memcpy(io->address, peer.text, sizeof peer.text);
    return true;
}

static bool take_port(struct bytes value, struct xforward *io)
{
    unsigned port = 0;

    (void)io;
    if (value.len > 5)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        port = port * 10 + (unsigned)(value.data[i] - '0');
    }
    return port <= UINT16_MAX;
}

static bool take_proto(struct bytes value, struct xforward *io)
{
    (void)io;
    return value.len <= PROTO_MAX_BYTES;
}

/* A queue id goes into log lines: letters, digits and what joins them. */
static bool take_ident(struct bytes value, struct xforward *io)
{
    size_t len = value.len < XFORWARD_IDENT_MAX ? value.len : XFORWARD_IDENT_MAX;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = value.data[i];

        io->ident[i] = is_alnum(c) || (c && strchr("-._", c)) ? (char)c : '?';
    }
    io->ident[len] = '\0';
    return true;
}

static bool take_source(struct bytes value, struct xforward *io)
{
    (void)io;
    return value.len == 0 || bytes_equal_nocase(value, "LOCAL") ||
           bytes_equal_nocase(value, "REMOTE");
}

static const struct attribute {
    const char *name;
    bool (*take)(struct bytes value, struct xforward *io);
} attributes[] = {
    {"NAME", take_name}, {"ADDR", take_address}, {"PORT", take_port},     {"PROTO", take_proto},
    {"HELO", take_helo}, {"IDENT", take_ident},  {"SOURCE", take_source},
};

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode xtext into a buffer of cap bytes; false when it is none or does not fit. */
static bool decode_xtext(struct bytes in, uint8_t *out, size_t cap, size_t *len_out)
{
    size_t n = 0;

    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.data[i];

        if (c <= ' ' || c > '~' || n == cap)
            return false;
        if (c == '+') {
            int high = i + 2 < in.len ? hex_value(in.data[i + 1]) : -1;
            int low = i + 2 < in.len ? hex_value(in.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (uint8_t)(high * 16 + low);
            i += 2;
        }
        out[n++] = c;
    }
    *len_out = n;
    return true;
}

static enum xforward_result take_word(struct bytes word, struct xforward *io)
{
    const uint8_t *equals = word.len ? memchr(word.data, '=', word.len) : NULL;
    uint8_t decoded[XFORWARD_TEXT_MAX_BYTES];
    struct bytes value = {decoded, 0};
    struct bytes name;

    if (!equals || equals == word.data)
        return XFORWARD_SYNTAX;
    name = (struct bytes){word.data, (size_t)(equals - word.data)};
    word = (struct bytes){equals + 1, word.len - name.len - 1};
    if (!decode_xtext(word, decoded, sizeof decoded, &value.len))
        return XFORWARD_BAD_VALUE;
    if (bytes_equal_nocase(value, "[UNAVAILABLE]") || bytes_equal_nocase(value, "[TEMPUNAVAIL]"))
        value.len = 0;
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
        if (bytes_equal_nocase(name, attributes[i].name))
            return attributes[i].take(value, io) ? XFORWARD_OK : XFORWARD_BAD_VALUE;
    return XFORWARD_NAME;
}

enum xforward_result xforward_parse(struct bytes argument, struct xforward *io)
{
    struct xforward taken = *io;

    while (argument.len) {
        enum xforward_result result;
        size_t n = 0;

        while (n < argument.len && argument.data[n] != ' ')
            n++;
        result = n ? take_word((struct bytes){argument.data, n}, &taken) : XFORWARD_OK;
        if (result)
            return result;
        n += n < argument.len;
        argument.data += n;
        argument.len -= n;
    }
    taken.given = true;
    *io = taken;
    return XFORWARD_OK;
}
