/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs.h - what can be asked of the key service, and by whom.
 *
 * One table: verb, roles, what it needs, and the function that does it. A role is the socket a
 * client came through, nothing it says of itself. */
#ifndef SEALRELAY_HSM_VERBS_H
#define SEALRELAY_HSM_VERBS_H

#include "hsm/issue/authority.h"
#include "hsm/proto/request.h"
#include "hsm/serve/reply.h"

enum role { ROLE_RELAY, ROLE_ADMIN, ROLE_WEB };
#define ROLE_COUNT 3

/* role_name - "relay", "admin", "web". */
const char *role_name(enum role r);

struct engine;

/* What must be there before a verb is run. */
enum need { NEED_NOTHING, NEED_TOKEN, NEED_AUTHORITY };

/* One call, on its way. Handlers read fields that request_check() has passed. */
struct call {
    enum role role;
    const Seal__Request *request;
    struct engine *engine;
    struct token *token;         /* NEED_TOKEN and NEED_AUTHORITY */
    struct authority *authority; /* NEED_AUTHORITY */
    struct reply *reply;
};

struct verb {
    Seal__Request__VerbCase id;
    unsigned roles; /* bits: 1u << role */
    enum need need;
    enum err (*run)(struct call *c);
};

/* verb_find - NULL for a verb that does not exist. */
const struct verb *verb_find(Seal__Request__VerbCase id);
/* verb_allows - may a client of that role ask it? */
bool verb_allows(const struct verb *v, enum role role);
/* verb_profile - the profile a request names, for the log; "-" when it names none. */
const char *verb_profile(const Seal__Request *r);

/* The functions of the table, in calls_relay.c and calls_admin.c. */
enum err call_ping(struct call *c);
enum err call_user_profile(struct call *c);
enum err call_profile_get(struct call *c);
enum err call_sender_new(struct call *c);
enum err call_sender_renew(struct call *c);
enum err call_alias_cert(struct call *c);
enum err call_key_use(struct call *c);
enum err call_data_key_new(struct call *c);
enum err call_data_key_open(struct call *c);
enum err call_spool_retire(struct call *c);
enum err call_activation_code(struct call *c);
enum err call_suspend(struct call *c);
enum err call_leaf_crl(struct call *c);
enum err call_checkpoint(struct call *c);
enum err call_user_request(struct call *c);
enum err call_profile_add(struct call *c);
enum err call_profile_request(struct call *c);
enum err call_profile_install(struct call *c);
enum err call_profile_issue(struct call *c);
enum err call_profile_activate(struct call *c);
enum err call_profile_nonce(struct call *c);
enum err call_profile_resume(struct call *c);
enum err call_profile_delete(struct call *c);
enum err call_profile_rekey(struct call *c);
enum err call_profile_list(struct call *c);
enum err call_profile_show(struct call *c);
enum err call_journal_page(struct call *c);
enum err call_journal_verify(struct call *c);
enum err call_journal_public(struct call *c);
enum err call_records_export(struct call *c);
enum err call_token_init(struct call *c);
enum err call_token_unlock(struct call *c);
enum err call_token_report(struct call *c);
enum err call_status(struct call *c);

#endif
