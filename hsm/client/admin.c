/* SPDX-License-Identifier: GPL-3.0-or-later */
/* admin.c - the calls of the operator's command and of the settings page. */
#include "hsm/hsm_admin.h"

#include "hsm/client/call.h"

#include <string.h>

/* ---- the token ---- */

enum err hsm_token_init(struct hsm *h)
{
    return hsm_call_nothing(h, SEAL__REQUEST__VERB_TOKEN_INIT, NULL);
}

enum err hsm_token_unlock(struct hsm *h)
{
    return hsm_call_nothing(h, SEAL__REQUEST__VERB_TOKEN_UNLOCK, NULL);
}

enum err hsm_token_report(struct hsm *h, struct buf *json_out)
{
    return hsm_call_nothing(h, SEAL__REQUEST__VERB_TOKEN_REPORT, json_out);
}

enum err hsm_status(struct hsm *h, struct buf *json_out)
{
    return hsm_call_nothing(h, SEAL__REQUEST__VERB_STATUS, json_out);
}

/* ---- a profile's life ---- */

enum err hsm_profile_add(struct hsm *h, const struct hsm_profile_new *p, id_text profile_out)
{
    CLEANUP(buf_clear) struct buf id = {0};
    Seal__ProfileAdd m = SEAL__PROFILE_ADD__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_PROFILE_ADD);
    enum err e;

    m.for_user = text_field(p->user);
    m.n_addresses = p->n_addresses;
    m.addresses = (char **)(uintptr_t)p->addresses;
    m.n_domains = p->n_domains;
    m.domains = (char **)(uintptr_t)p->domains;
    m.country_opt = text_field(p->country);
    m.organisation_opt = text_field(p->organisation);
    m.ca_key_type = (Seal__KeyType)p->ca_key_type;
    m.user_key_type = (Seal__KeyType)p->user_key_type;
    m.sender_key_type = (Seal__KeyType)p->sender_key_type;
    m.root_days = p->root_days;
    m.intermediate_days = p->intermediate_days;
    m.user_days = p->user_days;
    r.profile_add = &m;
    e = hsm_call(h, &r, &id, NULL);
    if (!e && !id_is_valid(buf_str(&id)))
        e = err_note(ERR_HSM_AWAY, "profile add", "the answer makes no sense");
    if (!e)
        memcpy(profile_out, id.data, ID_LEN + 1);
    return e;
}

enum err hsm_profile_request(struct hsm *h, const char *profile, struct buf *json_out)
{
    return hsm_call_profile(h, SEAL__REQUEST__VERB_PROFILE_REQUEST, profile, json_out);
}

enum err hsm_profile_install(struct hsm *h, const char *profile, struct bytes enrolment_json)
{
    Seal__ProfileInstall m = SEAL__PROFILE_INSTALL__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_PROFILE_INSTALL);

    m.profile = text_field(profile);
    m.document = message_data(enrolment_json);
    r.profile_install = &m;
    return hsm_call(h, &r, NULL, NULL);
}

enum err hsm_profile_issue(struct hsm *h, const char *profile, struct bytes request_json,
                           struct buf *json_out)
{
    Seal__ProfileIssue m = SEAL__PROFILE_ISSUE__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_PROFILE_ISSUE);

    m.profile = text_field(profile);
    m.document_opt = message_data(request_json);
    r.profile_issue = &m;
    return hsm_call(h, &r, json_out, NULL);
}

enum err hsm_profile_activate(struct hsm *h, const char *profile, const char *code)
{
    Seal__ProfileActivate m = SEAL__PROFILE_ACTIVATE__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_PROFILE_ACTIVATE);

    m.profile = text_field(profile);
    m.code = text_field(code);
    r.profile_activate = &m;
    return hsm_call(h, &r, NULL, NULL);
}

enum err hsm_profile_nonce(struct hsm *h, const char *profile, char out[HSM_NONCE_LEN + 1])
{
    CLEANUP(buf_clear) struct buf nonce = {0};
    enum err e = hsm_call_profile(h, SEAL__REQUEST__VERB_PROFILE_NONCE, profile, &nonce);

    if (!e && nonce.len != HSM_NONCE_LEN)
        e = err_note(ERR_HSM_AWAY, "nonce", "the answer makes no sense");
    if (!e)
        memcpy(out, nonce.data, HSM_NONCE_LEN + 1);
    return e;
}

enum err hsm_profile_resume(struct hsm *h, const char *profile)
{
    return hsm_call_profile(h, SEAL__REQUEST__VERB_PROFILE_RESUME, profile, NULL);
}

enum err hsm_profile_delete(struct hsm *h, const char *profile)
{
    return hsm_call_profile(h, SEAL__REQUEST__VERB_PROFILE_DELETE, profile, NULL);
}

enum err hsm_profile_rekey(struct hsm *h, const char *profile)
{
    return hsm_call_profile(h, SEAL__REQUEST__VERB_PROFILE_REKEY, profile, NULL);
}

enum err hsm_profile_list(struct hsm *h, struct buf *json_out)
{
    return hsm_call_nothing(h, SEAL__REQUEST__VERB_PROFILE_LIST, json_out);
}

enum err hsm_profile_show(struct hsm *h, const char *profile, struct buf *json_out)
{
    return hsm_call_profile(h, SEAL__REQUEST__VERB_PROFILE_SHOW, profile, json_out);
}

/* ---- journal and records ---- */

enum err hsm_journal_page(struct hsm *h, uint64_t offset, struct buf *out, uint64_t *next_out)
{
    CLEANUP(response_free) Seal__Response *response = NULL;
    Seal__JournalPage m = SEAL__JOURNAL_PAGE__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_JOURNAL_PAGE);
    enum err e;

    m.offset = offset;
    r.journal_page = &m;
    e = hsm_call(h, &r, out, &response);
    if (!e)
        *next_out = response->next_offset;
    return e;
}

enum err hsm_journal_verify(struct hsm *h, struct buf *json_out)
{
    return hsm_call_nothing(h, SEAL__REQUEST__VERB_JOURNAL_VERIFY, json_out);
}

enum err hsm_journal_public(struct hsm *h, struct buf *pem_out)
{
    return hsm_call_nothing(h, SEAL__REQUEST__VERB_JOURNAL_PUBLIC, pem_out);
}

enum err hsm_records_export(struct hsm *h, struct buf *json_out)
{
    return hsm_call_nothing(h, SEAL__REQUEST__VERB_RECORDS_EXPORT, json_out);
}
