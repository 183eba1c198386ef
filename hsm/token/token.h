/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token.h - the PKCS#11 tokens of the key service: CA keys, KEKs and service keys by name.
 *
 * The module is loaded and the token found through libp11; the log-in, whose PIN libp11 would keep,
 * and everything libp11 has no call for go to Cryptoki. Handles are resolved once and kept. A dead
 * token is finalised and opened anew by the next call (with back-off); callers only see
 * ERR_HSM_AWAY. Thread-safe. Only this folder includes pkcs11.h. */
#ifndef SEALRELAY_HSM_TOKEN_H
#define SEALRELAY_HSM_TOKEN_H

#include "hsm/hsm.h"

#include <openssl/types.h>

struct token;

struct token_options {
    const char *module;     /* path of the PKCS#11 module */
    const char *ca_uri;     /* RFC 7512: CA keys */
    const char *sender_uri; /* KEKs, service keys, sender keys; may be the same token */
    const char *pin_file;   /* secret_read_file() path; never argv, never environment */
    const char *state_dir;  /* holds the marker left by a refused PIN */
    unsigned pool_size;     /* ready sender keys a key type; 0: 32 */
    unsigned pool_share;    /* of which one profile may hold; 0: half */
    unsigned cache_size;    /* unwrapped keys kept; 0: 1024 */
    unsigned sessions_max;  /* 0: 16 */
};

/* token_open - load, find, log in (one attempt). Never fork afterwards.
 *   out  given on ERR_OK, and on ERR_PIN too: then a locked token, of which every call answers
 *        ERR_PIN until token_unlock succeeds; NULL on every other error
 * Errors: ERR_CONFIG (no module, not one token but several), ERR_HSM_AWAY (no such token, which may
 * come; never another slot; the note says what was looked for and what is there), ERR_PIN (refused,
 * locked, final try, or the marker of an earlier refusal is in state_dir), ERR_NOMEM. */
enum err token_open(const struct token_options *options, struct token **out);
/* token_close - end every session and finalise the module: before main returns, when no call runs.
 */
void token_close(struct token *t);
/* token_alive - are both tokens there and logged in? Opens a dead one anew, as every call does.
 * Errors: ERR_HSM_AWAY, ERR_PIN, ERR_BUSY (all sessions taken for five seconds). The calls below
 * may answer these too. */
enum err token_alive(struct token *t);
/* token_unlock - forget the marker of a refused PIN, read the PIN file again (unless it is a
 * descriptor, which is read once) and try once. Errors: ERR_PIN, ERR_CONFIG, ERR_HSM_AWAY. */
enum err token_unlock(struct token *t);

/* token_init - make the service keys (spool, store, record, journal) that are missing.
 * Errors: ERR_CONFIG (the token lacks a mechanism they need; note says which). */
enum err token_init(struct token *t);

/* token_has_profiles - does it hold the CA key of any profile? */
enum err token_has_profiles(struct token *t, bool *out);

/* ---- one profile's CA key and KEK ---- */

/* token_ca_new - KEY_P384 or KEY_RSA_3072, named by the profile; an existing one of that type is
 * handed out again, so that an interrupted caller may repeat the call.
 *   public_out  given
 * Errors: ERR_EXISTS (there is one of another type), ERR_REFUSED (the token cannot make that type),
 * ERR_USAGE (profile is no id). */
enum err token_ca_new(struct token *t, const char *profile, enum key_type type,
                      EVP_PKEY **public_out);
/* token_ca_sign - DER ECDSA-Sig-Value or PKCS#1 v1.5 signature over a digest made by the caller.
 *   md      SHA-384 for P-384, SHA-256 for RSA. Only hsm/issue calls this.
 *   digest  exactly as long as md's
 *   out     appended to
 * Errors: ERR_REFUSED (any other md or length), ERR_NOT_FOUND (no such key). */
enum err token_ca_sign(struct token *t, const char *profile, const EVP_MD *md, struct bytes digest,
                       struct buf *out);
/* token_kek_new - the profile's wrapping key of one generation. ERR_OK too when it exists already.
 * Errors: ERR_CONFIG (the token takes not all attributes a KEK must have; nothing is left). */
enum err token_kek_new(struct token *t, const char *profile, uint32_t generation);
/* token_kek_destroy - one generation, once its last blob is gone. May be run again. */
enum err token_kek_destroy(struct token *t, const char *profile, uint32_t generation);
/* token_profile_destroy - CA key, all KEKs, cached sender keys. May be run again after a crash. */
enum err token_profile_destroy(struct token *t, const char *profile);

/* ---- service keys ---- */

/* token_hmac - HMAC-SHA-256 under the record key, domain-separated by a label. */
enum err token_hmac(struct token *t, const char *label, struct bytes data, uint8_t out[32]);
/* token_journal_sign - signature by the journal key over SHA-256 of data; token_journal_public:
 * its public key, given. */
enum err token_journal_sign(struct token *t, struct bytes data, struct buf *out);
enum err token_journal_public(struct token *t, EVP_PKEY **out);
/* token_data_wrap, token_data_open - a data key under the spool or store key; see hsm.h. */
enum err token_data_wrap(struct token *t, enum hsm_wrap_key under, struct bytes key,
                         struct buf *wrapped_out, uint32_t *generation_out);
enum err token_data_open(struct token *t, enum hsm_wrap_key under, struct bytes wrapped,
                         struct secret *out);
/* token_spool_rotate - a new spool key when the present one is older than a week (its creation
 * time is in its label). token_spool_destroy - every generation below oldest, never the newest. */
enum err token_spool_rotate(struct token *t, int64_t now_s);
enum err token_spool_destroy(struct token *t, uint32_t oldest);

/* ---- sender keys: pooled, wrapped once, used only unwrapped and non-extractable ---- */

/* token_sender_new - assign a pooled key to a reverse alias.
 *   idle_only  ERR_SHARE instead of waiting for or making a key
 * Errors: ERR_SHARE, ERR_HSM_AWAY. blob_out: opaque; public_out: given. */
enum err token_sender_new(struct token *t, const char *profile, uint32_t kek_generation,
                          enum key_type type, const char *reverse, bool idle_only,
                          struct buf *blob_out, EVP_PKEY **public_out);
/* What a blob says of itself, once its HMAC was found good. */
struct sender_blob {
    id_text profile;
    address_text reverse;
    enum key_type type;
    uint32_t kek_generation;
    uint8_t spki_sha256[32];
};
/* token_sender_read - check a blob against the profile and reverse alias it must belong to,
 * before the token sees the wrapped key. Errors: ERR_TAMPERED. public_out: given, may be NULL. */
enum err token_sender_read(struct token *t, const struct hsm_key_ref *key, struct sender_blob *out,
                           EVP_PKEY **public_out);
/* token_sender_use - see hsm_key_use. */
enum err token_sender_use(struct token *t, const struct hsm_key_ref *key,
                          enum hsm_mechanism mechanism, const char *md, const char *mgf1_md,
                          struct bytes input, struct buf *out);
/* token_pool_fill - make keys for the pool until it is full; returns after one key or at once.
 * more_out: whether the pool wants another. Called by an idle thread. */
enum err token_pool_fill(struct token *t, bool *more_out);
/* token_pool_types - which key types the pool keeps ready (those of existing profiles). */
void token_pool_types(struct token *t, bool rsa_2048, bool rsa_3072, bool p256);

/* ---- report ---- */

/* token_report - every key's attributes, the wrap mechanism chosen, what the token cannot do and
 * what its loss would mean, as a cJSON object (given, never NULL on ERR_OK). */
struct cJSON;
enum err token_report(struct token *t, struct cJSON **out);

#endif
