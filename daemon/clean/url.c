/* SPDX-License-Identifier: GPL-3.0-or-later */
/* url.c - links: which may leave, and what in them must change.
 *
 * Schemes are an allow-list: a client's own (mailbox:, imap:, file:, applewebdata:, content:) name
 * the user's account, folders and machine. So does a path without a scheme, which leads nowhere
 * from a mail; only what looks like a host stays. RFC 3986, RFC 2392, RFC 6068. */
#include "daemon/clean/internal.h"

#include <string.h>
#include <strings.h>

static const char *const schemes[] = {"http", "https", "mailto", "tel",  "sms",
                                      "ftp",  "geo",   "sip",    "xmpp", "cid"};
static const char *const pictures[] = {"data:image/png;base64,",  "data:image/gif;base64,",
                                       "data:image/jpeg;base64,", "data:image/jpg;base64,",
                                       "data:image/webp;base64,", "data:image/bmp;base64,"};

static bool begins(struct bytes text, const char *with)
{
    size_t len = strlen(with);

    return text.len >= len && strncasecmp((const char *)text.data, with, len) == 0;
}

/* How long the scheme is; 0 when there is none. */
static size_t scheme_len(struct bytes url)
{
    for (size_t i = 0; i < url.len; i++) {
        uint8_t c = url.data[i];

        if (c == ':')
            return i;
        if (!g_ascii_isalnum((char)c) && c != '+' && c != '.' && c != '-')
            return 0;
    }
    return 0;
}

static bool scheme_allowed(struct bytes scheme)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (bytes_equal_nocase(scheme, schemes[i]))
            return true;
    return false;
}

static bool is_picture(struct bytes url)
{
    for (size_t i = 0; i < sizeof pictures / sizeof pictures[0]; i++)
        if (begins(url, pictures[i]))
            return true;
    return false;
}

static enum err cid_append(struct clean *c, struct bytes id, struct buf *out)
{
    CLEANUP(buf_clear) struct buf plain = {0};
    struct scan s = {.text = id, .layers = SCAN_PERCENT};
    const char *to = NULL;
    enum err e;

    scan_text_append(&s, 0, id.len, &plain);
    e = plain.failed ? ERR_NOMEM : clean_cid(c, buf_bytes(&plain), &to);
    if (!e)
        buf_printf(out, "cid:%s", to);
    return e;
}

/* Browsers pass over these. */
static void url_trim(struct bytes url, struct buf *out)
{
    while (url.len && url.data[0] <= ' ') {
        url.data++;
        url.len--;
    }
    while (url.len && url.data[url.len - 1] <= ' ')
        url.len--;
    for (size_t i = 0; i < url.len; i++)
        if (!strchr("\t\r\n", url.data[i]) || !url.data[i])
            buf_append(out, &url.data[i], 1);
}

/* "www.example.org/x", "#end"; not "/Users/jane/x.png", "..\jane", "C|/jane". url: no scheme */
static bool is_place(struct bytes url)
{
    CLEANUP(buf_clear) struct buf plain = {0};
    const struct scan s = {.text = url, .layers = SCAN_PERCENT};
    size_t host;

    if (url.len && url.data[0] == '#')
        return true;
    scan_text_append(&s, 0, url.len, &plain);
    if (plain.failed || !plain.len || plain.data[0] == '.' || memchr(plain.data, '\\', plain.len))
        return false;
    host = strcspn(buf_str(&plain), "/?#|");
    return memchr(plain.data, '.', host) != NULL;
}

enum err url_append(struct clean *c, struct bytes raw, struct buf *out, bool *usable)
{
    CLEANUP(buf_clear) struct buf text = {0};
    struct bytes url;
    struct scan s;
    size_t len;
    bool changed = false;

    url_trim(raw, &text);
    if (text.failed)
        return ERR_NOMEM;
    url = buf_bytes(&text);
    *usable = true;
    if (is_picture(url)) {
        buf_append_bytes(out, url);
        return buf_error(out);
    }
    len = scheme_len(url);
    *usable = len ? scheme_allowed((struct bytes){url.data, len}) : is_place(url);
    if (!*usable)
        return ERR_OK;
    if (url.data[0] == '#') {
        buf_append_str(out, "#");
        class_append(c, (struct bytes){url.data + 1, url.len - 1}, out);
        return buf_error(out);
    }
    if (begins(url, "cid:"))
        return cid_append(c, (struct bytes){url.data + 4, url.len - 4}, out);
    s = clean_scan(c, url, SCAN_PERCENT, SCAN_AS_URL);
    return scan_replace(&s, out, &changed);
}
