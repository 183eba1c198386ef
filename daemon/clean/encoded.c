/* SPDX-License-Identifier: GPL-3.0-or-later */
/* encoded.c - words inside base64, as links have it in their parameters: a calendar's event id, a
 * token, an address to unsubscribe. RFC 4648 4 and 5. */
#include "daemon/clean/match.h"

#include <glib.h>

#define ENCODED_MIN  16u   /* characters; in fewer there is no address */
#define READABLE_MIN 6u    /* ASCII in a row that any address has, be it in UTF-16 */
#define ENCODED_MAX  4096u /* longer is a file in a text, not a part of a link */

/* The value of one character, -1: of another alphabet. */
static int sextet(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static bool is_escape(struct bytes text, size_t at)
{
    return at + 2 < text.len && text.data[at] == '%' && g_ascii_isxdigit((char)text.data[at + 1]) &&
           g_ascii_isxdigit((char)text.data[at + 2]);
}

/* The next value at *at, which moves behind it; "+" and "/" may be escaped. */
static int sextet_next(struct bytes text, size_t *at)
{
    int value = -1;
    size_t len = 1;

    if (*at < text.len)
        value = sextet(text.data[*at]);
    if (value < 0 && is_escape(text, *at) && text.data[*at + 1] == '2') {
        uint8_t low = text.data[*at + 2] & 0xdf; /* in upper case */

        value = low == 'B' ? 62 : low == 'F' ? 63 : -1;
        len = 3;
    }
    *at += value < 0 ? 0 : len;
    return value;
}

/* Nothing of it stands before the place; an escape there is of another character. */
static bool word_begins(struct bytes text, size_t at)
{
    size_t next = at;

    if (sextet(text.data[at]) < 0 && text.data[at] != '%')
        return false;
    if (at >= 3 && is_escape(text, at - 3)) {
        next = at - 3;
        return sextet_next(text, &next) < 0;
    }
    if (at >= 1 && sextet(text.data[at - 1]) >= 0)
        return false;
    return (at < 1 || !is_escape(text, at - 1)) && sextet_next(text, &next) >= 0;
}

/* Of what is decoded at the wrong place little is text, and none of it is worth a search. */
static bool values_hold(const struct scan *s, const uint8_t *values, size_t n)
{
    uint8_t plain[ENCODED_MAX];
    struct scan inner = {.layers = SCAN_PERCENT, .words = s->words};
    size_t len = 0;
    size_t readable = 0;
    bool any = false;

    for (size_t i = 0; i + 1 < n; i++) {
        size_t high = 2 + i % 4 * 2; /* bits by which the value is shifted to the byte's top */
        uint8_t byte = (uint8_t)(values[i] << high | values[i + 1] >> (6 - high % 8));

        if (high == 8)
            continue;
        plain[len++] = byte;
        readable = g_ascii_isprint((char)byte) || !byte ? readable + 1 : 0;
        any = any || readable == READABLE_MIN;
    }
    inner.text = (struct bytes){plain, len};
    return any && scan_finds(&inner);
}

/* Apart from match_encoded, which is called at each place, for its many values. */
static size_t word_search(const struct scan *s, size_t at)
{
    uint8_t values[ENCODED_MAX];
    size_t n = 0;
    size_t end = at;
    int value;

    while ((value = sextet_next(s->text, &end)) >= 0) {
        if (n == ENCODED_MAX)
            return at;
        values[n++] = (uint8_t)value;
    }
    for (size_t start = 0; n >= ENCODED_MIN && start < 4; start++)
        if (values_hold(s, values + start, n - start))
            return end;
    return at;
}

size_t match_encoded(const struct scan *s, size_t at)
{
    return s->encoded && at < s->text.len && word_begins(s->text, at) ? word_search(s, at) : at;
}
