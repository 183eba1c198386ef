/* SPDX-License-Identifier: GPL-3.0-or-later */
/* message.c - split a message into header fields and body, by lines and colons alone.
 *
 * First step after the final dot. Nothing is decoded or repaired, so that what is kept can be
 * written out again byte for byte. RFC 5322 2.2. */
#include "daemon/message/message.h"

#include <stdlib.h>
#include <string.h>

#define FIELDS_FIRST 32u

struct line {
    struct bytes text;  /* without CRLF */
    struct bytes whole; /* with it */
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* The next line of rest, which moves behind it. */
static enum err line_next(struct bytes *rest, struct line *out)
{
    const uint8_t *lf = memchr(rest->data, '\n', rest->len);
    size_t len = lf ? (size_t)(lf - rest->data) + 1 : rest->len;
    size_t text_len = len;

    if (lf) {
        if (len < 2 || rest->data[len - 2] != '\r')
            return err_note(ERR_BARE_LINE, "message_parse", "bare LF in header");
        text_len = len - 2;
    }
    if (memchr(rest->data, '\r', text_len) || memchr(rest->data, '\0', text_len))
        return err_note(ERR_BARE_LINE, "message_parse", "bare CR or NUL in header");
    out->text = (struct bytes){rest->data, text_len};
    out->whole = (struct bytes){rest->data, len};
    rest->data += len;
    rest->len -= len;
    return ERR_OK;
}

static enum err field_add(struct message *m, size_t *cap, const struct message_field *field)
{
    if (m->n_fields >= MESSAGE_FIELDS_MAX)
        return err_note(ERR_HEADER, "message_parse", "over %u fields", MESSAGE_FIELDS_MAX);
    if (m->n_fields == *cap) {
        size_t more = *cap ? *cap * 2 : FIELDS_FIRST;
        struct message_field *grown = realloc(m->fields, more * sizeof *grown);

        if (!grown)
            return ERR_NOMEM;
        m->fields = grown;
        *cap = more;
    }
    m->fields[m->n_fields++] = *field;
    return ERR_OK;
}

/* Does the line open a field? Its name is all before the colon, trailing blanks taken off. */
static bool field_opens(const struct line *line, struct message_field *out)
{
    const uint8_t *colon = memchr(line->text.data, ':', line->text.len);
    size_t name_len;
    size_t value_at;

    if (!colon)
        return false;
    name_len = (size_t)(colon - line->text.data);
    value_at = name_len + 1;
    while (name_len && is_blank(line->text.data[name_len - 1]))
        name_len--;
    if (!name_len)
        return false;
    out->name = (struct bytes){line->text.data, name_len};
    out->value = (struct bytes){line->text.data + value_at, line->text.len - value_at};
    out->whole = line->whole;
    return true;
}

/* A folded line lies right behind the field it continues. */
static void field_extend(struct message_field *f, const struct line *line)
{
    f->value.len = (size_t)(line->text.data + line->text.len - f->value.data);
    f->whole.len += line->whole.len;
}

static enum err header_scan(struct bytes *rest, struct message *m)
{
    struct message_field field;
    struct line line = {0};
    size_t cap = 0;
    bool in_field = false; /* a folded line now would continue the last field */

    while (rest->len) {
        enum err e = line_next(rest, &line);

        if (e)
            return e;
        if ((size_t)(rest->data - m->raw.data) > MESSAGE_HEADER_MAX_BYTES)
            return err_note(ERR_HEADER, "message_parse", "header over %u bytes",
                            MESSAGE_HEADER_MAX_BYTES);
        if (!line.text.len)
            return ERR_OK;
        if (is_blank(line.text.data[0])) {
            if (in_field)
                field_extend(&m->fields[m->n_fields - 1], &line);
            continue;
        }
        in_field = field_opens(&line, &field);
        if (in_field)
            e = field_add(m, &cap, &field);
        if (e)
            return e;
    }
    return ERR_OK;
}

enum err message_parse(struct bytes raw, struct message *out)
{
    struct message m = {.raw = raw};
    struct bytes rest = raw;
    enum err e = header_scan(&rest, &m);

    if (e) {
        message_clear(&m);
        return e;
    }
    m.body = rest;
    *out = m;
    return ERR_OK;
}

void message_clear(struct message *m)
{
    if (!m)
        return;
    free(m->fields);
    *m = (struct message){0};
}

const struct message_field *message_find(const struct message *m, const char *name, size_t nth)
{
    for (size_t i = 0; i < m->n_fields; i++)
        if (bytes_equal_nocase(m->fields[i].name, name) && nth-- == 0)
            return &m->fields[i];
    return NULL;
}

const struct message_field *message_next(const struct message *m, const char *name,
                                         const struct message_field *behind)
{
    for (size_t i = behind ? (size_t)(behind - m->fields) + 1 : 0; i < m->n_fields; i++)
        if (bytes_equal_nocase(m->fields[i].name, name))
            return &m->fields[i];
    return NULL;
}

size_t message_count(const struct message *m, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_fields; i++)
        n += bytes_equal_nocase(m->fields[i].name, name) ? 1 : 0;
    return n;
}

enum err message_unfold(struct bytes value, struct buf *out)
{
    while (value.len &&
           (is_blank(value.data[0]) || value.data[0] == '\r' || value.data[0] == '\n')) {
        value.data++;
        value.len--;
    }
    while (value.len && (is_blank(value.data[value.len - 1]) || value.data[value.len - 1] == '\r' ||
                         value.data[value.len - 1] == '\n'))
        value.len--;
    buf_reserve(out, value.len);
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];

        if (c == '\r' && i + 1 < value.len && value.data[i + 1] == '\n') {
            i++;
            continue;
        }
        if (c == '\t')
            c = ' ';
        else if (c < 0x20 || c == 0x7f)
            c = '?';
        buf_append(out, &c, 1);
    }
    return buf_error(out);
}
