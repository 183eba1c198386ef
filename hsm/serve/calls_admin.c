/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calls_admin.c - what the operator and the settings page may ask. */
#include "hsm/serve/backup.h"
#include "hsm/serve/engine.h"
#include "hsm/serve/verbs.h"

#include "daemon/base/clock.h"

#include <cjson/cJSON.h>
#include <stdio.h>

static enum err print_json(const cJSON *json, struct buf *out)
{
    char *text = cJSON_PrintUnformatted(json);

    if (!text)
        return ERR_NOMEM;
    buf_append_str(out, text);
    cJSON_free(text);
    return buf_error(out);
}

static void json_free(cJSON **json)
{
    cJSON_Delete(*json);
}

/* ---- a profile's life ---- */

static const char *chosen(const char *asked, const char *configured)
{
    return asked && asked[0] ? asked : configured;
}

enum err call_profile_add(struct call *c)
{
    const Seal__ProfileAdd *m = c->request->profile_add;
    const struct engine_options *options = engine_options(c->engine);
    struct authority_profile_new p = {
        .user = m->for_user,
        .addresses = (const char *const *)m->addresses,
        .n_addresses = m->n_addresses,
        .domains = (const char *const *)m->domains,
        .n_domains = m->n_domains,
        .country = chosen(m->country_opt, options->country),
        .organisation = chosen(m->organisation_opt, options->organisation),
        .ca_key_type = (enum key_type)m->ca_key_type,
        .user_key_type = (enum key_type)m->user_key_type,
        .sender_key_type = (enum key_type)m->sender_key_type,
        .root_days = m->root_days,
        .intermediate_days = m->intermediate_days,
        .user_days = m->user_days,
    };
    id_text profile;
    enum err e = c->role == ROLE_WEB ? engine_web_profile(c->engine, clock_now_s()) : ERR_OK;

    if (!e)
        e = authority_profile_add(c->authority, &p, profile);
    if (e)
        return e;
    buf_append(&c->reply->data, profile, ID_LEN);
    return buf_error(&c->reply->data);
}

enum err call_profile_request(struct call *c)
{
    return authority_request_json(c->authority, c->request->profile_request->profile,
                                  &c->reply->data);
}

enum err call_profile_install(struct call *c)
{
    const Seal__ProfileInstall *m = c->request->profile_install;

    return authority_install(c->authority, m->profile, message_bytes(m->document));
}

enum err call_profile_issue(struct call *c)
{
    const Seal__ProfileIssue *m = c->request->profile_issue;

    return authority_issue(c->authority, m->profile, message_bytes(m->document_opt),
                           &c->reply->data);
}

enum err call_profile_activate(struct call *c)
{
    const Seal__ProfileActivate *m = c->request->profile_activate;

    return authority_activate(c->authority, m->profile, m->code);
}

enum err call_profile_nonce(struct call *c)
{
    char nonce[AUTHORITY_NONCE_LEN + 1];
    enum err e = authority_nonce_new(c->authority, c->request->profile_nonce->profile, nonce);

    if (e)
        return e;
    buf_append(&c->reply->data, nonce, AUTHORITY_NONCE_LEN);
    return buf_error(&c->reply->data);
}

enum err call_profile_resume(struct call *c)
{
    return authority_resume(c->authority, c->request->profile_resume->profile);
}

enum err call_profile_delete(struct call *c)
{
    return authority_delete(c->authority, c->request->profile_delete->profile);
}

enum err call_profile_rekey(struct call *c)
{
    return authority_rekey(c->authority, c->request->profile_rekey->profile);
}

enum err call_profile_list(struct call *c)
{
    return authority_list(c->authority, &c->reply->data);
}

enum err call_profile_show(struct call *c)
{
    return authority_show(c->authority, c->request->profile_show->profile, &c->reply->data);
}

/* ---- journal and records ---- */

enum err call_journal_page(struct call *c)
{
    return backup_journal_page(engine_options(c->engine)->authority.state_dir,
                               c->request->journal_page->offset, &c->reply->data,
                               &c->reply->next_offset);
}

enum err call_journal_verify(struct call *c)
{
    return authority_journal_verify(c->authority, &c->reply->data);
}

enum err call_journal_public(struct call *c)
{
    return authority_journal_public(c->authority, &c->reply->data);
}

enum err call_records_export(struct call *c)
{
    return backup_records(engine_options(c->engine)->authority.state_dir, &c->reply->data);
}

/* ---- the token and the service ---- */

enum err call_token_init(struct call *c)
{
    return engine_init(c->engine);
}

enum err call_token_unlock(struct call *c)
{
    return engine_unlock(c->engine);
}

enum err call_token_report(struct call *c)
{
    CLEANUP(json_free) cJSON *report = NULL;
    enum err e = token_report(c->token, &report);

    return e ? e : print_json(report, &c->reply->data);
}

static bool add_number(cJSON *json, const char *name, double value)
{
    return cJSON_AddNumberToObject(json, name, value) != NULL;
}

static bool add_counters(cJSON *json, struct counters *n)
{
    return add_number(json, "connections", atomic_load(&n->connections)) &&
           add_number(json, "requests", (double)atomic_load(&n->requests)) &&
           add_number(json, "refused", (double)atomic_load(&n->refused)) &&
           add_number(json, "invalid", (double)atomic_load(&n->invalid)) &&
           add_number(json, "failed", (double)atomic_load(&n->failed)) &&
           add_number(json, "malformed", (double)atomic_load(&n->malformed)) &&
           add_number(json, "peers_refused", (double)atomic_load(&n->peers_refused)) &&
           add_number(json, "oldest_call_ms", (double)counters_oldest_ms(n, clock_mono_ms()));
}

enum err call_status(struct call *c)
{
    CLEANUP(json_free) cJSON *json = cJSON_CreateObject();
    int64_t uptime_s = engine_uptime_ms(c->engine) / 1000;
    int64_t seen_ms;
    enum err state = engine_state(c->engine, &seen_ms);
    char note[sizeof(struct err_note) + 4] = "";

    if (state)
        (void)snprintf(note, sizeof note, "%s: %s", err_note_get()->action, err_note_get()->detail);
    err_note_clear();
    if (!json || !cJSON_AddStringToObject(json, "token", state ? err_name(state) : "ready") ||
        !cJSON_AddStringToObject(json, "note", note) ||
        !add_number(json, "seen_ms", (double)seen_ms) ||
        !add_number(json, "uptime_s", (double)uptime_s) ||
        !add_counters(json, engine_counters(c->engine)))
        return ERR_NOMEM;
    return print_json(json, &c->reply->data);
}
