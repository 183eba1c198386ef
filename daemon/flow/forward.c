/* SPDX-License-Identifier: GPL-3.0-or-later */
/* forward.c - a stranger's message becomes a sealed one; read forward_steps() from top to bottom.
 *
 * Everything a message gathers on its way lies in a parcel (parcel.h), so that each step is one
 * call and cleaning up is one call. Nothing reaches the queue but what seal_run() wrote. */
#include "daemon/flow/forward.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/flow/cert_cache.h"
#include "daemon/flow/onward.h"
#include "daemon/flow/origin.h"
#include "daemon/flow/parcel.h"
#include "daemon/flow/thread_ids.h"
#include "daemon/flow/verdict_lines.h"
#include "daemon/policy/return_path.h"
#include "daemon/smime/seal.h"
#include "hsm/provider/provider.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static void certs_free(STACK_OF(X509) * certs)
{
    sk_X509_pop_free(certs, X509_free);
}

static void parcel_clear(struct parcel *p)
{
    message_clear(&p->message);
    rewrite_parties_clear(&p->parties);
    peer_signature_clear(&p->signature);
    hsm_profile_clear(&p->profile);
    correspondent_clear(&p->sender);
    for (size_t i = 0; i < p->n_others; i++)
        correspondent_clear(&p->others[i]);
    rewrite_output_clear(&p->rewritten);
    certs_free(p->extra_certs);
    certs_free(p->recipients);
    EVP_PKEY_free(p->key);
    queue_abort(p->writer);
}

static enum err find_profile(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    if (failpoint("forward.profile"))
        return ERR_HSM_AWAY;
    return policy_profile(&f->policy, &job->route->alias, &p->profile);
}

static enum err apply_policy(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    struct sender_policy policy;
    enum err e = store_policy_get(f->store, p->profile.profile, &policy);

    if (!e && failpoint("forward.policy"))
        e = ERR_BUSY;
    return e ? e : policy_sender(job->verdict, &policy, &p->marks);
}

/* Whatever is wrong with the sender's own signature is told, and stops nothing. */
static enum err check_signature(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    if (failpoint("forward.signature"))
        return ERR_NOMEM;
    return peer_verify(f->trust, &p->message, job->now_s, &p->signature);
}

/* A catch-all's new alias, made only for mail that is taken. */
static enum err find_alias(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    p->alias = job->route->alias;
    if (!p->alias.catch_all)
        return ERR_OK;
    if (job->trial && !job->trial->make)
        return err_note(ERR_NOT_FOUND, "alias", "of a catch-all, not made yet");
    return store_alias_materialise(f->store, &job->route->alias, job->route->address,
                                   f->limits.catch_all_per_day, job->now_s, &p->alias);
}

static enum err not_before(const X509 *cert, int64_t *out)
{
    struct tm t;

    if (ASN1_TIME_to_tm(X509_get0_notBefore(cert), &t) != 1)
        return err_note_openssl(ERR_TAMPERED, "notBefore");
    *out = timegm(&t);
    return ERR_OK;
}

static enum err rewrite(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    CLEANUP(verdict_lines_clear) struct verdict_lines verdict = {0};
    CLEANUP(thread_ids_clear)
    struct thread_ids ids = {.store = f->store,
                             .alias = &p->alias,
                             .profile = &p->profile,
                             .now_s = job->now_s,
                             .trial = job->trial != NULL};
    enum err e = verdict_lines_make(job->verdict, &p->marks, &p->profile, &p->signature, &verdict);
    struct rewrite_input in = {
        .message = &p->message,
        .parties = &p->parties,
        .relay_id = f->relay_id,
        .alias = p->alias.address,
        .sender_addr = parcel_sender_address(job, p),
        .sender_reverse = p->sender.row.reverse,
        .map = p->map,
        .n_map = p->n_map,
        .verdict = verdict.lines,
        .n_verdict = verdict.n,
        .unverified = p->marks.unverified,
        .spam = p->marks.spam,
        .now_s = job->now_s,
        .message_id_domain = address_domain(p->alias.address),
        .hide_subject = f->limits.hide_subject,
        .ids = {thread_id_find, &ids},
    };

    if (!e)
        e = not_before(p->sender.cert, &in.cert_not_before_s);
    if (!e && failpoint("forward.rewrite"))
        e = ERR_NOMEM;
    if (!e)
        e = rewrite_forward(&in, &p->rewritten);
    return e ? e : thread_id_passed(&ids, &p->message, p->rewritten.made_message_id);
}

static enum err cert_push(STACK_OF(X509) * certs, struct bytes der)
{
    X509 *cert = cert_parse(der);

    if (cert && sk_X509_push(certs, cert))
        return ERR_OK;
    X509_free(cert);
    return err_note_openssl(ERR_TAMPERED, "certificate");
}

/* The leaves of the other reverse aliases and of the user's own travel along, so that a reply to
 * all can be encrypted without further exchange. */
static enum err gather_certs(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    enum err e = ERR_OK;

    p->extra_certs = sk_X509_new_null();
    p->recipients = sk_X509_new_null();
    if (!p->extra_certs || !p->recipients)
        return ERR_NOMEM;
    e = cert_push(p->extra_certs, buf_bytes(&p->profile.intermediate));
    for (size_t i = 0; !e && i < p->n_others; i++)
        if (X509_cmp(p->others[i].cert, p->sender.cert) != 0)
            e = X509_add_cert(p->extra_certs, p->others[i].cert,
                              X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP)
                    ? ERR_OK
                    : err_note_openssl(ERR_NOMEM, "X509_add_cert");
    for (size_t i = 0; !e && i < p->profile.n_certs; i++)
        e = cert_push(p->recipients, buf_bytes(&p->profile.certs[i].der));
    if (!e)
        parcel_alias_certs(f, job, p);
    return e;
}

static enum err open_key(struct forward *f, struct parcel *p)
{
    struct hsm_key_ref key = {.profile = p->profile.profile,
                              .reverse = p->sender.row.reverse,
                              .blob = buf_bytes(&p->sender.blob)};

    return provider_key(f->hsm, &key, p->sender.cert, &p->key);
}

const char *forward_hop(const struct forward *f, const char *mailbox)
{
    for (size_t i = 0; i < f->n_hop_domains; i++)
        if (strcasecmp(f->hop_domains[i], address_domain(mailbox)) == 0)
            return f->hop_domains[i];
    return "";
}

/* Whom a failure may be told, and of which alias; nothing for most messages. */
static enum err seal_origin(struct forward *f, const struct forward_job *job,
                            const struct parcel *p, struct buf *out)
{
    struct origin o;

    if (!origin_of(&p->message, job->verdict, job->mail_from, f->policy.domains,
                   f->policy.n_domains, &o))
        return ERR_OK;
    memcpy(o.alias, p->alias.address, sizeof o.alias);
    return origin_seal(f->store, job->queue_id, &o, out);
}

static enum err begin_entry(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    struct queue_envelope envelope = {.direction = QUEUE_FORWARD,
                                      .profile = p->profile.profile,
                                      .hop = forward_hop(f, p->alias.mailbox),
                                      .rcpt_to = p->alias.mailbox};
    CLEANUP(buf_clear) struct buf origin = {0};
    uint8_t key[RETURN_PATH_KEY_LEN];
    address_text return_path;
    enum err e = store_derived_key(f->store, "return-path", key);

    if (!e)
        e = return_path_make(key, job->queue_id, policy_domain(&p->profile, p->alias.address),
                             job->now_s, return_path);
    if (!e)
        e = seal_origin(f, job, p, &origin);
    if (e)
        return e;
    memcpy(envelope.id, job->queue_id, sizeof envelope.id);
    envelope.mail_from = return_path;
    envelope.origin = buf_bytes(&origin);
    return queue_begin(f->queue, &envelope, job->now_s, &p->writer);
}

static enum err sink_to_queue(void *ctx, const uint8_t *data, size_t len)
{
    return queue_write(ctx, data, len);
}

/* Where sealed bytes go. */
struct outlet {
    enum err (*write)(void *ctx, const uint8_t *data, size_t len);
    void *ctx;
};

static enum err open_outlet(struct forward *f, const struct forward_job *job, struct parcel *p,
                            struct outlet *out)
{
    enum err e = job->trial ? ERR_OK : begin_entry(f, job, p);

    if (job->trial)
        *out = (struct outlet){job->trial->sink, job->trial->ctx};
    else
        *out = (struct outlet){sink_to_queue, p->writer};
    return e;
}

/* Outer header, then ciphertext: the one place where bytes enter the queue. */
static enum err seal_into_queue(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    const struct bytes entity[] = {buf_bytes(&p->rewritten.inner_head), p->rewritten.content,
                                   buf_bytes(&p->rewritten.inner_tail)};
    struct seal_job seal = {.entity = entity,
                            .n_entity = sizeof entity / sizeof *entity,
                            .signer = p->sender.cert,
                            .signer_key = p->key,
                            .key_error = provider_last_error,
                            .extra_certs = p->extra_certs,
                            .signing_time_s = p->rewritten.signing_time_s,
                            .recipients = p->recipients};
    CLEANUP(buf_clear) struct buf head = {0};
    struct outlet outlet = {0};
    enum err e = open_outlet(f, job, p, &outlet);

    if (e)
        return e;
    buf_append_bytes(&head, buf_bytes(&p->rewritten.outer));
    seal_header_append(&head);
    buf_append_str(&head, "\r\n");
    e = buf_error(&head);
    if (!e)
        e = outlet.write(outlet.ctx, head.data, head.len);
    if (!e && failpoint("forward.seal"))
        e = ERR_HSM_AWAY;
    return e ? e : seal_run(&seal, outlet.write, outlet.ctx);
}

/* A step is over: told to whoever traces, and its time is counted. */
static enum err done(const struct forward_job *job, struct parcel *p, const char *step, enum err e)
{
    int64_t now_ms = clock_mono_ms();

    if (!e && now_ms >= job->deadline_mono_ms)
        e = err_note(ERR_TIMEOUT, step, "deadline");
    log_event(LOG_LEVEL_TRACE, step, job->id, e, now_ms - p->since_ms, "entry=%s", job->queue_id);
    if (job->trial)
        job->trial->step(job->trial->ctx, step, e, now_ms - p->since_ms);
    p->since_ms = now_ms;
    return e;
}

static enum err forward_steps(struct forward *f, const struct forward_job *job,
                              struct queue_writer **out)
{
    CLEANUP(parcel_clear) struct parcel p = {.since_ms = clock_mono_ms()};
    bool own_copy = false;
    enum err e = message_parse(job->data, &p.message);

    if (!e)
        e = rewrite_parties_find(&p.message, f->relay_id, f->policy.domains, f->policy.n_domains,
                                 &p.parties);
    e = done(job, &p, "forward.parse", e);
    if (!e)
        e = done(job, &p, "forward.find_profile", find_profile(f, job, &p));
    if (!e && !job->trial)
        e = done(job, &p, "forward.own_copy", parcel_is_own_copy(f, job, &p, &own_copy));
    if (own_copy) {
        log_event(LOG_LEVEL_INFO, "flow.own_copy", job->id, e, -1, "entry=%s", job->queue_id);
        return e;
    }
    if (!e)
        e = done(job, &p, "forward.sender_policy", apply_policy(f, job, &p));
    if (!e)
        e = done(job, &p, "forward.signature", check_signature(f, job, &p));
    if (!e)
        e = done(job, &p, "forward.alias", find_alias(f, job, &p));
    if (!e)
        e = done(job, &p, "forward.sender", parcel_sender(f, job, &p));
    if (!e)
        e = done(job, &p, "forward.others", parcel_map(f, job, &p));
    if (!e)
        e = done(job, &p, "forward.header", rewrite(f, job, &p));
    if (!e)
        e = done(job, &p, "forward.certificates", gather_certs(f, job, &p));
    if (!e)
        e = done(job, &p, "forward.key", open_key(f, &p));
    if (!e)
        e = done(job, &p, "forward.sealed", seal_into_queue(f, job, &p));
    if (e)
        return e;
    if (!job->trial)
        onward_harvest(f->store, job->id, &p.signature, job->verdict, &p.sender.row, job->now_s);
    *out = p.writer;
    p.writer = NULL;
    return ERR_OK;
}

enum err forward_message(struct forward *f, const struct forward_job *job,
                         struct queue_writer **out)
{
    enum err e;

    hsm_deadline(job->deadline_mono_ms);
    e = forward_steps(f, job, out);
    hsm_deadline(0);
    return e;
}
