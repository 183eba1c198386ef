/* SPDX-License-Identifier: GPL-3.0-or-later */
/* encode.c - Content-Transfer-Encodings and MIME parameters, written. RFC 2045 6.7, 6.8, RFC 2231.
 */
#include "daemon/clean/encode.h"
#include "daemon/base/codec.h"

#include <string.h>

#define LINE_MAX_BYTES  998u /* RFC 5322 2.1.1 */
#define QP_LINE_COLUMNS 75u  /* and the "=" of a soft break */
#define PLAIN_VALUE_MAX 60u
#define SEGMENT_COLUMNS 60u

enum encoding encoding_choose(struct bytes text)
{
    size_t column = 0;
    size_t eight_bit = 0;
    bool too_long = false;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool lf_behind = i + 1 < text.len && text.data[i + 1] == '\n';

        if (c == 0 || (c == '\r' && !lf_behind) ||
            (c == '\n' && (i == 0 || text.data[i - 1] != '\r')))
            return ENCODING_BASE64;
        eight_bit += c >= 0x80 ? 1 : 0;
        column = c == '\n' ? 0 : column + 1;
        too_long = too_long || column > LINE_MAX_BYTES - 2;
    }
    if (!eight_bit && !too_long)
        return ENCODING_7BIT;
    return eight_bit > text.len / 6 ? ENCODING_BASE64 : ENCODING_QUOTED_PRINTABLE;
}

const char *encoding_name(enum encoding encoding)
{
    switch (encoding) {
    case ENCODING_7BIT:
        return "7bit";
    case ENCODING_QUOTED_PRINTABLE:
        return "quoted-printable";
    case ENCODING_BASE64:
        return "base64";
    }
    return "";
}

static bool is_plain(struct bytes text, size_t i)
{
    uint8_t c = text.data[i];
    bool at_line_end = i + 1 == text.len || text.data[i + 1] == '\r';

    if (c == ' ' || c == '\t')
        return !at_line_end;
    return c > 0x20 && c < 0x7f && c != '=';
}

static void quoted_printable_append(struct buf *out, struct bytes text)
{
    size_t column = 0;

    for (size_t i = 0; i < text.len; i++) {
        size_t len;

        if (text.data[i] == '\r' && i + 1 < text.len && text.data[i + 1] == '\n') {
            buf_append_str(out, "\r\n");
            column = 0;
            i++;
            continue;
        }
        len = is_plain(text, i) ? 1 : 3;
        if (column + len > QP_LINE_COLUMNS) {
            buf_append_str(out, "=\r\n");
            column = 0;
        }
        if (len == 1)
            buf_append(out, &text.data[i], 1);
        else
            buf_printf(out, "=%02X", text.data[i]);
        column += len;
    }
}

void base64_lines_write(struct base64_lines *b, struct buf *out, struct bytes data)
{
    while (data.len) {
        size_t room = sizeof b->held - b->n;
        size_t n = data.len < room ? data.len : room;

        memcpy(b->held + b->n, data.data, n);
        b->n += n;
        data.data += n;
        data.len -= n;
        if (b->n == sizeof b->held)
            base64_lines_end(b, out);
    }
}

void base64_lines_end(struct base64_lines *b, struct buf *out)
{
    if (!b->n)
        return;
    base64_append(out, (struct bytes){b->held, b->n});
    buf_append_str(out, "\r\n");
    b->n = 0;
}

void encoded_append(struct buf *out, enum encoding encoding, struct bytes data)
{
    struct base64_lines lines = {.n = 0};

    switch (encoding) {
    case ENCODING_7BIT:
        buf_append_bytes(out, data);
        break;
    case ENCODING_QUOTED_PRINTABLE:
        quoted_printable_append(out, data);
        break;
    case ENCODING_BASE64:
        base64_lines_write(&lines, out, data);
        base64_lines_end(&lines, out);
        break;
    }
}

static bool needs_coding(struct bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < 0x20 || value.data[i] > 0x7e || value.data[i] == '"' ||
            value.data[i] == '\\')
            return true;
    return value.len > PLAIN_VALUE_MAX;
}

static bool is_attribute_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (c && strchr("-._~!$&+^", c));
}

/* name*0*=utf-8''abc; name*1*=def */
static void coded_append(struct buf *out, const char *name, struct bytes value)
{
    size_t i = 0;

    for (unsigned segment = 0; i < value.len || segment == 0; segment++) {
        size_t start;

        buf_printf(out, ";\r\n %s*%u*=%s", name, segment, segment ? "" : "utf-8''");
        start = out->len;
        while (i < value.len && !out->failed && out->len - start < SEGMENT_COLUMNS - 2) {
            if (is_attribute_char(value.data[i]))
                buf_append(out, &value.data[i], 1);
            else
                buf_printf(out, "%%%02X", value.data[i]);
            i++;
        }
        if (out->failed)
            return;
    }
}

void parameter_append(struct buf *out, const char *name, struct bytes value)
{
    if (needs_coding(value)) {
        coded_append(out, name, value);
        return;
    }
    buf_printf(out, ";\r\n %s=\"", name);
    buf_append_bytes(out, value);
    buf_append_str(out, "\"");
}
