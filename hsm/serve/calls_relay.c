/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calls_relay.c - what the relay may ask: thin, since every decision is the authority's. */
#include "hsm/serve/verbs.h"

#include <openssl/rand.h>
#include <string.h>

/* protobuf says "absent" by an empty string. */
static const char *optional(const char *s)
{
    return s && s[0] ? s : NULL;
}

enum err call_ping(struct call *c)
{
    return token_alive(c->token);
}

enum err call_user_profile(struct call *c)
{
    c->reply->has_profile = true;
    return authority_user_profile(c->authority, c->request->user_profile->user, &c->reply->profile);
}

enum err call_profile_get(struct call *c)
{
    c->reply->has_profile = true;
    return authority_profile_get(c->authority, c->request->profile_get->profile,
                                 &c->reply->profile);
}

enum err call_sender_new(struct call *c)
{
    const Seal__SenderNew *m = c->request->sender_new;

    c->reply->has_sender = true;
    return authority_sender_new(c->authority, m->profile, m->domain, optional(m->reverse_opt),
                                m->idle_only != 0, &c->reply->sender);
}

enum err call_sender_renew(struct call *c)
{
    const Seal__SenderRenew *m = c->request->sender_renew;

    c->reply->has_sender = true;
    return authority_sender_renew(c->authority, m->profile, m->reverse, message_bytes(m->blob),
                                  &c->reply->sender);
}

enum err call_alias_cert(struct call *c)
{
    const Seal__AliasCert *m = c->request->alias_cert;

    return authority_alias_cert(c->authority, m->profile, m->alias, &c->reply->data);
}

enum err call_key_use(struct call *c)
{
    const Seal__KeyUse *m = c->request->key_use;
    struct hsm_key_ref key = {m->profile, m->reverse, message_bytes(m->blob),
                              message_bytes(m->spki_opt)};
    enum hsm_mechanism mechanism = (enum hsm_mechanism)m->mechanism;
    enum err e = authority_key_check(c->authority, m->profile, mechanism);

    if (e)
        return e;
    return token_sender_use(c->token, &key, mechanism, optional(m->md_opt),
                            optional(m->mgf1_md_opt), message_bytes(m->input), &c->reply->data);
}

enum err call_data_key_new(struct call *c)
{
    struct reply *r = c->reply;
    enum err e = secret_new(HSM_DATA_KEY_LEN, &r->key);

    if (e)
        return e;
    if (RAND_priv_bytes(r->key.data, HSM_DATA_KEY_LEN) != 1)
        return err_note_openssl(ERR_IO, "RAND_priv_bytes");
    r->has_data_key = true;
    return token_data_wrap(c->token, (enum hsm_wrap_key)c->request->data_key_new->under,
                           (struct bytes){r->key.data, r->key.len}, &r->wrapped, &r->generation);
}

enum err call_data_key_open(struct call *c)
{
    const Seal__DataKeyOpen *m = c->request->data_key_open;

    c->reply->has_data_key = true;
    return token_data_open(c->token, (enum hsm_wrap_key)m->under, message_bytes(m->wrapped),
                           &c->reply->key);
}

enum err call_spool_retire(struct call *c)
{
    return token_spool_destroy(c->token, c->request->spool_retire->oldest_in_use);
}

enum err call_activation_code(struct call *c)
{
    char code[HSM_CODE_LEN + 1];
    enum err e = authority_code_new(c->authority, c->request->activation_code->profile, code);

    if (e)
        return e;
    buf_append(&c->reply->data, code, HSM_CODE_LEN);
    return buf_error(&c->reply->data);
}

enum err call_suspend(struct call *c)
{
    return authority_suspend(c->authority, c->request->suspend->profile);
}

enum err call_leaf_crl(struct call *c)
{
    return authority_leaf_crl(c->authority, c->request->leaf_crl->profile, &c->reply->data);
}

enum err call_checkpoint(struct call *c)
{
    return authority_checkpoint(c->authority, c->request->checkpoint->profile, &c->reply->data);
}

enum err call_user_request(struct call *c)
{
    const Seal__UserRequest *m = c->request->user_request;

    return authority_user_request(c->authority, m->profile, message_bytes(m->cms),
                                  message_bytes(m->csr_opt), &c->reply->data);
}
