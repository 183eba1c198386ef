/* SPDX-License-Identifier: GPL-3.0-or-later */
/* html_token.c - cut HTML into tokens; every byte belongs to one token and is read once. */
#include "daemon/clean/html_token.h"

#include <string.h>
#include <strings.h>

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_letter(uint8_t c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static void advance(struct bytes *rest, size_t n)
{
    rest->data += n;
    rest->len -= n;
}

static bool starts(struct bytes rest, const char *text)
{
    size_t len = strlen(text);

    return rest.len >= len && memcmp(rest.data, text, len) == 0;
}

/* Up to and with the closing text, or all. */
static void skip_behind(struct bytes *rest, const char *closing)
{
    const uint8_t *found = memmem(rest->data, rest->len, closing, strlen(closing));

    advance(rest, found ? (size_t)(found - rest->data) + strlen(closing) : rest->len);
}

static void comment_skip(struct bytes *rest)
{
    advance(rest, 4);
    if (starts(*rest, ">"))
        advance(rest, 1);
    else if (starts(*rest, "->"))
        advance(rest, 2);
    else
        skip_behind(rest, "-->");
}

/* The ">" that closes the tag: quotes count where a value begins, as in attribute values only. */
static size_t tag_len(struct bytes rest)
{
    uint8_t quote = 0;
    bool value = false; /* behind "=", blanks aside */

    for (size_t i = 1; i < rest.len; i++) {
        uint8_t c = rest.data[i];

        if (quote) {
            if (c == quote)
                quote = 0;
        } else if (c == '>') {
            return i + 1;
        } else if (value && (c == '"' || c == '\'')) {
            quote = c;
            value = false;
        } else if (!is_space(c)) {
            value = c == '=';
        }
    }
    return rest.len;
}

static void tag_read(struct bytes *rest, struct html_token *out)
{
    size_t len = tag_len(*rest);
    size_t inner = rest->data[len - 1] == '>' ? len - 1 : len;
    size_t start = rest->data[1] == '/' ? 2 : 1;
    size_t end = start;

    while (end < inner && !is_space(rest->data[end]) && rest->data[end] != '/')
        end++;
    out->kind = start == 2 ? HTML_CLOSE : HTML_OPEN;
    out->name = (struct bytes){rest->data + start, end - start};
    out->attributes = (struct bytes){rest->data + end, inner - end};
    advance(rest, len);
}

static void declaration_read(struct bytes *rest, struct html_token *out)
{
    struct bytes whole = *rest;
    bool doctype = rest->len > 9 && strncasecmp((const char *)rest->data, "<!doctype", 9) == 0;

    skip_behind(rest, ">");
    out->kind = doctype ? HTML_DOCTYPE : HTML_COMMENT;
    out->text = (struct bytes){whole.data, whole.len - rest->len};
}

bool html_next(struct bytes *rest, struct html_token *out)
{
    size_t i = 0;

    *out = (struct html_token){.kind = HTML_TEXT};
    if (!rest->len)
        return false;
    if (starts(*rest, "<!--")) {
        out->kind = HTML_COMMENT;
        comment_skip(rest);
        return true;
    }
    if (starts(*rest, "<!") || starts(*rest, "<?")) {
        declaration_read(rest, out);
        return true;
    }
    if (rest->len > 1 && rest->data[0] == '<') {
        uint8_t second = rest->data[1];

        if (is_letter(second) || (second == '/' && rest->len > 2 && is_letter(rest->data[2]))) {
            tag_read(rest, out);
            return true;
        }
        if (second == '/') {
            out->kind = HTML_COMMENT;
            skip_behind(rest, ">");
            return true;
        }
    }
    for (i = 1; i < rest->len && rest->data[i] != '<'; i++)
        ;
    out->text = (struct bytes){rest->data, i};
    advance(rest, i);
    return true;
}

static void value_read(struct bytes *a, struct html_attribute *out)
{
    size_t i = 0;

    while (a->len && is_space(a->data[0]))
        advance(a, 1);
    out->has_value = true;
    if (a->len && (a->data[0] == '"' || a->data[0] == '\'')) {
        const uint8_t *close = memchr(a->data + 1, a->data[0], a->len - 1);

        i = close ? (size_t)(close - a->data) : a->len;
        out->value = (struct bytes){a->data + 1, i - 1};
        advance(a, close ? i + 1 : i);
        return;
    }
    while (i < a->len && !is_space(a->data[i]))
        i++;
    out->value = (struct bytes){a->data, i};
    advance(a, i);
}

bool html_attribute_next(struct bytes *a, struct html_attribute *out)
{
    size_t i = 0;

    *out = (struct html_attribute){0};
    while (a->len && (is_space(a->data[0]) || a->data[0] == '/'))
        advance(a, 1);
    if (!a->len)
        return false;
    for (i = 1; i < a->len && !is_space(a->data[i]) && a->data[i] != '/' && a->data[i] != '='; i++)
        ;
    out->name = (struct bytes){a->data, i};
    advance(a, i);
    while (a->len && is_space(a->data[0]))
        advance(a, 1);
    if (a->len && a->data[0] == '=') {
        advance(a, 1);
        value_read(a, out);
    }
    return true;
}

struct bytes html_raw_text(struct bytes *rest, const char *name)
{
    struct bytes text = *rest;
    size_t len = strlen(name);

    for (size_t i = 0; i + 2 + len <= rest->len; i++) {
        const char *at = (const char *)rest->data + i;

        if (at[0] == '<' && at[1] == '/' && strncasecmp(at + 2, name, len) == 0) {
            text.len = i;
            break;
        }
    }
    advance(rest, text.len);
    return text;
}
