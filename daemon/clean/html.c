/* SPDX-License-Identifier: GPL-3.0-or-later */
/* html.c - an HTML part rebuilt from its tokens: tags and attributes that mean something to a
 * reader, links that may leave, text with addresses replaced.
 *
 * Two passes: the first writes well-formed tags from allow-lists; the second, over what the first
 * wrote, replaces words in the text between them, also where a client cut an address in two with a
 * tag. HTML 13, RFC 9788 5.2.3 (legacy display elements). */
#include "daemon/clean/html_token.h"
#include "daemon/clean/internal.h"

#include <string.h>
#include <strings.h>

#define LEGACY_CLASS "header-protection-legacy-display"
#define COUNT(a)     (sizeof(a) / sizeof(a)[0])

/* What an attribute's value is. */
enum value_kind { VALUE_TEXT, VALUE_URL, VALUE_CLASS, VALUE_STYLE, VALUE_URLS };

static const struct {
    const char *name;
    enum value_kind kind;
} attributes[] = {
    {"abbr", VALUE_TEXT},        {"align", VALUE_TEXT},       {"alink", VALUE_TEXT},
    {"alt", VALUE_TEXT},         {"aria-hidden", VALUE_TEXT}, {"aria-label", VALUE_TEXT},
    {"axis", VALUE_TEXT},        {"background", VALUE_URL},   {"bgcolor", VALUE_TEXT},
    {"border", VALUE_TEXT},      {"bordercolor", VALUE_TEXT}, {"cellpadding", VALUE_TEXT},
    {"cellspacing", VALUE_TEXT}, {"char", VALUE_TEXT},        {"charoff", VALUE_TEXT},
    {"checked", VALUE_TEXT},     {"cite", VALUE_URL},         {"class", VALUE_CLASS},
    {"clear", VALUE_TEXT},       {"color", VALUE_TEXT},       {"cols", VALUE_TEXT},
    {"colspan", VALUE_TEXT},     {"compact", VALUE_TEXT},     {"coords", VALUE_TEXT},
    {"datetime", VALUE_TEXT},    {"dir", VALUE_TEXT},         {"disabled", VALUE_TEXT},
    {"face", VALUE_TEXT},        {"for", VALUE_CLASS},        {"frame", VALUE_TEXT},
    {"headers", VALUE_CLASS},    {"height", VALUE_TEXT},      {"href", VALUE_URL},
    {"hreflang", VALUE_TEXT},    {"hspace", VALUE_TEXT},      {"id", VALUE_CLASS},
    {"lang", VALUE_TEXT},        {"link", VALUE_TEXT},        {"longdesc", VALUE_URL},
    {"media", VALUE_TEXT},       {"name", VALUE_CLASS},       {"noshade", VALUE_TEXT},
    {"nowrap", VALUE_TEXT},      {"open", VALUE_TEXT},        {"rel", VALUE_TEXT},
    {"role", VALUE_TEXT},        {"rows", VALUE_TEXT},        {"rowspan", VALUE_TEXT},
    {"rules", VALUE_TEXT},       {"scope", VALUE_TEXT},       {"shape", VALUE_TEXT},
    {"size", VALUE_TEXT},        {"sizes", VALUE_TEXT},       {"span", VALUE_TEXT},
    {"src", VALUE_URL},          {"srcset", VALUE_URLS},      {"start", VALUE_TEXT},
    {"style", VALUE_STYLE},      {"summary", VALUE_TEXT},     {"target", VALUE_TEXT},
    {"text", VALUE_TEXT},        {"title", VALUE_TEXT},       {"type", VALUE_TEXT},
    {"usemap", VALUE_URL},       {"valign", VALUE_TEXT},      {"value", VALUE_TEXT},
    {"vlink", VALUE_TEXT},       {"vspace", VALUE_TEXT},      {"width", VALUE_TEXT},
};

/* Elements of which nothing leaves, with all they hold; and tags that alone are left out. */
static const char *const dropped_content[] = {"script", "xml", "applet", "template"};
static const char *const dropped_tags[] = {"meta",   "base",      "link",     "iframe",
                                           "object", "embed",     "frame",    "noembed",
                                           "xmp",    "plaintext", "noscript", "noframes"};

struct html {
    struct clean *c;
    struct bytes rest;
    struct buf *out;
    bool legacy; /* a legacy display element is still to be found */
};

static bool name_in(struct bytes name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes_equal_nocase(name, list[i]))
            return true;
    return false;
}

/* Letters, digits, ":" and "-": anything else in the place of a name is text gone wrong. */
static bool name_usable(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!g_ascii_isalnum((char)name.data[i]) && name.data[i] != ':' && name.data[i] != '-')
            return false;
    return name.len && name.len <= 64;
}

static void value_decode(struct bytes value, struct buf *out)
{
    struct scan s = {.text = value, .layers = SCAN_ENTITIES | SCAN_VALUE};

    scan_text_append(&s, 0, value.len, out);
}

static enum err classes_append(struct html *h, struct bytes value, struct buf *out)
{
    size_t i = 0;

    while (i < value.len) {
        size_t start = i;

        while (i < value.len && !g_ascii_isspace((char)value.data[i]))
            i++;
        if (i > start && out->len)
            buf_append_str(out, " ");
        class_append(h->c, (struct bytes){value.data + start, i - start}, out);
        i += i == start ? 1 : 0;
    }
    return buf_error(out);
}

/* "a.png 1x, b.png 2x": the first one serves as well as all. */
static enum err first_url_append(struct html *h, struct bytes value, struct buf *out, bool *usable)
{
    size_t start = 0;
    size_t len;

    *usable = value.len > 0;
    if (!*usable)
        return ERR_OK;
    while (start < value.len && g_ascii_isspace((char)value.data[start]))
        start++;
    for (len = 0; start + len < value.len && !g_ascii_isspace((char)value.data[start + len]); len++)
        ;
    return url_append(h->c, (struct bytes){value.data + start, len}, out, usable);
}

/* Of a value that is a path, as clients write into alt and title, the file's name. */
static struct bytes path_cut(struct bytes value)
{
    bool drive = value.len > 2 && g_ascii_isalpha((char)value.data[0]) && value.data[1] == ':' &&
                 (value.data[2] == '\\' || value.data[2] == '/');
    bool rooted = value.len > 1 && (value.data[0] == '/' || value.data[0] == '\\');

    for (size_t i = value.len; (drive || rooted) && i > 0; i--)
        if (value.data[i - 1] == '/' || value.data[i - 1] == '\\')
            return (struct bytes){value.data + i, value.len - i};
    return value;
}

static enum err style_value_append(struct clean *c, struct bytes value, struct buf *out)
{
    CLEANUP(buf_clear) struct buf style = {0};
    enum err e = css_append(c, value, true, &style);
    struct scan s = clean_scan(c, buf_bytes(&style), SCAN_PERCENT, SCAN_AS_IS);
    bool changed = false;

    return e ? e : scan_replace(&s, out, &changed);
}

static enum err value_append(struct html *h, enum value_kind kind, struct bytes value,
                             struct buf *out, bool *usable)
{
    struct scan s;
    bool changed = false;

    *usable = true;
    switch (kind) {
    case VALUE_TEXT:
        value = path_cut(value);
        s = clean_scan(h->c, value, SCAN_PERCENT, SCAN_AS_IS);
        return scan_replace(&s, out, &changed);
    case VALUE_URL:
        return url_append(h->c, value, out, usable);
    case VALUE_URLS:
        return first_url_append(h, value, out, usable);
    case VALUE_CLASS:
        return classes_append(h, value, out);
    case VALUE_STYLE:
        return style_value_append(h->c, value, out);
    }
    return ERR_OK;
}

static enum err attribute_append(struct html *h, const struct html_attribute *a)
{
    CLEANUP(buf_clear) struct buf value = {0};
    CLEANUP(buf_clear) struct buf clean = {0};
    bool usable = false;
    enum err e = ERR_OK;
    size_t i;

    for (i = 0; i < COUNT(attributes) && !bytes_equal_nocase(a->name, attributes[i].name); i++)
        ;
    if (i == COUNT(attributes))
        return ERR_OK;
    value_decode(a->value, &value);
    if (value.failed)
        return ERR_NOMEM;
    e = value_append(h, attributes[i].kind, buf_bytes(&value), &clean, &usable);
    if (e || !usable)
        return e;
    buf_printf(h->out, " %s", attributes[i].name);
    if (a->has_value) {
        buf_append_str(h->out, "=\"");
        scan_escaped_append(h->out, SCAN_AS_HTML, buf_bytes(&clean));
        buf_append_str(h->out, "\"");
    }
    return clean.failed ? ERR_NOMEM : ERR_OK;
}

static void name_append(struct html *h, struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = g_ascii_tolower((char)name.data[i]);

        buf_append(h->out, &c, 1);
    }
}

static bool is_legacy(struct bytes attributes_left)
{
    struct html_attribute a;

    while (html_attribute_next(&attributes_left, &a))
        if (bytes_equal_nocase(a.name, "class") && bytes_equal_nocase(a.value, LEGACY_CLASS))
            return true;
    return false;
}

/* Behind the closing tag of an element just opened. */
static void element_skip(struct html *h, struct bytes name)
{
    struct html_token token;
    unsigned depth = 1;
    CLEANUP(buf_clear) struct buf own = {0};

    buf_append_bytes(&own, name);
    if (own.failed) {
        h->out->failed = true;
        return;
    }
    if (strcasecmp(buf_str(&own), "script") == 0)
        (void)html_raw_text(&h->rest, "script");
    while (depth && html_next(&h->rest, &token)) {
        if (token.kind == HTML_OPEN && bytes_equal_nocase(token.name, buf_str(&own)))
            depth++;
        else if (token.kind == HTML_CLOSE && bytes_equal_nocase(token.name, buf_str(&own)))
            depth--;
    }
}

static enum err style_append(struct html *h)
{
    CLEANUP(buf_clear) struct buf sheet = {0};
    struct bytes text = html_raw_text(&h->rest, "style");
    enum err e = css_append(h->c, text, false, &sheet);

    for (size_t i = 0; i < sheet.len; i++)
        if (sheet.data[i] != '<')
            buf_append(h->out, &sheet.data[i], 1);
    return e;
}

static enum err open_append(struct html *h, const struct html_token *token)
{
    struct bytes left = token->attributes;
    struct html_attribute a;
    enum err e = ERR_OK;

    if (name_in(token->name, dropped_content, COUNT(dropped_content))) {
        element_skip(h, token->name);
        return ERR_OK;
    }
    if (h->legacy && bytes_equal_nocase(token->name, "div") && is_legacy(left)) {
        h->legacy = false;
        element_skip(h, token->name);
        return ERR_OK;
    }
    if (!name_usable(token->name) || name_in(token->name, dropped_tags, COUNT(dropped_tags)))
        return ERR_OK;
    buf_append_str(h->out, "<");
    name_append(h, token->name);
    while (!e && html_attribute_next(&left, &a))
        e = attribute_append(h, &a);
    buf_append_str(h->out, ">");
    if (!e && bytes_equal_nocase(token->name, "style"))
        e = style_append(h);
    return e;
}

/* "<" that begins no tag must not begin one together with what follows it. */
static void text_append(struct html *h, struct bytes text)
{
    if (text.len && text.data[0] == '<') {
        buf_append_str(h->out, "&lt;");
        text.data++;
        text.len--;
    }
    buf_append_bytes(h->out, text);
}

/* It decides how the rest is laid out, if it is one of the published ones. */
static bool doctype_usable(struct bytes text)
{
    static const char *const published[] = {"-//W3C//DTD ", "-//IETF//DTD ",
                                            "http://www.w3.org/TR/"};
    static const char start[] = "<!DOCTYPE html";
    struct bytes rest = text;
    size_t plain = 0; /* bytes outside quotes */

    if (text.len < sizeof start ||
        !bytes_equal_nocase((struct bytes){text.data, sizeof start - 1}, start))
        return false;
    for (;;) {
        const uint8_t *open = rest.len ? memchr(rest.data, '"', rest.len) : NULL;
        size_t before = open ? (size_t)(open - rest.data) : rest.len;
        const uint8_t *close = open ? memchr(open + 1, '"', rest.len - before - 1) : NULL;
        bool known = false;

        plain += before;
        if (!open)
            return plain <= sizeof start + sizeof " PUBLIC  " && text.data[text.len - 1] == '>';
        for (size_t i = 0; close && i < COUNT(published); i++)
            known = known || ((size_t)(close - open) > strlen(published[i]) &&
                              memcmp(open + 1, published[i], strlen(published[i])) == 0);
        if (!known || close - open > 60)
            return false;
        rest = (struct bytes){close + 1, rest.len - (size_t)(close + 1 - rest.data)};
    }
}

static enum err token_append(struct html *h, const struct html_token *token)
{
    switch (token->kind) {
    case HTML_TEXT:
        text_append(h, token->text);
        break;
    case HTML_DOCTYPE:
        if (doctype_usable(token->text))
            buf_append_bytes(h->out, token->text);
        else
            buf_append_str(h->out, "<!DOCTYPE html>");
        break;
    case HTML_OPEN:
        return open_append(h, token);
    case HTML_CLOSE:
        if (!name_usable(token->name) || name_in(token->name, dropped_tags, COUNT(dropped_tags)) ||
            name_in(token->name, dropped_content, COUNT(dropped_content)))
            break;
        buf_append_str(h->out, "</");
        name_append(h, token->name);
        buf_append_str(h->out, ">");
        break;
    case HTML_COMMENT:
        break;
    }
    return buf_error(h->out);
}

enum err html_clean(struct clean *c, struct bytes text, bool legacy, struct buf *out)
{
    CLEANUP(buf_wipe) struct buf tags = {0};
    struct html h = {.c = c, .rest = text, .out = &tags, .legacy = legacy};
    struct html_token token;
    struct scan s;
    bool changed = false;
    enum err e = ERR_OK;

    while (!e && html_next(&h.rest, &token))
        e = token_append(&h, &token);
    if (!e)
        e = buf_error(&tags);
    if (e)
        return e;
    armor_drop(c, &tags, true, &changed);
    s = clean_scan(c, buf_bytes(&tags), SCAN_TAGS | SCAN_ENTITIES | SCAN_PERCENT, SCAN_AS_HTML);
    return scan_replace(&s, out, &changed);
}
