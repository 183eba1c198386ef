/* SPDX-License-Identifier: GPL-3.0-or-later */
/* status_block.c - fields of a delivery report, read leniently: software of thirty years wrote
 * them, and a fault in one field is no reason to miss what another says. */
#include "daemon/message/status_block.h"

#include <ctype.h>
#include <string.h>

/* One recipient, as far as it was read. */
struct group {
    enum report_kind kind; /* REPORT_NONE: no Action yet */
    char status[REPORT_STATUS_MAX + 1];
    char diagnostic[REPORT_DIAGNOSTIC_MAX + 1];
};

struct block {
    struct group group;
    struct report worst;
    char *open; /* the value that a folded line continues; NULL */
    size_t open_cap;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct bytes trim(struct bytes s)
{
    while (s.len && is_blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len && (is_blank(s.data[s.len - 1]) || s.data[s.len - 1] == '\r'))
        s.len--;
    return s;
}

/* Text of a stranger, made printable; what is too long is cut. */
static void text_add(char *out, size_t cap, struct bytes s)
{
    size_t len = strlen(out);

    for (size_t i = 0; i < s.len && len + 1 < cap; i++)
        out[len++] = s.data[i] >= 0x20 && s.data[i] < 0x7f ? (char)s.data[i] : '?';
    out[len] = '\0';
}

/* "smtp; 550 5.1.1 no such user": the type says nothing to us. */
static struct bytes behind_type(struct bytes value)
{
    const uint8_t *semicolon = value.len ? memchr(value.data, ';', value.len) : NULL;

    if (!semicolon)
        return value;
    return trim((struct bytes){semicolon + 1, (size_t)(value.data + value.len - semicolon) - 1});
}

static size_t digits(struct bytes s, size_t at)
{
    size_t n = 0;

    while (at + n < s.len && isdigit(s.data[at + n]))
        n++;
    return n;
}

/* RFC 3463 2: class "." subject "." detail; comments may stand behind. */
static void status_read(struct bytes value, char out[REPORT_STATUS_MAX + 1])
{
    size_t subject;
    size_t detail;

    out[0] = '\0';
    if (value.len < 5 || !memchr("245", value.data[0], 3) || value.data[1] != '.')
        return;
    subject = digits(value, 2);
    if (subject < 1 || subject > 3 || 2 + subject >= value.len || value.data[2 + subject] != '.')
        return;
    detail = digits(value, 3 + subject);
    if (detail >= 1 && detail <= 3)
        text_add(out, REPORT_STATUS_MAX + 1, (struct bytes){value.data, 3 + subject + detail});
}

static enum report_kind action_kind(struct bytes value)
{
    static const struct {
        const char *word;
        enum report_kind kind;
    } actions[] = {
        {"failed", REPORT_FAILED},  {"delayed", REPORT_DELAYED}, {"delivered", REPORT_PASSED},
        {"relayed", REPORT_PASSED}, {"expanded", REPORT_PASSED},
    };
    size_t len = 0;

    while (len < value.len && isalpha(value.data[len]))
        len++;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (bytes_equal_nocase((struct bytes){value.data, len}, actions[i].word))
            return actions[i].kind;
    return REPORT_NONE;
}

static bool is_worse(const struct group *g, const struct report *than)
{
    if (g->kind != than->kind)
        return g->kind > than->kind;
    return g->kind == REPORT_FAILED && g->status[0] == '5' && than->status[0] != '5';
}

static void group_end(struct block *b)
{
    struct group *g = &b->group;

    b->open = NULL;
    if (g->kind == REPORT_FAILED && !g->status[0])
        memcpy(g->status, "5.0.0", sizeof "5.0.0");
    if (g->kind != REPORT_NONE && is_worse(g, &b->worst)) {
        b->worst.kind = g->kind;
        memcpy(b->worst.status, g->status, sizeof g->status);
        memcpy(b->worst.diagnostic, g->diagnostic, sizeof g->diagnostic);
    }
    *g = (struct group){.kind = REPORT_NONE};
}

static void field_take(struct block *b, struct bytes name, struct bytes value)
{
    struct group *g = &b->group;

    b->open = NULL;
    if (bytes_equal_nocase(name, "action")) {
        if (g->kind != REPORT_NONE)
            group_end(b);
        g->kind = action_kind(value);
    } else if (bytes_equal_nocase(name, "status")) {
        status_read(value, g->status);
    } else if (bytes_equal_nocase(name, "diagnostic-code")) {
        g->diagnostic[0] = '\0';
        text_add(g->diagnostic, sizeof g->diagnostic, behind_type(value));
        b->open = g->diagnostic;
        b->open_cap = sizeof g->diagnostic;
    }
}

static void line_take(struct block *b, struct bytes line)
{
    const uint8_t *colon;

    if (line.len && is_blank(line.data[0]) && trim(line).len) {
        if (b->open) {
            text_add(b->open, b->open_cap, bytes_of(b->open[0] ? " " : ""));
            text_add(b->open, b->open_cap, trim(line));
        }
        return;
    }
    line = trim(line);
    if (line.len == 0) {
        group_end(b);
        return;
    }
    colon = memchr(line.data, ':', line.len);
    if (colon)
        field_take(b, trim((struct bytes){line.data, (size_t)(colon - line.data)}),
                   trim((struct bytes){colon + 1, (size_t)(line.data + line.len - colon) - 1}));
}

void status_block_read(struct bytes text, struct report *out)
{
    struct block b = {.open = NULL};
    size_t at = 0;

    if (text.len > STATUS_BLOCK_MAX_BYTES)
        text.len = STATUS_BLOCK_MAX_BYTES;
    while (at < text.len) {
        const uint8_t *end = memchr(text.data + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - (text.data + at)) : text.len - at;

        line_take(&b, (struct bytes){text.data + at, len});
        at += len + 1;
    }
    group_end(&b);
    if (b.worst.kind == REPORT_NONE)
        b.worst.kind = REPORT_UNPARSED;
    *out = b.worst;
}
