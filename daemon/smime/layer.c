/* SPDX-License-Identifier: GPL-3.0-or-later */
/* layer.c - reads Content-Type and Content-Transfer-Encoding of a root, splits multipart/signed.
 *
 * What is verified is also what is handed on, so the split need not agree with any other reader's;
 * it only has to find what the signer signed. */
#include "daemon/smime/layer.h"
#include "daemon/base/codec.h"
#include "daemon/message/content_type.h"
#include "daemon/smime/ber.h"

#include <string.h>
#include <strings.h>

#define BOUNDARY_MAX 70u /* characters, RFC 2046 5.1.1 */

static enum err malformed(const char *what)
{
    return err_note(ERR_FORMAT, "S/MIME", "%s", what);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trimmed(struct bytes s)
{
    while (s.len && is_blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* ---- fields ---- */

static bool is_pkcs7(const struct content_type *ct, const char *what)
{
    const char *subtype = strncmp(ct->subtype, "x-", 2) == 0 ? ct->subtype + 2 : ct->subtype;

    return strcmp(ct->type, "application") == 0 && strcmp(subtype, what) == 0;
}

static enum layer_kind kind_of(const struct content_type *ct)
{
    if (is_pkcs7(ct, "pkcs7-mime"))
        return LAYER_CMS;
    if (strcmp(ct->type, "multipart") == 0 && strcmp(ct->subtype, "signed") == 0 &&
        (strstr(ct->protocol, "pkcs7") || ct->protocol_coded))
        return LAYER_DETACHED;
    return LAYER_NONE;
}

/* Of several Content-Types readers take the first or the last. */
static enum err kind_read(const struct message *m, struct content_type *ct, enum layer_kind *out)
{
    size_t n = message_count(m, "Content-Type");

    *out = LAYER_NONE;
    for (size_t i = 0; i < n && *out == LAYER_NONE; i++) {
        content_type_read(message_find(m, "Content-Type", i)->value, ct);
        *out = kind_of(ct);
    }
    return n > 1 && *out != LAYER_NONE ? malformed("more than one Content-Type") : ERR_OK;
}

static enum err transfer_read(const struct message *m, enum layer_transfer *out)
{
    static const struct {
        const char *name;
        enum layer_transfer transfer;
    } names[] = {{"base64", TRANSFER_BASE64},
                 {"binary", TRANSFER_BINARY},
                 {"8bit", TRANSFER_BINARY},
                 {"7bit", TRANSFER_TEXT}};
    const struct message_field *f = message_find(m, "Content-Transfer-Encoding", 0);

    if (message_count(m, "Content-Transfer-Encoding") > 1)
        return malformed("more than one Content-Transfer-Encoding");
    *out = f ? TRANSFER_OTHER : TRANSFER_TEXT;
    for (size_t i = 0; f && i < sizeof names / sizeof *names; i++)
        if (bytes_equal_nocase(trimmed(f->value), names[i].name))
            *out = names[i].transfer;
    return ERR_OK;
}

/* ---- the boundary, out of a Content-Type that parses by the letter ---- */

/* A comment or quoted string that starts at data[0]; its length. */
static size_t group_len(struct bytes s)
{
    uint8_t end = s.data[0] == '"' ? '"' : ')';
    size_t depth = 0, at = 0;

    for (; at < s.len; at++) {
        if (s.data[at] == '\\')
            at++;
        else if (end == ')' && s.data[at] == '(')
            depth++;
        else if (s.data[at] == end && at && (end == '"' || --depth == 0))
            return at + 1;
    }
    return s.len;
}

/* The value of one parameter, quotes and comments taken away. */
static bool value_take(struct bytes s, char out[BOUNDARY_MAX + 1])
{
    bool quoted = s.len && s.data[0] == '"';
    size_t end = quoted ? group_len(s) - 1 : 0;
    size_t n = 0;

    while (!quoted && end < s.len && !is_blank(s.data[end]) && s.data[end] != '(')
        end++;
    for (size_t i = quoted ? 1 : 0; i < end; i++) {
        if (quoted && s.data[i] == '\\' && i + 1 < end)
            i++;
        if (n == BOUNDARY_MAX || s.data[i] < 0x20 || s.data[i] > 0x7e)
            return false;
        out[n++] = (char)s.data[i];
    }
    while (n && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
    return n > 0;
}

/* The parameter behind a ';': its name told from its value by the first '='. */
static bool parameter_is(struct bytes parameter, const char *name, struct bytes *value)
{
    const uint8_t *equals;
    struct bytes told;

    parameter = trimmed(parameter);
    while (parameter.len && parameter.data[0] == '(') {
        size_t n = group_len(parameter);

        parameter = trimmed((struct bytes){parameter.data + n, parameter.len - n});
    }
    equals = parameter.len ? memchr(parameter.data, '=', parameter.len) : NULL;
    if (!equals)
        return false;
    told = trimmed((struct bytes){parameter.data, (size_t)(equals - parameter.data)});
    *value =
        trimmed((struct bytes){equals + 1, parameter.len - (size_t)(equals + 1 - parameter.data)});
    return told.len >= strlen(name) &&
           strncasecmp((const char *)told.data, name, strlen(name)) == 0 &&
           (told.len == strlen(name) || told.data[strlen(name)] == '*' ||
            told.data[strlen(name)] == '(');
}

static enum err boundary_read(struct bytes content_type, char out[BOUNDARY_MAX + 1])
{
    size_t start = 0, found = 0;

    for (size_t at = 0; at <= content_type.len; at++) {
        struct bytes rest = {content_type.data + at, content_type.len - at};
        struct bytes value;

        if (rest.len && (rest.data[0] == '"' || rest.data[0] == '(')) {
            at += group_len(rest) - 1;
            continue;
        }
        if (rest.len && rest.data[0] != ';')
            continue;
        if (parameter_is((struct bytes){content_type.data + start, at - start}, "boundary",
                         &value) &&
            (found++ || !value_take(value, out)))
            return malformed("boundary is told twice, or is none");
        start = at + 1;
    }
    return found ? ERR_OK : malformed("multipart without boundary");
}

/* ---- the two parts of multipart/signed ---- */

struct delimiter {
    size_t start; /* of its line, without the line end before it */
    size_t next;  /* behind its own line end */
    bool closes;
};

/* A line "--boundary" or "--boundary--", blanks behind it allowed, at or behind from. */
static bool delimiter_find(struct bytes body, const char *boundary, size_t from,
                           struct delimiter *out)
{
    size_t n = strlen(boundary);

    while (from < body.len) {
        const uint8_t *lf = memchr(body.data + from, '\n', body.len - from);
        size_t next = lf ? (size_t)(lf - body.data) + 1 : body.len;
        struct bytes line = {body.data + from, next - from};
        size_t at = n + 2;

        if (line.len >= at && memcmp(line.data, "--", 2) == 0 &&
            memcmp(line.data + 2, boundary, n) == 0) {
            bool closes = line.len >= at + 2 && memcmp(line.data + at, "--", 2) == 0;

            at += closes ? 2 : 0;
            if (!trimmed((struct bytes){line.data + at, line.len - at}).len) {
                *out = (struct delimiter){from, next, closes};
                return true;
            }
        }
        from = next;
    }
    return false;
}

/* Between two delimiters; the line end before the second belongs to it. */
static struct bytes part_between(struct bytes body, const struct delimiter *a,
                                 const struct delimiter *b)
{
    size_t end = b->start;

    if (end > a->next && body.data[end - 1] == '\n')
        end--;
    if (end > a->next && body.data[end - 1] == '\r')
        end--;
    return (struct bytes){body.data + a->next, end - a->next};
}

static enum err signature_part_read(struct bytes part, struct layer *out)
{
    CLEANUP(message_clear) struct message m = {0};
    struct content_type ct = {0};
    enum err e = message_parse(part, &m);

    if (e)
        return e;
    if (message_count(&m, "Content-Type") == 1)
        content_type_read(message_find(&m, "Content-Type", 0)->value, &ct);
    if (!is_pkcs7(&ct, "pkcs7-signature"))
        return malformed("second part is no signature");
    out->signature = m.body;
    return transfer_read(&m, &out->transfer);
}

static enum err signed_split(struct bytes body, const char *boundary, struct layer *out)
{
    struct delimiter first, second, last;

    if (!delimiter_find(body, boundary, 0, &first) || first.closes ||
        !delimiter_find(body, boundary, first.next, &second) || second.closes ||
        !delimiter_find(body, boundary, second.next, &last) || !last.closes)
        return malformed("multipart/signed has not exactly two parts");
    out->signed_entity = part_between(body, &first, &second);
    return signature_part_read(part_between(body, &second, &last), out);
}

enum err layer_read(const struct message *m, struct layer *out)
{
    char boundary[BOUNDARY_MAX + 1];
    struct content_type ct = {0};
    enum err e;

    *out = (struct layer){.body = m->body};
    e = kind_read(m, &ct, &out->kind);
    if (!e && out->kind != LAYER_NONE)
        e = transfer_read(m, &out->transfer);
    if (e || out->kind != LAYER_DETACHED)
        return e;
    if (!ct.parses || ct.protocol_coded)
        return malformed("Content-Type of multipart/signed is malformed");
    e = boundary_read(message_find(m, "Content-Type", 0)->value, boundary);
    return e ? e : signed_split(m->body, boundary, out);
}

/* SMTP ends every message with a line end, which is none of the CMS. */
static struct bytes binary_trimmed(struct bytes body)
{
    struct bytes rest = body;
    struct ber whole;

    if (ber_next(&rest, &whole) && bytes_equal(rest, bytes_of("\r\n")))
        body.len -= rest.len;
    return body;
}

enum err layer_decode(struct bytes body, enum layer_transfer transfer, struct buf *out)
{
    switch (transfer) {
    case TRANSFER_BASE64:
        buf_reserve(out, body.len / 4 * 3 + 3); /* once, so that no copy stays behind */
        return base64_decode(body, out);
    case TRANSFER_BINARY:
        buf_append_bytes(out, binary_trimmed(body));
        return buf_error(out);
    case TRANSFER_TEXT:
    case TRANSFER_OTHER:
        break;
    }
    return malformed("transfer encoding is neither base64 nor binary");
}
