/* SPDX-License-Identifier: GPL-3.0-or-later */
/* data.c - the end-of-data machine.
 *
 * It never looks back and never looks ahead: the state carries everything, so where a read ends
 * cannot change the outcome. */
#include "daemon/receive/data.h"

void data_init(struct data *d, struct memory_budget *budget, uint64_t declared, uint64_t max)
{
    *d = (struct data){.state = DATA_LINE};
    body_init(&d->body, budget, declared, max);
}

/* Content is kept only while the message can still be accepted. */
static void keep(struct data *d, const uint8_t *data, size_t len)
{
    if (!d->stray)
        (void)body_append(&d->body, data, len);
}

/* Note a bare CR, bare LF or NUL. The size goes on being counted by seen, the content is over. */
static void note_stray(struct data *d)
{
    enum err failure = body_failure(&d->body);

    if (!d->stray && !failure)
        body_clear(&d->body);
    d->stray = true;
}

static bool is_plain(uint8_t c)
{
    return c != '\r' && c != '\n' && c != '\0';
}

/* A byte of content inside a line. */
static enum data_state take_text(struct data *d, const uint8_t *c)
{
    if (*c == '\r')
        return DATA_CR;
    if (is_plain(*c))
        keep(d, c, 1);
    else
        note_stray(d);
    return DATA_TEXT;
}

/* The byte behind a CR; dot_line: the line so far is a single dot. */
static enum data_state take_after_cr(struct data *d, const uint8_t *c, bool dot_line)
{
    if (*c == '\n') {
        if (dot_line)
            return DATA_END;
        keep(d, (const uint8_t *)"\r\n", 2);
        return DATA_LINE;
    }
    note_stray(d);
    return take_text(d, c);
}

static enum data_state take(struct data *d, const uint8_t *c)
{
    switch (d->state) {
    case DATA_LINE:
        return *c == '.' ? DATA_DOT : take_text(d, c);
    case DATA_TEXT:
        return take_text(d, c);
    case DATA_CR:
        return take_after_cr(d, c, false);
    case DATA_DOT:
        return *c == '\r' ? DATA_DOT_CR : take_text(d, c);
    case DATA_DOT_CR:
        return take_after_cr(d, c, true);
    case DATA_END:
        return DATA_END;
    }
    return DATA_END;
}

/* The run of ordinary bytes at the front of in, all content of the present line. */
static size_t plain_run(struct bytes in)
{
    size_t n = 0;

    while (n < in.len && is_plain(in.data[n]))
        n++;
    return n;
}

bool data_feed(struct data *d, struct bytes *in)
{
    while (in->len && d->state != DATA_END) {
        size_t n = d->state == DATA_TEXT ? plain_run(*in) : 0;

        if (n) {
            keep(d, in->data, n);
        } else {
            d->state = take(d, in->data);
            n = 1;
        }
        d->seen += n;
        in->data += n;
        in->len -= n;
    }
    return d->state == DATA_END;
}

enum err data_verdict(const struct data *d)
{
    enum err failure = body_failure(&d->body);

    if (failure == ERR_TOO_BIG)
        return ERR_TOO_BIG;
    return d->stray ? ERR_BARE_LINE : failure;
}

uint64_t data_seen(const struct data *d)
{
    return d->seen;
}

struct bytes data_content(const struct data *d)
{
    return body_bytes(&d->body);
}

void data_clear(struct data *d)
{
    body_clear(&d->body);
    *d = (struct data){0};
}
