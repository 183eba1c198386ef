/* SPDX-License-Identifier: GPL-3.0-or-later */
/* armor.c - PGP armor out of a text: keys and signatures name their owner in base64. RFC 9580 6.2.
 *
 * It begins at the start of a line, quote marks aside, or has its data behind it; what merely talks
 * of it stays. Quotes are cut anywhere, so an end may be missing: then it goes as far as its lines
 * look like it, and no line of the answer below with it. In HTML lines end at tags too. */
#include "daemon/clean/internal.h"

#include <string.h>

#define ARMOR_BEGIN    "-----BEGIN PGP "
#define ARMOR_END      "-----END PGP "
#define DATA_MIN_BYTES 40u /* a full line of base64 has 60 to 76; words are shorter */
#define COUNT(a)       (sizeof(a) / sizeof(a)[0])

enum armor_kind { ARMOR_BLOCK, ARMOR_SIGNED, ARMOR_ENCRYPTED };

static const struct armor {
    const char *begin, *end;
    enum armor_kind kind;
} armors[] = {
    {ARMOR_BEGIN "PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----", ARMOR_BLOCK},
    {ARMOR_BEGIN "PRIVATE KEY BLOCK-----", "-----END PGP PRIVATE KEY BLOCK-----", ARMOR_BLOCK},
    {ARMOR_BEGIN "SIGNATURE-----", "-----END PGP SIGNATURE-----", ARMOR_BLOCK},
    {ARMOR_BEGIN "SIGNED MESSAGE-----", NULL, ARMOR_SIGNED},
    {ARMOR_BEGIN "MESSAGE-----", NULL, ARMOR_ENCRYPTED},
};

static const char *const headers[] = {
    "Version:", "Comment:", "Hash:", "Charset:", "MessageID:", "SaltedHash:", "NotDashEscaped:"};

/* Tags that leave a line together. */
static const char *const inline_tags[] = {"a", "b",    "code", "em",     "font", "i",
                                          "q", "samp", "span", "strong", "tt",   "u"};

/* A line, or a piece of one: armor in it begins another, in HTML a tag ends it. */
struct line {
    size_t begin;      /* with its quote marks */
    struct bytes text; /* without them, and without blanks at its end */
    size_t end, next;  /* of its text; the next one's begin */
    unsigned depth;    /* quote marks */
    bool first;        /* nothing stands before it in its line */
    bool closes;       /* its line ends here */
};

static bool begins(struct bytes text, const char *with)
{
    return text.len >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static bool begins_any(struct bytes text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (begins(text, words[i]))
            return true;
    return false;
}

static struct bytes after(struct bytes text, size_t n)
{
    return (struct bytes){text.data + n, text.len - n};
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* How long the mark is that the text begins with: a blank, of a quote, or RFC 9580 7.2's dash. */
static size_t mark_len(struct bytes text, bool html)
{
    static const char *const others[] = {"\xc2\xa0", "- ", "&gt;", "&nbsp;", "&#160;"};

    if (text.len && (is_blank(text.data[0]) || text.data[0] == '>' || text.data[0] == '|'))
        return 1;
    for (size_t i = 0; i < (html ? COUNT(others) : 2); i++)
        if (begins(text, others[i]))
            return strlen(others[i]);
    return 0;
}

static bool is_inline_tag(struct bytes tag)
{
    size_t skip = tag.len > 1 && tag.data[1] == '/' ? 2 : 1;
    size_t len = 0;

    while (skip + len < tag.len && g_ascii_isalnum((char)tag.data[skip + len]))
        len++;
    for (size_t i = 0; i < COUNT(inline_tags); i++)
        if (bytes_equal_nocase((struct bytes){tag.data + skip, len}, inline_tags[i]))
            return true;
    return false;
}

/* The line at at; before: the one that ends there, NULL at the text's start. */
static struct line line_read(struct bytes text, bool html, const struct line *before, size_t at)
{
    struct line l = {.begin = at, .closes = true};
    struct bytes rest = after(text, at);
    const struct scan tags = {.text = text};
    size_t mark;
    size_t begun;

    l.first = !before || before->closes || (before->first && !before->text.len);
    for (; (mark = mark_len(rest, html)) > 0; rest = after(rest, mark))
        l.depth += rest.data[0] == '>' || rest.data[0] == '&';
    l.text.data = rest.data;
    at = text.len - rest.len;
    begun = at;
    while (at < text.len && text.data[at] != '\n' && !(html && text.data[at] == '<') &&
           (at == begun || text.data[at] != '-' || !begins(after(text, at), ARMOR_BEGIN)))
        at++;
    l.next = at < text.len ? at + 1 : at;
    if (at < text.len && text.data[at] == '-') {
        l.next = at;
        l.closes = false;
    } else if (at < text.len && text.data[at] == '<') {
        l.next = scan_tag_end(&tags, at);
        l.next = l.next > at ? l.next : at + 1;
        l.closes = !is_inline_tag((struct bytes){text.data + at, l.next - at});
    }
    l.text.len = (size_t)(text.data + at - rest.data);
    while (l.text.len && is_blank(l.text.data[l.text.len - 1]))
        l.text.len--;
    l.end = (size_t)(l.text.data - text.data) + l.text.len;
    return l;
}

/* The first word of base64's characters. */
static size_t word_len(struct bytes text)
{
    size_t len = 0;

    while (len < text.len && text.data[len] &&
           (g_ascii_isalnum((char)text.data[len]) || strchr("+/=", text.data[len])))
        len++;
    return len;
}

/* Long words of base64, the last of any length. */
static bool is_data(struct bytes text)
{
    bool any = false;

    while (text.len) {
        size_t len = word_len(text);

        if (len == text.len)
            return any || len >= DATA_MIN_BYTES;
        if (len < DATA_MIN_BYTES || !is_blank(text.data[len]))
            return false;
        any = true;
        for (text = after(text, len); text.len && is_blank(text.data[0]);)
            text = after(text, 1);
    }
    return any;
}

/* A checksum, or the last line of data: groups of four, and no word. */
static bool is_data_end(struct bytes text)
{
    bool letters = true;

    if (word_len(text) != text.len)
        return false;
    for (size_t i = 0; i < text.len; i++)
        letters = letters && g_ascii_isalpha((char)text.data[i]);
    return !letters && (text.len % 4 == 0 || (text.len == 5 && text.data[0] == '='));
}

/* Does it follow upon an armor's first words where its lines have been joined? */
static bool is_content(struct bytes text)
{
    const uint8_t *end = memmem(text.data, text.len, ARMOR_END, strlen(ARMOR_END));

    if (end)
        text.len = (size_t)(end - text.data);
    while (text.len && is_blank(text.data[text.len - 1]))
        text.len--;
    return is_data(text) || begins_any(text, headers, COUNT(headers));
}

/* Behind the armor's end in this line; 0 when it is not there, or the line only talks of it. */
static size_t end_find(struct bytes text, const struct line *l, const char *end)
{
    const uint8_t *found = l->text.len ? memmem(l->text.data, l->text.len, end, strlen(end)) : NULL;
    const uint8_t *word = found;

    if (!found)
        return 0;
    while (word > l->text.data && is_blank(word[-1]))
        word--;
    for (size_t len = 0; found > l->text.data && len < DATA_MIN_BYTES / 2; len++)
        if (word == l->text.data || !word_len((struct bytes){--word, 1}))
            return 0;
        else if (*word == '=')
            break;
    if (found == l->text.data && !l->first)
        return 0;
    return (size_t)(found - text.data) + strlen(end);
}

/* Where a block ends that has its end before the next one begins; else 0. */
static size_t block_end(struct bytes text, bool html, const struct line *begin, const char *end)
{
    struct line l = *begin;

    for (;;) {
        size_t at = end_find(text, &l, end);

        if (at || l.next >= text.len)
            return at;
        l = line_read(text, html, &l, l.next);
        if (begins(l.text, ARMOR_BEGIN))
            return 0;
    }
}

/* Where it ends by its look: header lines, then data, no line that could be anything else. */
static size_t look_end(struct bytes text, bool html, const struct line *begin, bool data)
{
    struct line l = *begin;
    size_t end = l.end;
    bool header = true; /* no data yet */
    bool full = false;  /* only behind data comes its end */

    while (l.next < text.len) {
        l = line_read(text, html, &l, l.next);
        if (!l.text.len) {
            if (!data && !html)
                return l.end;
            full = full && html;
            continue;
        }
        if (header && begins_any(l.text, headers, COUNT(headers))) {
            end = l.end;
            continue;
        }
        header = false;
        if (!data || l.depth < begin->depth || !(is_data(l.text) || (full && is_data_end(l.text))))
            break;
        full = true;
        end = l.end;
    }
    return end;
}

/* Where the armor ends that begins in this line; 0 when it is none, or none that is dropped. */
static size_t armor_end(struct bytes text, bool html, const struct line *l, bool *opaque)
{
    const struct armor *a = armors;
    struct bytes rest;
    size_t end;
    size_t look;

    if (!begins(l->text, ARMOR_BEGIN))
        return 0;
    while (a < armors + COUNT(armors) && !begins(l->text, a->begin))
        a++;
    if (a == armors + COUNT(armors))
        return 0;
    rest = after(l->text, strlen(a->begin));
    while (rest.len && is_blank(rest.data[0]))
        rest = after(rest, 1);
    if (!rest.len && !l->closes)
        rest = line_read(text, html, l, l->next).text;
    *opaque = *opaque || (a->kind == ARMOR_ENCRYPTED && l->first);
    if (a->kind == ARMOR_ENCRYPTED || (a->kind == ARMOR_SIGNED && (rest.len || !l->first)))
        return 0;
    end = a->end ? block_end(text, html, l, a->end) : 0;
    if (end && l->first)
        return end;
    if (rest.len && !is_content(rest))
        return 0;
    look = look_end(text, html, l, a->kind == ARMOR_BLOCK);
    if (!l->first && !rest.len && look == l->end)
        return 0;
    return end ? end : look;
}

static size_t line_end_skip(struct bytes text, size_t at)
{
    while (at < text.len && is_blank(text.data[at]))
        at++;
    return at + (at < text.len && text.data[at] == '\n' ? 1 : 0);
}

bool armor_may_be(struct bytes text)
{
    return text.len && memmem(text.data, text.len, ARMOR_BEGIN, strlen(ARMOR_BEGIN));
}

/* One pass, in place: a text may hold any number of them. What is read lies behind what is
 * written. */
void armor_drop(struct clean *c, struct buf *text, bool html, bool *changed)
{
    const struct bytes in = buf_bytes(text);
    struct line l = {0};
    size_t kept = 0; /* written */
    size_t from = 0; /* read, and either written or dropped */
    bool opaque = false;

    if (!armor_may_be(in))
        return;
    for (size_t at = 0; at < in.len; at = l.next) {
        size_t begin;
        size_t end;

        l = line_read(in, html, at ? &l : NULL, at);
        end = armor_end(in, html, &l, &opaque);
        if (!end)
            continue;
        begin = html ? (size_t)(l.text.data - in.data) : l.begin;
        memmove(text->data + kept, in.data + from, begin - from);
        kept += begin - from;
        from = !l.first || (html && l.depth) ? end : line_end_skip(in, end);
        l.next = from;
        clean_warn(c, CLEAN_WARN_DROPPED, "");
        *changed = true;
    }
    memmove(text->data + kept, in.data + from, in.len - from);
    text->len = kept + in.len - from;
    if (opaque)
        clean_warn(c, CLEAN_WARN_OPAQUE, "");
}
