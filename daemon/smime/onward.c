/* SPDX-License-Identifier: GPL-3.0-or-later */
/* onward.c - protects the header of a finished message (RFC 9788) and encrypts it.
 *
 * MIME-Version and Content-* are about the structure: they stand outside as S/MIME wants them and
 * inside as the entity has them, and are protected as what they are. */
#include "daemon/smime/onward.h"
#include "daemon/message/message.h"
#include "daemon/message/wrap.h"
#include "daemon/smime/encrypt.h"

#include <openssl/evp.h>

/* What is encrypted: head, body, tail. */
struct protected_entity {
    struct buf head;
    struct bytes body;
    struct buf tail;
};

static void protected_entity_clear(struct protected_entity *p)
{
    buf_wipe(&p->head);
    buf_wipe(&p->tail);
}

static bool is_structural(const struct message_field *f)
{
    static const struct bytes content = {(const uint8_t *)"Content-", 8};

    return bytes_equal_nocase(f->name, "MIME-Version") ||
           (f->name.len > content.len &&
            bytes_equal_nocase((struct bytes){f->name.data, content.len}, "Content-"));
}

static void fields_append(struct buf *out, const struct message *header, const char *before)
{
    for (size_t i = 0; i < header->n_fields; i++) {
        if (is_structural(&header->fields[i]))
            continue;
        buf_append_str(out, before);
        buf_append_bytes(out, header->fields[i].whole);
    }
}

static enum err entity_protect(const struct message *header, const struct message *entity,
                               struct protected_entity *out)
{
    enum err e;

    fields_append(&out->head, header, "");
    fields_append(&out->head, header, "HP-Outer: ");
    out->body = entity->body;
    e = buf_error(&out->head);
    return e ? e : entity_append(entity, buf_bytes(&out->head), &out->head, &out->tail);
}

static enum err entity_fill(void *ctx, BIO *pipe)
{
    const struct protected_entity *p = ctx;
    enum err e = pipe_write(pipe, buf_bytes(&p->head));

    if (!e)
        e = pipe_write(pipe, p->body);
    return e ? e : pipe_write(pipe, buf_bytes(&p->tail));
}

static enum err outer_write(const struct message *header, seal_sink sink, void *ctx)
{
    CLEANUP(buf_clear) struct buf outer = {0};
    enum err e;

    fields_append(&outer, header, "");
    seal_header_append(&outer);
    buf_append_str(&outer, "\r\n");
    e = buf_error(&outer);
    return e ? e : sink(ctx, outer.data, outer.len);
}

static enum err message_encrypt(const struct onward_job *job, struct protected_entity *inner,
                                seal_sink sink, void *ctx)
{
    STACK_OF(X509) *recipients = sk_X509_new_null();
    enum err e = recipients && sk_X509_push(recipients, job->recipient) ? ERR_OK : ERR_NOMEM;

    if (!e)
        e = encrypt_run(recipients, job->aes_128 ? EVP_aes_128_cbc() : EVP_aes_256_cbc(),
                        entity_fill, inner, sink, ctx);
    sk_X509_free(recipients);
    return e;
}

enum err onward_run(const struct onward_job *job, seal_sink sink, void *ctx)
{
    CLEANUP(message_clear) struct message header = {0};
    CLEANUP(message_clear) struct message entity = {0};
    CLEANUP(protected_entity_clear) struct protected_entity inner = {0};
    enum err e = message_parse(job->header, &header);

    if (!e)
        e = message_parse(job->entity, &entity);
    if (!e)
        e = entity_protect(&header, &entity, &inner);
    if (!e)
        e = outer_write(&header, sink, ctx);
    return e ? e : message_encrypt(job, &inner, sink, ctx);
}
