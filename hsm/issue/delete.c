/* SPDX-License-Identifier: GPL-3.0-or-later */
/* delete.c - the leaf CRL, and the end of a profile.
 *
 * Deletion in steps that can be repeated: the record says that it is under way (from then on
 * nothing is issued), the last CRL over every leaf is kept in the record, the token's keys are
 * destroyed, the record says deleted. A start finishes what a crash interrupted. */
#include "hsm/issue/crl.h"
#include "hsm/issue/inside.h"

#include "daemon/base/codec.h"
#include "daemon/base/failpoint.h"

#include <stdlib.h>
#include <string.h>

/* The next journal entry is this CRL's own, so its sequence is a number that only grows. */
static enum err crl_begin(struct authority *a, const struct ca *ca, int64_t next_s, X509_CRL **out)
{
    int64_t now = authority_now(a);
    struct crl_dates dates = {.this_update_s = now, .next_update_s = next_s};

    return crl_compose(ca->intermediate, NULL, 0, journal_sequence(a->journal) + 1, &dates, out);
}

static enum err crl_finish(struct authority *a, const struct ca *ca, X509_CRL *crl,
                           const char *kind, struct buf *out)
{
    journal_hash hash;
    enum err e;

    (void)X509_CRL_sort(crl);
    e = seal_crl(&ca->key, crl, out);
    if (e)
        return e;
    hash_hex(buf_bytes(out), hash);
    return journal_append(a->journal, authority_now(a), kind, ca->key.profile, "sha256=%s", hash);
}

static enum err withdrawn_revoke(X509_CRL *crl, const struct record *r)
{
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < r->n_keys; i++) {
        CLEANUP(x509_drop) X509 *x = NULL;
        CLEANUP(buf_clear) struct buf serial = {0};
        const ASN1_STRING *number;

        if (!r->keys[i].withdrawn_s)
            continue;
        e = cert_of_der(buf_bytes(&r->keys[i].cert), &x);
        if (e)
            return e;
        number = (const ASN1_STRING *)X509_get0_serialNumber(x);
        hex_append(&serial, (struct bytes){ASN1_STRING_get0_data(number),
                                           (size_t)ASN1_STRING_length(number)});
        e = buf_error(&serial);
        if (!e)
            e = crl_revoke(crl, buf_str(&serial), r->keys[i].withdrawn_s, CRL_SUPERSEDED);
    }
    return e;
}

/* When the key was withdrawn that an alias's certificate is made of; 0: it was not. */
static enum err alias_withdrawn(const struct record *r, const char *key_hex, int64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < r->n_keys && !*out; i++) {
        CLEANUP(buf_clear) struct buf hex = {0};

        hex_append(&hex, (struct bytes){r->keys[i].spki_sha256, sizeof r->keys[i].spki_sha256});
        if (buf_error(&hex))
            return ERR_NOMEM;
        if (strcmp(buf_str(&hex), key_hex) == 0)
            *out = r->keys[i].withdrawn_s;
    }
    return ERR_OK;
}

static enum err aliases_revoke(struct authority *a, const struct record *r, X509_CRL *crl)
{
    struct index_leaf *leaves = NULL;
    size_t n = 0;
    enum err e = journal_index_leaves(a->index, r->profile, &leaves, &n);

    for (size_t i = 0; !e && i < n; i++) {
        int64_t at_s = 0;

        if (!leaves[i].alias_of[0])
            continue;
        e = alias_withdrawn(r, leaves[i].alias_of, &at_s);
        if (!e && at_s)
            e = crl_revoke(crl, leaves[i].serial, at_s, CRL_SUPERSEDED);
    }
    free(leaves);
    return e;
}

static size_t withdrawn_count(const struct record *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_keys; i++)
        n += r->keys[i].withdrawn_s != 0;
    return n;
}

static enum err crl_make(struct authority *a, const struct record *r, struct buf *out)
{
    CLEANUP(ca_close) struct ca ca = {0};
    CLEANUP(crl_drop) X509_CRL *crl = NULL;
    enum err e = ca_open(a, r, &ca);

    if (!e)
        e = crl_begin(a, &ca, authority_now(a) + CRL_LIFE_S, &crl);
    if (!e)
        e = withdrawn_revoke(crl, r);
    if (!e)
        e = aliases_revoke(a, r, crl);
    return e ? e : crl_finish(a, &ca, crl, "crl", out);
}

/* The cached CRL if it is young enough and names every withdrawn key. */
static bool crl_cached(struct authority *a, const struct record *r, struct buf *out)
{
    const struct slot *s;
    bool fresh;

    (void)pthread_mutex_lock(&a->look);
    s = authority_slot(a, r->profile);
    fresh = s && s->crl.len && authority_now(a) - s->crl_made_s < CRL_REFRESH_S &&
            s->crl_withdrawn == withdrawn_count(r);
    if (fresh)
        buf_append_bytes(out, buf_bytes(&s->crl));
    (void)pthread_mutex_unlock(&a->look);
    return fresh;
}

static void crl_cache(struct authority *a, const struct record *r, const struct buf *crl)
{
    struct slot *s;

    (void)pthread_mutex_lock(&a->look);
    s = authority_slot(a, r->profile);
    buf_clear(&s->crl);
    buf_append_bytes(&s->crl, buf_bytes(crl));
    s->crl_made_s = authority_now(a);
    s->crl_withdrawn = withdrawn_count(r);
    if (buf_error(&s->crl))
        buf_clear(&s->crl);
    (void)pthread_mutex_unlock(&a->look);
}

enum err authority_leaf_crl(struct authority *a, const char *profile, struct buf *out)
{
    CLEANUP(change_end) struct change c = {0};
    CLEANUP(buf_clear) struct buf crl = {0};
    enum err e = change_begin(&c, a, profile);

    if (e)
        return e;
    if (!c.before->intermediate.len)
        return err_note(ERR_WRONG_STATE, "profile", "has no intermediate");
    if (c.before->last_crl.len)
        buf_append_bytes(out, buf_bytes(&c.before->last_crl));
    else if (!crl_cached(a, c.before, out)) {
        e = crl_make(a, c.before, &crl);
        if (e)
            return e;
        crl_cache(a, c.before, &crl);
        buf_append_bytes(out, buf_bytes(&crl));
    }
    return buf_error(out);
}

/* ---- deletion ---- */

static enum err every_leaf_revoke(struct authority *a, const struct record *r, X509_CRL *crl)
{
    struct index_leaf *leaves = NULL;
    size_t n = 0;
    enum err e = journal_index_leaves(a->index, r->profile, &leaves, &n);

    for (size_t i = 0; !e && i < n; i++)
        e = crl_revoke(crl, leaves[i].serial, authority_now(a), CRL_CESSATION);
    free(leaves);
    return e;
}

/* Valid until the intermediate ends: nobody can ever sign another. */
static enum err last_crl_make(struct authority *a, const struct record *r, struct buf *out)
{
    CLEANUP(ca_close) struct ca ca = {0};
    CLEANUP(crl_drop) X509_CRL *crl = NULL;
    struct cert_dates dates;
    enum err e = ca_open(a, r, &ca);

    if (!e)
        e = cert_time(ca.intermediate, &dates);
    if (!e)
        e = crl_begin(a, &ca, dates.not_after_s, &crl);
    if (!e)
        e = every_leaf_revoke(a, r, crl);
    return e ? e : crl_finish(a, &ca, crl, "last-crl", out);
}

/* A CA key that the token has lost signs no CRL, and must not keep its profile from ending. */
static enum err last_crl_forgo(struct change *c)
{
    err_note_clear();
    record_unref(c->next);
    c->next = NULL;
    return journal_append(c->a->journal, authority_now(c->a), "no-last-crl", c->before->profile,
                          "ca=lost");
}

static enum err step_last_crl(struct change *c)
{
    enum err e;

    if (!c->before->intermediate.len || c->before->last_crl.len)
        return ERR_OK;
    /* Whoever saw the profile alive has journalled the leaf before this lock is had. */
    (void)pthread_rwlock_wrlock(&c->a->life);
    (void)pthread_rwlock_unlock(&c->a->life);
    e = change_again(c);
    if (!e)
        e = last_crl_make(c->a, c->next, &c->next->last_crl);
    if (e == ERR_NOT_FOUND)
        return last_crl_forgo(c);
    if (!e && failpoint("delete.crl"))
        e = ERR_IO;
    return e ? e : change_commit(c);
}

static enum err step_gone(struct change *c)
{
    struct record *r;
    enum err e = journal_append(c->a->journal, authority_now(c->a), "delete", c->before->profile,
                                "ca=destroyed kek=destroyed copies-of-the-token=not-reached");

    if (!e)
        e = change_again(c);
    if (e)
        return e;
    r = c->next;
    r->state = PROFILE_DELETED;
    r->deleting = 0;
    r->n_nonces = 0;
    buf_clear(&r->code_mac);
    r->code_expires_s = 0;
    r->code_attempts = 0;
    return change_commit(c);
}

enum err profile_destroy(struct change *c)
{
    enum err e = ERR_OK;

    /* change_begin has made a copy that no step here uses. */
    record_unref(c->next);
    c->next = NULL;
    if (failpoint("delete.begun"))
        return ERR_IO;
    e = step_last_crl(c);
    if (!e)
        e = token_profile_destroy(c->a->options.token, c->before->profile);
    if (!e && failpoint("delete.destroyed"))
        e = ERR_IO;
    return e ? e : step_gone(c);
}

enum err authority_delete(struct authority *a, const char *profile)
{
    CLEANUP(change_end) struct change c = {0};
    enum err e = change_begin(&c, a, profile);

    if (e || c.before->state == PROFILE_DELETED)
        return e;
    if (!c.before->deleting) {
        c.next->deleting = 1;
        e = change_commit(&c);
    }
    if (!e)
        e = profile_destroy(&c);
    change_end(&c);
    if (!e)
        authority_pool_tell(a);
    return e;
}
