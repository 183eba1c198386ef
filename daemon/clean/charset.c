/* SPDX-License-Identifier: GPL-3.0-or-later */
/* charset.c - iconv over a whole text, with something for every byte. RFC 2046 4.1.2. */
#include "daemon/clean/charset.h"
#include "daemon/base/utf8.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <strings.h>

#define CHUNK_BYTES 4096u

#define NO_CONVERTER ((iconv_t)-1)

static void converter_close(iconv_t *cd)
{
    if (*cd != NO_CONVERTER)
        (void)iconv_close(*cd);
}

/* All of in, or up to a byte that cannot be converted; false at such a byte. */
static bool run(iconv_t cd, char **in, size_t *left, struct buf *out)
{
    char chunk[CHUNK_BYTES];

    for (;;) {
        char *to = chunk;
        size_t room = sizeof chunk;
        size_t done = iconv(cd, left ? in : NULL, left, &to, &room);

        buf_append(out, chunk, sizeof chunk - room);
        if (done != (size_t)-1)
            return true;
        if (errno != E2BIG)
            return false;
    }
}

static void convert(iconv_t cd, struct bytes text, struct buf *out)
{
    char *in = (char *)(uintptr_t)text.data; /* iconv's type; it only reads */
    size_t left = text.len;

    while (left && !out->failed && !run(cd, &in, &left, out)) {
        buf_append_str(out, "\xef\xbf\xbd");
        in++;
        left--;
    }
    (void)run(cd, NULL, NULL, out);
}

static bool is_ascii_name(const char *charset)
{
    return strcasecmp(charset, "us-ascii") == 0 || strcasecmp(charset, "ascii") == 0 ||
           strcasecmp(charset, "utf-8") == 0 || strcasecmp(charset, "utf8") == 0;
}

enum err charset_to_utf8(struct bytes text, const char *charset, struct buf *out)
{
    CLEANUP(converter_close) iconv_t cd = NO_CONVERTER;
    bool named = charset && *charset && !is_ascii_name(charset) && strlen(charset) < 64;

    if (named)
        cd = iconv_open("UTF-8", charset);
    if (cd == NO_CONVERTER) {
        if (!memchr(text.data ? text.data : (const uint8_t *)"", 0, text.len) &&
            utf8_is_valid(text)) {
            buf_append_bytes(out, text);
            return buf_error(out);
        }
        cd = iconv_open("UTF-8",
                        charset && strncasecmp(charset, "utf", 3) == 0 ? "UTF-8" : "WINDOWS-1252");
    }
    if (cd == NO_CONVERTER)
        return err_note(ERR_NOMEM, "iconv_open", "no converter");
    convert(cd, text, out);
    return buf_error(out);
}
