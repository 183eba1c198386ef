/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tokens.c - names that stand for others throughout one message: reverse addresses, Content-IDs.
 *
 * Each is decided once, so that a cid: link still meets its picture and a reverse address becomes
 * the same real one in header, text and HTML. */
#include "daemon/base/id.h"
#include "daemon/clean/internal.h"
#include "daemon/message/address.h"

#include <stdlib.h>
#include <string.h>

#define CIDS_MAX 2000u

const struct pair *pairs_find(const struct pairs *p, const char *from)
{
    void *at = p->index ? g_hash_table_lookup(p->index, from) : NULL;

    return at ? &p->items[GPOINTER_TO_SIZE(at) - 1] : NULL;
}

enum err pairs_add(struct pairs *p, const char *from, const char *to)
{
    struct pair *grown = realloc(p->items, (p->n + 1) * sizeof *grown);
    struct pair pair = {0};

    if (!grown)
        return ERR_NOMEM;
    p->items = grown;
    pair.from = strdup(from);
    pair.to = to ? strdup(to) : NULL;
    if (!pair.from || (to && !pair.to)) {
        free(pair.from);
        free(pair.to);
        return ERR_NOMEM;
    }
    p->items[p->n++] = pair;
    if (!p->index)
        p->index = g_hash_table_new(g_str_hash, g_str_equal);
    (void)g_hash_table_insert(p->index, pair.from, GSIZE_TO_POINTER(p->n));
    return ERR_OK;
}

void pairs_clear(struct pairs *p)
{
    if (p->index)
        g_hash_table_destroy(p->index);
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].from);
        free(p->items[i].to);
    }
    free(p->items);
    *p = (struct pairs){0};
}

enum err clean_real(struct clean *c, const char *reverse, const char **real)
{
    const struct pair *known = pairs_find(&c->reverses, reverse);
    CLEANUP(str_free) char *found = NULL;
    enum err e;

    *real = known ? known->to : NULL;
    if (known)
        return ERR_OK;
    if (c->reverses.n >= CLEAN_LOOKUPS_MAX)
        return clean_refuse(c, CLEAN_LOOKUPS, "");
    e = c->in->lookups.address_real(c->in->lookups.context, reverse, &found);
    if (e && e != ERR_NOT_FOUND)
        return e;
    e = pairs_add(&c->reverses, reverse, found);
    if (!e && found)
        e = words_add_shown(&c->words, found);
    if (!e && found && !address_is_reverse(reverse)) /* reverse addresses are tokens already */
        e = words_add_first(&c->words, reverse, found);
    if (!e)
        *real = c->reverses.items[c->reverses.n - 1].to;
    return e;
}

enum err clean_cid(struct clean *c, struct bytes id, const char **to)
{
    CLEANUP(buf_clear) struct buf from = {0};
    CLEANUP(buf_clear) struct buf made = {0};
    const struct pair *known;
    id_text random = "";
    enum err e;

    buf_append_bytes(&from, id);
    if (from.failed)
        return ERR_NOMEM;
    known = pairs_find(&c->cids, buf_str(&from));
    if (known) {
        *to = known->to;
        return ERR_OK;
    }
    if (c->cids.n >= CIDS_MAX)
        return clean_refuse(c, CLEAN_PARTS, "");
    e = id_new(random);
    if (e)
        return e;
    buf_printf(&made, "%s@%s", random, c->in->domain);
    e = made.failed ? ERR_NOMEM : pairs_add(&c->cids, buf_str(&from), buf_str(&made));
    if (!e)
        *to = c->cids.items[c->cids.n - 1].to;
    return e;
}

/* A path's last piece is what the user meant; the rest names a machine or an account. */
static void file_name_append(struct bytes path, struct buf *out)
{
    size_t start = 0;

    for (size_t i = 0; i < path.len; i++)
        if (path.data[i] == '/' || path.data[i] == '\\')
            start = i + 1;
    if (start < path.len)
        buf_append(out, path.data + start, path.len - start);
}

static enum err token_replace(void *context, enum scan_token kind, struct bytes token,
                              struct buf *out, bool *found)
{
    struct clean *c = context;
    CLEANUP(buf_clear) struct buf text = {0};
    const char *to = NULL;
    enum err e = ERR_OK;

    buf_append_bytes(&text, token);
    if (text.failed)
        return ERR_NOMEM;
    switch (kind) {
    case SCAN_REVERSE:
        e = clean_real(c, buf_str(&text), &to);
        if (!e && to)
            buf_append_str(out, to);
        *found = !e && to;
        break;
    case SCAN_CID:
        e = clean_cid(c, token, &to);
        if (!e)
            buf_printf(out, "cid:%s", to);
        *found = !e;
        break;
    case SCAN_FILE:
        file_name_append(token, out);
        *found = true;
        break;
    }
    return e;
}

struct scan clean_scan(struct clean *c, struct bytes text, unsigned layers, enum scan_escape escape)
{
    return (struct scan){.text = text,
                         .layers = layers | SCAN_BACKSLASH,
                         .encoded = true,
                         .words = &c->words,
                         .replacer = token_replace,
                         .context = c,
                         .escape = escape};
}

bool clean_holds(const struct words *words, struct bytes text)
{
    static const unsigned layers[] = {0, SCAN_DELSP, SCAN_ENTITIES | SCAN_PERCENT | SCAN_BACKSLASH,
                                      SCAN_TAGS | SCAN_ENTITIES | SCAN_PERCENT | SCAN_BACKSLASH};

    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        struct scan s = {
            .text = text, .layers = layers[i], .encoded = layers[i] == 0, .words = words};

        if (scan_finds(&s))
            return true;
    }
    return false;
}
