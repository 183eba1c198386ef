/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nested.c - messages inside the message: attached ones, with a header from the same allow-list,
 * and read receipts, which say no more than that something was read.
 *
 * A message that is a file is taken apart like any other, whatever a program put around it; one
 * that cannot be, and names the user, does not leave.
 *
 * Addresses in an attached message that are nobody's of the relay stay: the user forwards them on
 * purpose. RFC 2046 5.2.1, RFC 8098 3. */
#include "daemon/clean/content.h"
#include "daemon/message/date.h"

#include <stdio.h>
#include <string.h>

#define FILES_MAX 3u /* message files inside each other */

/* The raw value of an object's field as one line; false when there is none. */
static bool raw_value(GMimeObject *object, const char *name, struct buf *out)
{
    GMimeHeader *field = g_mime_header_list_get_header(g_mime_object_get_header_list(object), name);
    const char *raw = field ? g_mime_header_get_raw_value(field) : NULL;

    for (; raw && *raw; raw++)
        buf_append(out, *raw == '\r' || *raw == '\n' ? " " : raw, 1);
    return field != NULL && !out->failed;
}

static enum err parties_append(struct clean *c, GMimeObject *message, struct buf *out)
{
    static const char *const names[] = {"From", "To", "Cc"};
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < sizeof names / sizeof names[0]; i++) {
        CLEANUP(buf_wipe) struct buf value = {0};

        if (raw_value(message, names[i], &value))
            e = recipients_append(c, out, names[i], buf_bytes(&value), false);
    }
    return e;
}

static enum err date_field_append(GMimeObject *message, struct buf *out)
{
    CLEANUP(buf_wipe) struct buf value = {0};
    struct date date;
    enum err e = ERR_FORMAT;

    if (raw_value(message, "Date", &value))
        e = date_parse(buf_bytes(&value), &date);
    if (e)
        return e == ERR_FORMAT ? ERR_OK : e;
    date.offset_min = 0;
    buf_append_str(out, "Date: ");
    date_append(out, &date);
    buf_append_str(out, "\r\n");
    return buf_error(out);
}

static enum err message_header_append(struct clean *c, GMimeObject *message, struct buf *out)
{
    CLEANUP(buf_wipe) struct buf subject = {0};
    CLEANUP(buf_wipe) struct buf id = {0};
    enum err e = parties_append(c, message, out);

    if (!e)
        e = date_field_append(message, out);
    if (!e && raw_value(message, "Subject", &subject))
        e = subject_append(c, out, buf_bytes(&subject));
    if (!e && raw_value(message, "Message-ID", &id))
        e = ids_append(c, out, "Message-ID", buf_bytes(&id));
    buf_append_str(out, "MIME-Version: 1.0\r\n");
    return e ? e : buf_error(out);
}

/* header: of the message; content: what it holds; either may be NULL */
static enum err rebuilt_append(struct clean *c, GMimeObject *header, GMimeObject *content,
                               const char *path, unsigned depth, struct buf *out)
{
    bool written = false;
    enum err e = ERR_OK;

    buf_append_str(out, "Content-Type: message/rfc822\r\n"
                        "Content-Disposition: attachment; filename=\"message.eml\"\r\n\r\n");
    if (header)
        e = message_header_append(c, header, out);
    if (!e && content)
        e = object_append(c, content, *path ? path : "1", depth + 1, out, &written);
    if (!e && !written)
        buf_append_str(out, "Content-Type: text/plain\r\n\r\n");
    return e ? e : buf_error(out);
}

/* Lines of a file, which may end in LF alone. */
static void crlf_append(struct buf *out, struct bytes text)
{
    buf_reserve(out, text.len + text.len / 16);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != '\r' && text.data[i])
            buf_append(out, text.data[i] == '\n' ? (const void *)"\r\n" : &text.data[i],
                       text.data[i] == '\n' ? 2 : 1);
}

static bool begins(struct bytes text, const char *with)
{
    size_t len = strlen(with);

    return text.len >= len && memcmp(text.data, with, len) == 0;
}

static struct bytes behind(struct bytes text, size_t at)
{
    return (struct bytes){text.data + at, text.len - at};
}

static size_t line_len(struct bytes text)
{
    const uint8_t *lf = text.len ? memchr(text.data, '\n', text.len) : NULL;

    return lf ? (size_t)(lf + 1 - text.data) : text.len;
}

/* How many bytes a line says that the message behind it has, as in x.emlx; 0: it says nothing. */
static size_t line_counts(struct bytes line)
{
    size_t n = 0;
    size_t i;

    for (i = 0; i < line.len && n < G_MAXINT32 && g_ascii_isdigit((char)line.data[i]); i++)
        n = n * 10 + (size_t)(line.data[i] - '0');
    while (i < line.len && g_ascii_isspace((char)line.data[i]))
        i++;
    return i == line.len ? n : 0;
}

/* The message without what stands in front of it and behind it in a file: a byte order mark, empty
 * lines, the line of an mbox (RFC 4155), a count and a property list. */
static struct bytes file_open(struct bytes text)
{
    if (begins(text, "\xef\xbb\xbf"))
        text = behind(text, 3);
    else if (begins(text, "\xff\xfe") || begins(text, "\xfe\xff"))
        text = behind(text, 2);
    while (text.len) {
        size_t len = line_len(text);
        size_t count = line_counts((struct bytes){text.data, len});

        if (count && count < text.len - len)
            return (struct bytes){text.data + len, count};
        if (!count && text.data[0] != '\n' && text.data[0] != '\r' && !begins(text, "From ") &&
            !begins(text, ">From "))
            break;
        text = behind(text, len);
    }
    return text;
}

static bool is_field_line(struct bytes line)
{
    size_t name = 0;

    while (name < line.len && (g_ascii_isalnum((char)line.data[name]) || line.data[name] == '-'))
        name++;
    return name > 1 && name < line.len && line.data[name] == ':';
}

/* Several messages in one file, each behind an empty line and a line "From ...". */
static bool is_folder(struct bytes text)
{
    bool blank = false;

    if (!begins(text, "From "))
        return false;
    while (text.len) {
        size_t len = line_len(text);
        bool separates = blank && begins(text, "From ");

        blank = len < 3 && (text.data[0] == '\n' || text.data[0] == '\r');
        text = behind(text, len);
        if (separates && is_field_line(text))
            return true;
    }
    return false;
}

/* A header that begins with its first line, or says at any rate whom it is from. */
static bool is_message(const struct message *m)
{
    static const char *const names[] = {"Received",   "Return-Path",  "Delivered-To",
                                        "Date",       "Subject",      "To",
                                        "Message-ID", "MIME-Version", "Content-Type"};

    if (message_find(m, "From", 0))
        return true;
    for (size_t i = 0; m->n_fields && m->fields[0].whole.data == m->raw.data &&
                       i < sizeof names / sizeof names[0];
         i++)
        if (message_find(m, names[i], 0))
            return true;
    return false;
}

enum err message_append(struct clean *c, struct bytes file, const char *path, struct buf *out)
{
    CLEANUP(buf_wipe) struct buf crlf = {0};
    CLEANUP(parsed_clear) struct parsed parsed = {.root = NULL};
    CLEANUP(message_clear) struct message m = {0};
    enum err e;

    if (begins(file, "\xd0\xcf\x11\xe0") || is_folder(file)) /* Outlook's own, an mbox */
        return ERR_FORMAT;
    crlf_append(&crlf, file_open(file));
    e = crlf.failed ? ERR_NOMEM : message_parse(buf_bytes(&crlf), &m);
    if (e == ERR_HEADER || e == ERR_BARE_LINE || (!e && !is_message(&m)))
        e = ERR_FORMAT;
    e = e ? e : entity_parse(buf_bytes(&crlf), &parsed);
    if (e)
        return e;
    if (c->files >= FILES_MAX)
        return clean_refuse(c, CLEAN_DEPTH, path);
    c->files++;
    e = rebuilt_append(c, parsed.root, parsed.root, path, CLEAN_DEPTH_MAX / 2, out);
    c->files--;
    return e;
}

static bool is_trace(struct bytes line)
{
    static const char *const names[] = {"Received:",         "X-Received:",   "Return-Path:",
                                        "X-Originating-IP:", "Delivered-To:", "Authentication-"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (line.len >= strlen(names[i]) &&
            g_ascii_strncasecmp((const char *)line.data, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

bool message_holds_trace(struct bytes file)
{
    CLEANUP(buf_wipe) struct buf crlf = {0};
    struct bytes text;

    crlf_append(&crlf, file); /* without the NULs of UTF-16 */
    text = buf_bytes(&crlf);
    while (text.len && !is_trace(text))
        text = behind(text, line_len(text));
    return crlf.failed || text.len > 0;
}

bool message_names_user(const struct clean *c, struct bytes file)
{
    return clean_holds(&c->words, file) || message_holds_trace(file);
}

/* A message that begins with an empty line is all text to a parser. */
static enum err headless_append(struct clean *c, GMimeMessage *message, const char *path,
                                struct buf *out)
{
    GMimeObject *content = g_mime_message_get_mime_part(message);
    CLEANUP(buf_wipe) struct buf text = {0};
    enum err e = ERR_FORMAT;

    if (content && GMIME_IS_PART(content) &&
        g_mime_header_list_get_count(g_mime_object_get_header_list(GMIME_OBJECT(message))) == 0 &&
        g_mime_header_list_get_count(g_mime_object_get_header_list(content)) == 0)
        e = content_decode(GMIME_PART(content), &text);
    return e ? e : message_append(c, buf_bytes(&text), path, out);
}

enum err attached_append(struct clean *c, GMimeMessagePart *part, const char *path, unsigned depth,
                         struct buf *out)
{
    GMimeMessage *message = g_mime_message_part_get_message(part);
    GMimeObject *content = message ? g_mime_message_get_mime_part(message) : NULL;
    enum err e = message ? headless_append(c, message, path, out) : ERR_FORMAT;

    if (e != ERR_FORMAT)
        return e;
    err_note_clear();
    return rebuilt_append(c, message ? GMIME_OBJECT(message) : NULL, content, path, depth, out);
}

/* One of the fields of a receipt that names nobody. */
static enum err receipt_field_append(struct clean *c, const struct message *fields,
                                     const char *name, struct buf *out)
{
    const struct message_field *f = message_find(fields, name, 0);
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = f ? message_unfold(f->value, &text) : ERR_OK;

    if (e || !f)
        return e;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] > 0x7e)
            text.data[i] = '?';
    if (!clean_holds(&c->words, buf_bytes(&text)) && text.len <= 200)
        buf_printf(out, "%s: %s\r\n", name, buf_str(&text));
    return buf_error(out);
}

enum err receipt_append(struct clean *c, struct bytes text, struct buf *out)
{
    CLEANUP(message_clear) struct message fields = {0};
    CLEANUP(buf_wipe) struct buf crlf = {0};
    const struct message_field *id;
    enum err e;

    crlf_append(&crlf, text);
    e = crlf.failed ? ERR_NOMEM : message_parse(buf_bytes(&crlf), &fields);
    if (e)
        return e;
    buf_printf(out, "Final-Recipient: rfc822; %s\r\n", c->in->alias);
    id = message_find(&fields, "Original-Message-ID", 0);
    if (id)
        e = ids_append(c, out, "Original-Message-ID", id->value);
    return e ? e : receipt_field_append(c, &fields, "Disposition", out);
}
