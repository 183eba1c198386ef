/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wire.h - big-endian fields at the end of a buffer, and taken from the front of a slice.
 *
 * Internal to hsm/token. Reading past the end sets failed and yields zeroes and empty slices, so
 * that a caller reads everything and asks once. */
#ifndef SEALRELAY_HSM_TOKEN_WIRE_H
#define SEALRELAY_HSM_TOKEN_WIRE_H

#include "daemon/base/buf.h"

struct wire {
    const uint8_t *data;
    size_t len;
    bool failed;
};

void wire_u8(struct buf *b, uint8_t v);
void wire_u16(struct buf *b, uint16_t v);
void wire_u32(struct buf *b, uint32_t v);
uint8_t wire_take_u8(struct wire *w);
uint16_t wire_take_u16(struct wire *w);
uint32_t wire_take_u32(struct wire *w);
struct bytes wire_take(struct wire *w, size_t len);
struct bytes wire_rest(struct wire *w);

#endif
