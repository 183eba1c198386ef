/* SPDX-License-Identifier: GPL-3.0-or-later */
/* json.c - a strict reader and a small writer for flat JSON objects.
 *
 * A cursor over the bytes; every function either moves it past what it names or leaves a note. */
#include "provisioning/enroll/json.h"
#include "daemon/base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define JSON_KEYS_MAX   32
#define JSON_DIGITS_MAX 15 /* fits int64_t, and a double without loss */

struct cursor {
    struct bytes text;
    size_t at;
};

static enum err bad(const struct cursor *c, const char *what)
{
    return err_note(ERR_FORMAT, "json", "%s at byte %zu", what, c->at);
}

static int peek(const struct cursor *c)
{
    return c->at < c->text.len ? c->text.data[c->at] : -1;
}

static void skip_blanks(struct cursor *c)
{
    int byte;

    while ((byte = peek(c)) == ' ' || byte == '\t' || byte == '\r' || byte == '\n')
        c->at++;
}

/* Pass one structural character, blanks around it included. */
static bool pass(struct cursor *c, char wanted)
{
    skip_blanks(c);
    if (peek(c) != wanted)
        return false;
    c->at++;
    skip_blanks(c);
    return true;
}

static int hex_value(int byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static bool read_hex4(struct cursor *c, uint32_t *out)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        int digit = hex_value(peek(c));

        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
        c->at++;
    }
    *out = value;
    return true;
}

/* Behind "\u": one character, or two halves of a surrogate pair. */
static enum err read_unicode(struct cursor *c, struct buf *out)
{
    uint32_t code;
    uint32_t low;

    if (!read_hex4(c, &code) || code == 0)
        return bad(c, "bad \\u escape");
    if (code >= 0xd800 && code <= 0xdbff) {
        if (peek(c) != '\\' || (c->at++, peek(c) != 'u') || (c->at++, !read_hex4(c, &low)) ||
            low < 0xdc00 || low > 0xdfff)
            return bad(c, "half a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        return bad(c, "half a surrogate pair");
    }
    utf8_append(out, code);
    return ERR_OK;
}

static enum err read_escape(struct cursor *c, struct buf *out)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    int byte = peek(c);
    const char *found = byte > 0 ? strchr(names, byte) : NULL;

    if (byte == 'u') {
        c->at++;
        return read_unicode(c, out);
    }
    if (!found)
        return bad(c, "unknown escape");
    c->at++;
    buf_append(out, &values[found - names], 1);
    return ERR_OK;
}

/* A string up to its closing quote; out gets its text. */
static enum err read_string(struct cursor *c, struct buf *out)
{
    enum err e = ERR_OK;

    if (peek(c) != '"')
        return bad(c, "a string is missing");
    c->at++;
    while (!e) {
        int byte = peek(c);

        if (byte < 0x20)
            return bad(c, byte < 0 ? "string without end" : "control character in a string");
        c->at++;
        if (byte == '"')
            break;
        if (byte == '\\')
            e = read_escape(c, out);
        else
            buf_append(out, &c->text.data[c->at - 1], 1);
    }
    return e ? e : buf_error(out);
}

static enum err read_text(struct cursor *c, char **out)
{
    CLEANUP(buf_clear) struct buf b = {0};
    enum err e = read_string(c, &b);

    if (e)
        return e;
    *out = strdup(buf_str(&b));
    return *out ? ERR_OK : ERR_NOMEM;
}

static enum err read_number(struct cursor *c, int64_t *out)
{
    size_t start = c->at;
    int64_t value = 0;

    while (peek(c) >= '0' && peek(c) <= '9') {
        value = value * 10 + (peek(c) - '0');
        if (++c->at - start > JSON_DIGITS_MAX)
            return bad(c, "number too long");
    }
    if (c->at == start || (c->text.data[start] == '0' && c->at - start > 1))
        return bad(c, "not a whole number");
    *out = value;
    return ERR_OK;
}

static enum err read_list(struct cursor *c, struct json_list *out)
{
    enum err e = ERR_OK;

    if (!pass(c, '['))
        return bad(c, "a list is missing");
    if (pass(c, ']'))
        return ERR_OK;
    do {
        if (out->n == JSON_LIST_MAX)
            return bad(c, "list too long");
        e = read_text(c, &out->items[out->n]);
        if (!e)
            out->n++;
    } while (!e && pass(c, ','));
    if (e)
        return e;
    return pass(c, ']') ? ERR_OK : bad(c, "list without end");
}

static enum err read_value(struct cursor *c, const struct json_key *key, void *target)
{
    void *at = (char *)target + key->offset;

    switch (key->type) {
    case JSON_STRING:
        return read_text(c, at);
    case JSON_NUMBER:
        return read_number(c, at);
    case JSON_LIST:
        return read_list(c, at);
    }
    return ERR_BUG;
}

static enum err read_member(struct cursor *c, const struct json_key *keys, size_t n_keys,
                            void *target, bool *seen)
{
    CLEANUP(buf_clear) struct buf name = {0};
    enum err e = read_string(c, &name);

    if (e)
        return e;
    if (!pass(c, ':'))
        return bad(c, "a colon is missing");
    for (size_t i = 0; i < n_keys; i++) {
        if (!bytes_equal(buf_bytes(&name), bytes_of(keys[i].name)))
            continue;
        if (seen[i])
            return err_note(ERR_FORMAT, "json", "key %s is there twice", keys[i].name);
        seen[i] = true;
        return read_value(c, &keys[i], target);
    }
    return err_note(ERR_FORMAT, "json", "unknown key %.60s", buf_str(&name));
}

enum err json_read(struct bytes text, const struct json_key *keys, size_t n_keys, void *target)
{
    struct cursor c = {.text = text};
    bool seen[JSON_KEYS_MAX] = {false};
    enum err e = ERR_OK;

    if (n_keys > JSON_KEYS_MAX)
        return ERR_BUG;
    if (!utf8_is_valid(text))
        return err_note(ERR_FORMAT, "json", "not valid UTF-8");
    if (!pass(&c, '{'))
        return bad(&c, "an object is missing");
    if (!pass(&c, '}')) {
        do
            e = read_member(&c, keys, n_keys, target, seen);
        while (!e && pass(&c, ','));
        if (!e && !pass(&c, '}'))
            e = bad(&c, "object without end");
    }
    if (!e && c.at != text.len)
        e = bad(&c, "something behind the object");
    for (size_t i = 0; !e && i < n_keys; i++)
        if (keys[i].required && !seen[i])
            e = err_note(ERR_FORMAT, "json", "key %s is missing", keys[i].name);
    return e;
}

static void json_list_clear(struct json_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    *l = (struct json_list){.n = 0};
}

void json_clear(const struct json_key *keys, size_t n_keys, void *target)
{
    for (size_t i = 0; i < n_keys; i++) {
        void *at = (char *)target + keys[i].offset;

        switch (keys[i].type) {
        case JSON_STRING:
            str_free(at);
            break;
        case JSON_NUMBER:
            break;
        case JSON_LIST:
            json_list_clear(at);
            break;
        }
    }
}

static void add_quoted(struct buf *out, struct bytes value)
{
    buf_append_str(out, "\"");
    for (size_t i = 0; i < value.len; i++) {
        uint8_t byte = value.data[i];

        if (byte == '\n')
            buf_append_str(out, "\\n");
        else if (byte < 0x20)
            buf_printf(out, "\\u%04x", (unsigned)byte);
        else if (byte == '"' || byte == '\\')
            buf_printf(out, "\\%c", byte);
        else
            buf_append(out, &byte, 1);
    }
    buf_append_str(out, "\"");
}

void json_add_string(struct buf *out, const char *name, struct bytes value)
{
    bool first = out->len > 0 && out->data[out->len - 1] == '{';

    buf_append_str(out, first ? "\n  " : ",\n  ");
    add_quoted(out, bytes_of(name));
    buf_append_str(out, ": ");
    add_quoted(out, value);
}
