/* SPDX-License-Identifier: GPL-3.0-or-later */
/* part.c - one leaf of the MIME tree: its fields from an allow-list, its content cleaned by kind.
 *
 * Text in which nothing had to change keeps its bytes and its charset; changed text is UTF-8; other
 * content passes byte for byte in base64 and is only looked at. RFC 2045, RFC 2183. */
#include "daemon/clean/charset.h"
#include "daemon/clean/content.h"
#include "daemon/clean/encode.h"
#include "daemon/clean/inspect.h"

#include <string.h>
#include <strings.h>

#define FILE_NAME_MAX_BYTES 200u
#define TOKEN_MAX_BYTES     60u

static bool is_token(const char *s)
{
    size_t len = s ? strlen(s) : 0;

    if (!len || len > TOKEN_MAX_BYTES)
        return false;
    for (; *s; s++)
        if (!g_ascii_isalnum(*s) && !strchr("-_.+:", *s))
            return false;
    return true;
}

static void type_append(GMimeObject *object, enum content_kind kind, struct buf *out)
{
    GMimeContentType *type = g_mime_object_get_content_type(object);
    const char *media = g_mime_content_type_get_media_type(type);
    const char *subtype = g_mime_content_type_get_media_subtype(type);
    bool usable = is_token(media) && is_token(subtype);

    if (kind == CONTENT_TEXT && !g_mime_content_type_is_type(type, "text", "*") &&
        !g_mime_part_get_filename(GMIME_PART(object))) {
        buf_append_str(out, "Content-Type: text/plain");
        return;
    }
    buf_printf(out, "Content-Type: %s/%s", usable ? media : "application",
               usable ? subtype : "octet-stream");
}

static void token_parameter_append(GMimeObject *object, const char *name, struct buf *out)
{
    const char *value = g_mime_object_get_content_type_parameter(object, name);

    if (is_token(value))
        buf_printf(out, "; %s=%s", name, value);
}

/* The last piece of a path. Of a Windows path in quotes, whose backslashes MIME has taken for
 * escapes, only the ending can be told from folders and accounts. */
static const char *path_last(const char *name)
{
    const char *last = name;

    for (const char *p = name; *p; p++)
        if (*p == '/' || *p == '\\')
            last = p + 1;
    if ((last == name && g_ascii_isalpha(name[0]) && name[1] == ':') ||
        (last == name + 1 && name[0] == '\\')) {
        last = strrchr(name, '.');
        return last ? last : "";
    }
    return last;
}

/* A file's name without folders and what controls a terminal, words replaced. */
static enum err file_name_clean(struct clean *c, const char *name, struct buf *out)
{
    const char *last = path_last(name);
    struct bytes text;
    struct scan s;
    bool changed = false;
    enum err e;

    if (*last == '.' && (last == name || last[-1] != '/'))
        buf_append_str(out, "attachment");
    text = bytes_of(last);
    while (text.len > FILE_NAME_MAX_BYTES || (text.len && (text.data[text.len] & 0xc0) == 0x80))
        text.len--;
    s = clean_scan(c, text, SCAN_ENTITIES | SCAN_PERCENT, SCAN_AS_IS);
    s.loose = true;
    e = scan_replace(&s, out, &changed);
    for (size_t i = 0; !e && i < out->len; i++)
        if (out->data[i] < 0x20 || out->data[i] == 0x7f)
            out->data[i] = '_';
    return e;
}

/* Content-Disposition and the name parameter of Content-Type agree on the file's name. */
static enum err disposition_append(GMimeObject *object, struct bytes file_name, struct buf *out)
{
    GMimeContentDisposition *d = g_mime_object_get_content_disposition(object);
    const char *value = d ? g_mime_content_disposition_get_disposition(d) : NULL;

    if (!value)
        return ERR_OK;
    buf_printf(out, "Content-Disposition: %s",
               strcasecmp(value, "inline") == 0 ? "inline" : "attachment");
    if (file_name.len)
        parameter_append(out, "filename", file_name);
    buf_append_str(out, "\r\n");
    return buf_error(out);
}

static enum err id_append(struct clean *c, GMimeObject *object, struct buf *out)
{
    const char *id = g_mime_object_get_content_id(object);
    const char *to = NULL;
    enum err e;

    if (!id || !*id)
        return ERR_OK;
    e = clean_cid(c, bytes_of(id), &to);
    if (!e)
        buf_printf(out, "Content-ID: <%s>\r\n", to);
    return e;
}

static void language_append(GMimeObject *object, struct buf *out)
{
    const char *value = g_mime_object_get_header(object, "Content-Language");

    if (value && strlen(value) <= TOKEN_MAX_BYTES &&
        strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-, ") ==
            strlen(value))
        buf_printf(out, "Content-Language: %s\r\n", value);
}

/* All fields of a leaf; charset NULL keeps the one it has. */
static enum err fields_append(struct clean *c, GMimePart *part, const char *charset,
                              enum encoding encoding, struct buf *out)
{
    static const char *const kept[] = {"format", "delsp", "method", "component"};
    GMimeObject *object = GMIME_OBJECT(part);
    const char *name = g_mime_part_get_filename(part);
    CLEANUP(buf_clear) struct buf file_name = {0};
    enum err e = ERR_OK;

    if (name && content_kind(part) == CONTENT_VCARD)
        buf_append_str(&file_name, "contact.vcf"); /* clients name it after the person */
    else if (name && content_kind(part) == CONTENT_CALENDAR)
        buf_append_str(&file_name, "invite.ics");
    else if (name)
        e = file_name_clean(c, name, &file_name);
    if (e)
        return e;
    type_append(object, content_kind(part), out);
    if (charset)
        buf_printf(out, "; charset=%s", charset);
    else
        token_parameter_append(object, "charset", out);
    if (g_mime_content_type_is_type(g_mime_object_get_content_type(object), "text", "*"))
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
            token_parameter_append(object, kept[i], out);
    if (file_name.len)
        parameter_append(out, "name", buf_bytes(&file_name));
    buf_printf(out, "\r\nContent-Transfer-Encoding: %s\r\n", encoding_name(encoding));
    e = disposition_append(object, buf_bytes(&file_name), out);
    if (!e)
        e = id_append(c, object, out);
    if (!e)
        language_append(object, out);
    buf_append_str(out, "\r\n");
    return e ? e : buf_error(out);
}

static bool parameter_is(GMimePart *part, const char *name, const char *want)
{
    const char *value = g_mime_object_get_content_type_parameter(GMIME_OBJECT(part), name);

    return value && strcasecmp(value, want) == 0;
}

/* A page that the user attached is a file like any other as long as it does not name them. */
static bool is_attached_page(const struct clean *c, GMimePart *part, struct bytes utf8)
{
    const char *disposition = g_mime_object_get_disposition(GMIME_OBJECT(part));

    return disposition && strcasecmp(disposition, "attachment") == 0 &&
           g_mime_part_get_filename(part) && !clean_holds(&c->words, utf8);
}

static enum err text_kind_clean(struct clean *c, GMimePart *part, enum content_kind kind,
                                const char *path, struct bytes utf8, struct buf *out, bool *changed)
{
    const struct text_form form = {
        .flowed_delsp =
            parameter_is(part, "format", "flowed") && parameter_is(part, "delsp", "yes"),
        .legacy = parameter_is(part, "hp-legacy-display", "1"),
    };

    if (kind == CONTENT_CALENDAR)
        return calendar_clean(c, utf8, out, changed);
    if (kind == CONTENT_VCARD)
        return vcard_clean(c, utf8, path, out, changed);
    if (kind == CONTENT_TEXT)
        return text_clean(c, utf8, &form, out, changed);
    if (is_attached_page(c, part, utf8))
        return ERR_OK;
    *changed = true;
    return html_clean(c, utf8, form.legacy, out);
}

static bool is_blank_text(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!g_ascii_isspace((char)text.data[i]))
            return false;
    return true;
}

static const char *charset_label(GMimePart *part)
{
    return g_mime_object_get_content_type_parameter(GMIME_OBJECT(part), "charset");
}

static bool is_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] >= 0x80)
            return false;
    return true;
}

/* Will its reader be told what text is that leaves as it came? utf8: what it says. */
static bool label_leaves(GMimePart *part, struct bytes utf8)
{
    const char *label = charset_label(part);

    return !label || is_token(label) || is_ascii(utf8);
}

/* A charset for text that came without one and is not ASCII. */
static const char *charset_missing(GMimePart *part, struct bytes decoded, struct bytes utf8)
{
    if (charset_label(part) || is_ascii(decoded))
        return NULL;
    return bytes_equal(decoded, utf8) ? "utf-8" : "windows-1252";
}

static enum err text_part_append(struct clean *c, GMimePart *part, enum content_kind kind,
                                 const char *path, struct buf *out, bool *written)
{
    CLEANUP(buf_wipe) struct buf decoded = {0};
    CLEANUP(buf_wipe) struct buf utf8 = {0};
    CLEANUP(buf_wipe) struct buf clean = {0};
    const char *charset = NULL;
    struct bytes content;
    enum encoding encoding;
    bool changed = false;
    bool guessed = false;
    enum err e = content_decode(part, &decoded);

    if (!e)
        e = charset_to_utf8(buf_bytes(&decoded), charset_label(part), &utf8, &guessed);
    if (!e)
        e = text_kind_clean(c, part, kind, path, buf_bytes(&utf8), &clean, &changed);
    if (!e && !changed && !label_leaves(part, buf_bytes(&utf8))) {
        buf_reset(&clean);
        buf_append_bytes(&clean, buf_bytes(&utf8));
        changed = true;
    }
    if (!e && changed && guessed)
        e = clean_refuse(c, CLEAN_CHARSET, path);
    if (e)
        return e;
    if (clean.failed)
        return ERR_NOMEM;
    content = changed ? buf_bytes(&clean) : buf_bytes(&decoded);
    if (changed && is_blank_text(content) && !is_blank_text(buf_bytes(&decoded)) &&
        g_mime_part_get_filename(part)) {
        *written = false;
        return ERR_OK;
    }
    charset = changed ? "utf-8" : charset_missing(part, buf_bytes(&decoded), buf_bytes(&utf8));
    encoding = encoding_choose(content);
    e = fields_append(c, part, charset, encoding, out);
    encoded_append(out, encoding, content);
    return e ? e : buf_error(out);
}

/* Content on its way through: looked at, and written. */
struct passage {
    struct inspect inspect;
    struct base64_lines lines;
    struct buf *out;
};

static bool passage_sink(void *context, struct bytes data)
{
    struct passage *p = context;

    inspect_data(&p->inspect, data);
    if (inspect_is_tnef(&p->inspect))
        return false;
    base64_lines_write(&p->lines, p->out, data);
    return !p->out->failed;
}

static enum err binary_append(struct clean *c, GMimePart *part, const char *path, struct buf *out)
{
    struct passage p = {.inspect = {.words = &c->words}, .out = out};
    enum err e = fields_append(c, part, NULL, ENCODING_BASE64, out);

    if (!e)
        e = content_read(part, passage_sink, &p);
    base64_lines_end(&p.lines, out);
    if (!e && inspect_is_tnef(&p.inspect))
        e = clean_refuse(c, CLEAN_TNEF, path);
    if (!e && p.inspect.address)
        clean_warn(c, CLEAN_WARN_ADDRESS, path);
    if (!e && p.inspect.metadata)
        clean_warn(c, CLEAN_WARN_METADATA, path);
    inspect_clear(&p.inspect);
    return e ? e : buf_error(out);
}

/* A file that says it is a message and is none is any file, as long as it does not name the user. A
 * page in an archive finds its pictures by fields that a message loses, so that stays what it is.
 */
static enum err file_append(struct clean *c, GMimePart *part, const char *path, struct buf *out,
                            bool *written)
{
    CLEANUP(buf_wipe) struct buf decoded = {0};
    enum err e = content_decode(part, &decoded);

    if (e)
        return e;
    if (content_kind(part) == CONTENT_ARCHIVE && !message_names_user(c, buf_bytes(&decoded)))
        return binary_append(c, part, path, out);
    e = message_append(c, buf_bytes(&decoded), path, out);
    if (e != ERR_FORMAT)
        return e;
    err_note_clear();
    if (g_mime_content_type_is_type(g_mime_object_get_content_type(GMIME_OBJECT(part)), "text",
                                    "*"))
        return message_holds_trace(buf_bytes(&decoded))
                   ? clean_refuse(c, CLEAN_FILE, path)
                   : text_part_append(c, part, CONTENT_TEXT, path, out, written);
    return message_names_user(c, buf_bytes(&decoded)) ? clean_refuse(c, CLEAN_FILE, path)
                                                      : binary_append(c, part, path, out);
}

static enum err receipt_part_append(struct clean *c, GMimePart *part, struct buf *out)
{
    CLEANUP(buf_wipe) struct buf decoded = {0};
    enum err e = content_decode(part, &decoded);

    if (e)
        return e;
    buf_append_str(out, "Content-Type: message/disposition-notification\r\n"
                        "Content-Transfer-Encoding: 7bit\r\n\r\n");
    return receipt_append(c, buf_bytes(&decoded), out);
}

static enum err kind_append(struct clean *c, GMimePart *part, const char *path, struct buf *out,
                            bool *written)
{
    enum content_kind kind = content_kind(part);

    switch (kind) {
    case CONTENT_TEXT:
    case CONTENT_HTML:
    case CONTENT_CALENDAR:
    case CONTENT_VCARD:
        return text_part_append(c, part, kind, path, out, written);
    case CONTENT_OPAQUE:
        clean_warn(c, CLEAN_WARN_OPAQUE, path);
        return binary_append(c, part, path, out);
    case CONTENT_BINARY:
        return binary_append(c, part, path, out);
    case CONTENT_MESSAGE:
    case CONTENT_ARCHIVE:
        return file_append(c, part, path, out, written);
    case CONTENT_RECEIPT:
        return receipt_part_append(c, part, out);
    case CONTENT_DROPPED:
        clean_warn(c, CLEAN_WARN_DROPPED, path);
        *written = false;
        return ERR_OK;
    case CONTENT_TNEF:
        return clean_refuse(c, CLEAN_TNEF, path);
    case CONTENT_PIECE:
        return clean_refuse(c, CLEAN_PIECE, path);
    case CONTENT_SEALED:
        return clean_refuse(c, CLEAN_SEALED, path);
    case CONTENT_REPORT:
        return clean_refuse(c, CLEAN_REPORT, path);
    }
    return ERR_BUG;
}

/* What was said about a text, which does not know its number, is said about this part. */
static void part_name(struct clean *c, const char *path)
{
    if (c->refusal->reason != CLEAN_NOT_REFUSED && !c->refusal->part[0])
        (void)snprintf(c->refusal->part, sizeof c->refusal->part, "%s", path);
    for (size_t i = 0; i < c->out->n_warnings; i++)
        if (!c->out->warnings[i].part[0])
            (void)snprintf(c->out->warnings[i].part, sizeof c->out->warnings[i].part, "%s", path);
}

enum err part_append(struct clean *c, GMimePart *part, const char *path, struct buf *out,
                     bool *written)
{
    enum err e;

    *written = true;
    e = kind_append(c, part, path, out, written);
    part_name(c, path);
    return e;
}
