/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text.c - a plain text part: words replaced, what is no content taken out.
 *
 * Taken out are the legacy display element (RFC 9788 5.2.2), PGP armor, and the line of explanation
 * that the relay puts beside mail that came S/MIME-protected. A text in which nothing is found is
 * left as it came, byte for byte. */
#include "daemon/clean/internal.h"

#include <string.h>

#define ARMOR_BEGIN   "-----BEGIN PGP "
#define ARMOR_MESSAGE "MESSAGE-----"

/* PGP armor: from a line to a line; an end of NULL is the next empty line. */
static const struct {
    const char *begin, *end;
} armors[] = {
    {"-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"},
    {"-----BEGIN PGP PRIVATE KEY BLOCK-----", "-----END PGP PRIVATE KEY BLOCK-----"},
    {"-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----"},
    {"-----BEGIN PGP SIGNED MESSAGE-----", NULL},
};

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

static size_t line_end_skip(struct bytes text, size_t at)
{
    at += at < text.len && text.data[at] == '\r' ? 1 : 0;
    return at + (at < text.len && text.data[at] == '\n' ? 1 : 0);
}

static void cut(struct buf *text, size_t from, size_t to)
{
    memmove(text->data + from, text->data + to, text->len - to);
    text->len -= to - from;
}

/* How long the armor is that the text begins with; 0 when it is none that is dropped. */
static size_t armor_len(struct bytes text)
{
    for (size_t i = 0; i < sizeof armors / sizeof armors[0]; i++) {
        size_t head = strlen(armors[i].begin);
        const uint8_t *end;

        if (text.len < head || memcmp(text.data, armors[i].begin, head) != 0)
            continue;
        if (!armors[i].end)
            return empty_line_end(text);
        end = text_find(text, armors[i].end);
        return end ? line_end_skip(text, (size_t)(end - text.data) + strlen(armors[i].end))
                   : text.len;
    }
    return 0;
}

/* One pass, in place: a text may hold any number of them. */
void armor_drop(struct clean *c, struct buf *text, bool *changed)
{
    struct bytes rest = buf_bytes(text);
    const uint8_t *found = text_find(rest, ARMOR_BEGIN);
    size_t kept = 0;
    bool opaque = false;

    while (found) {
        size_t before = (size_t)(found - rest.data);
        size_t len = armor_len((struct bytes){found, rest.len - before});
        size_t skip = len ? before : before + strlen(ARMOR_BEGIN);

        opaque = opaque || (!len && rest.len - skip >= strlen(ARMOR_MESSAGE) &&
                            memcmp(rest.data + skip, ARMOR_MESSAGE, strlen(ARMOR_MESSAGE)) == 0);
        memmove(text->data + kept, rest.data, skip);
        kept += skip;
        rest.data += skip + len;
        rest.len -= skip + len;
        if (len) {
            clean_warn(c, CLEAN_WARN_DROPPED, "");
            *changed = true;
        }
        found = text_find(rest, ARMOR_BEGIN);
    }
    if (kept || rest.len < text->len) {
        memmove(text->data + kept, rest.data, rest.len);
        text->len = kept + rest.len;
    }
    if (opaque)
        clean_warn(c, CLEAN_WARN_OPAQUE, "");
}

/* What is no content, cut out of a copy; untouched texts are not copied. */
static enum err extras_drop(struct clean *c, struct bytes text, const struct text_form *form,
                            struct buf *copy, bool *changed)
{
    bool armor = text_find(text, ARMOR_BEGIN) != NULL;
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
    armor_drop(c, copy, changed);
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
