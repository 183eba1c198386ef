/* SPDX-License-Identifier: GPL-3.0-or-later */
/* css.c - style sheets: what they look like stays, what names a client or a machine goes.
 *
 * Class and id names are renamed everywhere alike; comments, @page, @list and @import, and
 * properties only one client knows are dropped; url() may lead where links may. CSS Syntax 3, as
 * far as mail clients write it. */
#include "daemon/clean/internal.h"

#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

#define NESTED_MAX 8u

struct css {
    struct clean *c;
    struct bytes rest;
    struct buf *out;
    bool selectors[NESTED_MAX + 1]; /* at each depth: are there rules, or declarations? */
    unsigned depth;
    bool at_start; /* of a rule or declaration */
};

static const char *const foreign_properties[] = {
    "mso-", "page", "tab-interval", "-apple-", "text-underline:", "panose-", "behavior", "-ms-"};
static const char *const foreign_rules[] = {"@page", "@list", "@import", "@charset", "@namespace"};

void class_append(struct clean *c, struct bytes name, struct buf *out)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    CLEANUP(buf_clear) struct buf salted = {0};

    if (!name.len)
        return;
    buf_append_str(&salted, c->salt);
    buf_append_bytes(&salted, name);
    if (salted.failed) {
        out->failed = true;
        return;
    }
    (void)SHA256(salted.data, salted.len, digest);
    buf_append_str(out, "c");
    for (size_t i = 0; i < 5; i++)
        buf_printf(out, "%02x", digest[i]);
}

static bool begins(struct bytes text, const char *with)
{
    size_t len = strlen(with);

    return text.len >= len && strncasecmp((const char *)text.data, with, len) == 0;
}

static bool begins_any(struct bytes text, const char *const *with, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (begins(text, with[i]))
            return true;
    return false;
}

static void advance(struct css *css, size_t n)
{
    css->rest.data += n;
    css->rest.len -= n;
}

static bool is_name(uint8_t c)
{
    return g_ascii_isalnum((char)c) || c == '-' || c == '_' || c >= 0x80;
}

/* Comments, and the "<!--" and "-->" that once hid style sheets. */
static bool unseen_skip(struct css *css)
{
    const uint8_t *end;

    if (begins(css->rest, "<!--")) {
        advance(css, 4);
        return true;
    }
    if (begins(css->rest, "-->")) {
        advance(css, 3);
        return true;
    }
    if (!begins(css->rest, "/*"))
        return false;
    end = memmem(css->rest.data + 2, css->rest.len - 2, "*/", 2);
    advance(css, end ? (size_t)(end - css->rest.data) + 2 : css->rest.len);
    return true;
}

/* Behind the statement: its ";", or its block; before the "}" of the block around it. */
static void statement_skip(struct css *css)
{
    unsigned depth = 0;

    while (css->rest.len) {
        uint8_t c = css->rest.data[0];

        if (c == '}' && depth == 0)
            return;
        advance(css, 1);
        if (c == '{')
            depth++;
        else if ((c == '}' && --depth == 0) || (c == ';' && depth == 0))
            return;
    }
}

static void name_copy(struct css *css)
{
    size_t len = 1;

    while (len < css->rest.len && is_name(css->rest.data[len]))
        len++;
    buf_append(css->out, css->rest.data, 1);
    if (len > 1 && !g_ascii_isdigit((char)css->rest.data[1]))
        class_append(css->c, (struct bytes){css->rest.data + 1, len - 1}, css->out);
    else
        buf_append(css->out, css->rest.data + 1, len - 1);
    advance(css, len);
}

static void string_copy(struct css *css)
{
    uint8_t quote = css->rest.data[0];
    size_t len = 1;

    while (len < css->rest.len && css->rest.data[len] != quote && css->rest.data[len] != '\n')
        len += css->rest.data[len] == '\\' && len + 1 < css->rest.len ? 2 : 1;
    len = len < css->rest.len ? len + 1 : css->rest.len;
    buf_append(css->out, css->rest.data, len);
    advance(css, len);
}

/* url("x"), with what is in it filtered like a link. */
static enum err url_copy(struct css *css)
{
    const uint8_t *close = memchr(css->rest.data, ')', css->rest.len);
    size_t end = close ? (size_t)(close - css->rest.data) : css->rest.len;
    struct bytes url = {css->rest.data + 4, end - 4};
    CLEANUP(buf_clear) struct buf to = {0};
    bool usable = false;
    enum err e;

    while (url.len && strchr(" \t\r\n\"'", url.data[0]) && url.data[0]) {
        url.data++;
        url.len--;
    }
    while (url.len && strchr(" \t\r\n\"'", url.data[url.len - 1]) && url.data[url.len - 1])
        url.len--;
    e = url_append(css->c, url, &to, &usable);
    buf_append_str(css->out, "url(");
    if (usable)
        for (size_t i = 0; i < to.len; i++)
            if (to.data[i] > ' ' && to.data[i] < 0x7f && !strchr("\"'()\\", to.data[i]))
                buf_append(css->out, &to.data[i], 1);
    buf_append_str(css->out, ")");
    advance(css, close ? end + 1 : end);
    return e;
}

static bool rules_here(const struct css *css)
{
    return css->selectors[css->depth];
}

/* "{" opens declarations, unless it belongs to a rule of rules. */
static void block_open(struct css *css, bool of_rules)
{
    if (css->depth < NESTED_MAX)
        css->depth++;
    css->selectors[css->depth] = of_rules;
}

static bool start_skip(struct css *css)
{
    bool foreign;

    if (!css->at_start || !is_name(css->rest.data[0]) || rules_here(css))
        foreign = css->at_start && css->rest.data[0] == '@' &&
                  begins_any(css->rest, foreign_rules, sizeof foreign_rules / sizeof(char *));
    else
        foreign =
            begins_any(css->rest, foreign_properties, sizeof foreign_properties / sizeof(char *));
    if (foreign)
        statement_skip(css);
    return foreign;
}

static enum err css_step(struct css *css, bool *of_rules)
{
    uint8_t c = css->rest.data[0];
    enum err e = ERR_OK;

    if (unseen_skip(css) || start_skip(css))
        return ERR_OK;
    if (css->at_start && c == '@')
        *of_rules = begins(css->rest, "@media") || begins(css->rest, "@supports");
    if (!g_ascii_isspace((char)c))
        css->at_start = c == '{' || c == '}' || c == ';';
    if (begins(css->rest, "url("))
        return url_copy(css);
    if (c == '"' || c == '\'') {
        string_copy(css);
        return ERR_OK;
    }
    if (rules_here(css) && (c == '.' || c == '#')) {
        name_copy(css);
        return ERR_OK;
    }
    if (c == '{') {
        block_open(css, *of_rules);
        *of_rules = false;
    } else if (c == '}' && css->depth) {
        css->depth--;
    }
    buf_append(css->out, &c, 1);
    advance(css, 1);
    return e;
}

enum err css_append(struct clean *c, struct bytes text, bool declarations, struct buf *out)
{
    struct css css = {.c = c, .rest = text, .out = out, .at_start = true};
    bool of_rules = false;
    enum err e = ERR_OK;

    css.selectors[0] = !declarations;
    while (!e && css.rest.len)
        e = css_step(&css, &of_rules);
    return e ? e : buf_error(out);
}
