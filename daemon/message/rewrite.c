/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rewrite.c - a stranger's message as the user will see it, in two steps around the look-up of
 * reverse addresses.
 *
 * Who is named (step one), then outer header, protected header and entity (step two). Pure but for
 * random boundaries and ids; the body is only pointed at. Invariant: nothing of the original's
 * header passes but what outer.c lists and the Content-* fields inside. */
#include "daemon/message/rewrite.h"
#include "daemon/message/outer.h"
#include "daemon/message/protected.h"
#include "daemon/message/wrap.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Clients mark a signature bad when Date and signingTime are further apart. */
#define DATE_AHEAD_MAX_S 3600

static enum err loops_check(const struct message *m, const char *relay_id)
{
    const struct message_field *f = NULL;
    unsigned ours = 0;

    if (message_count(m, LOOP_FIELD) > REWRITE_LOOP_FIELDS_MAX)
        return err_note(ERR_LOOP, "rewrite_parties_find", "too many loop fields");
    while ((f = message_next(m, LOOP_FIELD, f))) {
        CLEANUP(buf_clear) struct buf id = {0};
        enum err e = message_unfold(f->value, &id);

        if (e)
            return e;
        ours += bytes_equal(buf_bytes(&id), bytes_of(relay_id)) ? 1 : 0;
    }
    if (ours >= REWRITE_LOOPS_MAX)
        return err_note(ERR_LOOP, "rewrite_parties_find", "passed here %u times", ours);
    return ERR_OK;
}

static bool is_own_reverse(const char *addr, const char *const *domains, size_t n_domains)
{
    for (size_t i = 0; i < n_domains; i++)
        if (strcasecmp(address_domain(addr), domains[i]) == 0)
            return address_is_reverse(addr);
    return false;
}

/* All fields of a name as one list: strangers write several To fields. */
static enum err list_find(const struct message *m, const char *name, struct mailbox_list *out)
{
    CLEANUP(buf_clear) struct buf joined = {0};
    const struct message_field *f = NULL;

    while ((f = message_next(m, name, f))) {
        if (joined.len)
            buf_append_str(&joined, ", ");
        buf_append_bytes(&joined, f->value);
    }
    return joined.failed ? ERR_NOMEM : mailbox_list_parse(buf_bytes(&joined), out);
}

static enum err from_find(const struct message *m, struct rewrite_parties *out)
{
    CLEANUP(mailbox_list_clear) struct mailbox_list list = {0};
    enum err e = list_find(m, "From", &list);

    if (e || !list.n)
        return e;
    out->from = list.items[0];
    out->from_many = list.n > 1;
    list.items[0] = (struct mailbox){0};
    return ERR_OK;
}

enum err rewrite_parties_find(const struct message *m, const char *relay_id,
                              const char *const *domains, size_t n_domains,
                              struct rewrite_parties *out)
{
    struct rewrite_parties p = {0};
    enum err e;

    if (message_count(m, "From") > 1)
        return err_note(ERR_TWO_FROM, "rewrite_parties_find", "two From fields");
    if (message_count(m, "Received") > MESSAGE_HOPS_MAX)
        return err_note(ERR_HOPS, "rewrite_parties_find", "too many Received fields");
    e = loops_check(m, relay_id);
    if (!e)
        e = from_find(m, &p);
    if (!e && p.from.addr && is_own_reverse(p.from.addr, domains, n_domains))
        e = err_note(ERR_LOOP, "rewrite_parties_find", "From is a reverse alias");
    if (!e)
        e = list_find(m, "To", &p.to);
    if (!e)
        e = list_find(m, "Cc", &p.cc);
    if (!e)
        e = list_find(m, "Reply-To", &p.reply_to);
    if (e)
        rewrite_parties_clear(&p);
    else
        *out = p;
    return e;
}

void rewrite_parties_clear(struct rewrite_parties *p)
{
    if (!p)
        return;
    free(p->from.name);
    free(p->from.addr);
    mailbox_list_clear(&p->to);
    mailbox_list_clear(&p->cc);
    mailbox_list_clear(&p->reply_to);
    *p = (struct rewrite_parties){0};
}

/* Which Date stands outside, and what the original said. */
struct date_choice {
    struct date outer;
    struct date original;
    bool kept;     /* outer is the original, or there was none */
    bool readable; /* original is set */
};

static enum err date_choose(const struct rewrite_input *in, struct date_choice *out)
{
    const struct message_field *f = message_find(in->message, "Date", 0);
    enum err e = f ? date_parse(f->value, &out->original) : ERR_FORMAT;

    if (e && e != ERR_FORMAT)
        return e;
    out->readable = !e;
    out->outer = (struct date){in->now_s, 0};
    out->kept = !f;
    if (out->readable && out->original.time_s >= in->cert_not_before_s &&
        out->original.time_s <= in->now_s + DATE_AHEAD_MAX_S) {
        out->outer = out->original;
        out->kept = true;
    }
    return ERR_OK;
}

static enum err forward_fill(const struct rewrite_input *in, struct rewrite_output *out)
{
    struct date_choice date = {0};
    enum err e = date_choose(in, &date);

    if (!e)
        e = outer_append(in, &date.outer, &out->outer, &out->made_message_id);
    if (!e)
        e = protected_append(&out->inner_head, in, buf_bytes(&out->outer), date.kept,
                             date.readable ? &date.original : NULL);
    if (!e)
        e = entity_append(in->message, buf_bytes(&out->inner_head), &out->inner_head,
                          &out->inner_tail);
    out->content = in->message->body;
    out->signing_time_s = date.outer.time_s;
    return e;
}

enum err rewrite_forward(const struct rewrite_input *in, struct rewrite_output *out)
{
    struct rewrite_output o = {0};
    enum err e = forward_fill(in, &o);

    if (e)
        rewrite_output_clear(&o);
    else
        *out = o;
    return e;
}

void rewrite_output_clear(struct rewrite_output *o)
{
    if (!o)
        return;
    buf_clear(&o->outer);
    buf_wipe(&o->inner_head);
    buf_wipe(&o->inner_tail);
    free(o->made_message_id);
    *o = (struct rewrite_output){0};
}
