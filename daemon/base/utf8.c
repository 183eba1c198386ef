/* SPDX-License-Identifier: GPL-3.0-or-later */
/* utf8.c - UTF-8, decoded one scalar value at a time. */
#include "daemon/base/utf8.h"

/* One scalar value at *at, which moves past it; 0 when malformed. */
static uint32_t next_code(struct bytes text, size_t *at)
{
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    uint8_t lead = text.data[*at];
    size_t len = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t code = len == 1 ? lead : len == 2 ? lead & 0x1fu : len == 3 ? lead & 0xfu : lead & 7u;

    if (len == 0 || lead > 0xf4 || len > text.len - *at)
        return 0;
    for (size_t i = 1; i < len; i++) {
        uint8_t byte = text.data[*at + i];

        if ((byte & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (byte & 0x3fu);
    }
    if (code < least[len] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
        return 0;
    *at += len;
    return code;
}

bool utf8_is_valid(struct bytes text)
{
    for (size_t at = 0; at < text.len;)
        if (next_code(text, &at) == 0)
            return false;
    return true;
}

static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

bool utf8_is_text(struct bytes text)
{
    for (size_t at = 0; at < text.len;)
        if (is_control(next_code(text, &at)))
            return false;
    return true;
}

static bool is_hidden(uint32_t code)
{
    return is_control(code) || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

bool utf8_is_printable(struct bytes text)
{
    for (size_t at = 0; at < text.len;)
        if (is_hidden(next_code(text, &at)))
            return false;
    return true;
}

void utf8_append(struct buf *out, uint32_t code)
{
    uint8_t bytes[4];
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = len; i-- > 1; code >>= 6)
        bytes[i] = (uint8_t)(0x80 | (code & 0x3f));
    bytes[0] = (uint8_t)(lead[len] | code);
    buf_append(out, bytes, len);
}
