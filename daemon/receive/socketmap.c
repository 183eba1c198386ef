/* SPDX-License-Identifier: GPL-3.0-or-later */
/* socketmap.c - netstrings, requests, answers.
 *
 * A key goes through the parser of RCPT first, so what is no address there is not found here. */
#include "daemon/receive/socketmap.h"

#include "daemon/receive/path.h"

#include <string.h>

static void answer(struct buf *out, const char *word, const char *text)
{
    buf_printf(out, "%zu:%s %s,", strlen(word) + 1 + strlen(text), word, text);
}

/* Would our own MAIL or RCPT take this key as an address? out: path_clear() it.
 * Errors: ERR_NO_ALIAS (no), ERR_NOMEM. */
static enum err parse_key(struct bytes key, enum path_kind kind, struct path *out)
{
    CLEANUP(buf_clear) struct buf argument = {0};
    bool mail = kind == PATH_MAIL;
    enum err e;

    buf_append_str(&argument, mail ? "FROM:<" : "TO:<");
    buf_append_bytes(&argument, key);
    buf_append_str(&argument, mail ? "> SMTPUTF8" : ">");
    e = buf_error(&argument);
    if (e)
        return e;
    switch (path_parse(buf_bytes(&argument), kind, false, out)) {
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
    /* A route or a parameter was in it: the address is another one. */
    return bytes_equal(key, bytes_of(out->address)) ? ERR_OK : ERR_NO_ALIAS;
}

static void answer_error(struct buf *out, enum err e)
{
    if (err_class(e) == CLASS_PERM)
        answer(out, "NOTFOUND", "");
    else
        answer(out, e == ERR_TIMEOUT ? "TIMEOUT" : "TEMP", err_text(e));
}

static void answer_recipient(const struct receive_handler *handler, struct bytes key,
                             struct buf *out)
{
    CLEANUP(path_clear) struct path path = {0};
    enum err e = parse_key(key, PATH_RCPT, &path);

    if (!e)
        e = handler->lookup(handler->ctx, path.address);
    if (e)
        answer_error(out, e);
    else
        answer(out, "OK", path.address);
}

/* An action of access(5) for an envelope sender that our MAIL would refuse, nothing for others. */
static void answer_sender(const struct receive_handler *handler, struct bytes key, struct buf *out)
{
    CLEANUP(path_clear) struct path path = {0};
    enum err e = parse_key(key, PATH_MAIL, &path);

    (void)handler;
    if (e == ERR_NO_ALIAS)
        answer(out, "OK", "501 5.1.7 Bad address syntax");
    else if (e)
        answer_error(out, e);
    else
        answer(out, "NOTFOUND", "");
}

static const struct map {
    const char *name;
    void (*answer)(const struct receive_handler *handler, struct bytes key, struct buf *out);
} maps[] = {{SOCKETMAP_RECIPIENTS, answer_recipient}, {SOCKETMAP_SENDERS, answer_sender}};

/* Postfix also asks for parts of an address, "@domain" or "user@": they are in no map of ours. */
static bool is_whole_address(struct bytes key)
{
    return key.len > 2 && key.data[0] != '@' && key.data[key.len - 1] != '@' &&
           memchr(key.data, '@', key.len);
}

static void answer_request(const struct receive_handler *handler, struct bytes request,
                           struct buf *out)
{
    const uint8_t *space = request.len ? memchr(request.data, ' ', request.len) : NULL;
    struct bytes name = {request.data, space ? (size_t)(space - request.data) : request.len};
    struct bytes key;

    if (!space) {
        answer(out, "PERM", "want: map key");
        return;
    }
    key = (struct bytes){space + 1, request.len - name.len - 1};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        if (!bytes_equal(name, bytes_of(maps[i].name)))
            continue;
        if (is_whole_address(key))
            maps[i].answer(handler, key, out);
        else
            answer(out, "NOTFOUND", "");
        return;
    }
    answer(out, "PERM", "no such map here");
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
