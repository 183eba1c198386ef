/* SPDX-License-Identifier: GPL-3.0-or-later */
/* inside.h - the authority from inside: profiles in memory, and how one is changed.
 *
 * Private to hsm/issue. Locks, taken in this order: change (one change at a time), life (sender
 * certificates read it, deletion writes it), look (profiles in memory and counters; held for
 * moments, never across a token or disk call). */
#ifndef SEALRELAY_HSM_ISSUE_INSIDE_H
#define SEALRELAY_HSM_ISSUE_INSIDE_H

#include "hsm/issue/authority.h"
#include "hsm/issue/certificate.h"
#include "hsm/issue/key.h"
#include "hsm/issue/seal.h"
#include "hsm/journal/index.h"
#include "hsm/journal/journal.h"
#include "hsm/record/store.h"

#include <pthread.h>

/* What is counted an hour and profile; in memory only. */
enum counted { COUNT_SENDERS, COUNT_RENEWALS, COUNT_SIGNATURES, COUNT_DECRYPTIONS, COUNT_NONCES };
#define COUNTED_N (COUNT_NONCES + 1)

struct slot {
    id_text profile;
    id_text user;
    struct record *record; /* NULL: it was tampered with */
    int64_t hour;          /* the hour that counts belongs to */
    unsigned counts[COUNTED_N];
    unsigned in_flight; /* sender keys being made, not journalled yet */
    struct buf crl;     /* the leaf CRL of the day */
    int64_t crl_made_s;
    size_t crl_withdrawn; /* how many withdrawn keys it names */
};

struct authority {
    struct authority_options options;
    struct authority_limits limits; /* with the defaults filled in */
    char *state_dir;
    char *policy_oid;
    char *crl_url;
    char *aia_url;
    struct journal *journal;
    struct journal_index *index;
    struct record_store *store;
    pthread_mutex_t change;
    pthread_rwlock_t life;
    pthread_mutex_t look;
    struct slot **slots;
    size_t n_slots;
};

int64_t authority_now(const struct authority *a);

/* authority_find - the present record of a profile, one reference for the caller.
 * Errors: ERR_NOT_FOUND, ERR_TAMPERED. */
enum err authority_find(struct authority *a, const char *profile, struct record **out);
/* authority_slot - under look. NULL: unknown. */
struct slot *authority_slot(struct authority *a, const char *profile);
/* authority_slot_add - a slot for a record, whose reference it takes; record may be NULL. */
enum err authority_slot_add(struct authority *a, const char *profile, const char *user,
                            struct record *record);
/* authority_replace - save next over before and make it the present one; under change. next keeps
 * its caller's reference. */
enum err authority_replace(struct authority *a, struct record *before, struct record *next);
/* authority_pool_tell - which sender key types the token should keep ready. */
void authority_pool_tell(struct authority *a);

/* A change of one profile: change_begin takes the lock and copies the record, the caller alters
 * next, change_commit saves it. CLEANUP(change_end) struct change c = {0}; */
struct change {
    struct authority *a; /* NULL: not begun */
    struct record *before;
    struct record *next; /* NULL after change_commit */
};
enum err change_begin(struct change *c, struct authority *a, const char *profile);
enum err change_commit(struct change *c);
/* change_again - after a commit, begin another step on what was committed. */
enum err change_again(struct change *c);
void change_end(struct change *c);

/* authority_count - one more of its kind this hour, if the limit allows. authority_uncount - it did
 * not happen. Errors: ERR_LIMIT. */
enum err authority_count(struct authority *a, const char *profile, enum counted what);
void authority_uncount(struct authority *a, const char *profile, enum counted what);

/* profile_may_mail - ready or active, and not being deleted. Errors: ERR_NOT_ACTIVE. */
enum err profile_may_mail(const struct record *r);

/* values_of_ca - what the certificate table needs, borrowed from the record. */
struct cert_values values_of_ca(const struct record *r, const char *common_name);

/* The CA key of a profile with its public half; CLEANUP(ca_close). */
struct ca {
    struct seal_key key;
    X509 *intermediate; /* NULL while pending */
};
enum err ca_open(struct authority *a, const struct record *r, struct ca *out);
void ca_close(struct ca *ca);

/* leaf_issue - compose, sign, and tell the serial number; not journalled yet. */
struct leaf {
    struct buf der;
    struct buf serial; /* hex */
    struct cert_dates dates;
};
void leaf_clear(struct leaf *l);
enum err leaf_issue(struct authority *a, const struct record *r, enum cert_kind kind,
                    const char *const *addresses, size_t n_addresses, EVP_PKEY *key, int64_t now_s,
                    struct leaf *out);

/* user_key_apart - a user's key is neither the profile's CA key, whose own request would pass for a
 * proof of possession, nor the root's. Errors: ERR_REFUSED. */
enum err user_key_apart(const struct record *r, const X509 *root, struct bytes spki);
/* user_key_issue - a user certificate over a checked CSR key: journalled and added to next->keys.
 * spki: of that key. Errors: ERR_LIMIT (RECORD_KEYS_MAX), ERR_REFUSED (enrolled before, or a
 * CA's). */
enum err user_key_issue(struct authority *a, struct record *next, EVP_PKEY *key, struct bytes spki,
                        int64_t now_s);

/* enrolment_accept - judge an enrolment against the record and put it into next. Nothing is saved.
 * Errors: ERR_REFUSED. */
struct enrolment;
enum err enrolment_accept(struct record *next, const struct enrolment *e, int64_t now_s);

/* profile_destroy - the steps of a deletion from wherever it stands; c is begun. */
enum err profile_destroy(struct change *c);

/* hex of SHA-256 */
void hash_hex(struct bytes data, journal_hash out);

#endif
