/* SPDX-License-Identifier: GPL-3.0-or-later */
/* notice.c - the relay's own sealed mail. */
#include "daemon/flow/notice.h"
#include "daemon/base/log.h"
#include "daemon/flow/cert_cache.h"
#include "daemon/flow/correspond.h"
#include "daemon/message/date.h"
#include "daemon/smime/seal.h"
#include "daemon/store/bounce.h"
#include "hsm/provider/provider.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct notice {
    struct hsm_profile profile;
    struct hsm_sender sender;
    X509 *signer;
    EVP_PKEY *key;
    STACK_OF(X509) * bag; /* intermediate, and what the letter brings along */
    STACK_OF(X509) * recipients;
};

static void notice_clear(struct notice *n)
{
    hsm_profile_clear(&n->profile);
    hsm_sender_clear(&n->sender);
    X509_free(n->signer);
    EVP_PKEY_free(n->key);
    sk_X509_pop_free(n->bag, X509_free);
    sk_X509_pop_free(n->recipients, X509_free);
}

static enum err push(STACK_OF(X509) * certs, struct bytes der)
{
    X509 *cert = cert_parse(der);

    if (cert && sk_X509_push(certs, cert))
        return ERR_OK;
    X509_free(cert);
    return err_note_openssl(ERR_TAMPERED, "certificate");
}

static bool ends_soon(struct bytes cert_der, int64_t now_s)
{
    X509 *cert = cert_parse(cert_der);
    time_t limit = (time_t)(now_s + CORRESPOND_RENEW_S);
    bool soon = !cert || X509_cmp_time(X509_get0_notAfter(cert), &limit) < 0;

    X509_free(cert);
    return soon;
}

/* The profile's own sender key for notices: the store's, certified anew near its end, or a new one
 * that the store then keeps. */
static enum err notice_sender(struct forward *f, int64_t now_s, struct notice *n)
{
    CLEANUP(hsm_sender_clear) struct hsm_sender kept = {0};
    const char *profile = n->profile.profile;
    enum err e = store_notice_key_get(f->store, profile, &kept);

    if (!e && !ends_soon(buf_bytes(&kept.cert), now_s)) {
        n->sender = kept;
        kept = (struct hsm_sender){0};
        return ERR_OK;
    }
    if (e && e != ERR_NOT_FOUND)
        return e;
    err_note_clear();
    e = e ? hsm_sender_new(f->hsm, profile, n->profile.domains[0], NULL, false, &n->sender)
          : hsm_sender_renew(f->hsm, profile, kept.reverse, buf_bytes(&kept.blob), &n->sender);
    return e ? e : store_notice_key_set(f->store, profile, &n->sender);
}

static enum err notice_prepare(struct forward *f, const char *profile, int64_t now_s,
                               struct notice *n)
{
    struct hsm_key_ref key = {.profile = profile};
    struct store_suspension bounced;
    enum err e = store_suspension_get(f->store, profile, &bounced);

    if (!e)
        return err_note(ERR_WRONG_STATE, "notice", "its mailbox bounces; resume the profile first");
    if (e != ERR_NOT_FOUND)
        return e;
    err_note_clear();
    e = hsm_profile_get(f->hsm, profile, &n->profile);
    if (e)
        return e;
    if (n->profile.n_certs == 0 || n->profile.n_domains == 0)
        return err_note(ERR_WRONG_STATE, "notice", "the profile has no certificate to seal to");
    e = notice_sender(f, now_s, n);
    if (e)
        return e;
    n->signer = cert_parse(buf_bytes(&n->sender.cert));
    n->bag = sk_X509_new_null();
    n->recipients = sk_X509_new_null();
    if (!n->signer || !n->bag || !n->recipients)
        return err_note_openssl(ERR_TAMPERED, "notice key");
    e = push(n->bag, buf_bytes(&n->profile.intermediate));
    for (size_t i = 0; !e && i < n->profile.n_certs; i++)
        e = push(n->recipients, buf_bytes(&n->profile.certs[i].der));
    key.reverse = n->sender.reverse;
    key.blob = buf_bytes(&n->sender.blob);
    return e ? e : provider_key(f->hsm, &key, n->signer, &n->key);
}

/* The header as it stands outside; inside it stands again, protected (RFC 9788). */
static enum err notice_header(const struct notice *n, const char *id, const char *mailbox,
                              const char *subject, int64_t now_s, struct buf *out)
{
    buf_printf(out, "From: Sealrelay <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: ", n->sender.reverse,
               mailbox, subject);
    date_append(out, &(struct date){.time_s = now_s});
    buf_printf(out,
               "\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n"
               "X-Auto-Response-Suppress: All\r\n",
               id, n->profile.domains[0]);
    return buf_error(out);
}

static void hp_outer(struct buf *out, struct bytes header)
{
    const uint8_t *at = header.data;
    const uint8_t *end = header.data + header.len;

    while (at < end) {
        const uint8_t *next = memchr(at, '\n', (size_t)(end - at));

        next = next ? next + 1 : end;
        buf_append_str(out, "HP-Outer: ");
        buf_append(out, at, (size_t)(next - at));
        at = next;
    }
}

static enum err sink_to_queue(void *ctx, const uint8_t *data, size_t len)
{
    return queue_write(ctx, data, len);
}

static enum err notice_seal(const struct notice *n, struct bytes outer, const char *text,
                            int64_t now_s, struct queue_writer *writer)
{
    CLEANUP(buf_wipe) struct buf entity = {0};
    CLEANUP(buf_clear) struct buf head = {0};
    struct bytes piece;
    struct seal_job seal = {.entity = &piece,
                            .n_entity = 1,
                            .signer = n->signer,
                            .signer_key = n->key,
                            .key_error = provider_last_error,
                            .extra_certs = n->bag,
                            .signing_time_s = now_s,
                            .recipients = n->recipients};
    enum err e;

    buf_append_bytes(&entity, outer);
    hp_outer(&entity, outer);
    buf_printf(&entity,
               "Content-Type: text/plain; charset=utf-8; hp=\"cipher\"\r\n"
               "Content-Transfer-Encoding: 8bit\r\n\r\n%s",
               text);
    piece = buf_bytes(&entity);
    buf_append_bytes(&head, outer);
    seal_header_append(&head);
    buf_append_str(&head, "\r\n");
    e = buf_error(&entity) ? ERR_NOMEM : buf_error(&head);
    if (!e)
        e = queue_write(writer, head.data, head.len);
    return e ? e : seal_run(&seal, sink_to_queue, writer);
}

/* One mailbox's entry, uncommitted. */
static enum err notice_to(struct forward *f, const struct notice *n,
                          const struct notice_letter *letter, size_t mailbox, int64_t now_s,
                          struct queue_writer **out)
{
    const char *address = n->profile.addresses[mailbox];
    struct queue_envelope envelope = {.direction = QUEUE_NOTICE,
                                      .profile = n->profile.profile,
                                      .hop = forward_hop(f, address),
                                      .mail_from = "",
                                      .rcpt_to = address,
                                      .closes = mailbox == 0 ? letter->closes : NULL};
    CLEANUP(buf_clear) struct buf outer = {0};
    struct queue_writer *writer = NULL;
    enum err e = ERR_OK;

    if (letter->id && mailbox == 0)
        memcpy(envelope.id, letter->id, sizeof envelope.id);
    else
        e = id_new(envelope.id);
    if (!e)
        e = notice_header(n, envelope.id, address, letter->subject, now_s, &outer);
    if (!e)
        e = queue_begin(f->queue, &envelope, now_s, &writer);
    if (e)
        return e;
    e = notice_seal(n, buf_bytes(&outer), letter->text, now_s, writer);
    log_event(e ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "flow.notice", envelope.id, e, -1, "profile=%s",
              n->profile.profile);
    if (e)
        queue_abort(writer);
    else
        *out = writer;
    return e;
}

/* All mailboxes' entries, then one commit for all. */
static enum err notice_to_all(struct forward *f, const struct notice *n,
                              const struct notice_letter *letter, int64_t now_s)
{
    size_t n_mailboxes = n->profile.n_addresses;
    struct queue_writer **batch = calloc(n_mailboxes + 1, sizeof *batch);
    size_t done = 0;
    enum err e = batch ? ERR_OK : err_note(ERR_NOMEM, "notice", "out of memory");

    while (!e && done < n_mailboxes) {
        e = notice_to(f, n, letter, done, now_s, &batch[done]);
        done += e ? 0 : 1;
    }
    if (!e && done)
        e = queue_commit(f->queue, batch, done);
    else
        while (done)
            queue_abort(batch[--done]);
    free(batch);
    return e;
}

static enum err letter_certs(struct notice *n, const struct notice_letter *letter)
{
    int count = letter->certs ? sk_X509_num(letter->certs) : 0;

    for (int i = 0; i < count; i++)
        if (!X509_add_cert(n->bag, sk_X509_value(letter->certs, i),
                           X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP))
            return err_note_openssl(ERR_NOMEM, "X509_add_cert");
    return ERR_OK;
}

enum err notice_post(struct forward *f, const char *profile, const struct notice_letter *letter,
                     int64_t now_s)
{
    CLEANUP(notice_clear) struct notice n = {0};
    enum err e = notice_prepare(f, profile, now_s, &n);

    if (!e)
        e = letter_certs(&n, letter);
    return e ? e : notice_to_all(f, &n, letter, now_s);
}

enum err notice_send(struct forward *f, const char *profile, const char *subject, const char *text,
                     int64_t now_s)
{
    struct notice_letter letter = {.subject = subject, .text = text};

    return notice_post(f, profile, &letter, now_s);
}

enum err notice_send_closing(struct forward *f, const char *profile, const char *subject,
                             const char *text, const char *failure, int64_t now_s)
{
    struct notice_letter letter = {.subject = subject, .text = text, .closes = failure};

    return notice_post(f, profile, &letter, now_s);
}
