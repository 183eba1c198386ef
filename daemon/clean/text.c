/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text.c - a plain text part: words replaced, what is no content taken out.
 *
 * Taken out are the legacy display element (RFC 9788 5.2.2), PGP armor, and the line of explanation
 * that the relay puts beside mail that came S/MIME-protected. A text in which nothing is found is
 * left as it came, byte for byte. */
#include "daemon/clean/internal.h"

#include <string.h>

static const char *const banners[] = {
    "This message was S/MIME-protected already when it reached the relay.\r\n"
    "It is attached as it came.\r\n",
    "This message was S/MIME-protected already when it reached the relay.\n"
    "It is attached as it came.\n",
};

static const uint8_t *text_find(struct bytes in, const char *text)
{
    return in.len ? memmem(in.data, in.len, text, strlen(text)) : NULL;
}

/* Behind the first empty line; all of it when there is none. */
static size_t empty_line_end(struct bytes text)
{
    const uint8_t *end = text.data + text.len;
    const uint8_t *lf = text.len ? memchr(text.data, '\n', text.len) : NULL;

    while (lf) {
        const uint8_t *next = lf + 1;

        if (next < end && *next == '\r')
            next++;
        if (next < end && *next == '\n')
            return (size_t)(next + 1 - text.data);
        lf = next < end ? memchr(next, '\n', (size_t)(end - next)) : NULL;
    }
    return text.len;
}

static void cut(struct buf *text, size_t from, size_t to)
{
    memmove(text->data + from, text->data + to, text->len - to);
    text->len -= to - from;
}

/* What is no content, cut out of a copy; untouched texts are not copied. */
static enum err extras_drop(struct clean *c, struct bytes text, const struct text_form *form,
                            struct buf *copy, bool *changed)
{
    bool armor = armor_may_be(text);
    const uint8_t *banner = NULL;
    size_t skip = form->legacy ? empty_line_end(text) : 0;
    size_t banner_len = 0;

    for (size_t i = 0; !banner && i < sizeof banners / sizeof banners[0]; i++) {
        banner = text_find(text, banners[i]);
        banner_len = strlen(banners[i]);
    }
    if (!armor && !banner && !skip)
        return ERR_OK;
    buf_append_bytes(copy, text);
    if (copy->failed)
        return ERR_NOMEM;
    if (banner)
        cut(copy, (size_t)(banner - text.data), (size_t)(banner - text.data) + banner_len);
    cut(copy, 0, skip < copy->len ? skip : copy->len);
    armor_drop(c, copy, false, changed);
    *changed = *changed || banner || skip;
    return ERR_OK;
}

/* A uuencoded winmail.dat, as an Outlook of old writes it into plain text. */
static bool holds_tnef(struct bytes text)
{
    const uint8_t *name = text_find(text, "winmail.dat");
    const uint8_t *line = name;

    if (!name)
        return false;
    while (line > text.data && line[-1] != '\n')
        line--;
    return name - line < 20 && memcmp(line, "begin ", 6) == 0;
}

enum err text_clean(struct clean *c, struct bytes text, const struct text_form *form,
                    struct buf *out, bool *changed)
{
    CLEANUP(buf_wipe) struct buf copy = {0};
    struct scan s;
    enum err e;

    if (holds_tnef(text))
        return clean_refuse(c, CLEAN_TNEF, "");
    e = extras_drop(c, text, form, &copy, changed);
    if (e)
        return e;
    s = clean_scan(c, *changed ? buf_bytes(&copy) : text,
                   SCAN_ENTITIES | SCAN_PERCENT | (form->flowed_delsp ? SCAN_DELSP : 0u),
                   SCAN_AS_IS);
    return scan_replace(&s, out, changed);
}
