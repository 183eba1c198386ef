/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scan.c - match words against the characters that walk.c sees, and replace them in the source.
 *
 * Where an address begins and ends decides whether it is the user's: bigjohn@home.example and
 * john@home.example.org are somebody else's. */
#include "daemon/clean/scan.h"
#include "daemon/base/id.h"

#include <string.h>

#define TOKEN_MAX_BYTES 1024u
#define BLANKS_MAX      32u /* characters between two words; more is no address any more */
#define TAG_MAX         64u /* characters of a +tag: RFC 5321 4.5.3.1.1 */

static bool is_alnum(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0xa0;
}

/* Moves past the next character if it is one of the set. */
static bool one_skip(const struct scan *s, size_t *at, const char *set)
{
    size_t next = *at;
    uint32_t c = scan_next(s, &next);

    if (c == 0 || c >= 0x80 || !strchr(set, (int)c))
        return false;
    *at = next;
    return true;
}

/* Blanks and line breaks, and quote marks behind a line break. */
static bool blanks_skip(const struct scan *s, size_t *at)
{
    bool any = false;
    bool line = false;

    for (unsigned i = 0; i < BLANKS_MAX; i++) {
        size_t next = *at;
        uint32_t c = scan_next(s, &next);

        if (!is_blank(c) && !(line && c == '>'))
            return any;
        line = line || c == '\n';
        any = true;
        *at = next;
    }
    return any;
}

static void text_skip(const struct scan *s, size_t *at, const char *text)
{
    size_t next = *at;

    for (; *text; text++)
        if (scan_next(s, &next) != (uint8_t)*text)
            return;
    *at = next;
}

static void tag_skip(const struct scan *s, size_t *at)
{
    if (!one_skip(s, at, "+"))
        return;
    for (unsigned i = 0; i < TAG_MAX; i++)
        if (!one_skip(s, at, "abcdefghijklmnopqrstuvwxyz0123456789.-_+"))
            break;
}

static bool open_skip(const struct scan *s, size_t *at)
{
    bool any = scan_unseen_skip(s, *at) > *at; /* elements side by side */

    any = one_skip(s, at, "\"'") || any;
    any = blanks_skip(s, at) || any;
    any = one_skip(s, at, "<[(") || any;
    text_skip(s, at, "mailto:");
    return any;
}

static bool element_match(const struct scan *s, size_t *at, uint32_t element)
{
    switch (element) {
    case WORD_BLANKS:
        return blanks_skip(s, at);
    case WORD_TAG:
        tag_skip(s, at);
        return true;
    case WORD_OPEN:
        return open_skip(s, at);
    case WORD_CLOSE:
        (void)one_skip(s, at, ">])");
        return true;
    default:
        return scan_next(s, at) == element;
    }
}

/* Does the domain, or the word, end here? A tag ends it: clients put elements side by side. */
static bool ends_here(const struct scan *s, size_t at)
{
    uint32_t c;

    if (scan_unseen_skip(s, at) > at)
        return true;
    c = scan_next(s, &at);
    if (is_alnum(c))
        return false;
    if (s->loose || (c != '.' && c != '-'))
        return true;
    return scan_unseen_skip(s, at) > at || !is_alnum(scan_next(s, &at));
}

/* Where the word that begins at the given place ends; 0 if it is not there. */
static size_t word_match(const struct scan *s, size_t at, const struct word *word)
{
    for (size_t i = 0; i < word->len; i++)
        if (!element_match(s, &at, word->text[i]))
            return 0;
    return ends_here(s, at) ? at : 0;
}

/* The characters before the place: an address begins behind anything but one of its own kind. */
struct before {
    uint32_t last, last_but_one;
};

/* Behind tags and soft line breaks, where a word may begin whatever stands before them. */
static size_t unseen_pass(const struct scan *s, size_t at, struct before *before)
{
    size_t behind = scan_unseen_skip(s, at);

    if (behind > at)
        *before = (struct before){0};
    return behind;
}

static bool begins_inside(const struct before *b, uint32_t c)
{
    return !is_alnum(c) || !is_alnum(b->last);
}

static bool begins_here(const struct scan *s, const struct before *b, uint32_t c)
{
    if (!is_alnum(c))
        return true;
    return b->last == 0 || b->last >= 0x80 || !strchr(s->loose ? ".+" : ".-_+", (int)b->last) ||
           !is_alnum(b->last_but_one);
}

/* The longest word at the place whose first character is c. */
static const struct word *word_find(const struct scan *s, size_t at, uint32_t c,
                                    const struct before *before, size_t *end)
{
    const struct word *best = NULL;
    bool here = begins_here(s, before, c);

    *end = 0;
    for (size_t i = s->words->first[c % WORDS_BUCKETS]; i != WORDS_NONE;
         i = s->words->items[i].next) {
        const struct word *word = &s->words->items[i];
        size_t found;

        if (word->text[0] != c || (!here && !word->inside))
            continue;
        found = word_match(s, at, word);
        if (found > *end) {
            *end = found;
            best = word;
        }
    }
    return best;
}

static bool hidden_at(const struct scan *s, size_t at, uint32_t c, bool here)
{
    for (size_t i = s->words->first[c % WORDS_BUCKETS]; i != WORDS_NONE;
         i = s->words->items[i].next) {
        const struct word *word = &s->words->items[i];

        if (word->hidden && word->text[0] == c && (here || word->inside) && word_match(s, at, word))
            return true;
    }
    return false;
}

bool scan_finds(const struct scan *s)
{
    struct before before = {0};
    size_t at = 0;

    for (;;) {
        size_t next = at = unseen_pass(s, at, &before);
        uint32_t c = scan_next(s, &next);

        if (c == SCAN_END)
            return false;
        if (begins_inside(&before, c) && hidden_at(s, at, c, begins_here(s, &before, c)))
            return true;
        before = (struct before){c, before.last};
        at = next;
    }
}

void scan_escaped_append(struct buf *out, enum scan_escape escape, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (escape == SCAN_AS_HTML && c < 0x80 && strchr("&<>\"'", c))
            buf_printf(out, "&#%u;", (unsigned)c);
        else if (escape == SCAN_AS_URL && !is_alnum(word_fold(c)) &&
                 (c >= 0x80 || !strchr("-._~@", c)))
            buf_printf(out, "%%%02X", (unsigned)c);
        else
            buf_append(out, &c, 1);
    }
}

/* r-<16 of a-z2-7>@domain */
static size_t reverse_match(const struct scan *s, size_t at, struct buf *token)
{
    size_t end = 0;

    for (size_t i = 0; token->len < TOKEN_MAX_BYTES; i++) {
        uint32_t c = scan_next(s, &at);
        uint8_t byte = (uint8_t)c;
        bool fits = i == 0   ? c == 'r'
                    : i == 1 ? c == '-'
                    : i < ID_LEN + 2
                        ? (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7')
                        : (i == ID_LEN + 2 ? c == '@' : is_alnum(c) || c == '-' || c == '.');

        if (!fits)
            break;
        buf_append(token, &byte, 1);
        if (is_alnum(c) && i > ID_LEN + 2)
            end = at;
    }
    while (token->len && strchr(".-", token->data[token->len - 1]))
        token->len--;
    return end;
}

/* What follows "cid:" or "file:", up to a blank, quote or bracket. */
static size_t link_match(const struct scan *s, size_t at, const char *scheme, struct buf *token)
{
    size_t start;

    for (; *scheme; scheme++)
        if (scan_next(s, &at) != (uint8_t)*scheme)
            return 0;
    start = at;
    while (token->len < TOKEN_MAX_BYTES) {
        size_t next = at;
        uint32_t c;

        if (at < s->text.len && s->text.data[at] == '<')
            break;
        c = scan_next(s, &next);
        if (c == SCAN_END || is_blank(c) || (c < 0x80 && c && strchr("<>\"')]", (int)c)))
            break;
        scan_text_append(s, at, next, token);
        at = next;
    }
    return at > start ? at : 0;
}

static size_t token_match(const struct scan *s, size_t at, uint32_t c, enum scan_token *kind,
                          struct buf *token)
{
    switch (c) {
    case 'r':
        *kind = SCAN_REVERSE;
        return reverse_match(s, at, token);
    case 'c':
        *kind = SCAN_CID;
        return link_match(s, at, "cid:", token);
    case 'f':
        *kind = SCAN_FILE;
        return link_match(s, at, "file:/", token);
    default:
        return 0;
    }
}

/* Behind the last opening tag between at and end; at when there is none. */
static size_t opening_end(const struct scan *s, size_t at, size_t end)
{
    size_t found = at;

    while (at < end) {
        size_t behind = scan_tag_end(s, at);

        if (behind > at && s->text.data[at + 1] != '/')
            found = behind;
        at = behind > at ? behind : at + 1;
    }
    return found;
}

static void tags_append(const struct scan *s, size_t at, size_t end, struct buf *out)
{
    while (at < end) {
        size_t behind = scan_tag_end(s, at);

        if (behind > at)
            buf_append(out, s->text.data + at, behind - at);
        at = behind > at ? behind : at + 1;
    }
}

/* Tags inside a replaced range stay, so that what was opened is closed; the text goes where a link
 * would have held it. */
static void range_replace(const struct scan *s, size_t at, size_t end, struct bytes becomes,
                          struct buf *out)
{
    size_t middle = s->layers & SCAN_TAGS ? opening_end(s, at, end) : at;

    if (s->layers & SCAN_TAGS)
        tags_append(s, at, middle, out);
    buf_append_bytes(out, becomes);
    if (s->layers & SCAN_TAGS)
        tags_append(s, middle, end, out);
}

/* What is at the place, replaced; *end is 0 when nothing of ours begins there. */
static enum err place_replace(const struct scan *s, size_t at, uint32_t c,
                              const struct before *before, struct buf *out, size_t *end)
{
    const struct word *word = word_find(s, at, c, before, end);
    CLEANUP(buf_clear) struct buf token = {0};
    CLEANUP(buf_clear) struct buf becomes = {0};
    enum scan_token kind = SCAN_REVERSE;
    bool found = false;
    enum err e = ERR_OK;

    if (word) {
        scan_escaped_append(out, s->escape, bytes_of(word->becomes));
        return ERR_OK;
    }
    *end = s->replacer && begins_here(s, before, c) ? token_match(s, at, c, &kind, &token) : 0;
    if (*end)
        e = s->replacer(s->context, kind, buf_bytes(&token), &becomes, &found);
    if (e || !found) {
        *end = 0;
        return e;
    }
    scan_escaped_append(out, s->escape, buf_bytes(&becomes));
    return token.failed || becomes.failed ? ERR_NOMEM : ERR_OK;
}

enum err scan_replace(const struct scan *s, struct buf *out, bool *changed)
{
    struct before before = {0};
    size_t copied = 0;
    size_t at = 0;

    for (;;) {
        CLEANUP(buf_clear) struct buf becomes = {0};
        size_t next = at = unseen_pass(s, at, &before);
        size_t end = 0;
        uint32_t c = at < s->text.len ? scan_next(s, &next) : SCAN_END;

        if (c == SCAN_END)
            break;
        if (begins_inside(&before, c)) {
            enum err e = place_replace(s, at, c, &before, &becomes, &end);

            if (e)
                return e;
        }
        before = (struct before){c, before.last};
        if (end) {
            buf_append(out, s->text.data + copied, at - copied);
            range_replace(s, at, end, buf_bytes(&becomes), out);
            before = (struct before){0};
            *changed = true;
            next = copied = end;
        }
        at = next;
    }
    if (copied < s->text.len)
        buf_append(out, s->text.data + copied, s->text.len - copied);
    return buf_error(out);
}
