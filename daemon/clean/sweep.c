/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sweep.c - the last look: what is about to leave is parsed anew and searched under every encoding.
 *
 * It knows nothing of how the message was built, so a gap in any step before shows here. Binary
 * attachments are not searched again: they leave with a warning. */
#include "daemon/clean/charset.h"
#include "daemon/clean/content.h"

#include <stdio.h>
#include <string.h>

struct sweeping {
    struct clean *c;
    enum err e;
};

static void refuse_at(struct sweeping *s, const char *path)
{
    if (!s->e)
        s->e = clean_refuse(s->c, CLEAN_ADDRESS, *path ? path : "0");
}

static void text_sweep(struct sweeping *s, struct bytes text, const char *path)
{
    if (clean_holds(&s->c->words, text))
        refuse_at(s, path);
}

/* A field as written, and with RFC 2047 words decoded. */
static void value_sweep(struct sweeping *s, struct bytes raw, const char *path)
{
    CLEANUP(buf_wipe) struct buf line = {0};
    char *decoded;

    for (size_t i = 0; i < raw.len; i++)
        if (raw.data[i] != '\r' && raw.data[i] != '\n')
            buf_append(&line, &raw.data[i], 1);
    if (line.failed) {
        s->e = ERR_NOMEM;
        return;
    }
    decoded = g_mime_utils_header_decode_text(NULL, buf_str(&line));
    text_sweep(s, buf_bytes(&line), path);
    text_sweep(s, bytes_of(decoded), path);
    g_free(decoded);
    decoded = g_mime_utils_header_decode_phrase(NULL, buf_str(&line));
    text_sweep(s, bytes_of(decoded), path);
    g_free(decoded);
}

static enum err header_sweep(struct sweeping *s, struct bytes header)
{
    CLEANUP(message_clear) struct message m = {0};
    enum err e = message_parse(header, &m);

    text_sweep(s, header, "0");
    for (size_t i = 0; !e && i < m.n_fields; i++)
        value_sweep(s, m.fields[i].value, "0");
    return e ? e : s->e;
}

static void parameters_sweep(struct sweeping *s, GMimeParamList *list, const char *path)
{
    int n = list ? g_mime_param_list_length(list) : 0;

    for (int i = 0; i < n; i++) {
        const char *value = g_mime_param_get_value(g_mime_param_list_get_parameter_at(list, i));
        struct scan scan = {.layers = SCAN_PERCENT, .loose = true, .words = &s->c->words};

        if (!value)
            continue;
        scan.text = bytes_of(value);
        if (scan_finds(&scan))
            refuse_at(s, path);
    }
}

static void fields_sweep(struct sweeping *s, GMimeObject *object, const char *path)
{
    GMimeHeaderList *list = g_mime_object_get_header_list(object);
    GMimeContentType *type = g_mime_object_get_content_type(object);
    GMimeContentDisposition *d = g_mime_object_get_content_disposition(object);
    int n = g_mime_header_list_get_count(list);

    for (int i = 0; !s->e && i < n; i++) {
        const char *raw = g_mime_header_get_raw_value(g_mime_header_list_get_header_at(list, i));

        if (raw)
            value_sweep(s, bytes_of(raw), path);
    }
    if (type)
        parameters_sweep(s, g_mime_content_type_get_parameters(type), path);
    if (d)
        parameters_sweep(s, g_mime_content_disposition_get_parameters(d), path);
}

static bool is_searched(enum content_kind kind)
{
    switch (kind) {
    case CONTENT_TEXT:
    case CONTENT_HTML:
    case CONTENT_CALENDAR:
    case CONTENT_VCARD:
    case CONTENT_RECEIPT:
    case CONTENT_DROPPED:
    case CONTENT_TNEF:
    case CONTENT_PIECE:
    case CONTENT_SEALED:
    case CONTENT_REPORT:
    case CONTENT_MESSAGE: /* no message after all, or one that names nobody */
    case CONTENT_ARCHIVE:
        return true;
    case CONTENT_BINARY:
    case CONTENT_OPAQUE:
        return false;
    }
    return true;
}

static void leaf_sweep(struct sweeping *s, GMimePart *part, const char *path)
{
    CLEANUP(buf_wipe) struct buf decoded = {0};
    CLEANUP(buf_wipe) struct buf utf8 = {0};
    bool guessed = false; /* what is not UTF-8 shows its ASCII under any guess */

    if (!is_searched(content_kind(part)))
        return;
    s->e = content_decode(part, &decoded);
    if (!s->e)
        s->e =
            charset_to_utf8(buf_bytes(&decoded),
                            g_mime_object_get_content_type_parameter(GMIME_OBJECT(part), "charset"),
                            &utf8, &guessed);
    if (s->e)
        return;
    text_sweep(s, buf_bytes(&decoded), path);
    if (!bytes_equal(buf_bytes(&decoded), buf_bytes(&utf8)))
        text_sweep(s, buf_bytes(&utf8), path);
}

/* Depth is bounded: the tree is one that tree.c wrote. */
static void object_sweep(struct sweeping *s, GMimeObject *object, const char *path)
{
    if (s->e || !object)
        return;
    fields_sweep(s, object, path);
    if (GMIME_IS_MULTIPART(object)) {
        int n = g_mime_multipart_get_count(GMIME_MULTIPART(object));

        for (int i = 0; i < n; i++) {
            clean_part child;

            (void)snprintf(child, sizeof child, "%.50s%s%d", path, *path ? "." : "", i + 1);
            object_sweep(s, g_mime_multipart_get_part(GMIME_MULTIPART(object), i), child);
        }
    } else if (GMIME_IS_MESSAGE_PART(object)) {
        GMimeMessage *m = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));

        if (m) {
            fields_sweep(s, GMIME_OBJECT(m), path);
            object_sweep(s, g_mime_message_get_mime_part(m), path);
        }
    } else if (GMIME_IS_PART(object) && !s->e) {
        leaf_sweep(s, GMIME_PART(object), *path ? path : "1");
    }
}

enum err sweep(struct clean *c, struct bytes header, struct bytes entity)
{
    struct sweeping s = {.c = c};
    CLEANUP(parsed_clear) struct parsed parsed = {.root = NULL};
    enum err e;

    e = header_sweep(&s, header);
    if (!e)
        e = entity_parse(entity, &parsed);
    if (e)
        return e;
    object_sweep(&s, parsed.root, "");
    return s.e;
}
