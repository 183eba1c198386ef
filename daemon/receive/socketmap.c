/* SPDX-License-Identifier: GPL-3.0-or-later */
/* socketmap.c - netstrings, requests, answers.
 *
 * A key goes through the parser of RCPT first, so what is no address there is not found here. */
#include "daemon/receive/socketmap.h"

#include "daemon/receive/path.h"

#include <stdio.h>
#include <string.h>

static void answer(struct buf *out, const char *word, const char *text)
{
    buf_printf(out, "%zu:%s %s,", strlen(word) + 1 + strlen(text), word, text);
}

/* A front asks for whole addresses; "@domain" and names without a domain are its own business. */
static enum err look_up(const struct receive_handler *handler, struct bytes key)
{
    CLEANUP(buf_clear) struct buf argument = {0};
    CLEANUP(path_clear) struct path path = {0};
    enum err e;

    if (key.len == 0 || !memchr(key.data, '@', key.len))
        return ERR_NO_ALIAS;
    buf_append_str(&argument, "TO:<");
    buf_append_bytes(&argument, key);
    buf_append_str(&argument, ">");
    e = buf_error(&argument);
    if (e)
        return e;
    switch (path_parse(buf_bytes(&argument), PATH_RCPT, false, &path)) {
    case PATH_OK:
        break;
    case PATH_NO_MEMORY:
        return ERR_NOMEM;
    case PATH_SYNTAX:
    case PATH_BAD_ADDRESS:
    case PATH_NOT_ASCII:
    case PATH_BAD_PARAMETER:
    case PATH_NOT_OFFERED:
    case PATH_UNKNOWN_PARAMETER:
        return ERR_NO_ALIAS;
    }
    if (!bytes_equal(key, bytes_of(path.address))) /* a route or a parameter was in it */
        return ERR_NO_ALIAS;
    return handler->lookup(handler->ctx, path.address);
}

static void answer_key(const struct receive_handler *handler, struct bytes key, struct buf *out)
{
    char text[PATH_ADDRESS_MAX_BYTES + 1];
    enum err e = look_up(handler, key);

    switch (err_class(e)) {
    case CLASS_OK:
        (void)snprintf(text, sizeof text, "%.*s", (int)key.len, (const char *)key.data);
        answer(out, "OK", text);
        return;
    case CLASS_PERM:
        answer(out, "NOTFOUND", "");
        return;
    case CLASS_TEMP:
    case CLASS_OPER:
    case CLASS_BUG:
        answer(out, e == ERR_TIMEOUT ? "TIMEOUT" : "TEMP", err_text(e));
        return;
    }
}

static void answer_request(const struct receive_handler *handler, struct bytes request,
                           struct buf *out)
{
    const uint8_t *space = request.len ? memchr(request.data, ' ', request.len) : NULL;
    struct bytes map = {request.data, space ? (size_t)(space - request.data) : request.len};

    if (!space)
        answer(out, "PERM", "want: map key");
    else if (!bytes_equal(map, bytes_of(SOCKETMAP_MAP)))
        answer(out, "PERM", "no such map here; there is " SOCKETMAP_MAP);
    else
        answer_key(handler, (struct bytes){space + 1, request.len - map.len - 1}, out);
}

/* The length before the colon; false: no netstring, or more than is taken. */
static bool take_length(struct socketmap *m, uint8_t c)
{
    if (c == ':' && m->digits) {
        m->state = m->want ? SOCKETMAP_TEXT : SOCKETMAP_COMMA;
        m->len = 0;
        return m->want <= sizeof m->text;
    }
    if (c < '0' || c > '9' || (m->digits && m->want == 0))
        return false;
    m->want = m->want * 10 + (size_t)(c - '0');
    return ++m->digits <= SOCKETMAP_LENGTH_MAX_DIGITS;
}

static void take_text(struct socketmap *m, struct bytes *in)
{
    size_t n = m->want - m->len;

    n = in->len < n ? in->len : n;
    memcpy(m->text + m->len, in->data, n);
    m->len += n;
    in->data += n;
    in->len -= n;
    if (m->len == m->want)
        m->state = SOCKETMAP_COMMA;
}

/* The end of a request: answer it, be ready for the next. */
static bool take_comma(struct socketmap *m, uint8_t c, const struct receive_handler *handler,
                       struct buf *out)
{
    if (c != ',')
        return false;
    answer_request(handler, (struct bytes){m->text, m->want}, out);
    m->state = SOCKETMAP_LENGTH;
    m->digits = 0;
    m->want = 0;
    return ++m->requests < SOCKETMAP_REQUESTS_MAX;
}

bool socketmap_feed(struct socketmap *m, struct bytes in, const struct receive_handler *handler,
                    struct buf *out)
{
    bool going = true;

    while (going && in.len) {
        uint8_t c = in.data[0];

        if (m->state == SOCKETMAP_TEXT) {
            take_text(m, &in);
            continue;
        }
        in.data++;
        in.len--;
        if (m->state == SOCKETMAP_LENGTH)
            going = take_length(m, c);
        else
            going = take_comma(m, c, handler, out);
    }
    return going;
}
