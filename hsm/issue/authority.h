/* SPDX-License-Identifier: GPL-3.0-or-later */
/* authority.h - everything the key service decides: profiles, certificates, who may have keys.
 *
 * The one interface between the sockets (hsm/serve) and records, journal and certificate profiles.
 * It believes no caller: every decision rests on the authenticated record of the profile, the
 * journal, and signatures checked here. Which role may call what is hsm/serve's table.
 *
 * Thread-safe: calls that change a profile run one at a time; look-ups and sender certificates run
 * beside them and never wait for a key to be made. A failed journal write is final: every later
 * change answers ERR_IO until the service is started again.
 *
 * Every function may answer ERR_NOMEM, ERR_IO, ERR_HSM_AWAY, ERR_PIN; those that name a profile
 * also ERR_NOT_FOUND (unknown, or not the form of an id) and ERR_TAMPERED (its record or the
 * journal is not what was last written). Notes (err_note_get) say why for the operator. */
#ifndef SEALRELAY_HSM_ISSUE_AUTHORITY_H
#define SEALRELAY_HSM_ISSUE_AUTHORITY_H

#include "hsm/hsm.h"
#include "hsm/token/token.h"

struct authority;

/* 0 anywhere: the default in brackets. */
struct authority_limits {
    unsigned senders_hour;     /* [60] new sender keys a profile and hour */
    unsigned senders_day;      /* [500] and day; counts survive a restart */
    unsigned signatures_hour;  /* [20000] with sender keys, a profile and hour */
    unsigned decryptions_hour; /* [2000] */
    unsigned code_attempts;    /* [5] wrong activation codes before the code ends */
    unsigned codes_day;        /* [10] activation codes made a profile and day */
    unsigned nonces_hour;      /* [20] a profile and hour; 8 may be open at a time, for 7 days */
    unsigned profiles_user;    /* [10] profiles of one user not deleted */
    unsigned checkpoint_every; /* [1000] journal entries between signed checkpoints */
};

struct authority_options {
    struct token *token;   /* borrowed, outlives the authority; token_init() was run */
    const char *state_dir; /* exists; holds records.db, journal, journal.head */
    struct authority_limits limits;
    const char *policy_oid; /* NULL: 2.25.204867384412930154236791803645123872531 */
    /* Prefixes of public http URLs, NULL: none in certificates. Served there: PROFILE.crl (leaf
     * CRL), PROFILE-root.crl, PROFILE.cer (intermediate, DER), PROFILE-root.cer. */
    const char *crl_url;
    const char *aia_url;
    int64_t (*now)(void); /* NULL: clock_now_s */
};

/* authority_open - open records and journal, check each against the other, repair what a crash
 * left half done: a torn last line, a half saved record, a half made or half deleted profile. A
 * record that was altered or rolled back shuts its profile alone (ERR_TAMPERED in every call that
 * names it).
 * Errors: ERR_TAMPERED (journal altered, removed, shortened; or there is none at all, though the
 * token holds CA keys), ERR_BUSY (another process has it),
 * ERR_CONFIG (state_dir missing; newer schema), ERR_IO. */
enum err authority_open(const struct authority_options *options, struct authority **out);
/* authority_close - a checkpoint, then close. Accepts NULL. */
void authority_close(struct authority *a);
/* authority_tick - what is due once in a while: the daily checkpoint. Call every few minutes. */
enum err authority_tick(struct authority *a);

/* ---- a profile's life ------------------------------------------------------------------------ */

struct authority_profile_new {
    const char *user;             /* id of the user */
    const char *const *addresses; /* the user's mailboxes, 1 to 16; lower-cased here */
    size_t n_addresses;
    const char *const *domains; /* relay domains, 1 to 16; host names, lower-cased here */
    size_t n_domains;
    const char *country;           /* two letters; upper-cased here */
    const char *organisation;      /* 1 to 64 printable ASCII characters; NULL: "Sealrelay" */
    enum key_type ca_key_type;     /* KEY_P384 or KEY_RSA_3072 */
    enum key_type user_key_type;   /* KEY_RSA_2048, KEY_RSA_3072, KEY_P256 */
    enum key_type sender_key_type; /* same algorithm as the user's */
    unsigned root_days;            /* 0: 5475 */
    unsigned intermediate_days;    /* 0: 3640; at most 3652 and less than root_days - 30 */
    unsigned user_days;            /* 365 or 730; 0: 730 */
};

/* authority_profile_add - a pending profile with its CA key and KEK, made in the token.
 * An address may not lie in a relay domain of the profile.
 * Errors: ERR_USAGE (a field out of bounds; the note names it), ERR_LIMIT (profiles_user). */
enum err authority_profile_add(struct authority *a, const struct authority_profile_new *p,
                               id_text profile_out);

/* authority_request_json - the "sealrelay-request 1" file for the user's tool, with the
 * intermediate's CSR, signed by the CA key. Errors: ERR_WRONG_STATE (not pending). */
enum err authority_request_json(struct authority *a, const char *profile, struct buf *json_out);

/* authority_install - accept a "sealrelay-enrolment 1" file: root, intermediate, empty root CRL,
 * statement, first user CSR. Accepted once; the same file again is ERR_OK.
 * Errors: ERR_FORMAT (not such a file), ERR_REFUSED (something in it is not as the profile demands;
 * the note says what), ERR_WRONG_STATE. */
enum err authority_install(struct authority *a, const char *profile, struct bytes enrolment_json);

/* authority_issue - a user certificate, as a "sealrelay-certificate 1" file.
 *   request_json  empty: the first user key, proven by the enrolment; pending becomes ready. Again:
 *                 the same certificate. Else a "sealrelay-user-request 1" file, any verb;
 *                 json_out is then empty unless the verb is add-key.
 * Errors: ERR_FORMAT, ERR_REFUSED (proof missing or wrong), ERR_WRONG_STATE (nothing installed). */
enum err authority_issue(struct authority *a, const char *profile, struct bytes request_json,
                         struct buf *json_out);

/* authority_user_request - the same for a request that came by mail or through the settings page.
 *   csr_der     empty unless add-key
 *   result_out  one line for the user, ends in LF
 * Errors: ERR_REFUSED with a note that says why. */
enum err authority_user_request(struct authority *a, const char *profile, struct bytes cms_der,
                                struct bytes csr_der, struct buf *result_out);

/* authority_nonce_new - a nonce for one user-signed request: 26 characters [a-z2-7] and NUL.
 * Errors: ERR_LIMIT, ERR_WRONG_STATE (no user key enrolled, or deleted). */
#define AUTHORITY_NONCE_LEN 26
enum err authority_nonce_new(struct authority *a, const char *profile,
                             char out[AUTHORITY_NONCE_LEN + 1]);

/* authority_code_new - see hsm_activation_code. Good for 48 hours. */
enum err authority_code_new(struct authority *a, const char *profile,
                            char code_out[HSM_CODE_LEN + 1]);
/* authority_activate - ready to active by the mailed code (case and "-" do not matter); the user's
 * former active profile becomes ready. Active already: ERR_OK.
 * Errors: ERR_REFUSED (wrong or expired code; after code_attempts the code ends),
 * ERR_WRONG_STATE. */
enum err authority_activate(struct authority *a, const char *profile, const char *code);
/* authority_suspend - ready or active to suspended. authority_resume - suspended to ready, so that
 * inbound mail needs a code again. Errors: ERR_WRONG_STATE. */
enum err authority_suspend(struct authority *a, const char *profile);
enum err authority_resume(struct authority *a, const char *profile);
/* authority_delete - last CRL over every leaf, keys destroyed in the token, record and journal say
 * so. May be run again after a crash at any step, and on a deleted profile. */
enum err authority_delete(struct authority *a, const char *profile);
/* authority_rekey - a new KEK generation; sender keys made or renewed from now on lie under it.
 * Errors: ERR_WRONG_STATE (deleted). */
enum err authority_rekey(struct authority *a, const char *profile);

/* ---- while mail flows ------------------------------------------------------------------------ */

/* authority_user_profile, authority_profile_get - see hsm_user_profile and hsm_profile_get.
 * Answered from memory. */
enum err authority_user_profile(struct authority *a, const char *user, struct hsm_profile *out);
enum err authority_profile_get(struct authority *a, const char *profile, struct hsm_profile *out);

/* authority_sender_new, authority_sender_renew - see hsm_sender_new and hsm_sender_renew. */
enum err authority_sender_new(struct authority *a, const char *profile, const char *domain,
                              const char *reverse, bool idle_only, struct hsm_sender *out);
enum err authority_sender_renew(struct authority *a, const char *profile, const char *reverse,
                                struct bytes blob, struct hsm_sender *out);

/* authority_alias_cert - see hsm_alias_cert. */
enum err authority_alias_cert(struct authority *a, const char *profile, const char *alias,
                              struct buf *der_out);

/* authority_key_check - may the profile use a sender key now? Counts the use. Call it before
 * token_sender_use. Errors: ERR_NOT_ACTIVE (pending, suspended, deleted), ERR_LIMIT. */
enum err authority_key_check(struct authority *a, const char *profile,
                             enum hsm_mechanism mechanism);

/* authority_leaf_crl - see hsm_leaf_crl; the last one after deletion.
 * Errors: ERR_WRONG_STATE (nothing installed). */
enum err authority_leaf_crl(struct authority *a, const char *profile, struct buf *out);
/* authority_checkpoint - the journal's head, signed: its latest checkpoint line with LF, made now
 * unless the last entry is one. */
enum err authority_checkpoint(struct authority *a, const char *profile, struct buf *out);

/* ---- for the operator's eyes ----------------------------------------------------------------- */

/* authority_list - a JSON array: profile, user, state, addresses, domains, key types, user keys
 * (number), kek_generation, created, version. authority_show: one such object, with names,
 * intermediate and user keys (spki_sha256, serial, not_before, not_after, withdrawn). */
enum err authority_list(struct authority *a, struct buf *json_out);
enum err authority_show(struct authority *a, const char *profile, struct buf *json_out);
/* authority_journal_verify - read the whole journal from disk again, check chain and checkpoints;
 * JSON object: entries, checkpoints, head (hex), good (bool), line and reason when not good. */
enum err authority_journal_verify(struct authority *a, struct buf *json_out);
/* authority_journal_public - the journal's public key, PEM, for verifying elsewhere. */
enum err authority_journal_public(struct authority *a, struct buf *pem_out);

#endif
