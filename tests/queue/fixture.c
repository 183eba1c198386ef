/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fixture.c - a queue in a private folder, and messages whose content follows from their number. */
#include "tests/queue/fixture.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct queue_fixture fixture;

int fixture_start(void **state)
{
    (void)state;
    scratch_new(fixture.dir);
    fixture.hsm = hsm_double_new();
    fixture.options = (struct queue_options){.dir = fixture.dir};
    assert_int_equal(queue_open(&fixture.options, fixture.hsm, &fixture.queue), ERR_OK);
    return 0;
}

int fixture_end(void **state)
{
    (void)state;
    queue_close(fixture.queue);
    hsm_double_free(fixture.hsm);
    scratch_remove(fixture.dir);
    return 0;
}

void fixture_reopen(void)
{
    queue_close(fixture.queue);
    fixture.queue = NULL;
    assert_int_equal(queue_open(&fixture.options, fixture.hsm, &fixture.queue), ERR_OK);
}

struct queue_item fixture_show(unsigned n)
{
    struct queue_item item;
    id_text id;

    message_id(n, id);
    assert_int_equal(queue_show(fixture.queue, id, &item), ERR_OK);
    return item;
}

enum queue_state fixture_state_of(unsigned n)
{
    return fixture_show(n).state;
}

enum err fixture_order(unsigned n, enum queue_order order, int64_t now_s)
{
    size_t changed;
    id_text id;

    message_id(n, id);
    return queue_order(fixture.queue, id, order, now_s, &changed);
}

static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

void message_id(unsigned n, id_text out)
{
    memset(out, 'm', ID_LEN);
    out[ID_LEN] = '\0';
    for (size_t i = ID_LEN; n && i > 0; i--, n /= 32)
        out[i - 1] = digits[n % 32];
}

/* Lines of 80 bytes, each different, with the marker in every one. */
static void content(unsigned n, size_t len, struct buf *out)
{
    for (unsigned line = 0; out->len < len; line++)
        buf_printf(out, "%s message %06u line %08u %0*u\r\n", FIXTURE_MARKER, n, line, 31, line);
    out->len = len;
}

static void addresses(unsigned n, address_text from, address_text to)
{
    (void)snprintf(from, sizeof(address_text), FIXTURE_MARKER "-from-%u@a.example", n);
    (void)snprintf(to, sizeof(address_text), FIXTURE_MARKER "-rcpt-%u@b.example", n);
}

enum err message_writer(struct queue *q, unsigned n, size_t len, const char *hop, int64_t now_s,
                        struct queue_writer **out)
{
    CLEANUP(buf_clear) struct buf text = {0};
    address_text from;
    address_text to;
    struct queue_envelope v = {.direction = n % 2 ? QUEUE_REPLY : QUEUE_FORWARD,
                               .profile = FIXTURE_PROFILE,
                               .hop = hop,
                               .mail_from = from,
                               .rcpt_to = to};
    struct queue_writer *w = NULL;
    size_t step = 7919;
    enum err e;

    message_id(n, v.id);
    addresses(n, from, to);
    content(n, len, &text);
    e = queue_begin(q, &v, now_s, &w);
    for (size_t at = 0; !e && at < len; at += step)
        e = queue_write(w, text.data + at, len - at < step ? len - at : step);
    if (e) {
        queue_abort(w);
        return e;
    }
    *out = w;
    return ERR_OK;
}

enum err message_put(struct queue *q, unsigned n, size_t len, const char *hop, int64_t now_s)
{
    struct queue_writer *w = NULL;
    enum err e = message_writer(q, n, len, hop, now_s, &w);

    return e ? e : queue_commit(q, &w, 1);
}

static enum err body_all(struct queue *q, const struct queue_item *item, struct buf *out)
{
    struct queue_body *b = NULL;
    enum err e = queue_body_open(q, item, &b);
    uint8_t part[10007];
    size_t got = 1;

    while (!e && got) {
        e = queue_body_read(b, part, sizeof part, &got);
        if (!e)
            buf_append(out, part, got);
    }
    queue_body_close(b);
    return e;
}

enum err message_check(struct queue *q, unsigned n, size_t len)
{
    CLEANUP(buf_clear) struct buf expected = {0};
    CLEANUP(buf_clear) struct buf got = {0};
    struct queue_item item;
    address_text from;
    address_text to;
    id_text id;
    enum err e;

    message_id(n, id);
    addresses(n, from, to);
    content(n, len, &expected);
    e = queue_show(q, id, &item);
    e = e ? e : body_all(q, &item, &got);
    if (e)
        return e;
    return bytes_equal(buf_bytes(&expected), buf_bytes(&got)) && item.size_bytes == len &&
                   strcmp(item.mail_from, from) == 0 && strcmp(item.rcpt_to, to) == 0 &&
                   item.direction == (n % 2 ? QUEUE_REPLY : QUEUE_FORWARD) &&
                   strcmp(item.profile, FIXTURE_PROFILE) == 0
               ? ERR_OK
               : ERR_BUG;
}

unsigned message_number(const struct queue_item *item)
{
    const char *at = strstr(item->rcpt_to, "-rcpt-");

    return at ? (unsigned)strtoul(at + strlen("-rcpt-"), NULL, 10) : 0;
}

enum err take_one(struct queue *q, int64_t now_s, unsigned *n_out)
{
    struct queue_item item;
    int64_t due_in_s;
    size_t n = 0;
    enum err e = queue_take(q, now_s, NULL, 0, 1, &item, &n, &due_in_s);

    if (!e)
        *n_out = message_number(&item);
    return e;
}

enum err finish_one(struct queue *q, unsigned n, enum queue_outcome outcome, int64_t next_attempt_s,
                    const char *text)
{
    struct queue_result r = {.outcome = outcome,
                             .now_s = FIXTURE_NOW,
                             .next_attempt_s = next_attempt_s,
                             .text = text,
                             .hop_id = outcome == OUTCOME_DONE ? "4XyZ" : NULL};

    message_id(n, r.id);
    return queue_finish(q, &r, 1);
}
