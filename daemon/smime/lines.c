/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lines.c - line ends of what was decrypted: some clients encrypt with bare LF what they signed
 * with CRLF. */
#include "daemon/smime/layer.h"

#include <string.h>

/* The next LF that no CR precedes; text.len when there is none. */
static size_t bare_lf_find(struct bytes text, size_t from)
{
    while (from < text.len) {
        const uint8_t *lf = memchr(text.data + from, '\n', text.len - from);
        size_t at = lf ? (size_t)(lf - text.data) : text.len;

        if (!lf || at == 0 || text.data[at - 1] != '\r')
            return at;
        from = at + 1;
    }
    return text.len;
}

bool lines_have_bare_lf(struct bytes text)
{
    return bare_lf_find(text, 0) < text.len;
}

/* The header ends with the first empty line, in either form. */
static size_t header_len(struct bytes entity)
{
    size_t line = 0;

    while (line < entity.len) {
        const uint8_t *lf = memchr(entity.data + line, '\n', entity.len - line);
        size_t end = lf ? (size_t)(lf - entity.data) : entity.len;

        if (end == line || (end == line + 1 && entity.data[line] == '\r'))
            return lf ? end + 1 : entity.len;
        line = end + 1;
    }
    return entity.len;
}

enum err lines_make_crlf(struct bytes text, struct secret *out)
{
    size_t n = 0, at = 0, from = 0;
    struct secret made;
    enum err e;

    for (size_t lf = bare_lf_find(text, 0); lf < text.len; lf = bare_lf_find(text, lf + 1))
        n++;
    e = secret_new(text.len + n, &made);
    if (e)
        return e;
    while (from < text.len) {
        size_t lf = bare_lf_find(text, from);

        memcpy(made.data + at, text.data + from, lf - from);
        at += lf - from;
        if (lf < text.len) {
            made.data[at++] = '\r';
            made.data[at++] = '\n';
        }
        from = lf + 1;
    }
    *out = made;
    return ERR_OK;
}

enum err lines_fix(struct bytes entity, struct secret *out)
{
    struct bytes header = {entity.data, header_len(entity)};

    return lines_have_bare_lf(header) ? lines_make_crlf(entity, out) : ERR_OK;
}
