/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lines.c - take content lines apart and fold them again. */
#include "daemon/clean/lines.h"

#include <string.h>

#define LINE_MAX_BYTES 73u /* before it is folded: 75 with the line end (RFC 5545 3.1) */

void lines_unfold(struct bytes text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        size_t lf = i + (text.data[i] == '\r' ? 1 : 0);

        if (lf + 1 < text.len && text.data[lf] == '\n' &&
            (text.data[lf + 1] == ' ' || text.data[lf + 1] == '\t')) {
            i = lf + 1;
            continue;
        }
        if (text.data[i] != '\r')
            buf_append(out, &text.data[i], 1);
    }
}

void line_folded_append(struct buf *out, struct bytes line)
{
    size_t column = 0;

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
