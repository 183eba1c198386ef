/* SPDX-License-Identifier: GPL-3.0-or-later */
/* parse.c - bytes as a MIME tree, through GMime, without a copy of the content.
 *
 * GMime gives up on a header with a line that is no field; our own reading of header lines is more
 * patient, so the fields that matter are then given to it alone. */
#include "daemon/clean/internal.h"

#include <strings.h>

/* A view, not a copy: GMime's memory stream takes a byte array and only reads from it. */
static void view_parse(struct bytes entity, struct parsed *out)
{
    GMimeStream *stream;
    GMimeParser *parser;

    out->view = (GByteArray){(guint8 *)(uintptr_t)entity.data, (guint)entity.len};
    stream = g_mime_stream_mem_new_with_byte_array(&out->view);
    g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
    parser = g_mime_parser_new_with_stream(stream);
    out->root = g_mime_parser_construct_part(parser, NULL);
    g_object_unref(parser);
    g_object_unref(stream);
}

static bool is_content_field(const struct message_field *f)
{
    return f->name.len > 8 && strncasecmp((const char *)f->name.data, "Content-", 8) == 0;
}

/* Content-* fields and body; at least one field, so that there is a header. */
static enum err rebuild(struct bytes entity, struct buf *out)
{
    CLEANUP(message_clear) struct message m = {0};
    enum err e = message_parse(entity, &m);

    buf_append_str(out, "MIME-Version: 1.0\r\n");
    for (size_t i = 0; !e && i < m.n_fields; i++)
        if (is_content_field(&m.fields[i]))
            buf_append_bytes(out, m.fields[i].whole);
    buf_append_str(out, "\r\n");
    buf_append_bytes(out, m.body);
    return e ? e : buf_error(out);
}

enum err entity_parse(struct bytes entity, struct parsed *out)
{
    enum err e;

    if (entity.len > G_MAXINT32)
        return err_note(ERR_TOO_BIG, "entity_parse", "%zu bytes", entity.len);
    view_parse(entity, out);
    if (out->root)
        return ERR_OK;
    e = rebuild(entity, &out->rebuilt);
    if (e)
        return e;
    view_parse(buf_bytes(&out->rebuilt), out);
    return out->root ? ERR_OK : err_note(ERR_FORMAT, "g_mime_parser_construct_part", "no entity");
}

void parsed_clear(struct parsed *p)
{
    if (p->root)
        g_object_unref(p->root);
    p->root = NULL;
    buf_wipe(&p->rebuilt);
}
