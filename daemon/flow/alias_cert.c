/* SPDX-License-Identifier: GPL-3.0-or-later */
/* alias_cert.c - the certificates of the user's own aliases, for a message's certificate set: who
 * replies to all names the alias too, and clients encrypt to all or to none.
 *
 * Such a certificate is the key service's, over the user's own key. It is made at the alias's first
 * message, kept with the alias, and made anew near its end or once the user's keys have changed. A
 * message goes without it rather than not at all. */
#include "daemon/store/alias_cert.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/flow/cert_cache.h"
#include "daemon/flow/parcel.h"
#include "daemon/message/address.h"
#include "daemon/policy/policy.h"

#include <openssl/x509.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Is it over a key that the user still has? */
static bool key_counts(const struct hsm_profile *profile, const X509 *cert)
{
    bool found = false;

    for (size_t i = 0; i < profile->n_certs && !found; i++) {
        X509 *user =
            profile->certs[i].expired ? NULL : cert_parse(buf_bytes(&profile->certs[i].der));

        found = user && EVP_PKEY_eq(X509_get0_pubkey(user), X509_get0_pubkey(cert)) == 1;
        X509_free(user);
    }
    return found;
}

/* No certificate outlives its intermediate: one that reaches that far cannot be made longer. */
static bool ends_soon(const struct hsm_profile *profile, const X509 *cert, int64_t now_s)
{
    const ASN1_TIME *ends = X509_get0_notAfter(cert);
    time_t limit = (time_t)(now_s + CORRESPOND_RENEW_S);
    X509 *intermediate;
    bool longer;

    if (X509_cmp_time(ends, &limit) > 0)
        return false;
    intermediate = cert_parse(buf_bytes(&profile->intermediate));
    longer = !intermediate || ASN1_TIME_compare(ends, X509_get0_notAfter(intermediate)) < 0;
    X509_free(intermediate);
    return longer;
}

/* The one that is kept, NULL if it serves no longer, and whether it is time for another. */
static enum err cert_kept(struct forward *f, const struct hsm_profile *profile, int64_t alias,
                          int64_t now_s, X509 **out, bool *due_out)
{
    CLEANUP(buf_clear) struct buf der = {0};
    enum err e = store_alias_cert_get(f->store, alias, profile->profile, &der);
    X509 *cert = e ? NULL : cert_parse(buf_bytes(&der));
    time_t now = (time_t)now_s;

    *due_out = true;
    if (e)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    if (!cert || !key_counts(profile, cert) || X509_cmp_time(X509_get0_notAfter(cert), &now) < 0) {
        X509_free(cert);
        return ERR_OK;
    }
    *due_out = ends_soon(profile, cert, now_s);
    *out = cert;
    return ERR_OK;
}

static enum err cert_make(struct forward *f, const struct hsm_profile *profile,
                          const struct store_alias *alias, X509 **out)
{
    CLEANUP(buf_clear) struct buf der = {0};
    enum err e = hsm_alias_cert(f->hsm, profile->profile, alias->address, &der);
    X509 *cert;

    if (!e && failpoint("forward.alias_cert"))
        e = ERR_IO;
    if (!e)
        e = store_alias_cert_set(f->store, alias->id, profile->profile, buf_bytes(&der));
    cert = e ? NULL : cert_parse(buf_bytes(&der));
    if (!e && !cert)
        e = err_note_openssl(ERR_FORMAT, "alias certificate");
    if (!e)
        *out = cert;
    return e;
}

/* Sessions that want a new one at once each make one; all of them are good, the last is kept. While
 * none can be made the one that is kept serves to its end. */
static void add(struct forward *f, const struct forward_job *job, struct parcel *p,
                const struct store_alias *alias)
{
    X509 *cert = NULL, *made = NULL;
    bool due = false;
    enum err e = cert_kept(f, &p->profile, alias->id, job->now_s, &cert, &due);

    if (!e && due && (!job->trial || job->trial->make))
        e = cert_make(f, &p->profile, alias, &made);
    if (e)
        log_event(LOG_LEVEL_WARNING, "flow.alias_cert", job->id, e, -1, "profile=%s",
                  p->profile.profile);
    if (made) {
        X509_free(cert);
        cert = made;
    }
    if (cert &&
        X509_add_cert(p->extra_certs, cert, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) != 1)
        (void)err_note_openssl(ERR_NOMEM, "X509_add_cert");
    X509_free(cert);
    err_note_clear();
}

/* The operator's addresses are of no user. Name constraints in host form cover no sub-domain (RFC
 * 5280 4.2.1.10): an alias below a relay domain can be in no certificate of the profile. */
static bool may_have_one(const struct parcel *p, const char *alias)
{
    const char *domain = policy_domain(&p->profile, alias);

    return domain && strcasecmp(domain, address_domain(alias)) == 0 &&
           !policy_is_role_address(alias);
}

void parcel_alias_certs(struct forward *f, const struct forward_job *job, struct parcel *p)
{
    if (may_have_one(p, p->alias.address))
        add(f, job, p, &p->alias);
    for (size_t i = 0; i < p->n_map; i++) {
        struct store_alias other;

        /* the user's own stand there as themselves */
        if (strcmp(p->map[i].from_addr, p->map[i].to_addr) != 0)
            continue;
        if (!store_alias_find(f->store, p->map[i].to_addr, &other) && !other.catch_all &&
            other.id != p->alias.id && may_have_one(p, other.address))
            add(f, job, p, &other);
        err_note_clear();
    }
}
