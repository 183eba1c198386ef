/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs.c - the role table.
 *
 * The relay signs, decrypts and asks for sender certificates, and can change no profile but suspend
 * it. The operator makes and ends profiles, and can sign or open nothing. The settings page can
 * only bring in what a user proves. */
#include "hsm/serve/verbs.h"

#include <string.h>

#define RELAY (1u << ROLE_RELAY)
#define ADMIN (1u << ROLE_ADMIN)
#define WEB   (1u << ROLE_WEB)

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_RELAY] = "relay", [ROLE_ADMIN] = "admin", [ROLE_WEB] = "web"};

#define VERB(id) SEAL__REQUEST__VERB_##id

static const struct verb verbs[] = {
    {VERB(PING), RELAY | ADMIN, NEED_AUTHORITY, call_ping},
    {VERB(USER_PROFILE), RELAY, NEED_AUTHORITY, call_user_profile},
    {VERB(PROFILE_GET), RELAY, NEED_AUTHORITY, call_profile_get},
    {VERB(SENDER_NEW), RELAY, NEED_AUTHORITY, call_sender_new},
    {VERB(SENDER_RENEW), RELAY, NEED_AUTHORITY, call_sender_renew},
    {VERB(KEY_USE), RELAY, NEED_AUTHORITY, call_key_use},
    {VERB(DATA_KEY_NEW), RELAY, NEED_AUTHORITY, call_data_key_new},
    {VERB(DATA_KEY_OPEN), RELAY, NEED_AUTHORITY, call_data_key_open},
    {VERB(SPOOL_RETIRE), RELAY, NEED_AUTHORITY, call_spool_retire},
    {VERB(ACTIVATION_CODE), RELAY, NEED_AUTHORITY, call_activation_code},
    {VERB(SUSPEND), RELAY | ADMIN, NEED_AUTHORITY, call_suspend},
    {VERB(LEAF_CRL), RELAY, NEED_AUTHORITY, call_leaf_crl},
    {VERB(CHECKPOINT), RELAY | ADMIN, NEED_AUTHORITY, call_checkpoint},
    {VERB(USER_REQUEST), RELAY | WEB, NEED_AUTHORITY, call_user_request},
    {VERB(ALIAS_CERT), RELAY, NEED_AUTHORITY, call_alias_cert},
    {VERB(PROFILE_ADD), ADMIN | WEB, NEED_AUTHORITY, call_profile_add},
    {VERB(PROFILE_REQUEST), ADMIN | WEB, NEED_AUTHORITY, call_profile_request},
    {VERB(PROFILE_INSTALL), ADMIN | WEB, NEED_AUTHORITY, call_profile_install},
    {VERB(PROFILE_ISSUE), ADMIN | WEB, NEED_AUTHORITY, call_profile_issue},
    {VERB(PROFILE_ACTIVATE), ADMIN | WEB, NEED_AUTHORITY, call_profile_activate},
    {VERB(PROFILE_NONCE), ADMIN | WEB, NEED_AUTHORITY, call_profile_nonce},
    {VERB(PROFILE_RESUME), ADMIN, NEED_AUTHORITY, call_profile_resume},
    {VERB(PROFILE_DELETE), ADMIN, NEED_AUTHORITY, call_profile_delete},
    {VERB(PROFILE_REKEY), ADMIN, NEED_AUTHORITY, call_profile_rekey},
    {VERB(PROFILE_LIST), ADMIN, NEED_AUTHORITY, call_profile_list},
    {VERB(PROFILE_SHOW), ADMIN, NEED_AUTHORITY, call_profile_show},
    {VERB(JOURNAL_PAGE), ADMIN, NEED_NOTHING, call_journal_page},
    {VERB(JOURNAL_VERIFY), ADMIN, NEED_AUTHORITY, call_journal_verify},
    {VERB(JOURNAL_PUBLIC), ADMIN, NEED_AUTHORITY, call_journal_public},
    {VERB(RECORDS_EXPORT), ADMIN, NEED_AUTHORITY, call_records_export},
    {VERB(TOKEN_INIT), ADMIN, NEED_NOTHING, call_token_init},
    {VERB(TOKEN_UNLOCK), ADMIN, NEED_NOTHING, call_token_unlock},
    {VERB(TOKEN_REPORT), ADMIN, NEED_TOKEN, call_token_report},
    {VERB(STATUS), ADMIN, NEED_NOTHING, call_status},
};

const char *role_name(enum role r)
{
    return (unsigned)r < ROLE_COUNT ? role_names[r] : "none";
}

const struct verb *verb_find(Seal__Request__VerbCase id)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (verbs[i].id == id)
            return &verbs[i];
    return NULL;
}

bool verb_allows(const struct verb *v, enum role role)
{
    return (unsigned)role < ROLE_COUNT && (v->roles & 1u << role) != 0;
}

const char *verb_profile(const Seal__Request *r)
{
    const ProtobufCMessage *m = &r->ping->base;
    const ProtobufCFieldDescriptor *field;
    const char *profile;

    if (r->verb_case == SEAL__REQUEST__VERB__NOT_SET)
        return "-";
    field = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "profile");
    if (!field)
        return "-";
    memcpy(&profile, (const uint8_t *)m + field->offset, sizeof profile);
    return id_is_valid(profile) ? profile : "-";
}
