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

#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

struct notice {
    struct hsm_profile profile;
    struct hsm_sender sender;
    X509 *signer;
    EVP_PKEY *key;
    STACK_OF(X509) * intermediate;
    STACK_OF(X509) * recipients;
};

static void notice_clear(struct notice *n)
{
    hsm_profile_clear(&n->profile);
    hsm_sender_clear(&n->sender);
    X509_free(n->signer);
    EVP_PKEY_free(n->key);
    sk_X509_pop_free(n->intermediate, X509_free);
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
    n->intermediate = sk_X509_new_null();
    n->recipients = sk_X509_new_null();
    if (!n->signer || !n->intermediate || !n->recipients)
        return err_note_openssl(ERR_TAMPERED, "notice key");
    e = push(n->intermediate, buf_bytes(&n->profile.intermediate));
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
                            .extra_certs = n->intermediate,
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

/* What a notice says. */
struct words {
    const char *subject;
    const char *text;
    const char *closes; /* the failure that the first of them closes; NULL */
    int64_t now_s;
};

static enum err notice_to(struct forward *f, const struct notice *n, const char *mailbox,
                          const struct words *w)
{
    struct queue_envelope envelope = {.direction = QUEUE_NOTICE,
                                      .profile = n->profile.profile,
                                      .hop = forward_hop(f, mailbox),
                                      .mail_from = "",
                                      .rcpt_to = mailbox,
                                      .closes = w->closes};
    CLEANUP(buf_clear) struct buf outer = {0};
    struct queue_writer *writer = NULL;
    enum err e = id_new(envelope.id);

    if (!e)
        e = notice_header(n, envelope.id, mailbox, w->subject, w->now_s, &outer);
    if (!e)
        e = queue_begin(f->queue, &envelope, w->now_s, &writer);
    if (e)
        return e;
    e = notice_seal(n, buf_bytes(&outer), w->text, w->now_s, writer);
    if (e)
        queue_abort(writer);
    else
        e = queue_commit(f->queue, &writer, 1);
    log_event(e ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "flow.notice", envelope.id, e, -1, "profile=%s",
              n->profile.profile);
    return e;
}

static enum err notice_put(struct forward *f, const char *profile, struct words *w)
{
    CLEANUP(notice_clear) struct notice n = {0};
    enum err e = notice_prepare(f, profile, w->now_s, &n);

    for (size_t i = 0; !e && i < n.profile.n_addresses; i++) {
        e = notice_to(f, &n, n.profile.addresses[i], w);
        w->closes = NULL;
    }
    return e;
}

enum err notice_send(struct forward *f, const char *profile, const char *subject, const char *text,
                     int64_t now_s)
{
    return notice_put(f, profile,
                      &(struct words){.subject = subject, .text = text, .now_s = now_s});
}

enum err notice_send_closing(struct forward *f, const char *profile, const char *subject,
                             const char *text, const char *failure, int64_t now_s)
{
    struct words w = {.subject = subject, .text = text, .closes = failure, .now_s = now_s};

    return notice_put(f, profile, &w);
}

enum err notice_activation(struct forward *f, const char *profile, int64_t now_s)
{
    char code[HSM_CODE_LEN + 1];
    CLEANUP(buf_wipe) struct buf text = {0};
    enum err e = hsm_activation_code(f->hsm, profile, code);

    if (e)
        return e;
    buf_printf(&text,
               "Your mailbox is ready to take sealed mail.\r\n\r\n"
               "To have all mail to your aliases sealed with your new certificate,\r\n"
               "give this code to whoever runs your relay, or type it into its settings page:\r\n"
               "\r\n    %s\r\n\r\n"
               "That you can read this message proves that your certificate is installed.\r\n"
               "Nobody else can read it; do not forward it.\r\n",
               code);
    OPENSSL_cleanse(code, sizeof code);
    e = buf_error(&text);
    return e ? e : notice_send(f, profile, "Activate your sealed mail", buf_str(&text), now_s);
}

/* "  SHA-256 fingerprint of a certificate, when it ends" */
static enum err key_line(struct buf *text, struct bytes cert_der)
{
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    struct tm end;
    X509 *cert = cert_parse(cert_der);
    bool good = cert && X509_digest(cert, EVP_sha256(), md, &len) == 1 &&
                ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) == 1;

    X509_free(cert);
    if (!good)
        return err_note_openssl(ERR_TAMPERED, "user certificate");
    buf_append_str(text, "    ");
    for (unsigned i = 0; i < len; i++)
        buf_printf(text, "%02x%s", md[i], i == len / 2 - 1 ? "\r\n    " : "");
    buf_printf(text, "\r\n    until %04d-%02d-%02d\r\n\r\n", end.tm_year + 1900, end.tm_mon + 1,
               end.tm_mday);
    return buf_error(text);
}

enum err notice_keys(struct forward *f, const char *profile, int64_t now_s)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = hsm_profile_get(f->hsm, profile, &p);

    if (!e && p.n_certs == 0)
        return ERR_OK; /* nobody is left who could read it */
    buf_append_str(&text,
                   "The keys that your mail is sealed to have changed, at the request of one "
                   "of your keys.\r\n"
                   "They are now those of the certificates with these SHA-256 "
                   "fingerprints:\r\n\r\n");
    for (size_t i = 0; !e && i < p.n_certs; i++)
        e = key_line(&text, buf_bytes(&p.certs[i].der));
    buf_append_str(&text, "If one of them is not yours, or one is missing, tell whoever runs your "
                          "relay, and withdraw the key.\r\n");
    if (!e)
        e = buf_error(&text);
    return e ? e : notice_send(f, profile, "Your keys have changed", buf_str(&text), now_s);
}
