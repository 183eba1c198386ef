/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hsm.h - the key service as its clients see it: certificates, signatures and keys by name.
 *
 * sealhsmd owns the PKCS#11 module, the PIN and the key records; the relay and the operator's
 * command reach it over one unix socket a role (relay, admin, web). Every call has a deadline: a
 * token that hangs is ERR_HSM_AWAY long before an SMTP client gives up. All functions may be called
 * from several threads at once. */
#ifndef SEALRELAY_HSM_H
#define SEALRELAY_HSM_H

#include "daemon/base/buf.h"
#include "daemon/base/id.h"
#include "daemon/base/secret.h"

#include <openssl/types.h>

#define HSM_ADDRESS_MAX 254 /* bytes of an address, RFC 5321 4.5.3.1.3 */

typedef char address_text[HSM_ADDRESS_MAX + 1];

enum key_type { KEY_RSA_2048, KEY_RSA_3072, KEY_P256, KEY_P384 };

/* pending: made, not enrolled; ready: enrolled, opens replies, not chosen for inbound; active:
 * chosen (one a user at most); suspended; deleted: its keys are destroyed. */
enum profile_state {
    PROFILE_PENDING,
    PROFILE_READY,
    PROFILE_ACTIVE,
    PROFILE_SUSPENDED,
    PROFILE_DELETED
};

const char *key_type_name(enum key_type t); /* "rsa-2048", "rsa-3072", "p-256", "p-384" */
enum err key_type_parse(const char *s, enum key_type *out); /* ERR_USAGE */
const char *profile_state_name(enum profile_state s);       /* "pending" ... */

struct hsm; /* a bounded pool of connections to one socket */

struct hsm_options {
    const char *socket_path;
    unsigned timeout_ms;      /* for one call, connecting included; 0: 5000 */
    unsigned connections_max; /* 0: 16 */
};

/* hsm_open - remember where the service is. It need not be there yet: every call connects anew
 * when it has to. Errors: ERR_NOMEM. */
enum err hsm_open(const struct hsm_options *options, struct hsm **out);
void hsm_free(struct hsm *h);

/* hsm_deadline - no call of this thread lasts beyond this instant of clock_mono_ms(), whatever the
 * handle's timeout_ms says; for work that has to answer somebody in time. 0: no such instant. */
void hsm_deadline(int64_t mono_ms);

/* Every call below may also answer ERR_HSM_AWAY (no service, no token, deadline passed), ERR_PIN,
 * ERR_BUSY, ERR_NOMEM, and ERR_REFUSED where the socket's role may not make it. */

/* ---- relay role ------------------------------------------------------------------------------ */

/* Whom a profile's mail is sealed to, as the key service's own record says. */
struct hsm_profile {
    id_text profile;
    id_text user;
    enum profile_state state;
    enum key_type sender_key_type;
    struct buf intermediate; /* DER; empty while pending */
    struct hsm_user_cert {
        struct buf der;
        bool expired; /* by less than 90 days: still sealed to, and the message says so */
    } * certs;        /* enrolled, not withdrawn; expired for longer are left out */
    size_t n_certs;
    char **addresses; /* the user's mailboxes, lower case */
    size_t n_addresses;
    char **domains; /* the relay domains of the name constraints, lower case */
    size_t n_domains;
};

/* hsm_user_profile - the user's active profile. Errors: ERR_NOT_ACTIVE. */
enum err hsm_user_profile(struct hsm *h, const char *user, struct hsm_profile *out);
/* hsm_profile_get - one profile in any state. Errors: ERR_NOT_FOUND. */
enum err hsm_profile_get(struct hsm *h, const char *profile, struct hsm_profile *out);
void hsm_profile_clear(struct hsm_profile *p);

/* A correspondent's key in one profile, as the store keeps it. */
struct hsm_sender {
    address_text reverse; /* reverse alias: r-<16 of a-z2-7>@<relay domain> */
    struct buf cert;      /* DER */
    struct buf blob;      /* authenticated wrapped key; opaque */
};
void hsm_sender_clear(struct hsm_sender *s);

/* hsm_sender_new - a new sender key from the pool, wrapped, and its certificate.
 *   profile  active or ready
 *   domain   one of the profile's relay domains; the key service makes the local part
 *   reverse  NULL, or an existing reverse alias of the same user to certify anew in this profile
 *   idle_only  take only from idle pool (keys beyond a message's first), never make the caller wait
 * Errors: ERR_SHARE (pool share spent), ERR_LIMIT (per hour or day), ERR_REFUSED (foreign domain,
 * reverse alias of another user or of none), ERR_NOT_ACTIVE. */
enum err hsm_sender_new(struct hsm *h, const char *profile, const char *domain, const char *reverse,
                        bool idle_only, struct hsm_sender *out);

/* hsm_sender_renew - a fresh certificate: same key, or a new key if the profile has a newer KEK.
 * Errors: as hsm_sender_new; ERR_TAMPERED (blob of another profile, alias, or altered). */
enum err hsm_sender_renew(struct hsm *h, const char *profile, const char *reverse,
                          struct bytes blob, struct hsm_sender *out);

/* hsm_alias_cert - a certificate for an alias of the user's over the user's own key: the one that
 * was enrolled last, is not withdrawn and has not expired. No key is made, and nothing that the
 * relay holds opens what is encrypted to it. It lets a client that replies to all encrypt to the
 * alias.
 *   profile  active or ready
 *   alias    lower case, in one of the profile's relay domains
 *   der_out  DER, appended
 * Errors: ERR_REFUSED (another domain; an address that is no user's alias: a catch-all, reverse
 * alias, return path, mailbox, postmaster or abuse), ERR_EXPIRED (no such key), ERR_LIMIT,
 * ERR_NOT_ACTIVE. */
enum err hsm_alias_cert(struct hsm *h, const char *profile, const char *alias, struct buf *der_out);

/* Which private-key operation. The digest travels, never the message. */
enum hsm_mechanism {
    HSM_SIGN_PKCS1,    /* RSASSA-PKCS1-v1_5, DigestInfo made by the service */
    HSM_SIGN_ECDSA,    /* signature as DER SEQUENCE {r, s} */
    HSM_DECRYPT_PKCS1, /* RSAES-PKCS1-v1_5 */
    HSM_DECRYPT_OAEP,  /* RSAES-OAEP, md and mgf1 digest named, empty label */
    HSM_DERIVE_ECDH    /* input: peer point, uncompressed; output: x coordinate */
};

struct hsm_key_ref {
    const char *profile;
    const char *reverse;
    struct bytes blob; /* borrowed */
    struct bytes spki; /* DER of the public key the caller takes it for; empty: not compared */
};

/* hsm_key_use - one operation with a sender key.
 *   md, mgf1_md  OpenSSL digest names ("SHA256"), or NULL where the mechanism has none
 * Errors: ERR_TAMPERED (the blob says another profile, reverse alias or key, or is altered),
 * ERR_REFUSED (digest or mechanism not allowed), ERR_FORMAT (decryption failed: padding),
 * ERR_LIMIT, ERR_NOT_ACTIVE (profile suspended or deleted). */
enum err hsm_key_use(struct hsm *h, const struct hsm_key_ref *key, enum hsm_mechanism mechanism,
                     const char *md, const char *mgf1_md, struct bytes input, struct buf *out);

/* Data keys: made at random by the key service, kept by the caller only wrapped. */
#define HSM_DATA_KEY_LEN 32
enum hsm_wrap_key { HSM_WRAP_SPOOL, HSM_WRAP_STORE };

/* hsm_data_key_new - a fresh key and its wrapped form.
 *   generation_out  of the wrapping key in the token (spool keys change weekly) */
enum err hsm_data_key_new(struct hsm *h, enum hsm_wrap_key under, struct secret *key_out,
                          struct buf *wrapped_out, uint32_t *generation_out);
/* hsm_data_key_open - Errors: ERR_TAMPERED; ERR_NOT_FOUND (that spool key is destroyed). */
enum err hsm_data_key_open(struct hsm *h, enum hsm_wrap_key under, struct bytes wrapped,
                           struct secret *key_out);
/* hsm_spool_retire - destroy every spool key older than oldest_in_use; never the present one. */
enum err hsm_spool_retire(struct hsm *h, uint32_t oldest_in_use);

/* hsm_activation_code - a fresh code for a ready profile, to be mailed, sealed, to its mailbox.
 * The former code ends. code_out: 8 characters and NUL. Errors: ERR_WRONG_STATE, ERR_LIMIT. */
#define HSM_CODE_LEN 8
enum err hsm_activation_code(struct hsm *h, const char *profile, char code_out[HSM_CODE_LEN + 1]);

/* hsm_suspend - ready or active to suspended; also for admin. */
enum err hsm_suspend(struct hsm *h, const char *profile);
/* hsm_leaf_crl - the profile's CRL over its leaves, DER, at most a day old. */
enum err hsm_leaf_crl(struct hsm *h, const char *profile, struct buf *out);
/* hsm_checkpoint - the journal's latest signed checkpoint line for a profile. */
enum err hsm_checkpoint(struct hsm *h, const char *profile, struct buf *out);
/* hsm_user_request - hand in a CMS SignedData made by an enrolled user key (mail or web).
 * Errors: ERR_REFUSED with a note that says why. result_out: one line for the user. */
enum err hsm_user_request(struct hsm *h, const char *profile, struct bytes cms_der,
                          struct bytes csr_der, struct buf *result_out);
/* hsm_ping - is the service there, its token alive and logged in? */
enum err hsm_ping(struct hsm *h);

#endif
