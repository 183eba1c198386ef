/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hsm_admin.h - the key service as the operator's command and the settings page see it.
 *
 * The handle comes from hsm_open() on the socket of the role; ping, suspend, user requests and
 * checkpoints are in hsm.h. Nobody here can sign mail, decrypt, or enrol a key without its owner's
 * proof: a call the socket's role may not make is ERR_REFUSED. Making and destroying keys takes a
 * hardware token seconds: give these handles a timeout_ms of 60000 or so.
 *
 * Documents are JSON, UTF-8, one value, without a NUL that counts; buffers are given, and hold what
 * they held before when the call fails. */
#ifndef SEALRELAY_HSM_ADMIN_H
#define SEALRELAY_HSM_ADMIN_H

#include "hsm/hsm.h"

/* ---- admin role: the token ------------------------------------------------------------------- */

/* hsm_token_init - make the service keys (spool, store, record, journal) that are missing, then
 * start serving from them. Errors: ERR_TAMPERED (records or journal are of other keys). */
enum err hsm_token_init(struct hsm *h);
/* hsm_token_unlock - forget a refused PIN and try the PIN file once more. Errors: ERR_PIN. */
enum err hsm_token_unlock(struct hsm *h);
/* hsm_token_report - every key's attributes, wrap mechanism, what the token cannot do, what its
 * loss would mean; JSON object. */
enum err hsm_token_report(struct hsm *h, struct buf *json_out);
/* hsm_status - what the service is doing; JSON object, answered also while the token is away:
 *   token "ready" or an error's name, note, seen_ms (since the token last answered; -1: never),
 *   uptime_s, connections, requests, refused, malformed,
 *   invalid, failed, peers_refused, oldest_call_ms. */
enum err hsm_status(struct hsm *h, struct buf *json_out);

/* ---- admin and web: a profile's life --------------------------------------------------------- */

struct hsm_profile_new {
    const char *user;             /* id of the user */
    const char *const *addresses; /* the user's mailboxes, 1 to 16 */
    size_t n_addresses;
    const char *const *domains; /* relay domains, 1 to 16 */
    size_t n_domains;
    const char *country;           /* two letters; NULL: the service's configuration */
    const char *organisation;      /* NULL: the service's configuration */
    enum key_type ca_key_type;     /* KEY_P384 or KEY_RSA_3072 */
    enum key_type user_key_type;   /* KEY_RSA_2048, KEY_RSA_3072, KEY_P256 */
    enum key_type sender_key_type; /* same algorithm as the user's */
    unsigned root_days;            /* 0: 5475 */
    unsigned intermediate_days;    /* 0: 3640 */
    unsigned user_days;            /* 365 or 730; 0: 730 */
};

/* hsm_profile_add - a pending profile with its CA key and KEK. Web: bounded per hour.
 * Errors: ERR_USAGE (a field out of bounds; the note names it), ERR_LIMIT. */
enum err hsm_profile_add(struct hsm *h, const struct hsm_profile_new *p, id_text profile_out);
/* hsm_profile_request - the "sealrelay-request 1" file with the intermediate's CSR.
 * Errors: ERR_NOT_FOUND, ERR_WRONG_STATE. */
enum err hsm_profile_request(struct hsm *h, const char *profile, struct buf *json_out);
/* hsm_profile_install - accept a "sealrelay-enrolment 1" file.
 * Errors: ERR_FORMAT, ERR_REFUSED (the note says what is not as it must be), ERR_WRONG_STATE. */
enum err hsm_profile_install(struct hsm *h, const char *profile, struct bytes enrolment_json);
/* hsm_profile_issue - a user certificate as a "sealrelay-certificate 1" file.
 *   request_json  empty: the first user key, which the enrolment proved; else a
 *                 "sealrelay-user-request 1" file (json_out is empty unless its verb is add-key)
 * Errors: ERR_FORMAT, ERR_REFUSED (proof missing or wrong), ERR_WRONG_STATE. */
enum err hsm_profile_issue(struct hsm *h, const char *profile, struct bytes request_json,
                           struct buf *json_out);
/* hsm_profile_activate - ready to active, with the code mailed to the mailbox.
 * Errors: ERR_REFUSED (wrong or expired), ERR_WRONG_STATE. */
enum err hsm_profile_activate(struct hsm *h, const char *profile, const char *code);
/* hsm_profile_nonce - for one user-signed request: 26 characters [a-z2-7] and NUL.
 * Errors: ERR_LIMIT, ERR_WRONG_STATE. */
#define HSM_NONCE_LEN 26
enum err hsm_profile_nonce(struct hsm *h, const char *profile, char out[HSM_NONCE_LEN + 1]);

/* ---- admin role ------------------------------------------------------------------------------ */

/* hsm_profile_resume - suspended to ready. Errors: ERR_WRONG_STATE. */
enum err hsm_profile_resume(struct hsm *h, const char *profile);
/* hsm_profile_delete - last CRL, keys destroyed; may be run again. */
enum err hsm_profile_delete(struct hsm *h, const char *profile);
/* hsm_profile_rekey - a new KEK generation for sender keys made from now on. */
enum err hsm_profile_rekey(struct hsm *h, const char *profile);
/* hsm_profile_list - JSON array; hsm_profile_show - one JSON object, with the user's keys. */
enum err hsm_profile_list(struct hsm *h, struct buf *json_out);
enum err hsm_profile_show(struct hsm *h, const char *profile, struct buf *json_out);

/* hsm_journal_page - the journal from a byte offset, some 128 KiB at a time.
 *   offset  0 at first, then next_out of the call before
 *   out     appended; empty and next_out == offset at the end */
enum err hsm_journal_page(struct hsm *h, uint64_t offset, struct buf *out, uint64_t *next_out);
/* hsm_journal_verify - JSON object: entries, checkpoints, head, good, line, reason. */
enum err hsm_journal_verify(struct hsm *h, struct buf *json_out);
/* hsm_journal_public - the journal's public key, PEM. */
enum err hsm_journal_public(struct hsm *h, struct buf *pem_out);
/* hsm_records_export - every profile's record as it is stored, with its authenticator, for backup;
 * JSON array. Useless without the token that made them. */
enum err hsm_records_export(struct hsm *h, struct buf *json_out);

#endif
