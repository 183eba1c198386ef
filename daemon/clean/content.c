/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content.c - decode a part's content piece by piece, and tell kinds of content apart. */
#include "daemon/clean/content.h"
#include "daemon/message/content_type.h"

#include <string.h>
#include <strings.h>

#define READ_BYTES 65536u

struct kind_row {
    const char *type, *subtype; /* subtype NULL: any */
    enum content_kind kind;
};

static const struct kind_row types[] = {
    {"text", "html", CONTENT_HTML},
    {"application", "xhtml+xml", CONTENT_HTML},
    {"text", "watch-html", CONTENT_HTML},
    {"text", "x-amp-html", CONTENT_DROPPED},
    {"text", "calendar", CONTENT_CALENDAR},
    {"text", "x-vcalendar", CONTENT_CALENDAR},
    {"application", "ics", CONTENT_CALENDAR},
    {"text", "vcard", CONTENT_VCARD},
    {"text", "x-vcard", CONTENT_VCARD},
    {"text", "directory", CONTENT_VCARD},
    {"application", "vcard", CONTENT_VCARD},
    {"text", "rfc822-headers", CONTENT_DROPPED},
    {"application", "x-eml", CONTENT_MESSAGE},
    {"application", "eml", CONTENT_MESSAGE},
    {"application", "rfc822", CONTENT_MESSAGE},
    {"application", "mbox", CONTENT_MESSAGE},
    {"application", "vnd.ms-outlook", CONTENT_ARCHIVE},
    {"application", "x-mimearchive", CONTENT_ARCHIVE},
    {"text", "rtf", CONTENT_BINARY},
    {"text", NULL, CONTENT_TEXT},
    {"application", "ms-tnef", CONTENT_TNEF},
    {"application", "vnd.ms-tnef", CONTENT_TNEF},
    {"application", "pgp-keys", CONTENT_DROPPED},
    {"application", "pgp-signature", CONTENT_DROPPED},
    {"application", "pgp-encrypted", CONTENT_OPAQUE},
    {"application", "autocrypt-setup", CONTENT_DROPPED},
    {"application", "pkcs7-signature", CONTENT_DROPPED},
    {"application", "x-pkcs7-signature", CONTENT_DROPPED},
    {"application", "pkcs7-mime", CONTENT_SEALED},
    {"application", "x-pkcs7-mime", CONTENT_SEALED},
    {"application", "x-pkcs7-certificates", CONTENT_DROPPED},
    {"application", "applefile", CONTENT_DROPPED},
    {"message", "rfc822", CONTENT_MESSAGE},
    {"message", "global", CONTENT_MESSAGE},
    {"message", "disposition-notification", CONTENT_RECEIPT},
    {"message", "partial", CONTENT_PIECE},
    {"message", "external-body", CONTENT_PIECE},
    {"message", NULL, CONTENT_REPORT},
};

/* For parts whose type says nothing, and for keys and TNEF under any type. */
static const struct {
    const char *suffix;
    enum content_kind kind;
    bool any_type;
} suffixes[] = {
    {"winmail.dat", CONTENT_TNEF, true},  {"win.dat", CONTENT_TNEF, true},
    {"smime.p7s", CONTENT_DROPPED, true}, {"smime.p7m", CONTENT_SEALED, true},
    {"smime.p7c", CONTENT_DROPPED, true}, {".ics", CONTENT_CALENDAR, false},
    {".vcf", CONTENT_VCARD, false},       {".asc", CONTENT_TEXT, false},
    {".eml", CONTENT_MESSAGE, false},     {".emlx", CONTENT_MESSAGE, false},
    {".mbox", CONTENT_MESSAGE, false},    {".msg", CONTENT_ARCHIVE, false},
    {".mht", CONTENT_ARCHIVE, false},     {".mhtml", CONTENT_ARCHIVE, false},
};

static bool ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name);
    size_t suffix_len = strlen(suffix);

    return len >= suffix_len && strcasecmp(name + len - suffix_len, suffix) == 0;
}

static bool says_nothing(GMimeContentType *type)
{
    return g_mime_content_type_is_type(type, "application", "octet-stream") ||
           g_mime_content_type_is_type(type, "application", "x-unknown");
}

static enum content_kind kind_by_type(GMimeContentType *type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (g_mime_content_type_is_type(type, types[i].type,
                                        types[i].subtype ? types[i].subtype : "*"))
            return types[i].kind;
    return CONTENT_BINARY;
}

/* GMime takes a type it cannot read for application/octet-stream, other readers for text
 * (RFC 2045 5.2). */
static bool is_malformed(GMimePart *part)
{
    const char *value = g_mime_object_get_header(GMIME_OBJECT(part), "Content-Type");
    struct content_type type;

    if (!value || !says_nothing(g_mime_object_get_content_type(GMIME_OBJECT(part))))
        return false;
    content_type_read(bytes_of(value), &type);
    return strcmp(type.type, "application") != 0 ||
           (strcmp(type.subtype, "octet-stream") != 0 && strcmp(type.subtype, "x-unknown") != 0);
}

static bool is_certs_only(GMimeContentType *type)
{
    const char *smime_type = g_mime_content_type_get_parameter(type, "smime-type");

    return smime_type && strcasecmp(smime_type, "certs-only") == 0;
}

/* Programs call their messages as files by many types, and plain text. */
static bool may_be_message(GMimeContentType *type, enum content_kind kind, enum content_kind named)
{
    bool plain = g_mime_content_type_is_type(type, "text", "plain");

    return (named == CONTENT_MESSAGE && (kind == CONTENT_BINARY || plain)) ||
           (named == CONTENT_ARCHIVE && kind == CONTENT_BINARY);
}

enum content_kind content_kind(GMimePart *part)
{
    GMimeContentType *type = g_mime_object_get_content_type(GMIME_OBJECT(part));
    const char *name = g_mime_part_get_filename(part);
    enum content_kind kind = kind_by_type(type);

    if (kind == CONTENT_BINARY && !name && is_malformed(part))
        return CONTENT_TEXT;
    if (kind == CONTENT_SEALED && is_certs_only(type))
        return CONTENT_DROPPED;
    if (!name)
        return kind;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (ends_with(name, suffixes[i].suffix) && (suffixes[i].any_type || says_nothing(type) ||
                                                    may_be_message(type, kind, suffixes[i].kind)))
            return suffixes[i].kind;
    return kind;
}

/* The content as its encoding's decoder gives it; given. */
static GMimeStream *decoding_stream(GMimeDataWrapper *content)
{
    GMimeStream *source = g_mime_data_wrapper_get_stream(content);
    GMimeStream *stream = source ? g_mime_stream_filter_new(source) : NULL;
    GMimeFilter *filter;

    if (!stream)
        return NULL;
    filter = g_mime_filter_basic_new(g_mime_data_wrapper_get_encoding(content), FALSE);
    (void)g_mime_stream_filter_add(GMIME_STREAM_FILTER(stream), filter);
    g_object_unref(filter);
    (void)g_mime_stream_reset(stream);
    return stream;
}

enum err content_read(GMimePart *part, content_sink *sink, void *context)
{
    GMimeDataWrapper *content = g_mime_part_get_content(part);
    GMimeStream *stream = content ? decoding_stream(content) : NULL;
    CLEANUP(buf_wipe) struct buf piece = {0};
    ssize_t n;

    if (!stream)
        return ERR_OK;
    buf_reserve(&piece, READ_BYTES);
    while (!piece.failed && (n = g_mime_stream_read(stream, (char *)piece.data, READ_BYTES)) > 0)
        if (!sink(context, (struct bytes){piece.data, (size_t)n}))
            break;
    g_object_unref(stream);
    return buf_error(&piece);
}

static bool buf_sink(void *context, struct bytes data)
{
    struct buf *out = context;

    buf_append_bytes(out, data);
    return !out->failed;
}

enum err content_decode(GMimePart *part, struct buf *out)
{
    enum err e = content_read(part, buf_sink, out);

    return e ? e : buf_error(out);
}
