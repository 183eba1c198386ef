/* SPDX-License-Identifier: GPL-3.0-or-later */
/* greet.c - decides who is to be greeted, and writes the greeting. The thread is in greeter.c. */
#include "daemon/flow/greet.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/flow/correspond.h"
#include "daemon/flow/notice.h"
#include "daemon/store/greeting.h"

#include <stdlib.h>
#include <string.h>

#define MAKING_MS 5000 /* waiting for another session that makes the same key */

/* ---- whose certificates travel along ---- */

struct known {
    struct store_alias alias;
    struct store_correspondent who;
};

/* Those seen last, the latest first. */
struct gathering {
    struct forward *f;
    const struct hsm_profile *profile;
    struct store_alias alias; /* the one that is walked */
    struct known latest[GREET_CERTS_MAX];
    size_t n;
};

static enum err correspondent_rank(void *ctx, const struct store_correspondent *c)
{
    struct gathering *g = ctx;
    size_t at = g->n;

    while (at > 0 && g->latest[at - 1].who.last_seen_s < c->last_seen_s)
        at--;
    if (at == GREET_CERTS_MAX)
        return ERR_OK;
    if (g->n < GREET_CERTS_MAX)
        g->n++;
    memmove(&g->latest[at + 1], &g->latest[at], (g->n - at - 1) * sizeof *g->latest);
    g->latest[at] = (struct known){.alias = g->alias, .who = *c};
    return ERR_OK;
}

/* Replies need an alias whose domain and mailbox the profile covers. */
static enum err alias_rank(void *ctx, const struct store_alias *a)
{
    struct gathering *g = ctx;

    if (a->catch_all || !policy_domain(g->profile, a->address))
        return ERR_OK;
    g->alias = *a;
    return store_correspondent_each(g->f->store, a->id, correspondent_rank, g);
}

/* A profile that is new has no keys for them yet; running out of idle ones leaves the rest to
 * their next message. */
static enum err certificate_add(struct gathering *g, const struct known *k, int64_t now_s,
                                unsigned *may_make, STACK_OF(X509) * out)
{
    struct correspond_request r = {.store = g->f->store,
                                   .hsm = g->f->hsm,
                                   .profile = g->profile,
                                   .alias = &k->alias,
                                   .now_s = now_s,
                                   .deadline_mono_ms = clock_mono_ms() + MAKING_MS};
    CLEANUP(correspondent_clear) struct correspondent c = {0};
    enum err e = correspond_find(&r, k->who.address, &c);

    if (e == ERR_NOT_FOUND && *may_make) {
        err_note_clear();
        (*may_make)--;
        e = correspond_make(&r, k->who.address, true, &c);
        if (e == ERR_SHARE || e == ERR_LIMIT)
            *may_make = 0;
    }
    if (e == ERR_NOT_FOUND || e == ERR_SHARE || e == ERR_LIMIT) {
        err_note_clear();
        return ERR_OK;
    }
    if (e)
        return e;
    return X509_add_cert(out, c.cert, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP)
               ? ERR_OK
               : err_note_openssl(ERR_NOMEM, "X509_add_cert");
}

static enum err certificates_gather(struct forward *f, const struct hsm_profile *profile,
                                    int64_t now_s, STACK_OF(X509) * out)
{
    struct gathering *g = calloc(1, sizeof *g);
    unsigned may_make = GREET_KEYS_MAX;
    enum err e;

    if (!g)
        return err_note(ERR_NOMEM, "greeting", "out of memory");
    g->f = f;
    g->profile = profile;
    e = store_alias_each(f->store, profile->user, alias_rank, g);
    for (size_t i = 0; !e && i < g->n; i++)
        e = certificate_add(g, &g->latest[i], now_s, &may_make, out);
    free(g);
    return e;
}

/* ---- the letter ---- */

static void certs_told(struct buf *text, int n_certs)
{
    if (n_certs == 1)
        buf_append_str(text, "The certificate of somebody who wrote to you before comes with this "
                             "message: your\r\nmail program can encrypt to them at once.\r\n\r\n");
    else if (n_certs)
        buf_printf(text,
                   "The certificates of %d who wrote to you before come with this message: your\r\n"
                   "mail program can encrypt to them at once.\r\n\r\n",
                   n_certs);
}

static void text_append(struct buf *text, const char *domain, int n_certs)
{
    buf_printf(
        text,
        "From now on all mail to your aliases reaches you sealed: signed by this relay, and\r\n"
        "encrypted so that only you can read it.\r\n\r\n"
        "Whoever writes to you has an address of their own here, r-...@%s,\r\n"
        "and a certificate that comes with each of their messages. To answer, reply as you\r\n"
        "always do, signed and encrypted, from the mailbox that this message came to. The\r\n"
        "relay opens your reply, takes away what tells your mailbox, and sends it on from\r\n"
        "your alias: encrypted to those whose own certificate it knows, as ordinary mail to\r\n"
        "everybody else. If it cannot be sent, or comes back, a message like this one tells\r\n"
        "you why. To write to somebody who has not written yet, ask whoever runs your relay.\r\n"
        "\r\n"
        "Where a sender could not be verified, their name begins with [unverified]. What else\r\n"
        "was found out stands in the header fields Sealrelay-Verdict and Sealrelay-Signature\r\n"
        "inside the encryption, never in the text of a message.\r\n\r\n",
        domain);
    certs_told(text, n_certs);
    buf_append_str(text, "Please do not answer this message: nobody reads what is sent to it.\r\n");
}

static enum err greeting_post(struct forward *f, const struct hsm_profile *profile, const char *id,
                              int64_t now_s)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    CLEANUP(buf_clear) struct buf text = {0};
    struct notice_letter letter = {.subject = "Your sealed mail is active", .id = id};
    enum err e = certs ? certificates_gather(f, profile, now_s, certs)
                       : err_note(ERR_NOMEM, "greeting", "out of memory");

    if (!e) {
        text_append(&text, profile->n_domains ? profile->domains[0] : "", sk_X509_num(certs));
        e = buf_error(&text);
    }
    letter.certs = certs;
    letter.text = buf_str(&text);
    if (!e)
        e = notice_post(f, profile->profile, &letter, now_s);
    sk_X509_pop_free(certs, X509_free);
    return e;
}

/* ---- once an activation ---- */

/* Did the entry whose id was written down come into the queue before we died? */
static enum err was_queued(struct forward *f, const struct store_greeting *g, bool *out)
{
    struct queue_item item;
    enum err e = queue_show(f->queue, g->entry, &item);

    *out = e == ERR_OK;
    if (e == ERR_NOT_FOUND)
        err_note_clear();
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err greeting_go_on(struct forward *f, const struct hsm_profile *profile,
                               struct store_greeting *g, int64_t now_s)
{
    bool queued = false;
    enum err e = was_queued(f, g, &queued);

    if (!e && !queued)
        e = greeting_post(f, profile, g->entry, now_s);
    if (!e && failpoint("greet.queued"))
        e = ERR_IO;
    g->sent = true;
    return e ? e : store_greeting_set(f->store, profile->user, g);
}

static enum err greeting_begin(struct forward *f, const struct hsm_profile *profile,
                               struct store_greeting *g)
{
    enum err e = id_new(g->entry);

    memcpy(g->profile, profile->profile, sizeof g->profile);
    g->sent = false;
    if (!e)
        e = store_greeting_set(f->store, profile->user, g);
    if (!e && failpoint("greet.begun"))
        e = ERR_IO;
    return e;
}

enum err greet_user(struct forward *f, const char *user, int64_t now_s)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile profile = {0};
    struct store_greeting g = {.sent = false};
    enum err known = store_greeting_get(f->store, user, &g);
    enum err e;

    if (known && known != ERR_NOT_FOUND)
        return known;
    err_note_clear();
    e = hsm_user_profile(f->hsm, user, &profile);
    if (e == ERR_NOT_ACTIVE) {
        err_note_clear();
        return known ? ERR_OK : store_greeting_clear(f->store, user);
    }
    if (e)
        return e;
    if (known || strcmp(g.profile, profile.profile) != 0)
        e = greeting_begin(f, &profile, &g);
    return e || g.sent ? e : greeting_go_on(f, &profile, &g, now_s);
}

struct round {
    struct forward *f;
    int64_t now_s;
    enum err worst;
};

static enum err round_user(void *ctx, const struct store_user *u)
{
    struct round *r = ctx;
    enum err e = greet_user(r->f, u->user, r->now_s);

    if (e) {
        r->worst = e;
        log_event(LOG_LEVEL_WARNING, "greet.later", u->user, e, -1, "%s", "");
        err_note_clear();
    }
    return e == ERR_HSM_AWAY ? e : ERR_OK; /* nobody else fares better */
}

enum err greet_all(struct forward *f, int64_t now_s)
{
    struct round r = {.f = f, .now_s = now_s};
    enum err e = store_user_each(f->store, round_user, &r);

    return e ? e : r.worst;
}
