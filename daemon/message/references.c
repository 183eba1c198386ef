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

bool bracketed_next(struct bytes *rest, size_t max, struct bytes *out)
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
        } else if (c <= 0x20 || c > 0x7e) {
            in = false;
        }
    }
    rest->len = 0;
    return false;
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

static size_t bracketed_count(struct bytes rest, size_t max)
{
    struct bytes one;
    size_t n = 0;

    while (bracketed_next(&rest, max, &one))
        n++;
    return n;
}

/* A message has two ids: what strangers know it by, and what its author does. */
static enum err reference_append(struct buf *out, struct bytes id, const struct id_lookup *lookup)
{
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(str_free) char *own = NULL;
    enum err e;

    buf_append_bytes(&text, id);
    e = buf_error(&text);
    if (!e && lookup->find)
        e = lookup->find(lookup->ctx, buf_str(&text), &own);
    if (!e)
        buf_append_str(out, own ? own : buf_str(&text));
    return e;
}

enum err references_append(struct buf *out, const struct message *m, const char *name,
                           const struct id_lookup *lookup)
{
    const struct message_field *f = message_find(m, name, 0);
    CLEANUP(buf_clear) struct buf text = {0};
    struct bytes rest;
    struct bytes id;
    size_t begun;
    size_t n;
    enum err e = f ? message_unfold(f->value, &text) : ERR_OK;

    if (e || !f)
        return e;
    n = bracketed_count(buf_bytes(&text), MESSAGE_ID_MAX_BYTES);
    begun = field_begin(out, name);
    rest = buf_bytes(&text);
    for (size_t i = 0; !e && bracketed_next(&rest, MESSAGE_ID_MAX_BYTES, &id); i++) {
        if (i > 0 && i + REFERENCES_MAX <= n)
            continue;
        if (i > 0)
            buf_append_str(out, "\r\n ");
        e = reference_append(out, id, lookup);
    }
    field_end(out, begun);
    return e ? e : buf_error(out);
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
