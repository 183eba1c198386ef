/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lines.c - take content lines apart and fold them again. */
#include "daemon/clean/lines.h"

#include <glib.h>
#include <string.h>
#include <strings.h>

#define LINE_MAX_BYTES 73u /* before it is folded: 75 with the line end (RFC 5545 3.1) */

bool line_next(struct bytes *rest, struct bytes *line)
{
    const uint8_t *lf = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    size_t len = lf ? (size_t)(lf - rest->data) : rest->len;

    if (!rest->len)
        return false;
    *line = (struct bytes){rest->data, len};
    rest->data += len + (lf ? 1 : 0);
    rest->len -= len + (lf ? 1 : 0);
    return true;
}

/* Where the first of the characters stands outside quotes; len when nowhere. */
static size_t find_unquoted(struct bytes text, const char *set)
{
    bool quoted = false;
    size_t i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] == '"')
            quoted = !quoted;
        if (!quoted && text.data[i] && strchr(set, text.data[i]))
            break;
    }
    return i;
}

static struct bytes trimmed(struct bytes text, const char *set)
{
    while (text.len && text.data[0] && strchr(set, text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len && text.data[text.len - 1] && strchr(set, text.data[text.len - 1]))
        text.len--;
    return text;
}

bool line_split(struct bytes line, struct content_line *out)
{
    size_t colon = find_unquoted(line, ":");
    size_t name = find_unquoted((struct bytes){line.data, colon}, ";");
    size_t group = name;

    if (colon == line.len)
        return false;
    while (group && line.data[group - 1] != '.')
        group--;
    out->group = (struct bytes){line.data, group};
    out->name = trimmed((struct bytes){line.data + group, name - group}, " \t");
    out->parameters = (struct bytes){line.data + name, colon - name};
    out->value = (struct bytes){line.data + colon + 1, line.len - colon - 1};
    return true;
}

bool parameter_next(struct bytes *parameters, struct parameter *out)
{
    struct bytes one = {parameters->data + 1, parameters->len - 1};
    size_t name;

    if (!parameters->len)
        return false;
    one.len = find_unquoted(one, ";");
    name = find_unquoted(one, "=");
    out->whole = one;
    out->name = trimmed((struct bytes){one.data, name}, " \t");
    name += name < one.len ? 1 : 0;
    out->value = trimmed((struct bytes){one.data + name, one.len - name}, " \t\"");
    parameters->data += one.len + 1;
    parameters->len -= one.len + 1;
    return true;
}

/* ENCODING=what, or what alone as a parameter of vCard 2.1. */
static bool is_encoded(const struct content_line *l, const char *what)
{
    struct bytes rest = l->parameters;
    struct parameter p;

    while (parameter_next(&rest, &p))
        if (bytes_equal_nocase(p.name, "ENCODING") ? bytes_equal_nocase(p.value, what)
                                                   : bytes_equal_nocase(p.whole, what))
            return true;
    return false;
}

bool line_is_quoted(const struct content_line *l)
{
    return is_encoded(l, "QUOTED-PRINTABLE");
}

static bool is_data(const struct content_line *l)
{
    return l->value.len > 5 && strncasecmp((const char *)l->value.data, "data:", 5) == 0;
}

bool line_is_base64(const struct content_line *l)
{
    return is_data(l) || is_encoded(l, "BASE64") || is_encoded(l, "B");
}

void quoted_append(struct buf *out, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] >= ' ' && text.data[i] < 0x7f && text.data[i] != '=')
            buf_append(out, &text.data[i], 1);
        else
            buf_printf(out, "=%02X", text.data[i]);
}

void quoted_decode(struct bytes text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        int high = i + 2 < text.len ? g_ascii_xdigit_value((char)text.data[i + 1]) : -1;
        int low = high < 0 ? -1 : g_ascii_xdigit_value((char)text.data[i + 2]);

        if (byte == '=' && low >= 0) {
            byte = (uint8_t)(high * 16 + low);
            i += 2;
        } else if (byte == '=' && i + 1 < text.len && text.data[i + 1] == '\n') {
            i++;
            continue;
        }
        buf_append(out, &byte, 1);
    }
}

void line_decode(const struct content_line *l, struct buf *out)
{
    const uint8_t *comma = is_data(l) ? memchr(l->value.data, ',', l->value.len) : NULL;
    size_t at = comma ? (size_t)(comma + 1 - l->value.data) : 0;
    gint state = 0;
    guint save = 0;
    guchar plain[768];

    while (at < l->value.len) {
        size_t n = l->value.len - at < 1000 ? l->value.len - at : 1000;

        buf_append(
            out, plain,
            g_base64_decode_step((const gchar *)l->value.data + at, n, plain, &state, &save));
        at += n;
    }
}

/* How a value goes on behind the end of a line that is no fold. */
enum wrap { WRAP_NONE, WRAP_QUOTED, WRAP_BASE64 };

/* A line in the making, the last one of out. */
struct unfolding {
    struct buf *out;
    size_t start;
    size_t read; /* up to here its colon was looked for, so that it is not again for each fold */
    bool quoted, headed;
    enum wrap wrap;
};

/* wrap is known with the colon. */
static void head_read(struct unfolding *u)
{
    struct content_line l;

    for (; !u->headed && u->read < u->out->len; u->read++) {
        u->quoted = u->quoted != (u->out->data[u->read] == '"');
        u->headed = !u->quoted && u->out->data[u->read] == ':';
    }
    if (u->headed && u->wrap == WRAP_NONE &&
        line_split((struct bytes){u->out->data + u->start, u->read - u->start}, &l))
        u->wrap = line_is_quoted(&l) ? WRAP_QUOTED : line_is_base64(&l) ? WRAP_BASE64 : WRAP_NONE;
}

static bool is_base64_text(struct bytes line)
{
    for (size_t i = 0; i < line.len; i++)
        if (!g_ascii_isalnum((char)line.data[i]) && !memchr("+/=", line.data[i], 3))
            return false;
    return line.len > 0;
}

/* Does the line belong to the one before it? It loses its fold, that one its soft line break. */
static bool goes_on(struct unfolding *u, struct bytes *line)
{
    struct buf *out = u->out;

    if (u->wrap == WRAP_QUOTED && out->data[out->len - 1] == '=') {
        out->len--;
        return !bytes_equal_nocase(*line, "END:VCARD");
    }
    if (out->len > u->start && line->len && (line->data[0] == ' ' || line->data[0] == '\t')) {
        line->data++;
        line->len--;
        return true;
    }
    return u->wrap == WRAP_BASE64 && is_base64_text(*line);
}

void lines_unfold(struct bytes text, struct buf *out)
{
    struct unfolding u = {.out = out, .start = out->len, .read = out->len};
    struct bytes line;

    while (line_next(&text, &line) && !out->failed) {
        while (line.len && line.data[line.len - 1] == '\r')
            line.len--;
        if (out->len && !goes_on(&u, &line)) {
            buf_append_str(out, "\n");
            u = (struct unfolding){.out = out, .start = out->len, .read = out->len};
        }
        for (size_t i = 0; i < line.len; i++)
            if (line.data[i] != '\r')
                buf_append(out, &line.data[i], 1);
        head_read(&u);
    }
    buf_append_str(out, "\n");
}

/* How many bytes of quoted-printable fit into a line: no escape is torn, and no line begins with a
 * blank, which some readers would take for a fold. */
static size_t quoted_fitting(struct bytes text, size_t room)
{
    size_t n = room < text.len ? room : text.len;

    for (size_t i = 0; n < text.len && i < 2 && n > i; i++)
        if (text.data[n - i - 1] == '=')
            n += 2 - i;
    while (n < text.len && (text.data[n] == ' ' || text.data[n] == '\t'))
        n++;
    return n < text.len ? n : text.len;
}

static void quoted_folded_append(struct buf *out, struct bytes head, struct bytes value)
{
    size_t room = head.len < LINE_MAX_BYTES ? LINE_MAX_BYTES - head.len : 0;

    buf_append_bytes(out, head);
    while (value.len) {
        size_t n = quoted_fitting(value, room);

        buf_append(out, value.data, n);
        value.data += n;
        value.len -= n;
        buf_append_str(out, value.len ? "=\r\n" : "");
        room = LINE_MAX_BYTES;
    }
    buf_append_str(out, "\r\n");
}

void line_folded_append(struct buf *out, struct bytes line)
{
    struct content_line l;
    size_t column = 0;

    if (line_split(line, &l) && line_is_quoted(&l)) {
        struct bytes head = {line.data, line.len - l.value.len};

        quoted_folded_append(out, head, l.value);
        return;
    }
    for (size_t i = 0; i < line.len; i++) {
        if (column >= LINE_MAX_BYTES && (line.data[i] & 0xc0) != 0x80) {
            buf_append_str(out, "\r\n ");
            column = 1;
        }
        buf_append(out, &line.data[i], 1);
        column++;
    }
    buf_append_str(out, "\r\n");
}
