/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content_type.c - tokenizer for Content-Type: strict in its verdict, lenient in its reading.
 *
 * A parameter may only be added to a value that every parser reads alike, so the smallest fault
 * means "does not parse". What the value says is read past faults all the same, because mail that
 * says S/MIME must be recognised. RFC 2045 5.1, RFC 5322 3.2. */
#include "daemon/message/content_type.h"

#include <string.h>

struct scan {
    const uint8_t *at;
    const uint8_t *end;
    bool clean; /* no fault so far */
};

static bool scan_is_at(const struct scan *s, char c)
{
    return s->at < s->end && *s->at == (uint8_t)c;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_token(uint8_t c)
{
    return c > 0x20 && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

/* A comment, nested ones included; the scan stands on its opening parenthesis. */
static void comment_skip(struct scan *s)
{
    unsigned depth = 0;

    for (; s->at < s->end; s->at++) {
        if (*s->at > 0x7e)
            s->clean = false;
        if (*s->at == '\\' && s->at + 1 < s->end)
            s->at++;
        else if (*s->at == '(')
            depth++;
        else if (*s->at == ')' && --depth == 0) {
            s->at++;
            return;
        }
    }
    s->clean = false;
}

static void space_skip(struct scan *s)
{
    for (; s->at < s->end; s->at++) {
        while (scan_is_at(s, '('))
            comment_skip(s);
        if (s->at >= s->end || !is_space(*s->at))
            return;
    }
}

static uint8_t lower(uint8_t c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* One more byte of a word in the making; too long a word ends as "". */
static void word_add(char *out, size_t *len, uint8_t c)
{
    if (*len < CONTENT_TYPE_TEXT_MAX)
        out[(*len)++] = (char)lower(c);
    else
        *len = CONTENT_TYPE_TEXT_MAX + 1;
}

static void word_end(char *out, size_t len)
{
    out[len <= CONTENT_TYPE_TEXT_MAX ? len : 0] = '\0';
}

static void token_read(struct scan *s, char *out)
{
    const uint8_t *start = s->at;
    size_t len = 0;

    for (; s->at < s->end && is_token(*s->at); s->at++)
        word_add(out, &len, *s->at);
    word_end(out, len);
    if (s->at == start)
        s->clean = false;
}

static void quoted_read(struct scan *s, char *out)
{
    size_t len = 0;

    for (s->at++; s->at < s->end && *s->at != '"'; s->at++) {
        if (*s->at == '\\' && s->at + 1 < s->end)
            s->at++;
        if (*s->at > 0x7e || (*s->at < 0x20 && !is_space(*s->at)))
            s->clean = false;
        if (*s->at != '\r' && *s->at != '\n')
            word_add(out, &len, *s->at);
    }
    word_end(out, len);
    if (s->at < s->end)
        s->at++;
    else
        s->clean = false;
}

static void value_read(struct scan *s, char *out)
{
    if (scan_is_at(s, '"')) {
        quoted_read(s, out);
        return;
    }
    token_read(s, out);
    /* an unquoted '/' is a common fault: protocol=application/pkcs7-signature */
    if (scan_is_at(s, '/')) {
        size_t len = strlen(out);

        s->clean = false;
        for (; s->at < s->end && (is_token(*s->at) || *s->at == '/'); s->at++)
            word_add(out, &len, *s->at);
        word_end(out, len);
    }
}

/* Past whatever stands there to the next ';'. */
static void fault_skip(struct scan *s)
{
    if (s->at < s->end && *s->at != ';')
        s->clean = false;
    while (s->at < s->end && *s->at != ';')
        s->at++;
}

static void word_keep(char *kept, const char *value)
{
    if (!kept[0])
        memcpy(kept, value, strlen(value) + 1);
}

/* Of two protocols some readers take the last: the one that says S/MIME counts. */
static void protocol_keep(char *kept, const char *value)
{
    if (strstr(value, "pkcs7"))
        kept[0] = '\0';
    word_keep(kept, value);
}

/* attribute "=" value, behind its ';'. */
static void parameter_read(struct scan *s, struct content_type *ct)
{
    char name[CONTENT_TYPE_TEXT_MAX + 1];
    char value[CONTENT_TYPE_TEXT_MAX + 1];

    space_skip(s);
    token_read(s, name);
    space_skip(s);
    if (!scan_is_at(s, '=')) {
        s->clean = false;
        return;
    }
    s->at++;
    space_skip(s);
    value_read(s, value);
    space_skip(s);
    if (strcmp(name, "hp") == 0)
        ct->has_hp = true;
    else if (strcmp(name, "protocol") == 0)
        protocol_keep(ct->protocol, value);
    else if (strncmp(name, "protocol*", 9) == 0)
        ct->protocol_coded = true;
    else if (strcmp(name, "smime-type") == 0)
        word_keep(ct->smime_type, value);
}

void content_type_read(struct bytes value, struct content_type *out)
{
    struct scan s = {value.data, value.data + value.len, true};

    *out = (struct content_type){0};
    space_skip(&s);
    token_read(&s, out->type);
    space_skip(&s);
    if (scan_is_at(&s, '/')) {
        s.at++;
        space_skip(&s);
        token_read(&s, out->subtype);
        space_skip(&s);
    } else {
        s.clean = false;
    }
    fault_skip(&s);
    while (s.at < s.end) {
        s.at++;
        parameter_read(&s, out);
        fault_skip(&s);
    }
    out->parses = s.clean;
}
