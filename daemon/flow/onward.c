/* SPDX-License-Identifier: GPL-3.0-or-later */
/* onward.c - harvesting and finding correspondents' own certificates.
 *
 * Invariant: what is kept came under a signature that chains to a configured authority, by the very
 * mailbox that From names, and never from a sender whose domain disowns the message. */
#include "daemon/flow/onward.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/smime/own_cert.h"

static enum err der_append(X509 *cert, struct buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);

    if (len <= 0)
        return err_note_openssl(ERR_NOMEM, "i2d_X509");
    buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return buf_error(out);
}

static enum err harvest(struct store *store, const struct peer_signature *signature,
                        const struct store_correspondent *who, int64_t now_s, bool *changed_out)
{
    CLEANUP(own_cert_clear)
    struct own_cert c = {
        .source = OWN_CERT_HARVESTED, .aes_128 = signature->aes_128, .first_seen_s = now_s};
    enum err e = own_cert_check(signature->cert, who->address, now_s);

    if (!e)
        e = own_cert_times(signature->cert, &c.not_before_s, &c.not_after_s);
    if (!e)
        e = der_append(signature->cert, &c.der);
    if (!e && failpoint("forward.harvest"))
        e = ERR_IO;
    return e ? e : store_own_cert_harvest(store, who, &c, changed_out);
}

void onward_harvest(struct store *store, const char *id, const struct peer_signature *signature,
                    const struct sender_verdict *verdict, const struct store_correspondent *who,
                    int64_t now_s)
{
    bool changed = false;
    enum err e;

    if (signature->state != PEER_GOOD || sender_verdict_failed(verdict))
        return;
    e = harvest(store, signature, who, now_s, &changed);
    if (e || changed)
        log_event(e && e != ERR_REFUSED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "flow.harvest", id, e,
                  -1, "kept=%d", changed);
    err_note_clear();
}

void onward_cert_clear(struct onward_cert *c)
{
    if (!c)
        return;
    X509_free(c->cert);
    *c = (struct onward_cert){0};
}

enum err onward_find(struct store *store, const struct store_correspondent *who, int64_t now_s,
                     struct onward_cert *out)
{
    CLEANUP(own_cert_clear) struct own_cert kept = {0};
    const uint8_t *p;
    X509 *cert;
    enum err e = store_own_cert_get(store, who, &kept);

    if (e)
        return e;
    p = kept.der.data;
    cert = d2i_X509(NULL, &p, (long)kept.der.len);
    if (!cert)
        return err_note_openssl(ERR_TAMPERED, "correspondent's certificate");
    e = own_cert_check(cert, who->address, now_s);
    if (e) {
        X509_free(cert);
        return e == ERR_EXPIRED ? e : ERR_TAMPERED;
    }
    *out = (struct onward_cert){.cert = cert, .aes_128 = kept.aes_128};
    return ERR_OK;
}
