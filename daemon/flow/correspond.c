/* SPDX-License-Identifier: GPL-3.0-or-later */
/* correspond.c - find or make the reverse alias, certificate and key of a real address. */
#include "daemon/flow/correspond.h"
#include "daemon/base/log.h"
#include "daemon/flow/cert_cache.h"
#include "daemon/message/address.h"
#include "daemon/policy/policy.h"

#include <openssl/asn1.h>
#include <pthread.h>
#include <time.h>

void correspondent_clear(struct correspondent *c)
{
    if (!c)
        return;
    X509_free(c->cert);
    buf_clear(&c->blob);
    *c = (struct correspondent){0};
}

static enum err certificate_read(struct bytes der, X509 **out)
{
    *out = cert_parse(der);
    return *out ? ERR_OK : err_note_openssl(ERR_TAMPERED, "sender certificate");
}

static enum err not_after(const X509 *cert, int64_t *out)
{
    struct tm t;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &t) != 1)
        return err_note_openssl(ERR_TAMPERED, "notAfter");
    *out = timegm(&t);
    return ERR_OK;
}

/* Keep a key the service made; cert and blob move into out. */
static enum err key_keep(const struct correspond_request *r, struct hsm_sender *made,
                         struct correspondent *out)
{
    struct store_sender_key key = {.cert = made->cert, .blob = made->blob};
    X509 *cert = NULL;
    enum err e = certificate_read(buf_bytes(&made->cert), &cert);

    if (!e)
        e = not_after(cert, &key.not_after_s);
    if (!e)
        e = store_sender_key_add(r->store, out->row.id, r->profile->profile, &key);
    if (e) {
        X509_free(cert);
        return e;
    }
    X509_free(out->cert);
    buf_clear(&out->blob);
    out->cert = cert;
    out->blob = made->blob;
    made->blob = (struct buf){0};
    return ERR_OK;
}

/* No certificate outlives its intermediate: one that reaches that far cannot be made longer. */
static bool ends_with_intermediate(const struct correspond_request *r, int64_t ends_s)
{
    X509 *intermediate = NULL;
    int64_t last_s = INT64_MAX;

    if (!certificate_read(buf_bytes(&r->profile->intermediate), &intermediate))
        (void)not_after(intermediate, &last_s);
    X509_free(intermediate);
    err_note_clear();
    return ends_s >= last_s;
}

/* A certificate that ends soon is made anew; while that fails the present one serves to its end. */
static enum err key_renew_if_due(const struct correspond_request *r, int64_t ends_s,
                                 struct correspondent *c)
{
    CLEANUP(hsm_sender_clear) struct hsm_sender made = {0};
    enum err e;

    if (ends_s - r->now_s > CORRESPOND_RENEW_S ||
        (ends_s > r->now_s && ends_with_intermediate(r, ends_s)))
        return ERR_OK;
    e = hsm_sender_renew(r->hsm, r->profile->profile, c->row.reverse, buf_bytes(&c->blob), &made);
    if (!e)
        e = key_keep(r, &made, c);
    if (!e || ends_s <= r->now_s)
        return e;
    log_event(LOG_LEVEL_WARNING, "flow.renew", r->profile->profile, e, -1,
              "present key still good");
    err_note_clear();
    return ERR_OK;
}

enum err correspond_find(const struct correspond_request *r, const char *address,
                         struct correspondent *out)
{
    struct correspondent c = {0};
    CLEANUP(store_sender_key_clear) struct store_sender_key key = {0};
    enum err e = store_correspondent_find(r->store, r->alias->id, address, &c.row);

    if (!e)
        e = store_sender_key_get(r->store, c.row.id, r->profile->profile, &key);
    if (!e)
        e = certificate_read(buf_bytes(&key.cert), &c.cert);
    if (!e) {
        c.blob = key.blob;
        key.blob = (struct buf){0};
        e = key_renew_if_due(r, key.not_after_s, &c);
    }
    if (e) {
        correspondent_clear(&c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

/* reverse: NULL, or the permanent one, which keeps its domain. */
static enum err sender_new(const struct correspond_request *r, const char *reverse, bool idle_only,
                           struct hsm_sender *out)
{
    const char *domain =
        reverse ? address_domain(reverse) : policy_domain(r->profile, r->alias->address);

    return domain ? hsm_sender_new(r->hsm, r->profile->profile, domain, reverse, idle_only, out)
                  : err_note(ERR_NOT_ACTIVE, "profile", "alias is not in the enrolment");
}

/* A key is dear: of sessions that bring the same new correspondent, one makes it. */
static pthread_mutex_t *making_lock(const struct correspond_request *r, const char *address)
{
    static pthread_mutex_t locks[] = {
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    };
    uint64_t sum = (uint64_t)r->alias->id;

    for (const char *at = address; *at; at++)
        sum = sum * 31 + (uint8_t)*at;
    return &locks[sum % (sizeof locks / sizeof *locks)];
}

static enum err making_begin(pthread_mutex_t *lock, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                             .tv_nsec = (long)(deadline_ms % 1000) * 1000000};

    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until) == 0
               ? ERR_OK
               : err_note(ERR_TIMEOUT, "correspondent", "another session is still making keys");
}

static enum err make_locked(const struct correspond_request *r, const char *address, bool idle_only,
                            struct correspondent *out)
{
    struct correspondent c = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender made = {0};
    enum err e = correspond_find(r, address, out);

    if (e != ERR_NOT_FOUND)
        return e; /* whoever had the lock before has made it */
    err_note_clear();
    e = store_correspondent_find(r->store, r->alias->id, address, &c.row);
    if (e && e != ERR_NOT_FOUND)
        return e;
    err_note_clear();
    e = sender_new(r, e ? NULL : c.row.reverse, idle_only, &made);
    if (!e && !c.row.reverse[0])
        e = store_correspondent_add(r->store, r->alias->id, address, made.reverse, r->now_s,
                                    &c.row);
    if (e == ERR_EXISTS) {
        /* Another session was first: its reverse alias is the permanent one, ours is dropped. */
        err_note_clear();
        hsm_sender_clear(&made);
        e = correspond_find(r, address, out);
        if (e != ERR_NOT_FOUND)
            return e;
        e = sender_new(r, c.row.reverse, idle_only, &made);
    }
    if (!e)
        e = key_keep(r, &made, &c);
    if (e) {
        correspondent_clear(&c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

enum err correspond_make(const struct correspond_request *r, const char *address, bool idle_only,
                         struct correspondent *out)
{
    pthread_mutex_t *lock = making_lock(r, address);
    enum err e = making_begin(lock, r->deadline_mono_ms);

    if (e)
        return e;
    e = make_locked(r, address, idle_only, out);
    (void)pthread_mutex_unlock(lock);
    return e;
}
