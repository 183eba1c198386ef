/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rewrite_fuzz.c - any bytes as a stranger's message: the header written for it is ASCII, names
 * nobody but relay addresses, and the body is untouched. */
#include "daemon/message/rewrite.h"

#include <stdlib.h>
#include <string.h>

#define ALIAS   "shop@relay.example"
#define REVERSE "r-abcdefghijklmnop@relay.example"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void lines_check(const struct buf *b)
{
    size_t column = 0;

    for (size_t i = 0; i < b->len; i++) {
        uint8_t c = b->data[i];

        require(c == '\r' || c == '\n' || (c >= 0x20 && c < 0x7f));
        require((c == '\n') == (i > 0 && b->data[i - 1] == '\r'));
        column = c == '\n' ? 0 : column + 1;
        require(column <= 998);
    }
    require(b->len > 2 && b->data[b->len - 1] == '\n');
}

static void addresses_check(const struct message *header, const char *name)
{
    const struct message_field *f = message_find(header, name, 0);
    CLEANUP(mailbox_list_clear) struct mailbox_list list = {0};

    if (!f)
        return;
    require(mailbox_list_parse(f->value, &list) == ERR_OK && list.n > 0);
    for (size_t i = 0; i < list.n; i++) {
        require(strcmp(list.items[i].addr, ALIAS) == 0 || strcmp(list.items[i].addr, REVERSE) == 0);
        require(!list.items[i].name || !strchr(list.items[i].name, '@'));
    }
}

static void outer_check(const struct rewrite_output *o)
{
    struct message header = {0};

    lines_check(&o->outer);
    require(message_parse(buf_bytes(&o->outer), &header) == ERR_OK);
    require(header.body.len == 0);
    require(message_count(&header, "From") == 1 && message_count(&header, "To") == 1);
    require(message_count(&header, "Date") == 1 && message_count(&header, "Message-ID") == 1);
    addresses_check(&header, "From");
    addresses_check(&header, "To");
    addresses_check(&header, "Cc");
    addresses_check(&header, "Reply-To");
    message_clear(&header);
}

static void inner_check(const struct rewrite_output *o, const struct message *original)
{
    CLEANUP(buf_clear) struct buf entity = {0};
    struct message inner = {0};

    buf_append_bytes(&entity, buf_bytes(&o->inner_head));
    buf_append_bytes(&entity, o->content);
    buf_append_bytes(&entity, buf_bytes(&o->inner_tail));
    require(bytes_equal(o->content, original->body));
    if (message_parse(buf_bytes(&entity), &inner))
        return; /* together over a limit */
    require(message_count(&inner, "From") == 1 && message_count(&inner, "Content-Type") >= 1);
    require(o->inner_tail.len || bytes_equal(inner.body, original->body));
    message_clear(&inner);
}

static size_t map_fill(const struct mailbox_list *l, struct rewrite_map *map, size_t n)
{
    for (size_t i = 0; i < l->n && n < REWRITE_ADDRESSES_MAX; i++)
        map[n++] = (struct rewrite_map){l->items[i].addr, REVERSE};
    return n;
}

static void forward(const struct message *m, const struct rewrite_parties *p, bool hide_subject)
{
    static const char *const verdict[] = {"Sealrelay-Verdict: unchecked"};
    struct rewrite_map map[REWRITE_ADDRESSES_MAX];
    size_t n = map_fill(&p->reply_to, map, map_fill(&p->cc, map, map_fill(&p->to, map, 0)));
    struct rewrite_input in = {.message = m,
                               .parties = p,
                               .relay_id = "relay1",
                               .alias = ALIAS,
                               .sender_addr = p->from.addr,
                               .sender_reverse = REVERSE,
                               .map = map,
                               .n_map = n,
                               .verdict = verdict,
                               .n_verdict = 1,
                               .now_s = 1800000000,
                               .cert_not_before_s = 1790000000,
                               .message_id_domain = "relay.example",
                               .hide_subject = hide_subject};
    struct rewrite_output out = {0};

    require(rewrite_forward(&in, &out) == ERR_OK);
    outer_check(&out);
    inner_check(&out, m);
    rewrite_output_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const domains[] = {"relay.example"};
    CLEANUP(buf_clear) struct buf raw = {0};
    struct message m = {0};
    struct rewrite_parties p = {0};

    for (size_t i = 0; i < size; i++)
        buf_append(&raw, data[i] == '\n' ? (const void *)"\r\n" : &data[i],
                   data[i] == '\n' ? 2 : 1);
    if (message_parse(buf_bytes(&raw), &m))
        return 0;
    if (!rewrite_parties_find(&m, "relay1", domains, 1, &p)) {
        forward(&m, &p, false);
        forward(&m, &p, true);
    }
    rewrite_parties_clear(&p);
    message_clear(&m);
    err_note_clear();
    return 0;
}
