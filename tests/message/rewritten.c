/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rewritten.c - the two steps of rewriting in one call. */
#include "tests/message/rewritten.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAP_MAX 64u

static void map_address(const char *addr, char *to, size_t size)
{
    const char *domain = address_domain(addr);
    int local = (int)(domain - addr) - 1;

    (void)snprintf(to, size, "r-%.*s-%s@relay.example", local, addr, domain);
}

static size_t map_fill(const struct mailbox_list *l, struct rewrite_map *map, char (*to)[160],
                       size_t n)
{
    for (size_t i = 0; i < l->n && n < MAP_MAX; i++) {
        if (strcmp(address_domain(l->items[i].addr), "nomap.example") == 0)
            continue;
        map_address(l->items[i].addr, to[n], sizeof to[n]);
        map[n].from_addr = l->items[i].addr;
        map[n].to_addr = to[n];
        n++;
    }
    return n;
}

struct marks {
    bool hide_subject, unverified, spam;
};

static void forward(struct rewritten *r, struct marks marks)
{
    static const char *const verdict[] = {"Sealrelay-Verdict: unchecked"};
    struct rewrite_map map[MAP_MAX];
    char to[MAP_MAX][160];
    size_t n = map_fill(&r->parties.to, map, to, 0);
    struct rewrite_input in = {.message = &r->message,
                               .parties = &r->parties,
                               .relay_id = "relay1",
                               .alias = REWRITTEN_ALIAS,
                               .sender_addr = r->parties.from.addr,
                               .sender_reverse = REWRITTEN_REVERSE,
                               .map = map,
                               .verdict = verdict,
                               .n_verdict = 1,
                               .now_s = REWRITTEN_NOW_S,
                               .cert_not_before_s = REWRITTEN_NOT_BEFORE_S,
                               .message_id_domain = "relay.example",
                               .unverified = marks.unverified,
                               .spam = marks.spam,
                               .hide_subject = marks.hide_subject};

    n = map_fill(&r->parties.cc, map, to, n);
    in.n_map = map_fill(&r->parties.reply_to, map, to, n);
    assert_int_equal(rewrite_forward(&in, &r->out), ERR_OK);
}

static void make(const char *raw, struct marks marks, struct rewritten *out)
{
    *out = (struct rewritten){0};
    assert_int_equal(message_parse(bytes_of(raw), &out->message), ERR_OK);
    assert_int_equal(rewrite_parties_find(&out->message, "relay1", NULL, 0, &out->parties), ERR_OK);
    forward(out, marks);
    buf_append_bytes(&out->entity, buf_bytes(&out->out.inner_head));
    buf_append_bytes(&out->entity, out->out.content);
    buf_append_bytes(&out->entity, buf_bytes(&out->out.inner_tail));
    assert_int_equal(message_parse(buf_bytes(&out->out.outer), &out->outer), ERR_OK);
    assert_int_equal(message_parse(buf_bytes(&out->entity), &out->inner), ERR_OK);
}

void rewritten_make(const char *raw, bool hide_subject, struct rewritten *out)
{
    make(raw, (struct marks){.hide_subject = hide_subject}, out);
}

void rewritten_make_marked(const char *raw, bool unverified, bool spam, struct rewritten *out)
{
    make(raw, (struct marks){.unverified = unverified, .spam = spam}, out);
}

void rewritten_clear(struct rewritten *r)
{
    message_clear(&r->inner);
    message_clear(&r->outer);
    buf_clear(&r->entity);
    rewrite_output_clear(&r->out);
    rewrite_parties_clear(&r->parties);
    message_clear(&r->message);
}

const char *rewritten_value(const struct message *m, const char *name)
{
    static struct buf values[8];
    static unsigned next;
    struct buf *b = &values[next++ % 8];

    buf_clear(b);
    if (message_count(m, name) != 1)
        return message_count(m, name) ? "many" : "-";
    assert_int_equal(message_unfold(message_find(m, name, 0)->value, b), ERR_OK);
    return buf_str(b);
}
