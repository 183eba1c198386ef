/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clean.c - one reply cleaned: what its header is, what is looked for, the rebuilding, the sweep.
 *
 * Nothing is given out before the sweep has passed: any failure on the way leaves the caller with
 * no message at all. */
#include "daemon/clean/clean.h"
#include "daemon/base/id.h"
#include "daemon/clean/internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CLEAN_TEXT(name, text) [name] = (text),
static const char *const reason_texts[] = {CLEAN_REASONS(CLEAN_TEXT)};

const char *clean_reason_text(enum clean_reason reason)
{
    return (size_t)reason < sizeof reason_texts / sizeof reason_texts[0] ? reason_texts[reason]
                                                                         : reason_texts[0];
}

enum err clean_refuse(struct clean *c, enum clean_reason reason, const char *part)
{
    c->refusal->reason = reason;
    (void)snprintf(c->refusal->part, sizeof c->refusal->part, "%s", part);
    return err_note(ERR_REFUSED, "clean", "part %s: %s", *part ? part : "?",
                    clean_reason_text(reason));
}

void clean_warn(struct clean *c, enum clean_warning_kind kind, const char *part)
{
    struct clean_warning *w = &c->out->warnings[c->out->n_warnings];

    if (c->out->n_warnings >= CLEAN_WARNINGS_MAX)
        return;
    c->out->n_warnings++;
    w->kind = kind;
    (void)snprintf(w->part, sizeof w->part, "%s", part);
}

void clean_output_clear(struct clean_output *o)
{
    if (!o)
        return;
    buf_wipe(&o->header);
    buf_wipe(&o->entity);
    free(o->message_id);
    free(o->original_id);
    *o = (struct clean_output){0};
}

/* The entity, and the header that the user's client protected with it. */
struct opened {
    struct parsed tree;
    struct message inner;
    bool has_inner, whole;
};

static void opened_clear(struct opened *o)
{
    parsed_clear(&o->tree);
    message_clear(&o->inner);
}

static bool has_parameter(GMimeObject *object, const char *name)
{
    return g_mime_object_get_content_type_parameter(object, name) != NULL;
}

/* RFC 8551 3.1: the whole message as message/rfc822 that says it is not forwarded. */
static bool is_wrapped(GMimeObject *root)
{
    const char *forwarded = g_mime_object_get_content_type_parameter(root, "forwarded");

    return GMIME_IS_MESSAGE_PART(root) && forwarded && strcasecmp(forwarded, "no") == 0;
}

static enum err entity_open(struct bytes entity, struct opened *o)
{
    enum err e = entity_parse(entity, &o->tree);

    if (!e)
        e = message_parse(entity, &o->inner);
    if (!e && is_wrapped(o->tree.root)) {
        struct bytes wrapped = o->inner.body;

        parsed_clear(&o->tree);
        message_clear(&o->inner);
        e = entity_parse(wrapped, &o->tree);
        if (!e)
            e = message_parse(wrapped, &o->inner);
        o->has_inner = o->whole = true;
    } else if (!e) {
        o->whole = has_parameter(o->tree.root, "hp");
        o->has_inner = o->whole || has_parameter(o->tree.root, "protected-headers");
    }
    return e;
}

static enum err names_add(struct clean *c, const struct message *header)
{
    const struct message_field *f = header ? message_find(header, "From", 0) : NULL;
    CLEANUP(str_free) char *name = NULL;
    enum err e = name_find(f ? f->value : bytes_of(""), &name);

    for (const char *const *m = c->in->mailboxes; !e && name && *m; m++)
        e = words_add_name(&c->words, name, *m, c->in->alias);
    return e;
}

static enum err words_fill(struct clean *c, const struct opened *o)
{
    enum err e = names_add(c, c->in->outer);

    if (!e && o->has_inner)
        e = names_add(c, &o->inner);
    for (const char *const *m = c->in->mailboxes; !e && *m; m++)
        if (strcasecmp(*m, c->in->alias) != 0)
            e = words_add_mailbox(&c->words, *m, c->in->alias);
    return e;
}

static enum err body_append(struct clean *c, const struct opened *o)
{
    struct buf *out = &c->out->entity;
    bool written = false;
    enum err e = object_append(c, o->tree.root, "", 0, out, &written);

    if (!e && !written)
        buf_append_str(out, "Content-Type: text/plain\r\n\r\n");
    if (!e && !out->failed && out->len && out->data[out->len - 1] != '\n')
        buf_append_str(out, "\r\n");
    return e ? e : buf_error(out);
}

static enum err build(struct clean *c)
{
    CLEANUP(opened_clear) struct opened o = {.has_inner = false};
    enum err e = name_find(bytes_of(""), &c->out->original_id); /* sets GMime up, once a process */

    if (!e)
        e = entity_open(c->in->entity, &o);
    if (!e)
        e = words_fill(c, &o);
    if (!e)
        e = header_append(c, o.has_inner ? &o.inner : NULL, o.whole, &c->out->header);
    if (!e)
        e = body_append(c, &o);
    return e ? e : sweep(c, buf_bytes(&c->out->header), buf_bytes(&c->out->entity));
}

enum err clean_reply(const struct clean_input *in, struct clean_output *out,
                     struct clean_refusal *refusal)
{
    struct clean_output made = {0};
    struct clean c = {.in = in, .out = &made, .refusal = refusal};
    id_text salt = "";
    enum err e = id_new(salt);

    *refusal = (struct clean_refusal){0};
    memcpy(c.salt, salt, sizeof salt);
    words_init(&c.words);
    if (!e)
        e = build(&c);
    words_clear(&c.words);
    pairs_clear(&c.cids);
    pairs_clear(&c.reverses);
    if (e)
        clean_output_clear(&made);
    else
        *out = made;
    return e;
}
