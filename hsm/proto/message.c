/* SPDX-License-Identifier: GPL-3.0-or-later */
/* message.c - packing, parsing, and an allocator that wipes. */
#include "hsm/proto/message.h"

#include "hsm/proto/frame.h"

#include <openssl/crypto.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* protobuf-c does not say how long a freed block was: its length lies before it. */
union block {
    size_t len;
    max_align_t align;
};

static void *wiping_alloc(void *unused, size_t len)
{
    union block *b;

    (void)unused;
    if (len > SIZE_MAX - sizeof *b)
        return NULL;
    b = malloc(sizeof *b + len);
    if (!b)
        return NULL;
    b->len = len;
    return b + 1;
}

static void wiping_free(void *unused, void *p)
{
    union block *b = p;

    (void)unused;
    if (!b)
        return;
    b--;
    OPENSSL_cleanse(p, b->len);
    free(b);
}

static ProtobufCAllocator wiping = {.alloc = wiping_alloc, .free = wiping_free};

enum err message_pack(const ProtobufCMessage *m, struct buf *out)
{
    size_t len = protobuf_c_message_get_packed_size(m);

    if (len > FRAME_MAX)
        return err_note(ERR_TOO_BIG, "message_pack", "%zu bytes", len);
    buf_reserve(out, len);
    if (buf_error(out))
        return ERR_NOMEM;
    out->len += protobuf_c_message_pack(m, out->data + out->len);
    out->data[out->len] = '\0';
    return ERR_OK;
}

static ProtobufCMessage *parse(const ProtobufCMessageDescriptor *type, struct bytes packet)
{
    return protobuf_c_message_unpack(type, &wiping, packet.len, packet.data);
}

enum err request_parse(struct bytes packet, Seal__Request **out)
{
    Seal__Request *r = (Seal__Request *)parse(&seal__request__descriptor, packet);

    if (!r)
        return err_note(ERR_FORMAT, "request_parse", "undecodable packet of %zu bytes", packet.len);
    *out = r;
    return ERR_OK;
}

enum err response_parse(struct bytes packet, Seal__Response **out)
{
    Seal__Response *r = (Seal__Response *)parse(&seal__response__descriptor, packet);

    if (!r)
        return err_note(ERR_FORMAT, "response_parse", "undecodable packet of %zu bytes",
                        packet.len);
    *out = r;
    return ERR_OK;
}

void request_free(Seal__Request **r)
{
    if (*r)
        protobuf_c_message_free_unpacked(&(*r)->base, &wiping);
    *r = NULL;
}

void response_free(Seal__Response **r)
{
    if (*r)
        protobuf_c_message_free_unpacked(&(*r)->base, &wiping);
    *r = NULL;
}

struct bytes message_bytes(ProtobufCBinaryData d)
{
    return (struct bytes){d.data, d.len};
}

ProtobufCBinaryData message_data(struct bytes b)
{
    return (ProtobufCBinaryData){.len = b.len, .data = (uint8_t *)(uintptr_t)b.data};
}

enum err err_parse(const char *name)
{
    for (enum err e = ERR_OK; e < ERR_COUNT; e++)
        if (strcmp(err_name(e), name) == 0)
            return e;
    return err_note(ERR_BUG, "err_parse", "unknown error name");
}
