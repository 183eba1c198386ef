/* SPDX-License-Identifier: GPL-3.0-or-later */
/* codec.c - hexadecimal, base32 and base64 (RFC 4648). */
#include "daemon/base/codec.h"

#include <openssl/evp.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";

void hex_append(struct buf *b, struct bytes data)
{
    for (size_t i = 0; i < data.len; i++) {
        const char pair[2] = {hex_digits[data.data[i] >> 4], hex_digits[data.data[i] & 15]};
        buf_append(b, pair, sizeof pair);
    }
}

void base32_append(struct buf *b, struct bytes data)
{
    unsigned bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < data.len; i++) {
        held = (held << 8 | data.data[i]) & 0xfff;
        for (bits += 8; bits >= 5; bits -= 5)
            buf_append(b, &base32_digits[held >> (bits - 5) & 31], 1);
    }
    if (bits)
        buf_append(b, &base32_digits[held << (5 - bits) & 31], 1);
}

void base64_append(struct buf *b, struct bytes data)
{
    size_t len = (data.len + 2) / 3 * 4;

    buf_reserve(b, len + 1);
    if (b->failed || data.len > INT32_MAX) {
        b->failed = true;
        return;
    }
    (void)EVP_EncodeBlock(b->data + b->len, data.data, (int)data.len);
    b->len += len;
}

static int digit_value(const char *digits, uint8_t c)
{
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'Z' ? c + 32 : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

static enum err undo_decode(struct buf *out, size_t start, const char *what)
{
    out->len = start;
    if (out->data)
        out->data[start] = '\0';
    return err_note(ERR_FORMAT, what, "not decodable");
}

enum err hex_decode(struct bytes text, struct buf *out)
{
    size_t start = out->len;

    if (text.len % 2)
        return undo_decode(out, start, "hex");
    for (size_t i = 0; i < text.len; i += 2) {
        int high = digit_value(hex_digits, text.data[i]);
        int low = digit_value(hex_digits, text.data[i + 1]);
        uint8_t byte;

        if (high < 0 || low < 0)
            return undo_decode(out, start, "hex");
        byte = (uint8_t)(high << 4 | low);
        buf_append(out, &byte, 1);
    }
    return buf_error(out);
}

enum err base32_decode(struct bytes text, struct buf *out)
{
    size_t start = out->len;
    unsigned bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < text.len; i++) {
        int value = digit_value(base32_digits, text.data[i]);
        uint8_t byte;

        if (value < 0)
            return undo_decode(out, start, "base32");
        held = (held << 5 | (unsigned)value) & 0xfff;
        bits += 5;
        if (bits < 8)
            continue;
        bits -= 8;
        byte = (uint8_t)(held >> bits);
        buf_append(out, &byte, 1);
    }
    if (bits >= 5 || (held & ((1u << bits) - 1)))
        return undo_decode(out, start, "base32");
    return buf_error(out);
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum err base64_decode(struct bytes text, struct buf *out)
{
    size_t start = out->len;
    unsigned held = 0;
    unsigned count = 0;
    unsigned pads = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        int value = base64_value(c);

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            continue;
        if (c == '=' && (count % 4 == 2 || count % 4 == 3)) {
            pads++;
            count++;
            continue;
        }
        if (value < 0 || pads)
            return undo_decode(out, start, "base64");
        held = (held << 6 | (unsigned)value) & 0xffffff;
        if (++count % 4 != 1) {
            uint8_t byte = (uint8_t)(held >> (6 - 2 * ((count - 1) % 4)));
            buf_append(out, &byte, 1);
        }
    }
    if (count % 4 || pads > 2)
        return undo_decode(out, start, "base64");
    return buf_error(out);
}
