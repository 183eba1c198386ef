/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tree.c - the MIME tree rebuilt: new boundaries, no preamble or epilogue, signatures unwrapped.
 *
 * A multipart that lost all its children goes with them; one that lost all but one of its children
 * becomes that child. RFC 2046 5.1, RFC 1847. */
#include "daemon/base/id.h"
#include "daemon/clean/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Kept as they are; any other multipart is mixed to a reader. */
static const char *const kept_subtypes[] = {"alternative", "related", "report", "encrypted",
                                            "digest"};

static void path_make(const char *path, int n, clean_part out)
{
    if (snprintf(out, CLEAN_PART_MAX, "%s%s%d", path, *path ? "." : "", n) >= (int)CLEAN_PART_MAX)
        out[CLEAN_PART_MAX - 2] = '+';
}

static const char *subtype_of(GMimeObject *object)
{
    const char *subtype =
        g_mime_content_type_get_media_subtype(g_mime_object_get_content_type(object));

    for (size_t i = 0; subtype && i < sizeof kept_subtypes / sizeof kept_subtypes[0]; i++)
        if (strcasecmp(subtype, kept_subtypes[i]) == 0)
            return kept_subtypes[i];
    return "mixed";
}

/* type of related, report-type, protocol of encrypted: tokens with a slash at most. */
static void value_append(GMimeObject *object, const char *name, struct buf *out)
{
    const char *value = g_mime_object_get_content_type_parameter(object, name);
    size_t len = value ? strlen(value) : 0;

    if (len && len < 100 &&
        strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+./") == len)
        buf_printf(out, "; %s=\"%s\"", name, value);
}

static enum err start_append(struct clean *c, GMimeObject *object, struct buf *out)
{
    const char *start = g_mime_object_get_content_type_parameter(object, "start");
    size_t len = start ? strlen(start) : 0;
    const char *to = NULL;
    enum err e;

    if (len < 3 || start[0] != '<' || start[len - 1] != '>')
        return ERR_OK;
    e = clean_cid(c, (struct bytes){(const uint8_t *)start + 1, len - 2}, &to);
    if (!e)
        buf_printf(out, ";\r\n start=\"<%s>\"", to);
    return e;
}

static enum err multipart_open(struct clean *c, GMimeObject *object, const char *boundary,
                               struct buf *out)
{
    static const struct {
        const char *subtype, *parameter;
    } parameters[] = {{"related", "type"}, {"report", "report-type"}, {"encrypted", "protocol"}};
    const char *subtype = subtype_of(object);
    const char *id = g_mime_object_get_content_id(object);
    const char *to = NULL;
    enum err e = ERR_OK;

    buf_printf(out, "Content-Type: multipart/%s", subtype);
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
        if (strcmp(subtype, parameters[i].subtype) == 0)
            value_append(object, parameters[i].parameter, out);
    if (strcmp(subtype, "related") == 0)
        e = start_append(c, object, out);
    buf_printf(out, ";\r\n boundary=\"%s\"\r\n", boundary);
    if (!e && id && *id) {
        e = clean_cid(c, bytes_of(id), &to);
        if (!e)
            buf_printf(out, "Content-ID: <%s>\r\n", to);
    }
    buf_append_str(out, "\r\n");
    return e;
}

/* What was written of a multipart so far. */
struct written {
    size_t begun, last_child; /* places in out; of the last child that was kept */
    int kept, lost;
};

static enum err children_append(struct clean *c, GMimeMultipart *m, const char *path,
                                unsigned depth, const char *boundary, struct buf *out,
                                struct written *w)
{
    int n = g_mime_multipart_get_count(m);
    enum err e = ERR_OK;

    for (int i = 0; !e && i < n; i++) {
        clean_part child;
        size_t before = out->len;
        size_t start;
        bool kept = true;

        path_make(path, i + 1, child);
        buf_printf(out, "%s--%s\r\n", w->kept ? "\r\n" : "", boundary);
        start = out->len;
        e = object_append(c, g_mime_multipart_get_part(m, i), child, depth + 1, out, &kept);
        if (!e && kept)
            w->last_child = start;
        else if (!e)
            out->len = before;
        w->kept += kept ? 1 : 0;
        w->lost += kept ? 0 : 1;
    }
    return e;
}

/* A multipart whose boundary never comes has its text in front of it. */
static enum err prologue_append(struct clean *c, GMimeMultipart *m, struct buf *out, bool *written)
{
    const char *prologue = g_mime_multipart_get_prologue(m);
    CLEANUP(buf_wipe) struct buf raw = {0};
    GMimePart *part;
    GMimeStream *stream;
    GMimeDataWrapper *content;
    enum err e;

    *written = prologue && *prologue;
    if (!*written)
        return ERR_OK;
    for (const char *p = prologue; *p; p++) /* GMime has taken the CRs out */
        if (*p != '\r')
            buf_append(&raw, *p == '\n' ? "\r\n" : p, *p == '\n' ? 2 : 1);
    if (raw.failed)
        return ERR_NOMEM;
    part = g_mime_part_new_with_type("text", "plain");
    stream = g_mime_stream_mem_new_with_buffer((const char *)raw.data, raw.len);
    content = g_mime_data_wrapper_new_with_stream(stream, GMIME_CONTENT_ENCODING_8BIT);
    g_mime_part_set_content(part, content);
    e = part_append(c, part, "1", out, written);
    g_object_unref(content);
    g_object_unref(stream);
    g_object_unref(part);
    return e;
}

/* No multipart may be encoded as a whole (RFC 2045 6.4); some readers decode it all the same. */
static bool is_encoded(GMimeObject *object)
{
    const char *value = g_mime_object_get_header(object, "Content-Transfer-Encoding");

    return value && strcasecmp(value, "7bit") != 0 && strcasecmp(value, "8bit") != 0 &&
           strcasecmp(value, "binary") != 0;
}

static enum err multipart_append(struct clean *c, GMimeMultipart *m, const char *path,
                                 unsigned depth, struct buf *out, bool *written)
{
    struct written w = {.begun = out->len};
    boundary_text boundary = "";
    enum err e = boundary_new(boundary);

    if (!e && g_mime_multipart_get_count(m) == 0)
        return is_encoded(GMIME_OBJECT(m)) ? clean_refuse(c, CLEAN_UNREADABLE, *path ? path : "1")
                                           : prologue_append(c, m, out, written);
    if (!e)
        e = multipart_open(c, GMIME_OBJECT(m), boundary, out);
    if (!e)
        e = children_append(c, m, path, depth, boundary, out, &w);
    if (!e)
        e = buf_error(out);
    if (e)
        return e;
    *written = w.kept > 0;
    if (!w.kept) {
        out->len = w.begun;
    } else if (w.kept == 1 && w.lost) {
        memmove(out->data + w.begun, out->data + w.last_child, out->len - w.last_child);
        out->len -= w.last_child - w.begun;
    } else {
        buf_printf(out, "\r\n--%s--\r\n", boundary);
    }
    return buf_error(out);
}

/* Only the first child of multipart/signed is content. */
static enum err signed_append(struct clean *c, GMimeMultipart *m, const char *path, unsigned depth,
                              struct buf *out, bool *written)
{
    clean_part child;

    *written = false;
    if (g_mime_multipart_get_count(m) == 0)
        return is_encoded(GMIME_OBJECT(m)) ? clean_refuse(c, CLEAN_UNREADABLE, *path ? path : "1")
                                           : prologue_append(c, m, out, written);
    path_make(path, 1, child);
    return object_append(c, g_mime_multipart_get_part(m, 0), child, depth + 1, out, written);
}

enum err object_append(struct clean *c, GMimeObject *object, const char *path, unsigned depth,
                       struct buf *out, bool *written)
{
    *written = true;
    if (depth > CLEAN_DEPTH_MAX)
        return clean_refuse(c, CLEAN_DEPTH, path);
    if (++c->parts > CLEAN_PARTS_MAX)
        return clean_refuse(c, CLEAN_PARTS, path);
    if (g_mime_content_type_is_type(g_mime_object_get_content_type(object), "multipart",
                                    "signed") &&
        GMIME_IS_MULTIPART(object))
        return signed_append(c, GMIME_MULTIPART(object), path, depth, out, written);
    if (GMIME_IS_MULTIPART(object))
        return multipart_append(c, GMIME_MULTIPART(object), path, depth, out, written);
    if (GMIME_IS_MESSAGE_PART(object))
        return attached_append(c, GMIME_MESSAGE_PART(object), path, depth, out);
    if (GMIME_IS_MESSAGE_PARTIAL(object))
        return clean_refuse(c, CLEAN_PIECE, *path ? path : "1");
    if (GMIME_IS_PART(object))
        return part_append(c, GMIME_PART(object), *path ? path : "1", out, written);
    return clean_refuse(c, CLEAN_REPORT, path);
}
