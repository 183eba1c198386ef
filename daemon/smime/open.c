/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open.c - from a whole message to its authenticated entity, layer by layer.
 *
 * At most one encryption, then at most one signature, then content. What was decrypted goes through
 * every later step whether the cipher was content or not, and only the last line asks; until an
 * enrolled key's signature is found good, one note serves for all that can go wrong inside. */
#include "daemon/smime/open.h"
#include "daemon/message/content_type.h"
#include "daemon/smime/enveloped.h"
#include "daemon/smime/layer.h"
#include "daemon/smime/pace.h"
#include "daemon/smime/signer.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <string.h>
#include <strings.h>

/* One message on its way. */
struct opening {
    const struct open_job *job;
    struct open_result *out;
    bool sealed; /* a key was touched */
    bool unable; /* it cannot unwrap in this way at all */
    bool good;   /* the decryption went well, as far as there was one */
    bool proven; /* an enrolled key's signature is good */
};

static enum err refused(const char *what)
{
    return err_note(ERR_REFUSED, "open", "%s", what);
}

/* The entity now lies in memory, whatever held it before is wiped. */
static void entity_move(struct opening *o, struct secret *memory, struct bytes entity)
{
    secret_free(&o->out->plain);
    o->out->plain = *memory;
    o->out->entity = entity;
    *memory = (struct secret){0};
}

static enum err entity_copy(struct opening *o, struct bytes text)
{
    struct secret memory;
    enum err e = secret_new(text.len, &memory);

    if (e)
        return e;
    if (text.len)
        memcpy(memory.data, text.data, text.len);
    entity_move(o, &memory, (struct bytes){memory.data, text.len});
    return ERR_OK;
}

static enum err entity_fix_lines(struct opening *o)
{
    struct secret fixed = {0};
    enum err e = lines_fix(o->out->entity, &fixed);

    if (!e && fixed.data)
        entity_move(o, &fixed, (struct bytes){fixed.data, fixed.len});
    return e;
}

/* ---- what was signed ---- */

/* What a signature was found good for: content, not one more layer, and, if it protects a From
 * field, the same one (RFC 9788 4.3). */
static enum err payload_judge(struct opening *o, X509 *signer)
{
    CLEANUP(message_clear) struct message payload = {0};
    struct layer layer;
    enum err e = entity_fix_lines(o);

    if (!e)
        e = message_parse(o->out->entity, &payload);
    if (!e)
        e = layer_read(&payload, &layer);
    if (e)
        return e;
    if (layer.kind != LAYER_NONE)
        return refused("one S/MIME layer too many");
    return message_count(&payload, "From") ? signer_is_from(&payload, signer) : ERR_OK;
}

static enum err signature_finish_open(struct opening *o, const struct signature *s)
{
    enum err e;

    o->proven = o->good;
    e = signature_judge(o->job, s, o->out);
    if (!e)
        e = signer_is_from(o->job->message, s->cert);
    if (!e)
        e = payload_judge(o, s->cert);
    if (!e)
        o->out->kind = o->sealed ? OPEN_ENCRYPTED_SIGNED : OPEN_SIGNED;
    return e;
}

/* Some clients sign with CRLF what they then encrypt with bare LF. */
static enum err detached_check(struct opening *o, const struct signature *s, struct bytes text)
{
    struct secret fixed;
    struct bytes canonical;
    enum err e;

    if (signature_holds(s, &text)) {
        o->out->entity = text;
        return ERR_OK;
    }
    if (!lines_have_bare_lf(text))
        return refused("signature does not hold");
    e = lines_make_crlf(text, &fixed);
    if (e)
        return e;
    canonical = (struct bytes){fixed.data, fixed.len};
    if (signature_holds(s, &canonical))
        entity_move(o, &fixed, canonical);
    else
        e = refused("signature does not hold");
    secret_free(&fixed);
    return e;
}

static enum err detached_open(struct opening *o, const struct layer *layer)
{
    CLEANUP(buf_wipe) struct buf ber = {0};
    CLEANUP(signature_clear) struct signature s = {0};
    CMS_ContentInfo *cms = NULL;
    enum err e = layer_decode(layer->signature, layer->transfer, &ber);

    if (!e)
        e = cms_read(buf_bytes(&ber), &cms);
    if (!e)
        e = signature_take(o->job, buf_bytes(&ber), cms, true, &s);
    if (!e)
        e = detached_check(o, &s, layer->signed_entity);
    return e ? e : signature_finish_open(o, &s);
}

/* cms: taken. */
static enum err opaque_open(struct opening *o, struct bytes ber, CMS_ContentInfo *cms)
{
    CLEANUP(signature_clear) struct signature s = {0};
    enum err e = signature_take(o->job, ber, cms, false, &s);

    if (!e && !signature_holds(&s, NULL))
        e = refused("signature does not hold");
    if (!e)
        e = entity_copy(o, signature_content(&s));
    return e ? e : signature_finish_open(o, &s);
}

/* ---- what was encrypted ---- */

/* Without a signature nothing but the look of it tells content from noise. */
static enum err unsigned_judge(struct opening *o, const struct message *m)
{
    struct content_type ct = {0};

    if (!o->job->unsigned_allowed)
        return refused("not signed");
    if (message_count(m, "Content-Type") != 1)
        return refused("no MIME entity inside");
    content_type_read(message_find(m, "Content-Type", 0)->value, &ct);
    if (!ct.type[0] || !ct.subtype[0])
        return refused("no MIME entity inside");
    o->out->kind = OPEN_ENCRYPTED;
    return ERR_OK;
}

/* The inside of an envelope, which lies in out->entity: signed, or content. */
static enum err inside_open(struct opening *o)
{
    CLEANUP(message_clear) struct message m = {0};
    CLEANUP(buf_wipe) struct buf ber = {0};
    CMS_ContentInfo *cms = NULL;
    struct layer layer = {0};
    enum err e = entity_fix_lines(o);

    if (!e)
        e = message_parse(o->out->entity, &m);
    if (!e)
        e = layer_read(&m, &layer);
    if (e)
        return e;
    switch (layer.kind) {
    case LAYER_NONE:
        return unsigned_judge(o, &m);
    case LAYER_DETACHED:
        return detached_open(o, &layer);
    case LAYER_CMS:
        break;
    }
    e = layer_decode(layer.body, layer.transfer, &ber);
    if (!e)
        e = cms_read(buf_bytes(&ber), &cms);
    return e ? e : opaque_open(o, buf_bytes(&ber), cms);
}

static void key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* With the newest key of this alias that the message is encrypted to. */
static enum err envelope_decrypt(struct opening *o, struct enveloped *v)
{
    const struct open_job *job = o->job;
    CLEANUP(key_free) EVP_PKEY *key = NULL;
    struct enveloped_content content;
    size_t which = 0;
    enum err e;

    while (which < job->n_certs && !enveloped_is_for(v, job->certs[which]))
        which++;
    if (which == job->n_certs)
        return refused("not encrypted to this alias");
    e = job->key_load(job->key_ctx, which, v->content_key_len, &key);
    if (e)
        return e;
    o->sealed = true;
    e = enveloped_open(v, job->certs[which], key, job->key_error, &content);
    if (e)
        return e;
    o->good = content.good;
    o->unable = content.unable;
    o->out->opened_with = which;
    entity_move(o, &content.memory, content.text);
    return ERR_OK;
}

/* cms: taken. */
static enum err envelope_run(struct opening *o, CMS_ContentInfo *cms)
{
    CLEANUP(enveloped_clear) struct enveloped v = {0};
    enum err e = enveloped_take(cms, &v);

    if (!e)
        e = enveloped_recipients(&v, &o->out->recipients, &o->out->n_recipients);
    return e ? e : envelope_decrypt(o, &v);
}

/* ---- the root ---- */

static enum err cms_open(struct opening *o, const struct layer *layer)
{
    CLEANUP(buf_wipe) struct buf ber = {0};
    CMS_ContentInfo *cms = NULL;
    enum err e = layer_decode(layer->body, layer->transfer, &ber);

    if (!e)
        e = cms_read(buf_bytes(&ber), &cms);
    if (e)
        return e;
    if (OBJ_obj2nid(CMS_get0_type(cms)) == NID_pkcs7_signed)
        return opaque_open(o, buf_bytes(&ber), cms);
    if (EVP_Digest(ber.data, ber.len, o->out->envelope_id, NULL, EVP_sha256(), NULL) != 1) {
        cms_drop(&cms);
        return err_note_openssl(ERR_NOMEM, "EVP_Digest");
    }
    buf_wipe(&ber); /* a big message is not held twice */
    e = envelope_run(o, cms);
    return e ? e : inside_open(o);
}

static bool is_content_field(const struct message_field *f)
{
    return f->name.len > 8 && strncasecmp((const char *)f->name.data, "Content-", 8) == 0;
}

/* A message without S/MIME: its Content-* fields, byte for byte, and its body. */
static enum err plain_open(struct opening *o)
{
    const struct message *m = o->job->message;
    size_t len = m->body.len + 2;
    struct secret memory;
    size_t at = 0;
    enum err e;

    if (!o->job->unsigned_allowed)
        return refused("not signed");
    for (size_t i = 0; i < m->n_fields; i++)
        len += is_content_field(&m->fields[i]) ? m->fields[i].whole.len : 0;
    e = secret_new(len, &memory);
    if (e)
        return e;
    for (size_t i = 0; i < m->n_fields; i++)
        if (is_content_field(&m->fields[i])) {
            memcpy(memory.data + at, m->fields[i].whole.data, m->fields[i].whole.len);
            at += m->fields[i].whole.len;
        }
    memcpy(memory.data + at, "\r\n", 2);
    if (m->body.len)
        memcpy(memory.data + at + 2, m->body.data, m->body.len);
    entity_move(o, &memory, (struct bytes){memory.data, len});
    o->out->kind = OPEN_PLAIN;
    return ERR_OK;
}

static enum err root_open(struct opening *o)
{
    struct layer layer;
    enum err e = layer_read(o->job->message, &layer);

    if (e)
        return e;
    switch (layer.kind) {
    case LAYER_NONE:
        return plain_open(o);
    case LAYER_DETACHED:
        return detached_open(o, &layer);
    case LAYER_CMS:
        break;
    }
    return cms_open(o, &layer);
}

enum err open_run(const struct open_job *job, struct open_result *out)
{
    struct open_result made = {0};
    struct opening o = {.job = job, .out = &made, .good = true};
    int64_t begun_ns = pace_now_ns();
    enum err e;

    ERR_clear_error();
    e = root_open(&o);
    if (!e && !o.good)
        e = ERR_REFUSED;
    if (!e) {
        *out = made;
        return ERR_OK;
    }
    open_result_clear(&made);
    if (err_class(e) != CLASS_PERM)
        return e;
    if (o.sealed && !job->unpaced)
        pace_wait(pace_end_ns(begun_ns, pace_now_ns()));
    if (o.sealed && !o.proven) {
        err_note_clear();
        (void)refused(o.unable ? "the token has no unwrapping with these parameters"
                               : "no entity inside that an enrolled key signed");
    }
    return ERR_UNPROVEN;
}
