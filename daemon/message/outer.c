/* SPDX-License-Identifier: GPL-3.0-or-later */
/* outer.c - compose the outer header: who writes to whom, by reverse addresses only.
 *
 * Everything is written anew from an allow list; no byte of the original gets here unread.
 * Invariants: no real address with an '@', at most REWRITE_ADDRESSES_MAX mapped addresses, ASCII.
 */
#include "daemon/message/outer.h"
#include "daemon/message/references.h"

#include <glib.h>
#include <string.h>
#include <strings.h>

#define SHOWN_NAME_MAX_BYTES 128u /* of a stranger's display name */

size_t field_begin(struct buf *out, const char *name)
{
    size_t begun = out->len;

    buf_printf(out, "%s: ", name);
    return begun;
}

void field_end(struct buf *out, size_t begun)
{
    if (out->failed)
        return;
    if (out->len >= 2 && memcmp(out->data + out->len - 2, ": ", 2) == 0 &&
        memchr(out->data + begun, ':', out->len - begun) == out->data + out->len - 2)
        out->len = begun;
    else
        buf_append_str(out, "\r\n");
}

enum err field_keep(struct buf *out, const struct message *m, const char *name)
{
    const struct message_field *f = message_find(m, name, 0);
    size_t begun;
    enum err e;

    if (!f)
        return ERR_OK;
    begun = field_begin(out, name);
    e = unstructured_append(out, f->value);
    field_end(out, begun);
    return e;
}

/* Signs that a client could take for an address, or that turn or hide text. */
static void shown_char_append(struct buf *out, gunichar c, const char *utf8, size_t len)
{
    if (c == '@' || c == 0xff20 || c == 0xfe6b)
        buf_append_str(out, " at ");
    else if (c == '<' || c == '>')
        buf_append_str(out, c == '<' ? "(" : ")");
    else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
        buf_append_str(out, " ");
    else if ((c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
             (c >= 0x2060 && c <= 0x206f) || c == 0xfeff)
        return;
    else
        buf_append(out, utf8, len);
}

/* At most max bytes of a text, with nothing in it that looks like an address. text: UTF-8. */
static void shown_append(struct buf *out, const char *text, size_t max)
{
    size_t start = out->len;

    while (*text && out->len - start < max) {
        const char *next = g_utf8_next_char(text);

        shown_char_append(out, g_utf8_get_char(text), text, (size_t)(next - text));
        text = next;
    }
    while (!out->failed && out->len > start && out->data[out->len - 1] == ' ')
        out->len--;
}

/* "Name - user at example.com"; name and addr may each be missing. */
static void shown_name_append(struct buf *out, const char *name, const char *addr)
{
    CLEANUP(buf_clear) struct buf shown = {0};
    CLEANUP(buf_clear) struct buf real = {0};

    if (addr)
        shown_append(&real, addr, SIZE_MAX);
    if (name)
        shown_append(&shown, name + strspn(name, " "), SHOWN_NAME_MAX_BYTES);
    if (shown.len && !bytes_equal_nocase(buf_bytes(&shown), buf_str(&real))) {
        buf_append_bytes(out, buf_bytes(&shown));
        if (real.len)
            buf_append_str(out, " - ");
    }
    buf_append_bytes(out, buf_bytes(&real));
    if (shown.failed || real.failed)
        out->failed = true;
}

static enum err mapped_append(struct buf *out, const char *name, const char *real, const char *to)
{
    CLEANUP(buf_clear) struct buf shown = {0};
    enum err e;

    shown_name_append(&shown, name, real);
    e = buf_error(&shown);
    return e ? e : mailbox_append(out, buf_str(&shown), to);
}

/* Clients show no protected field: what the reader must not miss stands before the name. */
static enum err sender_append(const struct rewrite_input *in, struct buf *out)
{
    CLEANUP(buf_clear) struct buf shown = {0};
    enum err e;

    if (in->unverified)
        buf_append_str(&shown, "[unverified] ");
    shown_name_append(&shown, in->parties->from.name,
                      in->sender_addr ? in->sender_addr : "unknown sender");
    e = buf_error(&shown);
    return e ? e : mailbox_append(out, buf_str(&shown), in->sender_reverse);
}

/* Address fields in the making. */
struct addresses {
    const struct rewrite_input *in;
    unsigned left; /* mapped addresses that may still be written */
    bool alias_named;
};

static const char *map_find(const struct rewrite_input *in, const char *addr)
{
    for (size_t i = 0; i < in->n_map; i++)
        if (strcmp(in->map[i].from_addr, addr) == 0)
            return in->map[i].to_addr;
    if (in->sender_addr && strcmp(in->sender_addr, addr) == 0)
        return in->sender_reverse;
    return NULL;
}

/* One more mailbox of a list, on a new line if it would not fit on this one. */
static void list_add(struct buf *list, struct buf *mailbox, bool first)
{
    const char *lf = list->len ? memrchr(list->data, '\n', list->len) : NULL;
    size_t column = lf ? list->len - (size_t)((const uint8_t *)lf + 1 - list->data) : list->len;

    if (!first)
        buf_append_str(list, column + mailbox->len > 74 ? ",\r\n " : ", ");
    buf_append_bytes(list, buf_bytes(mailbox));
}

static enum err one_append(struct addresses *a, const struct mailbox *m, bool with_alias,
                           struct buf *out)
{
    const char *to;

    if (strcasecmp(m->addr, a->in->alias) == 0) {
        if (!with_alias)
            return ERR_OK;
        a->alias_named = true;
        return mapped_append(out, m->name, NULL, a->in->alias);
    }
    to = map_find(a->in, m->addr);
    if (!to || !a->left)
        return ERR_OK;
    a->left--;
    return mapped_append(out, m->name, m->addr, to);
}

static enum err list_append(struct addresses *a, const struct mailbox_list *l, bool with_alias,
                            struct buf *out, bool *empty)
{
    enum err e = ERR_OK;

    *empty = true;
    for (size_t i = 0; !e && i < l->n; i++) {
        CLEANUP(buf_clear) struct buf one = {0};

        e = one_append(a, &l->items[i], with_alias, &one);
        if (!e && one.len) {
            list_add(out, &one, *empty);
            *empty = false;
        }
    }
    return e;
}

static bool list_names(const struct mailbox_list *l, const char *addr)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcasecmp(l->items[i].addr, addr) == 0)
            return true;
    return false;
}

/* The alias is in To unless Cc names it and To has somebody else to show. */
static enum err to_append(struct addresses *a, struct buf *out)
{
    const struct rewrite_parties *p = a->in->parties;
    size_t begun = field_begin(out, "To");
    bool empty;
    enum err e = list_append(a, &p->to, true, out, &empty);

    if (!e && !a->alias_named && (empty || !list_names(&p->cc, a->in->alias))) {
        CLEANUP(buf_clear) struct buf one = {0};

        e = mailbox_append(&one, NULL, a->in->alias);
        list_add(out, &one, empty);
    }
    field_end(out, begun);
    return e;
}

static enum err others_append(struct addresses *a, const char *name, const struct mailbox_list *l,
                              bool with_alias, struct buf *out)
{
    size_t begun = field_begin(out, name);
    bool empty;
    enum err e = list_append(a, l, with_alias, out, &empty);

    field_end(out, begun);
    return e;
}

static enum err parties_append(const struct rewrite_input *in, struct buf *out)
{
    struct addresses a = {in, REWRITE_ADDRESSES_MAX, false};
    const struct rewrite_parties *p = in->parties;
    size_t begun = field_begin(out, "From");
    enum err e = sender_append(in, out);

    field_end(out, begun);
    if (!e)
        e = to_append(&a, out);
    if (!e)
        e = others_append(&a, "Cc", &p->cc, true, out);
    if (!e)
        e = others_append(&a, "Reply-To", &p->reply_to, false, out);
    return e;
}

/* This passage and the earlier ones, ours and other relays', so that a loop is seen. */
static enum err loop_append(const struct rewrite_input *in, struct buf *out)
{
    const struct message_field *f = NULL;

    buf_printf(out, LOOP_FIELD ": %s\r\n", in->relay_id);
    while ((f = message_next(in->message, LOOP_FIELD, f))) {
        CLEANUP(buf_clear) struct buf id = {0};
        enum err e = message_unfold(f->value, &id);

        if (e)
            return e;
        if (id.len && id.len <= LOOP_ID_MAX_BYTES && address_is_ascii(buf_str(&id)))
            buf_printf(out, LOOP_FIELD ": %s\r\n", buf_str(&id));
    }
    return buf_error(out);
}

static enum err subject_append(const struct rewrite_input *in, struct buf *out)
{
    if (!in->hide_subject)
        return field_keep(out, in->message, "Subject");
    if (message_find(in->message, "Subject", 0))
        buf_append_str(out, "Subject: [...]\r\n");
    return ERR_OK;
}

enum err outer_append(const struct rewrite_input *in, const struct date *date, struct buf *out,
                      char **made_message_id)
{
    enum err e = loop_append(in, out);

    buf_append_str(out, "Date: ");
    date_append(out, date);
    buf_append_str(out, "\r\n");
    if (!e)
        e = parties_append(in, out);
    if (!e)
        e = subject_append(in, out);
    if (!e)
        e = message_id_append(out, in->message, in->message_id_domain, made_message_id);
    if (!e)
        e = references_append(out, in->message, "In-Reply-To", &in->ids);
    if (!e)
        e = references_append(out, in->message, "References", &in->ids);
    if (!e)
        e = field_keep(out, in->message, "List-Id");
    if (!e)
        e = unsubscribe_append(out, in->message);
    if (!e)
        e = field_keep(out, in->message, "Auto-Submitted");
    if (!e)
        e = field_keep(out, in->message, "Precedence");
    if (in->spam)
        buf_append_str(out, "X-Spam-Flag: YES\r\n");
    return e ? e : buf_error(out);
}
