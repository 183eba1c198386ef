/* SPDX-License-Identifier: GPL-3.0-or-later */
/* walk.c - one visible character after another out of encoded text.
 *
 * Layers are undone in the order a reader's software does: soft line breaks and tags, UTF-8,
 * character references, percent escapes. HTML 13.5, RFC 3986 2.1, RFC 3676 4. */
#include "daemon/clean/scan.h"

#include <glib.h>
#include <string.h>

#define PERCENT_ROUNDS 3u  /* %25252540: escapes of escapes */
#define BLOCK_NAME_MAX 16u /* longer than any of block_tags */

static const struct {
    const char *name;
    uint32_t code;
    bool bare; /* also without its semicolon (HTML 13.5) */
} references[] = {
    {"amp", '&', true},
    {"AMP", '&', true},
    {"lt", '<', true},
    {"LT", '<', true},
    {"gt", '>', true},
    {"GT", '>', true},
    {"quot", '"', true},
    {"QUOT", '"', true},
    {"nbsp", 0xa0, true},
    {"shy", 0xad, true},
    {"apos", '\'', false},
    {"commat", '@', false},
    {"period", '.', false},
    {"plus", '+', false},
    {"equals", '=', false},
    {"percnt", '%', false},
    {"lowbar", '_', false},
    {"UnderBar", '_', false},
    {"hyphen", 0x2010, false},
    {"dash", 0x2010, false},
    {"colon", ':', false},
    {"semi", ';', false},
    {"comma", ',', false},
    {"sol", '/', false},
    {"bsol", '\\', false},
    {"num", '#', false},
    {"lbrack", '[', false},
    {"rbrack", ']', false},
    {"lsqb", '[', false},
    {"rsqb", ']', false},
    {"lpar", '(', false},
    {"rpar", ')', false},
    {"Tab", '\t', false},
    {"NewLine", '\n', false},
    {"zwnj", 0x200c, false},
    {"zwj", 0x200d, false},
    {"lrm", 0x200e, false},
    {"rlm", 0x200f, false},
    {"ZeroWidthSpace", 0x200b, false},
    {"NegativeVeryThinSpace", 0x200b, false},
    {"NegativeThinSpace", 0x200b, false},
    {"NegativeMediumSpace", 0x200b, false},
    {"NegativeThickSpace", 0x200b, false},
    {"NoBreak", 0x2060, false},
    {"ApplyFunction", 0x2061, false},
    {"af", 0x2061, false},
    {"InvisibleTimes", 0x2062, false},
    {"it", 0x2062, false},
    {"InvisibleComma", 0x2063, false},
    {"ic", 0x2063, false},
};

/* Code points without a glyph: Default_Ignorable_Code_Point, Unicode 15; and NUL, so that UTF-16
 * shows its ASCII. */
static const struct {
    uint32_t first, last;
} invisible[] = {
    {0, 0},
    {0xad, 0xad},
    {0x34f, 0x34f},
    {0x61c, 0x61c},
    {0x115f, 0x1160},
    {0x17b4, 0x17b5},
    {0x180b, 0x180f},
    {0x200b, 0x200f},
    {0x202a, 0x202e},
    {0x2060, 0x206f},
    {0x3164, 0x3164},
    {0xfe00, 0xfe0f},
    {0xfeff, 0xfeff},
    {0xffa0, 0xffa0},
    {0xfff0, 0xfff8},
    {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a},
    {0xe0000, 0xe0fff},
};

/* Elements that a reader sees apart from what stands beside them, by CSS or by nature; any other
 * tag, an unknown one too, leaves the characters around it together. HTML 15.3. */
static const char *const block_tags[] = {
    "address", "article",  "aside",    "blockquote", "body",     "br",      "button", "caption",
    "center",  "col",      "colgroup", "dd",         "details",  "dialog",  "dir",    "div",
    "dl",      "dt",       "fieldset", "figcaption", "figure",   "footer",  "form",   "frameset",
    "h1",      "h2",       "h3",       "h4",         "h5",       "h6",      "head",   "header",
    "hgroup",  "hr",       "html",     "img",        "input",    "legend",  "li",     "listing",
    "main",    "menu",     "nav",      "ol",         "optgroup", "option",  "p",      "pre",
    "script",  "search",   "section",  "select",     "style",    "summary", "table",  "tbody",
    "td",      "textarea", "tfoot",    "th",         "thead",    "title",   "tr",     "ul"};

static bool is_invisible(uint32_t c)
{
    if (c && c < 0x80)
        return false;
    for (size_t i = 0; i < sizeof invisible / sizeof invisible[0]; i++)
        if (c <= invisible[i].last)
            return c >= invisible[i].first;
    return false;
}

size_t scan_tag_end(const struct scan *s, size_t at)
{
    const uint8_t *data = s->text.data;
    size_t len = s->text.len;
    uint8_t quote = 0;
    uint8_t second = at + 1 < len ? data[at + 1] : 0;

    if (at >= len || data[at] != '<' ||
        !(g_ascii_isalpha(second) || (second && strchr("/!?", second))))
        return at;
    for (size_t i = at + 1; i < len; i++) {
        if (quote && data[i] == quote)
            quote = 0;
        else if (!quote && (data[i] == '"' || data[i] == '\''))
            quote = data[i];
        else if (!quote && data[i] == '>')
            return i + 1;
    }
    return len;
}

/* Does the tag, comment or declaration at at leave the characters around it together? */
static bool is_transparent(const struct scan *s, size_t at)
{
    const char *name = (const char *)s->text.data + at + 1;
    size_t left = s->text.len - at - 1;
    size_t len = 0;

    if (left && *name == '/') {
        name++;
        left--;
    }
    while (len < left && len < BLOCK_NAME_MAX && !g_ascii_isspace(name[len]) &&
           !strchr("/>", name[len]))
        len++;
    for (size_t i = 0; i < sizeof block_tags / sizeof block_tags[0]; i++)
        if (strlen(block_tags[i]) == len && g_ascii_strncasecmp(name, block_tags[i], len) == 0)
            return false;
    return true;
}

/* " CRLF" of flowed text, with the quote marks that begin the next line. */
static size_t soft_break_end(const struct scan *s, size_t at)
{
    const uint8_t *data = s->text.data;
    size_t len = s->text.len;

    if (len - at < 3 || memcmp(data + at, " \r\n", 3) != 0)
        return at;
    at += 3;
    while (at < len && data[at] == '>')
        at++;
    return at < len && data[at] == ' ' ? at + 1 : at;
}

size_t scan_unseen_skip(const struct scan *s, size_t at)
{
    size_t before;

    if (at >= s->text.len || (s->text.data[at] != '<' && s->text.data[at] != ' '))
        return at; /* most places: this is asked at each */
    do {
        before = at;
        if (s->layers & SCAN_TAGS && at < s->text.len && s->text.data[at] == '<' &&
            is_transparent(s, at))
            at = scan_tag_end(s, at);
        if (s->layers & SCAN_DELSP)
            at = soft_break_end(s, at);
    } while (at > before && at < s->text.len);
    return at;
}

/* A scalar value, or 0x110100 and more for a byte that belongs to none. */
static uint32_t utf8_next(const struct scan *s, size_t *at)
{
    const char *p = (const char *)s->text.data + *at;
    gunichar c;

    if ((unsigned char)*p < 0x80) {
        (*at)++;
        return (unsigned char)*p;
    }
    c = g_utf8_get_char_validated(p, (gssize)(s->text.len - *at));
    if (c >= 0x110000) {
        (*at)++;
        return 0x110100u + (unsigned char)*p;
    }
    *at += (size_t)(g_utf8_next_char(p) - p);
    return c;
}

/* &#64; &#x40; with or without semicolon, at *at behind "&#". */
static bool number_read(const struct scan *s, size_t *at, uint32_t *code)
{
    const uint8_t *data = s->text.data;
    size_t i = *at;
    bool hex = i < s->text.len && (data[i] | 32) == 'x';
    size_t digits = 0;
    uint32_t value = 0;

    for (i += hex ? 1 : 0; i < s->text.len; i++, digits++) {
        int digit = hex ? g_ascii_xdigit_value((char)data[i]) : g_ascii_digit_value((char)data[i]);

        if (digit < 0)
            break;
        if (value < 0x110000)
            value = value * (hex ? 16 : 10) + (uint32_t)digit;
    }
    if (!digits)
        return false;
    *at = i < s->text.len && data[i] == ';' ? i + 1 : i;
    *code = value < 0x110000 ? value : 0xfffd;
    return true;
}

/* Behind its name. In an attribute what looks like a bare one may be a link's parameter. */
static bool reference_ends(const struct scan *s, size_t *at, bool bare)
{
    uint8_t next = *at < s->text.len ? s->text.data[*at] : 0;

    if (next == ';') {
        (*at)++;
        return true;
    }
    return bare && !(s->layers & SCAN_VALUE && (next == '=' || g_ascii_isalnum((char)next)));
}

/* A character reference at *at behind its "&"; false: it is none, *at stays. */
static bool reference_read(const struct scan *s, size_t *at, uint32_t *code)
{
    size_t left = s->text.len - *at;

    if (left && s->text.data[*at] == '#') {
        size_t behind = *at + 1;

        if (!number_read(s, &behind, code))
            return false;
        *at = behind;
        return true;
    }
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        size_t len = strlen(references[i].name);
        size_t behind = *at + len;

        if (len > left || memcmp(s->text.data + *at, references[i].name, len) != 0)
            continue;
        if (reference_ends(s, &behind, references[i].bare)) {
            *at = behind;
            *code = references[i].code;
            return true;
        }
    }
    return false;
}

static uint32_t html_next(const struct scan *s, size_t *at)
{
    uint32_t c;
    size_t tag;

    *at = scan_unseen_skip(s, *at);
    if (*at >= s->text.len)
        return SCAN_END;
    tag = s->layers & SCAN_TAGS ? scan_tag_end(s, *at) : *at;
    if (tag > *at) {
        *at = tag;
        return '\n';
    }
    c = utf8_next(s, at);
    if (c == '&' && s->layers & SCAN_ENTITIES)
        (void)reference_read(s, at, &c);
    return c;
}

static int hex_next(const struct scan *s, size_t *at)
{
    uint32_t c = html_next(s, at);

    return c < 0x80 ? g_ascii_xdigit_value((char)c) : -1;
}

/* The byte of %XX, *at behind its "%"; -1 if there is none. Escaped percent signs are undone. */
static int escaped_byte(const struct scan *s, size_t *at)
{
    int byte = '%';

    for (unsigned round = 0; round < PERCENT_ROUNDS && byte == '%'; round++) {
        size_t next = *at;
        int high = hex_next(s, &next);
        int low = high < 0 ? -1 : hex_next(s, &next);

        if (low < 0)
            return round ? '%' : -1;
        byte = high * 16 + low;
        *at = next;
    }
    return byte;
}

/* The rest of a UTF-8 character whose first byte was escaped; stray bytes as in utf8_next. */
static uint32_t escaped_rest(const struct scan *s, int first, size_t *at)
{
    char bytes[4] = {(char)first};
    size_t want = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
    size_t next = *at;
    gunichar c;

    for (size_t i = 1; i < want; i++) {
        int byte = html_next(s, &next) == '%' ? escaped_byte(s, &next) : -1;

        if (byte < 0)
            return 0x110100u + (uint32_t)first;
        bytes[i] = (char)byte;
    }
    c = g_utf8_get_char_validated(bytes, (gssize)want);
    if (want == 1 || c >= 0x110000)
        return 0x110100u + (uint32_t)first;
    *at = next;
    return c;
}

/* Up to max hexadecimal digits at *at, which moves behind them; how many there are. */
static unsigned hex_read(const struct scan *s, size_t *at, unsigned max, uint32_t *code)
{
    unsigned n;

    *code = 0;
    for (n = 0; n < max; n++) {
        size_t next = *at;
        int digit = hex_next(s, &next);

        if (digit < 0)
            break;
        *code = *code * 16 + (uint32_t)digit;
        *at = next;
    }
    return n;
}

/* The character of "\40 " in a style sheet, "\u0040" and "\x40" in a script, "\_" in Markdown, *at
 * behind its backslash. Nothing but ASCII, and no letter alone: in "HOME\ann" it is no escape. */
static uint32_t backslash_read(const struct scan *s, size_t *at)
{
    size_t next = *at;
    uint32_t c = html_next(s, &next);
    bool script = c == 'u' || c == 'x';
    unsigned want = c == 'u' ? 4 : 2;
    size_t digits = script ? next : *at;
    uint32_t code;
    unsigned n = hex_read(s, &digits, script ? want : 6, &code);

    if (code > ' ' && code < 0x7f && (script ? n == want : n >= want)) {
        *at = digits;
        if (!script && html_next(s, &digits) == ' ')
            *at = digits;
        return code;
    }
    if (c >= 0x80 || !g_ascii_ispunct((char)c))
        return '\\';
    *at = next;
    return c;
}

static uint32_t visible_next(const struct scan *s, size_t *at)
{
    uint32_t c = html_next(s, at);
    int byte;

    if (c == '\\' && s->layers & SCAN_BACKSLASH)
        return backslash_read(s, at);
    if (c != '%' || !(s->layers & SCAN_PERCENT))
        return c;
    byte = escaped_byte(s, at);
    if (byte < 0)
        return c;
    return byte < 0x80 ? (uint32_t)byte : escaped_rest(s, byte, at);
}

bool scan_parted(const struct scan *s, size_t at)
{
    return scan_unseen_skip(s, at) > at ||
           (s->layers & SCAN_BACKSLASH && at < s->text.len && s->text.data[at] == '\\');
}

uint32_t scan_cased(const struct scan *s, size_t *at)
{
    uint32_t c;

    do
        c = visible_next(s, at);
    while (is_invisible(c));
    return c;
}

uint32_t scan_next(const struct scan *s, size_t *at)
{
    uint32_t c = scan_cased(s, at);

    return c == SCAN_END ? c : word_fold(c);
}

void scan_text_append(const struct scan *s, size_t at, size_t end, struct buf *out)
{
    while (at < end) {
        uint32_t c = visible_next(s, &at);

        if (c < 0x110000 && !is_invisible(c)) {
            char utf8[6];

            buf_append(out, utf8, (size_t)g_unichar_to_utf8(c, utf8));
        }
    }
}
