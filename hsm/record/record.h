/* SPDX-License-Identifier: GPL-3.0-or-later */
/* record.h - what the key service knows of one profile, as a value and as text.
 *
 * A record is changed by copying, changing the copy and saving it (record/store.h); a record others
 * can see never changes. The text form is canonical: what is hashed, authenticated and journalled.
 */
#ifndef SEALRELAY_HSM_RECORD_H
#define SEALRELAY_HSM_RECORD_H

#include "hsm/hsm.h"

#include <stdatomic.h>

#define RECORD_LIST_MAX   16 /* addresses, domains */
#define RECORD_KEYS_MAX   32 /* user keys ever enrolled */
#define RECORD_NONCES_MAX 8  /* open at a time */

/* A user key that was enrolled; withdrawn ones stay, so that the CRL can name them. */
struct record_key {
    uint8_t spki_sha256[32];
    struct buf cert; /* DER */
    int64_t not_before_s;
    int64_t not_after_s;
    int64_t enrolled_s;
    int64_t withdrawn_s; /* 0: not withdrawn */
};

struct record_nonce {
    uint8_t sha256[32];
    int64_t expires_s;
};

struct record_list {
    char *items[RECORD_LIST_MAX];
    size_t n;
};

struct record {
    atomic_uint refs;
    id_text profile;
    id_text user;
    enum profile_state state;
    int64_t version; /* from 1; set by record_save */
    int64_t created_s;
    /* as asked for when the profile was made */
    enum key_type ca_key_type;
    enum key_type user_key_type;
    enum key_type sender_key_type;
    int64_t root_days;
    int64_t intermediate_days;
    int64_t user_days;
    char *country;
    char *organisation;
    char *root_name;
    char *intermediate_name;
    char *policy_oid;
    char *root_crl_url; /* these four: NULL or whole URLs */
    char *root_aia_url;
    char *leaf_crl_url;
    char *leaf_aia_url;
    struct record_list addresses;
    struct record_list domains;
    struct buf ca_spki; /* DER; of the key in the token */
    /* once enrolled */
    struct buf root;
    struct buf intermediate;
    struct buf root_crl;
    struct buf first_csr; /* covered by the enrolment statement */
    struct record_key keys[RECORD_KEYS_MAX];
    size_t n_keys;
    int64_t kek_generation;
    /* activation code */
    struct buf code_mac; /* HMAC by the token; empty: none open */
    int64_t code_expires_s;
    int64_t code_attempts; /* wrong ones so far */
    int64_t codes_day;     /* the UTC day that codes_made counts */
    int64_t codes_made;
    struct record_nonce nonces[RECORD_NONCES_MAX];
    size_t n_nonces;
    int64_t deleting; /* 1: deletion was begun and is finished at the next start */
    struct buf last_crl;
};

/* record_new - empty, one reference. */
enum err record_new(struct record **out);
struct record *record_ref(struct record *r);
/* record_unref - accepts NULL. */
void record_unref(struct record *r);
/* for CLEANUP(record_drop) struct record *r = NULL; */
void record_drop(struct record **r);
/* record_copy - a copy of its own, one reference. */
enum err record_copy(const struct record *r, struct record **out);

/* record_write - the canonical text, appended to out. */
enum err record_write(const struct record *r, struct buf *out);
/* record_read - Errors: ERR_FORMAT (not canonical: missing, unknown or repeated lines). */
enum err record_read(struct bytes text, struct record **out);

/* record_set_text - replace a text field. value may be NULL. Errors: ERR_NOMEM. */
enum err record_set_text(char **field, const char *value);
/* record_list_add - Errors: ERR_USAGE (full), ERR_NOMEM. */
enum err record_list_add(struct record_list *list, const char *value);
bool record_list_has(const struct record_list *list, const char *value);

#endif
