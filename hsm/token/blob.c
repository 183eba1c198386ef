/* SPDX-License-Identifier: GPL-3.0-or-later */
/* blob.c - the authenticated form of a wrapped sender key.
 *
 * All of it is checked before the token sees the wrapped key: a blob under the wrong KEK is
 * CKR_GENERAL_ERROR on SoftHSM, and must not look like a dead token. */
#include "hsm/token/blob.h"
#include "hsm/token/wire.h"

#include <string.h>

#define BLOB_VERSION 1
#define BLOB_LABEL   "sealrelay sender blob 1"

static enum err tampered(const char *why)
{
    return err_note(ERR_TAMPERED, "sender blob", "%s", why);
}

enum err blob_write(struct call *c, const struct blob *b, struct buf *out)
{
    CLEANUP(buf_clear) struct buf body = {0};
    struct bytes reverse = bytes_of(b->reverse);
    uint8_t mac[HMAC_LEN];
    enum err e;

    if (reverse.len > HSM_ADDRESS_MAX || b->spki.len > UINT16_MAX || b->wrapped.len > UINT16_MAX)
        return err_note(ERR_BUG, "sender blob", "field too long");
    wire_u8(&body, BLOB_VERSION);
    buf_append(&body, b->profile, ID_LEN);
    wire_u32(&body, b->kek_generation);
    wire_u32(&body, (uint32_t)b->mechanism);
    wire_u8(&body, (uint8_t)b->type);
    wire_u8(&body, (uint8_t)reverse.len);
    buf_append_bytes(&body, reverse);
    wire_u16(&body, (uint16_t)b->spki.len);
    buf_append_bytes(&body, b->spki);
    wire_u8(&body, (uint8_t)b->iv.len);
    buf_append_bytes(&body, b->iv);
    wire_u16(&body, (uint16_t)b->wrapped.len);
    buf_append_bytes(&body, b->wrapped);
    e = buf_error(&body);
    if (!e)
        e = record_hmac(c, BLOB_LABEL, buf_bytes(&body), mac);
    if (e)
        return e;
    buf_append(out, body.data, body.len);
    buf_append(out, mac, sizeof mac);
    return buf_error(out);
}

/* Copy a slice to a C string; the caller's array has room for max bytes and a NUL. */
static void text_copy(char *out, size_t max, struct bytes in, bool *failed)
{
    if (in.len > max || (in.len && memchr(in.data, '\0', in.len))) {
        *failed = true;
        return;
    }
    if (in.len)
        memcpy(out, in.data, in.len);
    out[in.len] = '\0';
}

static enum err fields_read(struct bytes body, struct blob *out)
{
    struct wire in = {body.data, body.len, false};
    uint8_t version = wire_take_u8(&in);
    uint8_t type;

    *out = (struct blob){0};
    text_copy(out->profile, ID_LEN, wire_take(&in, ID_LEN), &in.failed);
    out->kek_generation = wire_take_u32(&in);
    out->mechanism = wire_take_u32(&in);
    type = wire_take_u8(&in);
    text_copy(out->reverse, HSM_ADDRESS_MAX, wire_take(&in, wire_take_u8(&in)), &in.failed);
    out->spki = wire_take(&in, wire_take_u16(&in));
    out->iv = wire_take(&in, wire_take_u8(&in));
    out->wrapped = wire_take(&in, wire_take_u16(&in));
    if (in.failed || in.len || version != BLOB_VERSION || type > KEY_P256 ||
        !id_is_valid(out->profile))
        return tampered("malformed");
    out->type = (enum key_type)type;
    return ERR_OK;
}

enum err blob_parse(const struct hsm_key_ref *key, struct blob *out)
{
    struct blob blob;
    enum err e;

    if (key->blob.len <= HMAC_LEN)
        return tampered("too short");
    e = fields_read((struct bytes){key->blob.data, key->blob.len - HMAC_LEN}, &blob);
    if (e)
        return e;
    if (strcmp(blob.profile, key->profile) != 0)
        return tampered("of another profile");
    if (strcmp(blob.reverse, key->reverse) != 0)
        return tampered("of another reverse alias");
    if (key->spki.len && !bytes_equal(key->spki, blob.spki))
        return tampered("of another key than its certificate");
    *out = blob;
    return ERR_OK;
}

enum err blob_read(struct call *c, const struct hsm_key_ref *key, struct blob *out)
{
    size_t body;
    enum err e;

    if (key->blob.len <= HMAC_LEN)
        return tampered("too short");
    body = key->blob.len - HMAC_LEN;
    e = record_check(c, BLOB_LABEL, (struct bytes){key->blob.data, body}, key->blob.data + body);
    return e ? e : blob_parse(key, out);
}
