/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wire.c - big-endian fields of blobs and wrapped data keys. No read passes the end. */
#include "hsm/token/wire.h"

void wire_u8(struct buf *b, uint8_t v)
{
    buf_append(b, &v, 1);
}

void wire_u16(struct buf *b, uint16_t v)
{
    wire_u8(b, (uint8_t)(v >> 8));
    wire_u8(b, (uint8_t)(v & 0xff));
}

void wire_u32(struct buf *b, uint32_t v)
{
    wire_u16(b, (uint16_t)(v >> 16));
    wire_u16(b, (uint16_t)(v & 0xffff));
}

struct bytes wire_take(struct wire *w, size_t len)
{
    struct bytes taken = {w->data, len};

    if (w->failed || len > w->len) {
        w->failed = true;
        return (struct bytes){0};
    }
    w->data += len;
    w->len -= len;
    return taken;
}

struct bytes wire_rest(struct wire *w)
{
    return wire_take(w, w->len);
}

uint8_t wire_take_u8(struct wire *w)
{
    struct bytes b = wire_take(w, 1);

    return b.len ? b.data[0] : 0;
}

uint16_t wire_take_u16(struct wire *w)
{
    struct bytes b = wire_take(w, 2);

    return b.len ? (uint16_t)((unsigned)b.data[0] << 8 | b.data[1]) : 0;
}

uint32_t wire_take_u32(struct wire *w)
{
    uint32_t high = wire_take_u16(w);

    return high << 16 | wire_take_u16(w);
}
