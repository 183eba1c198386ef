/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checker.c - whoever is asked about senders: opened once, shared by all sessions.
 *
 * A source that fails never fails the message: the verdict says why nothing is known, and the
 * profile's policy decides what that means. */
#include "daemon/base/log.h"
#include "daemon/verdict/auth_results.h"
#include "daemon/verdict/domain.h"
#include "daemon/verdict/rspamd.h"
#include "daemon/verdict/rspamd_reply.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct verdict_checker {
    enum verdict_source source;
    atomic_ullong checked, unchecked;
    atomic_int last_gap;
    struct rspamd *rspamd;
    char *authserv_id;
};

enum err verdict_open(const struct verdict_options *options, struct verdict_checker **out)
{
    struct verdict_checker *c = calloc(1, sizeof *c);
    enum err e = ERR_OK;

    if (!c)
        return err_note(ERR_NOMEM, "verdict_open", "out of memory");
    c->source = options->source;
    switch (options->source) {
    case VERDICT_SOURCE_NONE:
        break;
    case VERDICT_SOURCE_RSPAMD:
        e = rspamd_open(options, &c->rspamd);
        break;
    case VERDICT_SOURCE_FIELD:
        c->authserv_id = strdup(options->authserv_id);
        e = c->authserv_id ? ERR_OK : ERR_NOMEM;
        break;
    }
    if (e)
        verdict_close(c);
    else
        *out = c;
    return e;
}

void verdict_close(struct verdict_checker *c)
{
    if (!c)
        return;
    rspamd_close(c->rspamd);
    free(c->authserv_id);
    free(c);
}

static enum verdict_gap gap_of(enum err e)
{
    return e == ERR_TIMEOUT ? VERDICT_SLOW : e == ERR_FORMAT ? VERDICT_GARBLED : VERDICT_AWAY;
}

static void ask_rspamd(struct verdict_checker *c, const struct verdict_request *r,
                       struct sender_verdict *out)
{
    CLEANUP(buf_clear) struct buf answer = {0};
    enum err e = rspamd_check(c->rspamd, r, &answer);

    if (!e)
        e = rspamd_reply_parse(buf_bytes(&answer), out);
    if (!e)
        return;
    log_event(LOG_LEVEL_WARNING, "verdict.rspamd", r->id, e, -1, "answer=%zu", answer.len);
    err_note_clear();
    out->gap = gap_of(e);
}

static void read_field(struct verdict_checker *c, const struct verdict_request *r,
                       struct sender_verdict *out)
{
    const struct message_field *field = auth_results_find(r->message, c->authserv_id);
    struct auth_results results;

    if (!field) {
        out->gap = VERDICT_NO_FIELD;
        return;
    }
    if (auth_results_parse(field->value, &results)) {
        err_note_clear();
        out->gap = VERDICT_GARBLED;
        return;
    }
    out->spf = results.spf;
    out->dkim = results.dkim;
    out->dmarc = results.dmarc;
    out->policy = results.policy;
    if (out->dmarc != AUTH_NONE || results.header_from[0])
        verdict_dmarc_settle(out, bytes_of(results.header_from));
}

/* Who is shown without a From is the envelope's sender: of that SPF speaks, and DMARC nothing. */
static void parties_settle(const struct verdict_request *r, struct sender_verdict *v)
{
    if (v->gap != VERDICT_CHECKED)
        v->unclear = false;
    else if (!r->from)
        v->unclear = !r->mail_from[0] || v->spf != AUTH_PASS;
    else if (r->from_many)
        verdict_doubt(v);
}

static void count(struct verdict_checker *c, const struct sender_verdict *v)
{
    atomic_fetch_add(v->gap == VERDICT_CHECKED ? &c->checked : &c->unchecked, 1);
    atomic_store(&c->last_gap, (int)v->gap);
}

static void check(struct verdict_checker *c, const struct verdict_request *r,
                  struct sender_verdict *v)
{
    v->source = c->source;
    switch (c->source) {
    case VERDICT_SOURCE_NONE:
        v->gap = VERDICT_NOT_ASKED;
        break;
    case VERDICT_SOURCE_RSPAMD:
        ask_rspamd(c, r, v);
        break;
    case VERDICT_SOURCE_FIELD:
        read_field(c, r, v);
        break;
    }
    parties_settle(r, v);
    count(c, v);
}

void verdict_check(struct verdict_checker *c, const struct verdict_request *r,
                   struct sender_verdict *out)
{
    struct sender_verdict v = {.source = VERDICT_SOURCE_NONE};

    verdict_domain_set(&v, r->from);
    if (c)
        check(c, r, &v);
    else
        v.gap = VERDICT_NOT_ASKED;
    *out = v;
}

void verdict_stats_get(struct verdict_checker *c, struct verdict_stats *out)
{
    *out = (struct verdict_stats){.source = c->source,
                                  .checked = atomic_load(&c->checked),
                                  .unchecked = atomic_load(&c->unchecked),
                                  .last = (enum verdict_gap)atomic_load(&c->last_gap)};
}

enum err verdict_ping(struct verdict_checker *c)
{
    return c && c->rspamd ? rspamd_ping(c->rspamd) : ERR_OK;
}
