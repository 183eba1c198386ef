/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scan.c - go through a text, and put others in the place of the words and tokens in it. */
#include "daemon/base/id.h"
#include "daemon/clean/match.h"

#include <string.h>

#define TOKEN_MAX_BYTES 1024u

/* Behind what is no character; where that or an escape stands, a word may begin whatever stands
 * before them. */
static size_t unseen_pass(const struct scan *s, size_t at, struct match_before *before)
{
    size_t behind = scan_unseen_skip(s, at);

    if (behind > at || scan_parted(s, behind))
        *before = (struct match_before){0};
    return behind;
}

bool scan_finds(const struct scan *s)
{
    struct match_before before = {0};
    size_t at = 0;

    for (;;) {
        size_t next = at = unseen_pass(s, at, &before);
        uint32_t c = scan_next(s, &next);

        if (c == SCAN_END)
            return false;
        if (match_hidden(s, at, c, &before) || match_encoded(s, at) > at)
            return true;
        match_passed(&before, c);
        at = next;
    }
}

void scan_escaped_append(struct buf *out, enum scan_escape escape, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (escape == SCAN_AS_HTML && c < 0x80 && strchr("&<>\"'", c))
            buf_printf(out, "&#%u;", (unsigned)c);
        else if (escape == SCAN_AS_URL && !match_is_alnum(word_fold(c)) &&
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
                        : (i == ID_LEN + 2 ? c == '@' : match_is_alnum(c) || c == '-' || c == '.');

        if (!fits)
            break;
        buf_append(token, &byte, 1);
        if (match_is_alnum(c) && i > ID_LEN + 2)
            end = at;
    }
    while (token->len && strchr(".-", token->data[token->len - 1]))
        token->len--;
    return end;
}

/* What follows "cid:" or "file:", up to a blank, quote or bracket. */
static size_t link_match(const struct scan *escaped, size_t at, const char *scheme,
                         struct buf *token)
{
    struct scan plain = *escaped; /* backslashes part the pieces of a path */
    const struct scan *s = &plain;
    size_t start;

    plain.layers &= ~(unsigned)SCAN_BACKSLASH;
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
        if (c == SCAN_END || match_is_blank(c) || (c < 0x80 && c && strchr("<>\"')]", (int)c)))
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
                              const struct match_before *before, struct buf *out, size_t *end)
{
    const struct word *word = match_word(s, at, c, before, end);
    size_t encoded = word ? at : match_encoded(s, at);
    CLEANUP(buf_clear) struct buf token = {0};
    CLEANUP(buf_clear) struct buf becomes = {0};
    enum scan_token kind = SCAN_REVERSE;
    bool found = false;
    enum err e = ERR_OK;

    if (word) {
        scan_escaped_append(out, s->escape, bytes_of(word->becomes));
        return ERR_OK;
    }
    if (encoded > at) {
        *end = encoded;
        return ERR_OK;
    }
    *end = s->replacer && match_begins(s, before, c) ? token_match(s, at, c, &kind, &token) : 0;
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
    struct match_before before = {0};
    size_t copied = 0;
    size_t at = 0;

    for (;;) {
        CLEANUP(buf_clear) struct buf becomes = {0};
        size_t next = at = unseen_pass(s, at, &before);
        size_t end = 0;
        uint32_t c = at < s->text.len ? scan_next(s, &next) : SCAN_END;
        enum err e;

        if (c == SCAN_END)
            break;
        e = place_replace(s, at, c, &before, &becomes, &end);
        if (e)
            return e;
        match_passed(&before, c);
        if (end) {
            buf_append(out, s->text.data + copied, at - copied);
            range_replace(s, at, end, buf_bytes(&becomes), out);
            before = (struct match_before){0};
            *changed = true;
            next = copied = end;
        }
        at = next;
    }
    if (copied < s->text.len)
        buf_append(out, s->text.data + copied, s->text.len - copied);
    return buf_error(out);
}
