/* SPDX-License-Identifier: GPL-3.0-or-later */
/* data.c - data keys under the spool and store keys, and the spool key's weekly change.
 *
 * A wrapped data key is version | which | generation | mechanism | IV length | IV | ciphertext |
 * HMAC by the record key over all before it; the HMAC is checked before the token decrypts. */
#include "daemon/base/secret.h"
#include "hsm/token/make.h"
#include "hsm/token/name.h"
#include "hsm/token/service.h"
#include "hsm/token/wire.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define DATA_VERSION 1
#define DATA_LABEL   "sealrelay data key 1"
#define DATA_KEY_MAX 256 /* bytes of a data key */
#define GCM_IV_LEN   12
#define GCM_TAG_BITS 128
#define CBC_IV_LEN   16
#define SPOOL_LIFE_S (7 * 24 * 3600)

struct data_name {
    key_label label;
    uint32_t generation;
    int64_t created_s;
};

static const char *prefix_of(enum hsm_wrap_key under)
{
    switch (under) {
    case HSM_WRAP_SPOOL:
        return NAME_SPOOL;
    case HSM_WRAP_STORE:
        return NAME_STORE;
    }
    return NAME_STORE;
}

/* The newest key of a name, or the one of a generation when that is not 0. */
static enum err data_name_find(struct keyring *k, const char *prefix, uint32_t generation,
                               struct data_name *out)
{
    struct data_name best = {0}, one;
    key_label *labels;
    size_t n;
    enum err e = keyring_labels(k, prefix, &labels, &n);

    if (e)
        return e;
    for (size_t i = 0; i < n; i++) {
        if (name_data_read(labels[i], prefix, &one.generation, &one.created_s) != ERR_OK)
            continue;
        memcpy(one.label, labels[i], sizeof one.label);
        if (generation ? one.generation == generation : one.generation > best.generation)
            best = one;
    }
    free(labels);
    if (!best.generation)
        return err_note(ERR_NOT_FOUND, "token", "no key %s%u", prefix, generation);
    *out = best;
    return ERR_OK;
}

struct data_mechanism {
    CK_MECHANISM mechanism;
    CK_GCM_PARAMS gcm;
    uint8_t iv[CBC_IV_LEN];
    size_t iv_len;
};

static size_t iv_length(CK_MECHANISM_TYPE type)
{
    return type == CKM_AES_GCM ? GCM_IV_LEN : CBC_IV_LEN;
}

/* The mechanism with its parameter; both lie in m, which must not move. */
static void data_mechanism_set(struct data_mechanism *m, CK_MECHANISM_TYPE type)
{
    m->iv_len = iv_length(type);
    m->mechanism = (CK_MECHANISM){type, m->iv, m->iv_len};
    if (type != CKM_AES_GCM)
        return;
    m->gcm = (CK_GCM_PARAMS){
        .pIv = m->iv, .ulIvLen = m->iv_len, .ulIvBits = m->iv_len * 8, .ulTagBits = GCM_TAG_BITS};
    m->mechanism.pParameter = &m->gcm;
    m->mechanism.ulParameterLen = sizeof m->gcm;
}

static enum err data_encrypt(struct call *c, const struct data_name *name, struct bytes key,
                             struct buf *out)
{
    struct data_mechanism m = {0};
    CK_OBJECT_HANDLE handle;
    enum err e = keyring_get(c, name->label, &table_data, &handle);
    CK_RV rv;

    if (e)
        return e;
    data_mechanism_set(&m, place_data_mechanism(c->place));
    if (RAND_bytes(m.iv, (int)m.iv_len) != 1)
        return err_note_openssl(ERR_IO, "RAND_bytes");
    wire_u32(out, (uint32_t)m.mechanism.mechanism);
    wire_u8(out, (uint8_t)m.iv_len);
    buf_append(out, m.iv, m.iv_len);
    rv = ck_encrypt(&c->ck, &m.mechanism, handle, key, out);
    return rv == CKR_OK ? ERR_OK : call_fail(c, rv);
}

static enum err data_wrap(struct call *c, enum hsm_wrap_key under, struct bytes key,
                          struct buf *out, uint32_t *generation_out)
{
    CLEANUP(buf_clear) struct buf wrapped = {0};
    uint8_t mac[HMAC_LEN];
    struct data_name name;
    enum err e = data_name_find(&c->token->keyring, prefix_of(under), 0, &name);

    if (e)
        return e;
    wire_u8(&wrapped, DATA_VERSION);
    wire_u8(&wrapped, (uint8_t)under);
    wire_u32(&wrapped, name.generation);
    e = data_encrypt(c, &name, key, &wrapped);
    if (!e)
        e = buf_error(&wrapped);
    if (!e)
        e = record_hmac(c, DATA_LABEL, buf_bytes(&wrapped), mac);
    if (e)
        return e;
    buf_append(out, wrapped.data, wrapped.len);
    buf_append(out, mac, sizeof mac);
    *generation_out = name.generation;
    return buf_error(out);
}

enum err token_data_wrap(struct token *t, enum hsm_wrap_key under, struct bytes key,
                         struct buf *wrapped_out, uint32_t *generation_out)
{
    struct call c;
    enum err e;

    if (key.len == 0 || key.len > DATA_KEY_MAX)
        return err_note(ERR_USAGE, "data key", "%zu bytes", key.len);
    e = call_begin(t, ROLE_SENDER, &c);
    return e ? e : call_end(&c, data_wrap(&c, under, key, wrapped_out, generation_out));
}

static enum err data_decrypt(struct call *c, const struct data_name *name, struct wire *in,
                             struct secret *out)
{
    CLEANUP(buf_wipe) struct buf plain = {0};
    CK_MECHANISM_TYPE type = wire_take_u32(in);
    struct bytes iv = wire_take(in, wire_take_u8(in));
    struct bytes cipher = wire_rest(in);
    struct data_mechanism m = {0};
    CK_OBJECT_HANDLE handle;
    enum err e;
    CK_RV rv;

    if (in->failed || (type != CKM_AES_GCM && type != CKM_AES_CBC_PAD) || iv.len != iv_length(type))
        return err_note(ERR_TAMPERED, "data key", "malformed");
    e = keyring_get(c, name->label, &table_data, &handle);
    if (e)
        return e;
    data_mechanism_set(&m, type);
    memcpy(m.iv, iv.data, iv.len);
    buf_reserve(&plain, CK_OUTPUT_MAX); /* never moved, so nothing is left behind unwiped */
    rv = ck_decrypt(&c->ck, &m.mechanism, handle, cipher, &plain);
    if (rv != CKR_OK)
        return call_fail(c, rv);
    e = secret_new(plain.len, out);
    if (!e && plain.len)
        memcpy(out->data, plain.data, plain.len);
    return e;
}

static enum err data_open(struct call *c, enum hsm_wrap_key under, struct bytes wrapped,
                          struct secret *out)
{
    struct wire in = {wrapped.data, wrapped.len - HMAC_LEN, false};
    struct data_name name;
    uint32_t generation;
    enum err e =
        record_check(c, DATA_LABEL, (struct bytes){in.data, in.len}, wrapped.data + in.len);

    if (e)
        return e;
    if (wire_take_u8(&in) != DATA_VERSION || wire_take_u8(&in) != (uint8_t)under)
        return err_note(ERR_TAMPERED, "data key", "of another kind");
    generation = wire_take_u32(&in);
    if (in.failed || !generation)
        return err_note(ERR_TAMPERED, "data key", "malformed");
    e = data_name_find(&c->token->keyring, prefix_of(under), generation, &name);
    return e ? e : data_decrypt(c, &name, &in, out);
}

enum err token_data_open(struct token *t, enum hsm_wrap_key under, struct bytes wrapped,
                         struct secret *out)
{
    struct call c;
    enum err e;

    if (wrapped.len <= HMAC_LEN)
        return err_note(ERR_TAMPERED, "data key", "too short");
    e = call_begin(t, ROLE_SENDER, &c);
    return e ? e : call_end(&c, data_open(&c, under, wrapped, out));
}

/* ---- the spool key's generations ---- */

static enum err spool_rotate(struct call *c, int64_t now_s)
{
    struct make how = {.table = &table_data, .allowed = place_data_mechanism(c->place)};
    struct data_name newest;
    CK_OBJECT_HANDLE made;
    key_label label;
    enum err e = data_name_find(&c->token->keyring, NAME_SPOOL, 0, &newest);

    if (e || now_s - newest.created_s < SPOOL_LIFE_S)
        return e;
    name_data(NAME_SPOOL, newest.generation + 1, now_s, label);
    how.label = label;
    e = make_secret(c, &how, &made);
    return e ? e : keyring_add(&c->token->keyring, label, made);
}

enum err token_spool_rotate(struct token *t, int64_t now_s)
{
    struct call c;
    enum err e = call_begin(t, ROLE_SENDER, &c);

    return e ? e : call_end(&c, spool_rotate(&c, now_s));
}

static enum err spool_destroy(struct call *c, uint32_t oldest)
{
    struct data_name newest = {0}, one = {0};
    key_label *labels;
    size_t n;
    enum err e = data_name_find(&c->token->keyring, NAME_SPOOL, 0, &newest);

    if (!e)
        e = keyring_labels(&c->token->keyring, NAME_SPOOL, &labels, &n);
    if (e)
        return e;
    for (size_t i = 0; i < n && !e; i++)
        if (name_data_read(labels[i], NAME_SPOOL, &one.generation, &one.created_s) == ERR_OK &&
            one.generation < oldest && one.generation < newest.generation)
            e = keyring_destroy_keys(c, labels[i]);
    free(labels);
    return e;
}

enum err token_spool_destroy(struct token *t, uint32_t oldest)
{
    struct call c;
    enum err e = call_begin(t, ROLE_SENDER, &c);

    return e ? e : call_end(&c, spool_destroy(&c, oldest));
}
