/* SPDX-License-Identifier: GPL-3.0-or-later */
/* header.c - the fields of the message, each written anew.
 *
 * Fields the user's client protected count before those of the outer header; with RFC 9788 the
 * outer ones do not count at all. Everything is ASCII; nothing of a field is copied unread. */
#include "daemon/base/id.h"
#include "daemon/clean/charset.h"
#include "daemon/clean/internal.h"
#include "daemon/message/address.h"
#include "daemon/message/date.h"

#include <string.h>
#include <strings.h>

#define DATE_OLDEST_S   (7 * 86400) /* an older Date is a client's fault or fingerprint: now */
#define DATE_NEWEST_S   3600
#define LINE_WANTED     74u
#define SHOWN_SEPARATOR " - "

struct source {
    const struct message *inner; /* NULL: nothing protected */
    const struct message *outer;
    bool whole;
};

static const struct message_field *field_of(const struct source *s, const char *name)
{
    const struct message_field *f = s->inner ? message_find(s->inner, name, 0) : NULL;

    return f || s->whole ? f : message_find(s->outer, name, 0);
}

/* "Bob - bob at shop.example" as the relay showed it, without its tail. text: changed in place. */
static void shown_tail_cut(struct buf *name, const char *real)
{
    CLEANUP(buf_clear) struct buf tail = {0};
    const char *at = strrchr(real, '@');

    if (!at)
        return;
    buf_printf(&tail, "%.*s at %s", (int)(at - real), real, at + 1);
    if (tail.failed || tail.len > name->len ||
        strncasecmp((const char *)name->data + name->len - tail.len, buf_str(&tail), tail.len) != 0)
        return;
    name->len -= tail.len;
    if (name->len >= 3 && memcmp(name->data + name->len - 3, SHOWN_SEPARATOR, 3) == 0)
        name->len -= 3;
    name->data[name->len] = '\0';
}

/* A display name for a mapped address: none with an address in it, none that names the user. */
static enum err shown_name(const struct clean *c, const char *name, const char *real,
                           struct buf *out)
{
    if (!name)
        return ERR_OK;
    buf_append_str(out, name);
    if (out->failed)
        return ERR_NOMEM;
    if (out->len)
        shown_tail_cut(out, real);
    if (clean_holds(&c->words, buf_bytes(out)) || memchr(buf_str(out), '@', out->len))
        buf_reset(out);
    return ERR_OK;
}

static bool is_own(const struct clean *c, const char *addr)
{
    if (strcasecmp(addr, c->in->alias) == 0)
        return true;
    for (const char *const *m = c->in->mailboxes; *m; m++)
        if (strcasecmp(addr, *m) == 0)
            return true;
    return clean_holds(&c->words, bytes_of(addr));
}

/* Who it is to the correspondent: NULL for nobody to be named. */
static enum err address_map(struct clean *c, const char *addr, bool strict, const char **to)
{
    CLEANUP(buf_clear) struct buf folded = {0};
    enum err e = ERR_OK;

    *to = NULL;
    if (is_own(c, addr)) {
        *to = strict ? NULL : c->in->alias;
        return ERR_OK;
    }
    buf_append_str(&folded, addr);
    if (folded.failed)
        return ERR_NOMEM;
    address_fold((char *)folded.data);
    if (strict || address_is_reverse(buf_str(&folded)) ||
        pairs_find(&c->reverses, buf_str(&folded)))
        e = clean_real(c, buf_str(&folded), to);
    if (e || *to)
        return e;
    if (strict) {
        bool own = false;

        if (c->in->lookups.address_own && !address_is_reverse(buf_str(&folded)))
            e = c->in->lookups.address_own(c->in->lookups.context, buf_str(&folded), &own);
        return e || own ? e : clean_refuse(c, CLEAN_RECIPIENT, "");
    }
    *to = address_is_ascii(addr) ? addr : NULL;
    return ERR_OK;
}

static enum err one_append(struct clean *c, const struct mailbox *m, bool strict, struct buf *list)
{
    CLEANUP(buf_clear) struct buf one = {0};
    CLEANUP(buf_clear) struct buf name = {0};
    const char *to = NULL;
    enum err e = address_map(c, m->addr, strict, &to);

    if (e || !to)
        return e;
    if (!is_own(c, m->addr))
        e = shown_name(c, m->name, to, &name);
    if (!e)
        e = mailbox_append(&one, buf_str(&name), to);
    if (e)
        return e;
    if (list->len) {
        const uint8_t *lf = memrchr(list->data, '\n', list->len);
        size_t column = list->len - (lf ? (size_t)(lf + 1 - list->data) : 0);

        buf_append_str(list, column + one.len > LINE_WANTED ? ",\r\n " : ", ");
    }
    buf_append_bytes(list, buf_bytes(&one));
    return buf_error(list);
}

enum err recipients_append(struct clean *c, struct buf *out, const char *name, struct bytes value,
                           bool strict)
{
    CLEANUP(mailbox_list_clear) struct mailbox_list parsed = {0};
    CLEANUP(buf_clear) struct buf list = {0};
    CLEANUP(buf_clear) struct buf named = {0};
    enum err e = charset_words_name(value, &named);

    if (!e)
        e = mailbox_list_parse(buf_bytes(&named), &parsed);
    for (size_t i = 0; !e && i < parsed.n; i++)
        e = one_append(c, &parsed.items[i], strict, &list);
    if (e || !list.len)
        return e;
    buf_printf(out, "%s: ", name);
    buf_append_bytes(out, buf_bytes(&list));
    buf_append_str(out, "\r\n");
    return buf_error(out);
}

enum err subject_append(struct clean *c, struct buf *out, struct bytes value)
{
    CLEANUP(buf_wipe) struct buf unfolded = {0};
    CLEANUP(buf_wipe) struct buf named = {0};
    CLEANUP(buf_wipe) struct buf clean = {0};
    enum err e = message_unfold(value, &unfolded);
    char *text;
    struct scan s;
    bool changed = false;

    if (!e)
        e = charset_words_name(buf_bytes(&unfolded), &named);
    if (e || !named.len)
        return e;
    text = g_mime_utils_header_decode_text(NULL, buf_str(&named));
    s = clean_scan(c, bytes_of(text), SCAN_ENTITIES | SCAN_PERCENT, SCAN_AS_IS);
    e = scan_replace(&s, &clean, &changed);
    g_free(text);
    if (e || !clean.len)
        return e;
    buf_append_str(out, "Subject: ");
    e = unstructured_append(out, buf_bytes(&clean));
    buf_append_str(out, "\r\n");
    return e ? e : buf_error(out);
}

enum err name_find(struct bytes value, char **out)
{
    CLEANUP(mailbox_list_clear) struct mailbox_list list = {0};
    enum err e = mailbox_list_parse(value, &list);

    *out = NULL;
    if (!e && list.n && list.items[0].name) {
        *out = list.items[0].name;
        list.items[0].name = NULL;
    }
    return e;
}

static enum err date_field_append(const struct clean *c, const struct source *s, struct buf *out)
{
    const struct message_field *f = field_of(s, "Date");
    struct date date = {.time_s = c->in->now_s};
    enum err e = f ? date_parse(f->value, &date) : ERR_OK;

    if (e && e != ERR_FORMAT)
        return e;
    if (e || date.time_s < c->in->now_s - DATE_OLDEST_S ||
        date.time_s > c->in->now_s + DATE_NEWEST_S)
        date.time_s = c->in->now_s;
    date.offset_min = 0;
    buf_append_str(out, "Date: ");
    date_append(out, &date);
    buf_append_str(out, "\r\n");
    return buf_error(out);
}

/* A field whose value is one of a few words. */
static enum err word_field_append(const struct source *s, const char *name,
                                  const char *const *words, struct buf *out)
{
    const struct message_field *f = field_of(s, name);
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = f ? message_unfold(f->value, &text) : ERR_OK;
    size_t len = strcspn(buf_str(&text), " ;(");

    for (; !e && *words; words++)
        if (bytes_equal_nocase((struct bytes){text.data, len}, *words))
            buf_printf(out, "%s: %s\r\n", name, *words);
    return e;
}

/* Importance; else what X-Priority says of it, whose digit clients follow with their own words. */
static enum err importance_append(const struct source *s, struct buf *out)
{
    static const char *const words[] = {"high", "low", NULL};
    const struct message_field *f = field_of(s, "X-Priority");
    CLEANUP(buf_clear) struct buf text = {0};
    size_t before = out->len;
    enum err e = word_field_append(s, "Importance", words, out);

    if (!e && out->len == before && f && !message_unfold(f->value, &text) && text.len &&
        strchr("1245", text.data[0]))
        buf_printf(out, "Importance: %s\r\n", text.data[0] < '3' ? "high" : "low");
    return e;
}

/* The id that this message has left with before, if it has; else a new one. */
static enum err message_id_choose(struct clean *c)
{
    CLEANUP(buf_clear) struct buf made = {0};
    enum clean_id known = CLEAN_ID_UNKNOWN;
    const struct clean_lookups *lookups = &c->in->lookups;
    id_text id = "";
    enum err e = id_new(id);

    if (!e && c->out->original_id)
        e = lookups->id_find(lookups->context, c->out->original_id, &known, &c->out->message_id);
    if (e || c->out->message_id)
        return e;
    buf_printf(&made, "<%s@%s>", id, c->in->domain);
    c->out->message_id = made.failed ? NULL : strdup(buf_str(&made));
    return c->out->message_id ? ERR_OK : ERR_NOMEM;
}

/* New, and what it stands for. */
static enum err message_id_make(struct clean *c, const struct source *s, struct buf *out)
{
    const struct message_field *f = field_of(s, "Message-ID");
    enum err e = ERR_OK;

    if (!f)
        f = message_find(s->outer, "Message-ID", 0);
    if (f)
        e = ids_first(f->value, &c->out->original_id);
    if (!e)
        e = message_id_choose(c);
    if (e)
        return e;
    buf_printf(out, "Message-ID: %s\r\n", c->out->message_id);
    return buf_error(out);
}

static enum err parties_append(struct clean *c, const struct source *s, struct buf *out)
{
    static const char *const names[] = {"To", "Cc"};
    struct source parties = *s;
    size_t begun;
    enum err e;

    buf_append_str(out, "From: ");
    e = mailbox_append(out, c->in->alias_name, c->in->alias);
    buf_append_str(out, "\r\n");
    begun = out->len;
    if (!field_of(s, "To") && !field_of(s, "Cc"))
        parties = (struct source){NULL, s->outer, false};
    for (size_t i = 0; !e && i < 2; i++) {
        const struct message_field *f = field_of(&parties, names[i]);

        if (f)
            e = recipients_append(c, out, names[i], f->value, true);
    }
    if (!e && out->len == begun)
        buf_append_str(out, "To: undisclosed-recipients:;\r\n");
    return e;
}

static enum err thread_append(struct clean *c, const struct source *s, struct buf *out)
{
    static const char *const names[] = {"In-Reply-To", "References"};
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < 2; i++) {
        const struct message_field *f = field_of(s, names[i]);

        if (f)
            e = ids_append(c, out, names[i], f->value);
    }
    return e;
}

enum err header_append(struct clean *c, const struct message *inner, bool whole, struct buf *out)
{
    static const char *const automatic[] = {"auto-generated", "auto-replied", "auto-notified",
                                            NULL};
    static const char *const urgent[] = {"urgent", "non-urgent", NULL};
    const struct source s = {inner, c->in->outer, inner && whole};
    const struct message_field *subject = field_of(&s, "Subject");
    enum err e = date_field_append(c, &s, out);

    if (!e)
        e = parties_append(c, &s, out);
    if (!e && subject)
        e = subject_append(c, out, subject->value);
    if (!e)
        e = message_id_make(c, &s, out);
    if (!e)
        e = thread_append(c, &s, out);
    if (!e)
        e = word_field_append(&s, "Auto-Submitted", automatic, out);
    if (!e)
        e = word_field_append(&s, "Priority", urgent, out);
    if (!e)
        e = importance_append(&s, out);
    buf_append_str(out, "MIME-Version: 1.0\r\n");
    return e ? e : buf_error(out);
}
