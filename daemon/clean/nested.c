/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nested.c - messages inside the message: attached ones, with a header from the same allow-list,
 * and read receipts, which say no more than that something was read.
 *
 * Addresses in an attached message that are nobody's of the relay stay: the user forwards them on
 * purpose. RFC 2046 5.2.1, RFC 8098 3. */
#include "daemon/clean/internal.h"
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

enum err attached_append(struct clean *c, GMimeMessagePart *part, const char *path, unsigned depth,
                         struct buf *out)
{
    GMimeMessage *message = g_mime_message_part_get_message(part);
    GMimeObject *content = message ? g_mime_message_get_mime_part(message) : NULL;

    return rebuilt_append(c, message ? GMIME_OBJECT(message) : NULL, content, path, depth, out);
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

enum err message_append(struct clean *c, struct bytes file, const char *path, struct buf *out)
{
    CLEANUP(buf_wipe) struct buf crlf = {0};
    CLEANUP(parsed_clear) struct parsed parsed = {.root = NULL};
    CLEANUP(message_clear) struct message m = {0};
    enum err e;

    crlf_append(&crlf, file);
    e = crlf.failed ? ERR_NOMEM : message_parse(buf_bytes(&crlf), &m);

    if (e == ERR_HEADER || e == ERR_BARE_LINE || (!e && !message_find(&m, "From", 0)))
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
