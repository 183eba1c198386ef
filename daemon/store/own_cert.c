/* SPDX-License-Identifier: GPL-3.0-or-later */
/* own_cert.c - correspondents' own certificates, sealed.
 *
 * A row is version | nonce | AES-256-GCM of (version, source, flags, first seen, not before, not
 * after, length, DER, padding) | tag; numbers are big-endian. Of a row that does not open nothing
 * is used, and nothing but the operator replaces it. */
#include "daemon/store/own_cert.h"
#include "daemon/store/aead.h"
#include "daemon/store/internal.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION      1
#define SEALED_HEAD  (1 + AEAD_NONCE_LEN)
#define RECORD_HEAD  (3 + 3 * 8 + 4)
#define PAD_STEP     512u /* lengths are told only in these steps */
#define FLAG_AES_128 1u

const char *own_cert_source_name(enum own_cert_source s)
{
    return s == OWN_CERT_IMPORTED ? "imported" : "harvested";
}

void own_cert_clear(struct own_cert *c)
{
    if (!c)
        return;
    buf_clear(&c->der);
    *c = (struct own_cert){0};
}

/* ---- the record ---- */

static void number_append(struct buf *b, uint64_t n, unsigned bytes)
{
    while (bytes--) {
        uint8_t byte = (uint8_t)(n >> (8 * bytes));

        buf_append(b, &byte, 1);
    }
}

static uint64_t number_take(struct bytes *rest, unsigned bytes)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < bytes; i++)
        n = n << 8 | rest->data[i];
    rest->data += bytes;
    rest->len -= bytes;
    return n;
}

static enum err record_write(const struct own_cert *c, struct buf *out)
{
    static const uint8_t zeros[PAD_STEP];

    if (c->der.len == 0 || c->der.len > OWN_CERT_MAX_BYTES)
        return err_note(ERR_FORMAT, "certificate", "%zu bytes", c->der.len);
    number_append(out, VERSION, 1);
    number_append(out, c->source, 1);
    number_append(out, c->aes_128 ? FLAG_AES_128 : 0, 1);
    number_append(out, (uint64_t)c->first_seen_s, 8);
    number_append(out, (uint64_t)c->not_before_s, 8);
    number_append(out, (uint64_t)c->not_after_s, 8);
    number_append(out, c->der.len, 4);
    buf_append_bytes(out, buf_bytes(&c->der));
    buf_append(out, zeros, PAD_STEP - out->len % PAD_STEP);
    return buf_error(out);
}

static enum err record_read(struct bytes record, struct own_cert *out)
{
    struct own_cert c = {0};
    uint64_t version, source, flags, len;

    if (record.len < RECORD_HEAD)
        return err_note(ERR_TAMPERED, "correspondent_cert", "too short");
    version = number_take(&record, 1);
    source = number_take(&record, 1);
    flags = number_take(&record, 1);
    c.source = source == OWN_CERT_IMPORTED ? OWN_CERT_IMPORTED : OWN_CERT_HARVESTED;
    c.aes_128 = (flags & FLAG_AES_128) != 0;
    c.first_seen_s = (int64_t)number_take(&record, 8);
    c.not_before_s = (int64_t)number_take(&record, 8);
    c.not_after_s = (int64_t)number_take(&record, 8);
    len = number_take(&record, 4);
    if (version != VERSION || source > OWN_CERT_IMPORTED || len > record.len)
        return err_note(ERR_TAMPERED, "correspondent_cert", "malformed");
    buf_append(&c.der, record.data, len);
    if (buf_error(&c.der))
        return ERR_NOMEM;
    *out = c;
    return ERR_OK;
}

/* ---- the seal ---- */

static void aad_make(const struct store_correspondent *who, struct buf *out)
{
    buf_printf(out, "correspondent_cert %" PRId64 " %" PRId64 " ", who->id, who->alias);
    buf_append_str(out, who->reverse);
}

static enum err record_seal(struct store *s, const struct store_correspondent *who,
                            struct bytes record, struct buf *out)
{
    CLEANUP(aead_free) EVP_CIPHER_CTX *ctx = NULL;
    CLEANUP(buf_clear) struct buf aad = {0};
    uint8_t head[SEALED_HEAD] = {VERSION};
    enum err e;

    if (RAND_bytes(head + 1, AEAD_NONCE_LEN) != 1)
        return err_note_openssl(ERR_IO, "RAND_bytes");
    aad_make(who, &aad);
    buf_append(out, head, sizeof head);
    buf_reserve(out, record.len + AEAD_TAG_LEN);
    e = buf_error(&aad) || buf_error(out) ? ERR_NOMEM : ERR_OK;
    e = e ? e : aead_new(s->keys.data + AEAD_KEY_LEN, true, &ctx);
    e = e ? e : aead_seal(ctx, head + 1, buf_bytes(&aad), record, out->data + out->len);
    if (!e)
        out->len += record.len + AEAD_TAG_LEN;
    return e;
}

static enum err record_unseal(struct store *s, const struct store_correspondent *who,
                              struct bytes sealed, struct own_cert *out)
{
    CLEANUP(aead_free) EVP_CIPHER_CTX *ctx = NULL;
    CLEANUP(buf_clear) struct buf aad = {0};
    CLEANUP(buf_wipe) struct buf record = {0};
    size_t len;
    enum err e;

    if (sealed.len < SEALED_HEAD + RECORD_HEAD + AEAD_TAG_LEN || sealed.data[0] != VERSION)
        return err_note(ERR_TAMPERED, "correspondent_cert", "too short");
    len = sealed.len - SEALED_HEAD - AEAD_TAG_LEN;
    aad_make(who, &aad);
    buf_reserve(&record, len);
    e = buf_error(&aad) || buf_error(&record) ? ERR_NOMEM : ERR_OK;
    e = e ? e : aead_new(s->keys.data + AEAD_KEY_LEN, false, &ctx);
    e = e ? e
          : aead_open(ctx, sealed.data + 1, buf_bytes(&aad),
                      (struct bytes){sealed.data + SEALED_HEAD, sealed.len - SEALED_HEAD},
                      record.data);
    if (e)
        return e == ERR_TAMPERED ? err_note(e, "correspondent_cert", "does not open") : e;
    record.len = len;
    return record_read(buf_bytes(&record), out);
}

/* ---- the table ---- */

static enum err cert_get(struct store *s, struct sql *db, const struct store_correspondent *who,
                         struct own_cert *out)
{
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st, "SELECT sealed FROM correspondent_cert WHERE correspondent = ?",
                           "i", who->id);

    e = e ? e : sql_step(db, st);
    return e ? e : record_unseal(s, who, sql_blob(st, 0), out);
}

enum err store_own_cert_get(struct store *s, const struct store_correspondent *who,
                            struct own_cert *out)
{
    enum err e = store_keys(s);

    if (e)
        return e;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    return cert_get(s, db, who, out);
}

static enum err cert_put(struct store *s, struct sql *db, const struct store_correspondent *who,
                         const struct own_cert *c)
{
    CLEANUP(buf_wipe) struct buf record = {0};
    CLEANUP(buf_clear) struct buf sealed = {0};
    int64_t known = 0;
    enum err e =
        sql_one(db, &known, "SELECT count(*) FROM correspondent WHERE id = ?", "i", who->id);

    if (!e && !known)
        e = ERR_NOT_FOUND;
    e = e ? e : record_write(c, &record);
    e = e ? e : record_seal(s, who, buf_bytes(&record), &sealed);
    return e ? e
             : sql_run(db,
                       "INSERT OR REPLACE INTO correspondent_cert (correspondent, sealed)"
                       " VALUES (?, ?)",
                       "ib", who->id, buf_bytes(&sealed));
}

enum err store_own_cert_set(struct store *s, const struct store_correspondent *who,
                            const struct own_cert *c)
{
    enum err e = store_keys(s);

    if (e)
        return e;
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    e = sql_begin(db);
    return e ? e : sql_end(db, cert_put(s, db, who, c));
}

/* An old message that comes again must not bring an old certificate back. */
static bool gives_way(const struct own_cert *pinned, const struct own_cert *c)
{
    if (pinned->source == OWN_CERT_IMPORTED ||
        bytes_equal(buf_bytes(&pinned->der), buf_bytes(&c->der)))
        return false;
    return c->not_before_s > pinned->not_before_s || pinned->not_after_s < c->first_seen_s;
}

/* Is c to be pinned? Errors: ERR_TAMPERED and the like. */
static enum err harvest_judge(struct store *s, struct sql *db,
                              const struct store_correspondent *who, const struct own_cert *c,
                              bool *wanted_out)
{
    CLEANUP(own_cert_clear) struct own_cert pinned = {0};
    enum err e = cert_get(s, db, who, &pinned);

    if (e && e != ERR_NOT_FOUND)
        return e;
    *wanted_out = e || gives_way(&pinned, c);
    return ERR_OK;
}

static enum err harvest_write(struct store *s, struct sql *db,
                              const struct store_correspondent *who, const struct own_cert *c,
                              bool *changed_out)
{
    enum err e = harvest_judge(s, db, who, c, changed_out);

    return e || !*changed_out ? e : cert_put(s, db, who, c);
}

enum err store_own_cert_harvest(struct store *s, const struct store_correspondent *who,
                                const struct own_cert *c, bool *changed_out)
{
    bool wanted = false;
    enum err e = store_keys(s);

    if (!e) {
        CLEANUP(sql_release) struct sql *db = sql_hold(s->read);

        e = harvest_judge(s, db, who, c, &wanted); /* most messages end here, without a sync */
    }
    if (!e && wanted) {
        CLEANUP(sql_release) struct sql *db = sql_hold(s->write);

        e = sql_begin(db);
        e = e ? e : sql_end(db, harvest_write(s, db, who, c, &wanted));
    }
    if (!e)
        *changed_out = wanted;
    return e;
}

enum err store_own_cert_forget(struct store *s, const struct store_correspondent *who)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->write);
    enum err e = sql_begin(db);

    if (e)
        return e;
    e = sql_run(db, "DELETE FROM correspondent_cert WHERE correspondent = ?", "i", who->id);
    if (!e && sql_changes(db) == 0)
        e = ERR_NOT_FOUND;
    return sql_end(db, e);
}
