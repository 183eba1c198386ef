/* SPDX-License-Identifier: GPL-3.0-or-later */
/* report.c - finding the part of a report that is made for machines, and knowing reports and
 * automatic answers that have none. */
#include "daemon/message/report.h"
#include "daemon/base/codec.h"
#include "daemon/message/content_type.h"
#include "daemon/message/status_block.h"

#include <string.h>

#define BOUNDARY_MAX    70u   /* characters, RFC 2046 5.1.1 */
#define PART_FIELDS_MAX 50u   /* lines of a part's header */
#define WORDS_MAX_BYTES 4096u /* of a body that is searched for well-known words */

const char *report_kind_name(enum report_kind k)
{
    switch (k) {
    case REPORT_NONE:
        return "none";
    case REPORT_OTHER:
        return "other";
    case REPORT_PASSED:
        return "passed";
    case REPORT_DELAYED:
        return "delayed";
    case REPORT_FAILED:
        return "failed";
    case REPORT_UNPARSED:
        return "unparsed";
    }
    return "unknown";
}

static uint8_t lower(uint8_t c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* words: lower case */
static bool has_prefix(struct bytes s, const char *words)
{
    size_t n = strlen(words);

    if (s.len < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (lower(s.data[i]) != (uint8_t)words[i])
            return false;
    return true;
}

static bool has_words(struct bytes s, const char *words)
{
    for (; s.len; s.data++, s.len--)
        if (has_prefix(s, words))
            return true;
    return false;
}

static struct bytes skip_blanks(struct bytes s)
{
    while (s.len &&
           (s.data[0] == ' ' || s.data[0] == '\t' || s.data[0] == '\r' || s.data[0] == '\n')) {
        s.data++;
        s.len--;
    }
    return s;
}

/* ---- parts ---- */

/* A parameter's value, quoted or not, as it stands; empty when there is none. Comments and RFC 2231
 * are not read: no report has them here. */
static struct bytes parameter(struct bytes value, const char *name)
{
    bool quoted = false;

    for (; value.len; value.data++, value.len--) {
        struct bytes rest;
        size_t n = 0;

        if (value.data[0] == '"')
            quoted = !quoted;
        if (quoted || value.data[0] != ';')
            continue;
        rest = skip_blanks((struct bytes){value.data + 1, value.len - 1});
        if (!has_prefix(rest, name))
            continue;
        rest = skip_blanks((struct bytes){rest.data + strlen(name), rest.len - strlen(name)});
        if (rest.len == 0 || rest.data[0] != '=')
            continue;
        rest = skip_blanks((struct bytes){rest.data + 1, rest.len - 1});
        if (rest.len && rest.data[0] == '"') {
            rest = (struct bytes){rest.data + 1, rest.len - 1};
            while (n < rest.len && rest.data[n] != '"')
                n++;
        } else {
            while (n < rest.len && !memchr("; \t\r\n", rest.data[n], 5))
                n++;
        }
        return (struct bytes){rest.data, n};
    }
    return (struct bytes){0};
}

static struct bytes line_next(struct bytes *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->data) + 1 : rest->len;
    struct bytes line = {rest->data, len};

    rest->data += len;
    rest->len -= len;
    while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    return line;
}

static bool is_boundary(struct bytes line, struct bytes boundary)
{
    size_t n = boundary.len + 2;

    return line.len >= n && line.data[0] == '-' && line.data[1] == '-' &&
           memcmp(line.data + 2, boundary.data, boundary.len) == 0 &&
           (line.len == n || memchr("- \t", line.data[n], 3));
}

/* What a part's header says of it; the rest then stands at its content. */
struct part {
    bool is_status;
    bool is_base64;
    struct bytes content;
};

static void part_field(struct bytes line, struct part *out)
{
    struct bytes value;

    if (has_prefix(line, "content-type:")) {
        value = skip_blanks((struct bytes){line.data + 13, line.len - 13});
        out->is_status = has_prefix(value, "message/delivery-status") ||
                         has_prefix(value, "message/global-delivery-status");
    } else if (has_prefix(line, "content-transfer-encoding:")) {
        value = skip_blanks((struct bytes){line.data + 26, line.len - 26});
        out->is_base64 = has_prefix(value, "base64");
    }
}

/* The part behind a boundary; rest moves to the next boundary or the end. */
static void part_read(struct bytes *rest, struct bytes boundary, struct part *out)
{
    bool in_header = true;
    size_t lines = 0;
    struct bytes before = *rest;

    *out = (struct part){.content = *rest};
    while (rest->len) {
        struct bytes line;

        before = *rest;
        line = line_next(rest);
        if (is_boundary(line, boundary)) {
            *rest = before;
            break;
        }
        if (!in_header)
            continue;
        if (line.len == 0 || ++lines > PART_FIELDS_MAX) {
            in_header = false;
            out->content = *rest;
        } else {
            part_field(line, out);
        }
        before = *rest;
    }
    if (in_header)
        out->content = before;
    out->content.len = (size_t)(before.data - out->content.data);
}

static void part_judge(const struct part *p, struct report *out)
{
    CLEANUP(buf_clear) struct buf plain = {0};
    struct bytes content = p->content;

    if (content.len > STATUS_BLOCK_MAX_BYTES)
        content.len = STATUS_BLOCK_MAX_BYTES;
    if (p->is_base64 && !base64_decode(content, &plain))
        content = buf_bytes(&plain);
    status_block_read(content, out);
}

/* The first part for machines decides: a returned message behind it may hold others. */
static void parts_read(struct bytes body, struct bytes boundary, struct report *out)
{
    struct bytes rest = body;

    out->kind = REPORT_UNPARSED;
    if (boundary.len == 0 || boundary.len > BOUNDARY_MAX)
        return;
    while (rest.len) {
        struct part p;

        if (!is_boundary(line_next(&rest), boundary))
            continue;
        part_read(&rest, boundary, &p);
        if (p.is_status) {
            part_judge(&p, out);
            return;
        }
    }
}

/* ---- reports without one ---- */

static bool is_from_system(const struct message *m)
{
    const struct message_field *f = message_find(m, "From", 0);

    return f && (has_words(f->value, "mailer-daemon@") || has_words(f->value, "postmaster@"));
}

static bool subject_says_failed(const struct message *m)
{
    static const char *const subjects[] = {
        "undelivered mail returned to sender",
        "undeliverable",
        "undelivered mail",
        "mail delivery failed",
        "mail delivery failure",
        "mail delivery system",
        "failure notice",
        "returned mail",
        "delivery status notification",
        "delivery failure",
        "delivery has failed",
        "non-delivery",
        "warning: message",
    };
    const struct message_field *f = message_find(m, "Subject", 0);

    for (size_t i = 0; f && i < sizeof subjects / sizeof *subjects; i++)
        if (has_prefix(skip_blanks(f->value), subjects[i]))
            return true;
    return false;
}

static bool body_says_failed(const struct message *m)
{
    static const char *const words[] = {
        "this is the qmail-send program",
        "this message was created automatically by mail delivery software",
        "a message that you sent could not be delivered",
        "this is the mail system at host",
        "wasn't able to deliver your message",
        "could not be delivered to one or more recipients",
    };
    struct bytes start = m->body;

    if (start.len > WORDS_MAX_BYTES)
        start.len = WORDS_MAX_BYTES;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (has_words(start, words[i]))
            return true;
    return false;
}

void report_read(const struct message *m, struct report *out)
{
    const struct message_field *f = message_find(m, "Content-Type", 0);
    struct content_type type = {.parses = false};

    *out = (struct report){.kind = REPORT_NONE};
    if (f)
        content_type_read(f->value, &type);
    if (f && strcmp(type.type, "multipart") == 0 && strcmp(type.subtype, "report") == 0) {
        struct bytes of = parameter(f->value, "report-type");

        /* receipts and complaints are reports too, but not of ours to read */
        if (of.len == 0 || bytes_equal_nocase(of, "delivery-status") ||
            bytes_equal_nocase(of, "global-delivery-status"))
            parts_read(m->body, parameter(f->value, "boundary"), out);
        else
            out->kind = REPORT_OTHER;
        return;
    }
    if (message_find(m, "X-Failed-Recipients", 0) || is_from_system(m) || subject_says_failed(m) ||
        body_says_failed(m))
        out->kind = REPORT_UNPARSED;
}

bool report_is_automatic(const struct message *m)
{
    static const char *const marks[] = {"X-Auto-Response-Suppress", "X-Autoreply", "X-Autorespond",
                                        "X-Autoresponder", "List-Id"};
    static const char *const precedences[] = {"bulk", "junk", "list", "auto_reply"};
    const struct message_field *f;

    for (size_t n = 0; (f = message_find(m, "Auto-Submitted", n)) != NULL; n++) {
        struct bytes v = skip_blanks(f->value);

        if (!has_prefix(v, "no") || (v.len > 2 && !memchr("; \t\r\n(", v.data[2], 6)))
            return true;
    }
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (message_find(m, marks[i], 0))
            return true;
    f = message_find(m, "Precedence", 0);
    for (size_t i = 0; f && i < sizeof precedences / sizeof *precedences; i++)
        if (has_prefix(skip_blanks(f->value), precedences[i]))
            return true;
    return false;
}
