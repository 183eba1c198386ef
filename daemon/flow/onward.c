/* SPDX-License-Identifier: GPL-3.0-or-later */
/* onward.c - keeping correspondents' own certificates, and what they mean for a reply.
 *
 * Invariants: what is kept came under a signature that chains to a configured authority, by the
 * very mailbox that From names, and never from a sender whose domain disowns the message; who has a
 * certificate gets nothing in clear but by a profile's or an operator's word. */
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

const char *onward_way_name(enum onward_way w)
{
    static const char *const names[] = {
        [ONWARD_CLEAR] = "in clear",
        [ONWARD_ENCRYPTED] = "encrypted",
        [ONWARD_UNKNOWN] = "refused: no certificate of theirs is known",
        [ONWARD_EXPIRED] = "refused: their certificate has expired"};

    return names[w];
}

void onward_plan_clear(struct onward_plan *p)
{
    if (!p)
        return;
    X509_free(p->cert);
    *p = (struct onward_plan){0};
}

/* What was kept may have been fit once; only its life may have ended since. */
static enum err kept_judge(const struct own_cert *kept, const char *address, int64_t now_s,
                           struct onward_plan *out)
{
    const uint8_t *p = kept->der.data;
    X509 *cert = d2i_X509(NULL, &p, (long)kept->der.len);
    enum err e;

    if (!cert)
        return err_note_openssl(ERR_TAMPERED, "correspondent's certificate");
    e = own_cert_check(cert, address, now_s);
    if (!e) {
        *out =
            (struct onward_plan){.way = ONWARD_ENCRYPTED, .cert = cert, .aes_128 = kept->aes_128};
        return ERR_OK;
    }
    X509_free(cert);
    if (e != ERR_EXPIRED)
        return ERR_TAMPERED;
    err_note_clear();
    *out =
        (struct onward_plan){.way = ONWARD_EXPIRED, .imported = kept->source == OWN_CERT_IMPORTED};
    return ERR_OK;
}

enum err onward_plan_make(struct store *store, const struct store_correspondent *who,
                          enum onward_choice choice, int64_t now_s, struct onward_plan *out)
{
    CLEANUP(own_cert_clear) struct own_cert kept = {0};
    enum err e = ERR_NOT_FOUND;

    if (choice != ONWARD_NEVER)
        e = store_own_cert_get(store, who, &kept);
    if (!e)
        return kept_judge(&kept, who->address, now_s, out);
    if (e != ERR_NOT_FOUND)
        return e;
    err_note_clear();
    *out = (struct onward_plan){.way = choice == ONWARD_REQUIRED ? ONWARD_UNKNOWN : ONWARD_CLEAR};
    return ERR_OK;
}
