/* SPDX-License-Identifier: GPL-3.0-or-later */
/* references.c - keep what lets clients thread and unsubscribe, and only what is well-formed.
 *
 * Ids are ASCII, bounded in length and number; one that is not usable is left out, or, for the
 * message's own, replaced by one at the alias's domain. */
#include "daemon/message/references.h"
#include "daemon/base/id.h"
#include "daemon/message/outer.h"

#include <stdlib.h>
#include <string.h>

#define LINKS_MAX      4u
#define LINK_MAX_BYTES 900u /* fits on one line of 998 */

static bool next(struct bytes *rest, size_t max, bool ascii, struct bytes *out)
{
    size_t i = 0;
    size_t open = 0;
    bool in = false;

    for (; i < rest->len; i++) {
        uint8_t c = rest->data[i];

        if (c == '<') {
            open = i;
            in = true;
        } else if (in && c == '>' && i - open >= 2 && i - open < max) {
            *out = (struct bytes){rest->data + open, i - open + 1};
            rest->data += i + 1;
            rest->len -= i + 1;
            return true;
        } else if (c <= 0x20 || c == 0x7f || (ascii && c > 0x7f)) {
            in = false;
        }
    }
    rest->len = 0;
    return false;
}

bool bracketed_next(struct bytes *rest, size_t max, struct bytes *out)
{
    return next(rest, max, true, out);
}

bool reference_next(struct bytes *rest, size_t max, struct bytes *out)
{
    return next(rest, max, false, out);
}

static enum err id_make(const char *domain, char **out)
{
    CLEANUP(buf_clear) struct buf b = {0};
    id_text id;
    enum err e = id_new(id);

    if (e)
        return e;
    buf_printf(&b, "<%s@%s>", id, domain);
    if (b.failed)
        return ERR_NOMEM;
    *out = strdup(buf_str(&b));
    return *out ? ERR_OK : ERR_NOMEM;
}

enum err message_id_append(struct buf *out, const struct message *m, const char *domain,
                           char **made)
{
    const struct message_field *f = message_find(m, "Message-ID", 0);
    CLEANUP(buf_clear) struct buf text = {0};
    struct bytes rest = {0};
    struct bytes id;
    enum err e = f ? message_unfold(f->value, &text) : ERR_OK;

    if (e)
        return e;
    rest = buf_bytes(&text);
    if (bracketed_next(&rest, MESSAGE_ID_MAX_BYTES, &id) && id.len == text.len) {
        buf_append_str(out, "Message-ID: ");
        buf_append_bytes(out, id);
        buf_append_str(out, "\r\n");
        return buf_error(out);
    }
    e = id_make(domain, made);
    if (!e)
        buf_printf(out, "Message-ID: %s\r\n", *made);
    return e ? e : buf_error(out);
}

static size_t references_count(struct bytes rest)
{
    struct bytes one;
    size_t n = 0;

    while (reference_next(&rest, MESSAGE_ID_MAX_BYTES, &one))
        n++;
    return n;
}

static bool is_ascii(const char *s)
{
    while (*s && (uint8_t)*s < 0x80)
        s++;
    return !*s;
}

/* A message may have two ids: what strangers know it by, and what the user does. */
static enum err reference_append(struct buf *ids, struct bytes id, const struct id_lookup *lookup)
{
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(str_free) char *own = NULL;
    const char *shown;
    enum err e;

    buf_append_bytes(&text, id);
    e = buf_error(&text);
    if (!e && lookup->find)
        e = lookup->find(lookup->ctx, buf_str(&text), &own);
    shown = own ? own : buf_str(&text);
    if (!e && is_ascii(shown))
        buf_printf(ids, "%s%s", ids->len ? "\r\n " : "", shown);
    return e;
}

enum err references_append(struct buf *out, const struct message *m, const char *name,
                           const struct id_lookup *lookup)
{
    const struct message_field *f = message_find(m, name, 0);
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf ids = {0};
    struct bytes rest;
    struct bytes id;
    size_t begun;
    size_t n;
    enum err e = f ? message_unfold(f->value, &text) : ERR_OK;

    if (e || !f)
        return e;
    n = references_count(buf_bytes(&text));
    rest = buf_bytes(&text);
    for (size_t i = 0; !e && reference_next(&rest, MESSAGE_ID_MAX_BYTES, &id); i++)
        if (i == 0 || i + REFERENCES_MAX > n)
            e = reference_append(&ids, id, lookup);
    e = e ? e : buf_error(&ids);
    if (e)
        return e;
    begun = field_begin(out, name);
    buf_append_bytes(out, buf_bytes(&ids));
    field_end(out, begun);
    return buf_error(out);
}

static bool is_web_link(struct bytes link)
{
    return (link.len > 9 && bytes_equal_nocase((struct bytes){link.data, 9}, "<https://")) ||
           (link.len > 8 && bytes_equal_nocase((struct bytes){link.data, 8}, "<http://"));
}

/* Blanks inside the brackets are not part of the link (RFC 2369 2). */
static void blanks_drop(struct buf *text)
{
    size_t kept = 0;

    for (size_t i = 0; i < text->len; i++)
        if (text->data[i] != ' ')
            text->data[kept++] = text->data[i];
    text->len = kept;
}

static bool one_click(const struct message *m)
{
    const struct message_field *f = message_find(m, "List-Unsubscribe-Post", 0);
    CLEANUP(buf_clear) struct buf text = {0};

    return f && !message_unfold(f->value, &text) &&
           bytes_equal_nocase(buf_bytes(&text), "List-Unsubscribe=One-Click");
}

enum err unsubscribe_append(struct buf *out, const struct message *m)
{
    const struct message_field *f = message_find(m, "List-Unsubscribe", 0);
    CLEANUP(buf_clear) struct buf text = {0};
    struct bytes rest;
    struct bytes link;
    unsigned n = 0;
    size_t begun;
    enum err e = f ? message_unfold(f->value, &text) : ERR_OK;

    if (e || !f)
        return e;
    blanks_drop(&text);
    rest = buf_bytes(&text);
    begun = field_begin(out, "List-Unsubscribe");
    while (n < LINKS_MAX && bracketed_next(&rest, LINK_MAX_BYTES, &link)) {
        if (!is_web_link(link))
            continue;
        if (n++)
            buf_append_str(out, ",\r\n ");
        buf_append_bytes(out, link);
    }
    field_end(out, begun);
    if (n && one_click(m))
        buf_append_str(out, "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    return buf_error(out);
}
