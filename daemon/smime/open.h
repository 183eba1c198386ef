/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open.h - a reply as the user's client sent it, to the clear MIME entity its signer signed.
 *
 * layer.c finds the S/MIME layers at the root, enveloped.c decrypts, signer.c verifies against the
 * user's enrolled keys. Invariants: no two failures can be told apart from outside; once a key is
 * touched the content decryption always runs; nothing is opened that is not the whole body; what is
 * handed on is what was verified, byte for byte. RFC 8551, RFC 5652, RFC 9788. */
#ifndef SEALRELAY_SMIME_OPEN_H
#define SEALRELAY_SMIME_OPEN_H

#include "daemon/base/secret.h"
#include "daemon/message/message.h"

#include <openssl/types.h>

#define OPEN_SIGNING_TIME_AGE_S   (7 * 86400)  /* older is stale */
#define OPEN_SIGNING_TIME_AHEAD_S 3600         /* clocks differ */
#define OPEN_USER_CERT_GRACE_S    (90 * 86400) /* an expired certificate counts that long */
#define OPEN_DIGEST_LEN           32u          /* SHA-256 */

/* What a message is; see open_result.kind. */
enum open_kind { OPEN_PLAIN, OPEN_SIGNED, OPEN_ENCRYPTED, OPEN_ENCRYPTED_SIGNED };

const char *open_kind_name(enum open_kind kind); /* "plain", "signed" ... */

struct open_job {
    const struct message *message; /* as it came; CRLF line ends */

    /* The addressed reverse alias in this profile: its certificates, newest first. Nothing is ever
     * decrypted with a key of anybody else. */
    X509 *const *certs;
    size_t n_certs;
    /* The private key of certs[which], as an EVP_PKEY. Called once at most.
     *   content_key_len  how long a content key it will have to give (provider_key_expect)
     *   out              given; EVP_PKEY_free */
    enum err (*key_load)(void *ctx, size_t which, size_t content_key_len, EVP_PKEY **out);
    void *key_ctx;
    /* Why the last private-key operation of this thread, since key_load, failed (the class PERM
     * means: the ciphertext's fault), ERR_OK if it did not; provider_last_error. May be NULL. */
    enum err (*key_error)(void);

    /* Certificates of the profile's enrolled user keys, as the key service names them: DER. */
    const struct bytes *user_certs;
    size_t n_user_certs;

    int64_t now_s;
    bool unsigned_allowed; /* the profile waives the signature; a bad one is refused all the same */
    bool unpaced;          /* for fuzzers: a refusal does not wait */
};

/* Somebody an EnvelopedData is encrypted to, as it names them. */
struct open_recipient {
    struct buf issuer; /* DER of the Name; empty if named by key identifier */
    struct buf serial; /* DER of the INTEGER; or the key identifier's octets */
};

struct open_result {
    enum open_kind kind;
    /* The authenticated entity: MIME header, CRLF throughout, and body. It lies in plain, or in
     * the job's message, and lives as long as both. */
    struct bytes entity;
    struct secret plain;

    /* OPEN_SIGNED, OPEN_ENCRYPTED_SIGNED */
    uint8_t signer_spki[OPEN_DIGEST_LEN]; /* SHA-256 of the user key's SubjectPublicKeyInfo */
    bool signer_expired;                  /* its certificate, by less than 90 days */
    int64_t signing_time_s;
    /* Over signer, digest of the content and signingTime, which are what a signature says. Not
     * over its octets: an ECDSA signature has a twin, and an old one would count as new. */
    uint8_t signature_id[OPEN_DIGEST_LEN];

    /* OPEN_ENCRYPTED, OPEN_ENCRYPTED_SIGNED */
    uint8_t envelope_id[OPEN_DIGEST_LEN]; /* SHA-256 of the CMS as it came, without base64 */
    size_t opened_with;                   /* which of job's certs */
    struct open_recipient *recipients;
    size_t n_recipients;
};

/* open_run - open one message.
 *   out  written on success only; open_result_clear before job's message goes
 * Effects: at most one private-key operation; no network, no disk. A refusal after that operation
 *          sleeps to the next of a few instants after the call's begin, see pace.h.
 * Errors: ERR_UNPROVEN for everything that is the message's fault, whatever it is. The note tells
 *         more only of what everybody can see, or what an enrolled key signed. TEMP and OPER of
 *         key_load and key_error, ERR_NOMEM: they never depend on what is inside the ciphertext.
 * Source: RFC 8551 2.5, 3; RFC 3218 (why there is one answer). */
enum err open_run(const struct open_job *job, struct open_result *out);

/* open_result_names - is cert among those that the message was encrypted to? */
bool open_result_names(const struct open_result *r, X509 *cert);

/* open_result_clear - wipe what is in clear, release the rest. Accepts one never filled. */
void open_result_clear(struct open_result *r);

#endif
