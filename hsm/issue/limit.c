/* SPDX-License-Identifier: GPL-3.0-or-later */
/* limit.c - what one profile may have an hour and a day; hours are counted in memory, new sender
 * keys of a day by the journal. */
#include "hsm/issue/inside.h"

#include <string.h>

#define HOUR_S 3600
/* Renewing costs no key, but it is the CA's signature all the same. */
#define RENEWALS_PER_SENDER 10

static unsigned limit_of(const struct authority *a, enum counted what)
{
    switch (what) {
    case COUNT_SENDERS:
        return a->limits.senders_hour;
    case COUNT_RENEWALS:
        return a->limits.senders_hour * RENEWALS_PER_SENDER;
    case COUNT_SIGNATURES:
        return a->limits.signatures_hour;
    case COUNT_DECRYPTIONS:
        return a->limits.decryptions_hour;
    case COUNT_NONCES:
        return a->limits.nonces_hour;
    }
    return 0;
}

enum err authority_count(struct authority *a, const char *profile, enum counted what)
{
    int64_t now = authority_now(a);
    unsigned today = what == COUNT_SENDERS ? journal_index_day(a->index, profile, now) : 0;
    struct slot *s;
    enum err e = ERR_OK;

    (void)pthread_mutex_lock(&a->look);
    s = authority_slot(a, profile);
    if (!s) {
        e = ERR_NOT_FOUND;
    } else {
        if (s->hour != now / HOUR_S) {
            s->hour = now / HOUR_S;
            memset(s->counts, 0, sizeof s->counts);
        }
        if (s->counts[what] >= limit_of(a, what) ||
            (what == COUNT_SENDERS && today + s->in_flight >= a->limits.senders_day))
            e = ERR_LIMIT;
        else
            s->counts[what]++;
        if (!e && what == COUNT_SENDERS)
            s->in_flight++;
    }
    (void)pthread_mutex_unlock(&a->look);
    return e ? err_note(e, "limit", "of this profile is reached") : ERR_OK;
}

void authority_uncount(struct authority *a, const char *profile, enum counted what)
{
    struct slot *s;

    (void)pthread_mutex_lock(&a->look);
    s = authority_slot(a, profile);
    if (s && s->counts[what])
        s->counts[what]--;
    (void)pthread_mutex_unlock(&a->look);
}

enum err authority_key_check(struct authority *a, const char *profile, enum hsm_mechanism mechanism)
{
    CLEANUP(record_drop) struct record *r = NULL;
    enum err e = authority_find(a, profile, &r);

    if (!e)
        e = profile_may_mail(r);
    if (e)
        return e;
    switch (mechanism) {
    case HSM_SIGN_PKCS1:
    case HSM_SIGN_ECDSA:
        return authority_count(a, profile, COUNT_SIGNATURES);
    case HSM_DECRYPT_PKCS1:
    case HSM_DECRYPT_OAEP:
    case HSM_DERIVE_ECDH:
        return authority_count(a, profile, COUNT_DECRYPTIONS);
    }
    return err_note(ERR_REFUSED, "mechanism", "unknown");
}
