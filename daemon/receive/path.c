/* SPDX-License-Identifier: GPL-3.0-or-later */
/* path.c - MAIL and RCPT arguments, parsed front to back over {pointer, length}.
 *
 * The parser is strict in what becomes an address and keeps the bytes as they came: quoting is
 * part of the address and is never undone here. */
#include "daemon/receive/path.h"

#include "daemon/base/utf8.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LABEL_MAX_BYTES 63u /* RFC 1035 2.3.4 */
#define LITERAL_IPV6    "IPv6:"

static uint8_t peek(struct bytes s)
{
    return s.len ? s.data[0] : 0;
}

static void skip(struct bytes *s, size_t n)
{
    s->data += n;
    s->len -= n;
}

static struct bytes first(struct bytes s, size_t n)
{
    return (struct bytes){s.data, n};
}

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Non-ASCII bytes pass everywhere a letter does; whether they may be there is asked once, for the
 * whole address. */
static bool is_atext(uint8_t c)
{
    return c >= 0x80 || is_alnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_ascii(struct bytes s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] >= 0x80)
            return false;
    return true;
}

/* The length of a quoted string at the front of s, 0 if there is none. */
static size_t quoted_length(struct bytes s)
{
    size_t i = 1;

    while (i < s.len && s.data[i] != '"') {
        if (s.data[i] == '\\')
            i++;
        if (i >= s.len || s.data[i] < 0x20 || s.data[i] == 0x7F)
            return 0;
        i++;
    }
    return i < s.len ? i + 1 : 0;
}

static size_t local_length(struct bytes s)
{
    size_t n = 0;

    if (peek(s) == '"')
        return quoted_length(s);
    while (n < s.len && (s.data[n] == '.' || is_atext(s.data[n])))
        n++;
    return n;
}

/* [192.0.2.1] or [IPv6:2001:db8::1]; its length, 0 if it is no address. */
static size_t literal_length(struct bytes s)
{
    const uint8_t *end = memchr(s.data, ']', s.len);
    char text[INET6_ADDRSTRLEN + sizeof LITERAL_IPV6] = "";
    size_t len = end ? (size_t)(end - s.data) - 1 : 0;
    uint8_t address[sizeof(struct in6_addr)];
    bool valid;

    if (len == 0 || len >= sizeof text)
        return 0;
    memcpy(text, s.data + 1, len);
    if (memchr(text, '\0', len))
        return 0;
    if (strncasecmp(text, LITERAL_IPV6, strlen(LITERAL_IPV6)) == 0)
        valid = inet_pton(AF_INET6, text + strlen(LITERAL_IPV6), address) == 1;
    else
        valid = inet_pton(AF_INET, text, address) == 1;
    return valid ? len + 2 : 0;
}

/* The length of a label at the front of s, 0 if there is none. '_' is let pass: it is seen. */
static size_t label_length(struct bytes s)
{
    size_t n = 0;

    while (n < s.len &&
           (s.data[n] == '-' || s.data[n] == '_' || s.data[n] >= 0x80 || is_alnum(s.data[n])))
        n++;
    if (n == 0 || n > LABEL_MAX_BYTES || s.data[0] == '-' || s.data[n - 1] == '-')
        return 0;
    return n;
}

/* The length of a domain name at the front of s, 0 if there is none. */
static size_t name_length(struct bytes s)
{
    size_t n = 0;

    for (;;) {
        size_t label = label_length((struct bytes){s.data + n, s.len - n});

        n += label;
        if (label == 0 || n > PATH_DOMAIN_MAX_BYTES)
            return 0;
        if (n == s.len || s.data[n] != '.')
            return n;
        n++;
    }
}

static size_t domain_length(struct bytes s)
{
    return peek(s) == '[' ? literal_length(s) : name_length(s);
}

/* Strip "@one,@two:" from the front of s; false when it begins like that and goes on wrong.
 * Source: RFC 5321 appendix C: accepted and ignored. */
static bool strip_route(struct bytes *s)
{
    if (peek(*s) != '@')
        return true;
    for (;;) {
        size_t n;

        if (peek(*s) != '@')
            return false;
        skip(s, 1);
        n = domain_length(*s);
        skip(s, n);
        if (n == 0 || (peek(*s) != ':' && peek(*s) != ','))
            return false;
        n = peek(*s) == ':';
        skip(s, 1);
        if (n)
            return true;
    }
}

/* The length of the address at the front of s, which ends at ">"; 0 if there is none. */
static size_t address_length(struct bytes s, enum path_kind kind)
{
    size_t local = local_length(s);
    size_t domain;

    if (local == 0 || local > PATH_LOCAL_MAX_BYTES)
        return 0;
    if (kind == PATH_RCPT && local < s.len && s.data[local] == '>' &&
        bytes_equal_nocase(first(s, local), "postmaster"))
        return local;
    if (local == s.len || s.data[local] != '@')
        return 0;
    skip(&s, local + 1);
    domain = domain_length(s);
    if (domain == 0 || local + 1 + domain > PATH_ADDRESS_MAX_BYTES)
        return 0;
    return local + 1 + domain;
}

static enum path_result parse_address(struct bytes *s, enum path_kind kind, struct bytes *out)
{
    if (kind == PATH_MAIL && peek(*s) == '>') {
        *out = first(*s, 0);
    } else {
        if (!strip_route(s))
            return PATH_BAD_ADDRESS;
        *out = first(*s, address_length(*s, kind));
        if (out->len == 0)
            return PATH_BAD_ADDRESS;
    }
    skip(s, out->len);
    if (peek(*s) != '>')
        return PATH_BAD_ADDRESS;
    skip(s, 1);
    return PATH_OK;
}

static enum path_result take_size(struct bytes value, struct path *out)
{
    if (out->has_size || value.len == 0 || value.len > 20) /* RFC 1870 section 5 */
        return PATH_BAD_PARAMETER;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return PATH_BAD_PARAMETER;
        if (__builtin_mul_overflow(out->size, 10u, &out->size) ||
            __builtin_add_overflow(out->size, (uint64_t)(value.data[i] - '0'), &out->size))
            out->size = UINT64_MAX;
    }
    out->has_size = true;
    return PATH_OK;
}

/* The value changes nothing: content is opaque bytes either way. */
static enum path_result take_body(struct bytes value, struct path *out)
{
    if (out->has_body ||
        (!bytes_equal_nocase(value, "7BIT") && !bytes_equal_nocase(value, "8BITMIME")))
        return PATH_BAD_PARAMETER;
    out->has_body = true;
    return PATH_OK;
}

static enum path_result take_smtputf8(struct bytes value, struct path *out)
{
    if (value.data || out->smtputf8)
        return PATH_BAD_PARAMETER;
    out->smtputf8 = true;
    return PATH_OK;
}

static enum path_result take_not_offered(struct bytes value, struct path *out)
{
    (void)value;
    (void)out;
    return PATH_NOT_OFFERED;
}

static const struct parameter {
    const char *keyword;
    enum path_kind kind;
    enum path_result (*take)(struct bytes value, struct path *out);
} parameters[] = {
    {"SIZE", PATH_MAIL, take_size},          {"BODY", PATH_MAIL, take_body},
    {"SMTPUTF8", PATH_MAIL, take_smtputf8},  {"AUTH", PATH_MAIL, take_not_offered},
    {"RET", PATH_MAIL, take_not_offered},    {"ENVID", PATH_MAIL, take_not_offered},
    {"NOTIFY", PATH_RCPT, take_not_offered}, {"ORCPT", PATH_RCPT, take_not_offered},
};

/* One "KEYWORD" or "KEYWORD=value". */
static enum path_result parse_parameter(struct bytes word, enum path_kind kind, struct path *out)
{
    const uint8_t *equals = memchr(word.data, '=', word.len);
    struct bytes keyword = first(word, equals ? (size_t)(equals - word.data) : word.len);
    struct bytes value = {0};

    if (equals)
        value = (struct bytes){equals + 1, word.len - keyword.len - 1};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
        if (parameters[i].kind == kind && bytes_equal_nocase(keyword, parameters[i].keyword))
            return parameters[i].take(value, out);
    return PATH_UNKNOWN_PARAMETER;
}

static enum path_result parse_parameters(struct bytes s, enum path_kind kind, struct path *out)
{
    while (s.len) {
        size_t n = 0;

        if (s.data[0] != ' ')
            return PATH_SYNTAX;
        skip(&s, 1);
        while (n < s.len && s.data[n] > ' ' && s.data[n] < 0x7F)
            n++;
        if (n) {
            enum path_result result = parse_parameter(first(s, n), kind, out);

            if (result)
                return result;
        }
        skip(&s, n);
    }
    return PATH_OK;
}

enum path_result path_parse(struct bytes argument, enum path_kind kind, bool utf8_allowed,
                            struct path *out)
{
    const char *prefix = kind == PATH_MAIL ? "FROM:" : "TO:";
    struct bytes address;
    enum path_result result;

    if (argument.len < strlen(prefix) ||
        !bytes_equal_nocase(first(argument, strlen(prefix)), prefix))
        return PATH_SYNTAX;
    skip(&argument, strlen(prefix));
    if (peek(argument) == ' ')
        skip(&argument, 1);
    if (peek(argument) != '<')
        return PATH_SYNTAX;
    skip(&argument, 1);
    result = parse_address(&argument, kind, &address);
    if (!result)
        result = parse_parameters(argument, kind, out);
    if (result)
        return result;
    if (!is_ascii(address) && !(kind == PATH_MAIL ? out->smtputf8 : utf8_allowed))
        return PATH_NOT_ASCII;
    if (!utf8_is_text(address))
        return PATH_BAD_ADDRESS;
    out->address = strndup((const char *)address.data, address.len);
    return out->address ? PATH_OK : PATH_NO_MEMORY;
}

void path_clear(struct path *p)
{
    free(p->address);
    *p = (struct path){0};
}
