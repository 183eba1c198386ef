/* SPDX-License-Identifier: GPL-3.0-or-later */
/* protected.c - header protection: the fields that only the user sees, and that are signed.
 *
 * Invariant: HP-Outer lines repeat the outer header exactly, so that a client can tell what the
 * relay wrote from what was added or changed on the way. RFC 9788 2.2, 5.2, 7. */
#include "daemon/message/protected.h"
#include "daemon/message/outer.h"

#include <string.h>

#define DATE_TEXT_MAX_BYTES 200u

static bool is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    return true;
}

/* The original Date: its own text where that is harmless, else written anew. */
static enum err date_original_append(struct buf *out, const struct message *m,
                                     const struct date *original)
{
    const struct message_field *f = message_find(m, "Date", 0);
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = f ? message_unfold(f->value, &text) : ERR_OK;

    if (e)
        return e;
    buf_append_str(out, "Date: ");
    if (text.len && text.len <= DATE_TEXT_MAX_BYTES && is_printable(buf_bytes(&text)))
        buf_append_bytes(out, buf_bytes(&text));
    else
        date_append(out, original);
    buf_append_str(out, "\r\n");
    return buf_error(out);
}

static enum err date_unreadable_append(struct buf *out, const struct message *m)
{
    const struct message_field *f = message_find(m, "Date", 0);
    size_t begun;
    enum err e;

    if (!f)
        return ERR_OK;
    begun = field_begin(out, "Sealrelay-Original-Date");
    e = unstructured_append(out, (struct bytes){f->value.data, f->value.len < DATE_TEXT_MAX_BYTES
                                                                   ? f->value.len
                                                                   : DATE_TEXT_MAX_BYTES});
    field_end(out, begun);
    return e;
}

static enum err verdict_append(struct buf *out, const struct rewrite_input *in)
{
    for (size_t i = 0; i < in->n_verdict; i++) {
        struct bytes line = bytes_of(in->verdict[i]);

        if (!line.len || line.len > 900 || !is_printable(line) || !memchr(line.data, ':', line.len))
            return err_note(ERR_BUG, "rewrite_forward", "verdict line %zu is malformed", i);
        buf_append_bytes(out, line);
        buf_append_str(out, "\r\n");
    }
    return ERR_OK;
}

static enum err copy_append(struct buf *out, const struct rewrite_input *in,
                            const struct message_field *f, const struct date *original_date)
{
    if (original_date && bytes_equal_nocase(f->name, "Date"))
        return date_original_append(out, in->message, original_date);
    if (in->hide_subject && bytes_equal_nocase(f->name, "Subject"))
        return field_keep(out, in->message, "Subject");
    buf_append_bytes(out, f->whole);
    return ERR_OK;
}

enum err protected_append(struct buf *out, const struct rewrite_input *in, struct bytes outer,
                          bool date_kept, const struct date *original_date)
{
    CLEANUP(message_clear) struct message header = {0};
    enum err e = message_parse(outer, &header);

    for (size_t i = 0; !e && i < header.n_fields; i++)
        e = copy_append(out, in, &header.fields[i], date_kept ? NULL : original_date);
    if (!e && !date_kept && !original_date)
        e = date_unreadable_append(out, in->message);
    if (!e)
        e = verdict_append(out, in);
    for (size_t i = 0; !e && i < header.n_fields; i++) {
        buf_append_str(out, "HP-Outer: ");
        buf_append_bytes(out, header.fields[i].whole);
    }
    return e ? e : buf_error(out);
}
