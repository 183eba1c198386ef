/* SPDX-License-Identifier: GPL-3.0-or-later */
/* relay.c - the calls of the relay role: sender keys, data keys, and what belongs to them. */
#include "hsm/client/call.h"

#include <string.h>

enum err hsm_ping(struct hsm *h)
{
    return hsm_call_nothing(h, SEAL__REQUEST__VERB_PING, NULL);
}

/* ---- sender keys ---- */

static enum err sender_call(struct hsm *h, const Seal__Request *request, struct hsm_sender *out)
{
    CLEANUP(response_free) Seal__Response *response = NULL;
    struct hsm_sender s = {0};
    enum err e = hsm_call(h, request, NULL, &response);

    if (e)
        return e;
    if (!response->sender || strlen(response->sender->reverse) > HSM_ADDRESS_MAX)
        return err_note(ERR_HSM_AWAY, "sender", "the answer makes no sense");
    memcpy(s.reverse, response->sender->reverse, strlen(response->sender->reverse) + 1);
    buf_append_bytes(&s.cert, message_bytes(response->sender->cert));
    buf_append_bytes(&s.blob, message_bytes(response->sender->blob));
    if (buf_error(&s.cert) || buf_error(&s.blob)) {
        hsm_sender_clear(&s);
        return ERR_NOMEM;
    }
    *out = s;
    return ERR_OK;
}

enum err hsm_sender_new(struct hsm *h, const char *profile, const char *domain, const char *reverse,
                        bool idle_only, struct hsm_sender *out)
{
    Seal__SenderNew m = SEAL__SENDER_NEW__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_SENDER_NEW);

    m.profile = text_field(profile);
    m.domain = text_field(domain);
    m.reverse_opt = text_field(reverse);
    m.idle_only = idle_only;
    r.sender_new = &m;
    return sender_call(h, &r, out);
}

enum err hsm_sender_renew(struct hsm *h, const char *profile, const char *reverse,
                          struct bytes blob, struct hsm_sender *out)
{
    Seal__SenderRenew m = SEAL__SENDER_RENEW__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_SENDER_RENEW);

    m.profile = text_field(profile);
    m.reverse = text_field(reverse);
    m.blob = message_data(blob);
    r.sender_renew = &m;
    return sender_call(h, &r, out);
}

enum err hsm_alias_cert(struct hsm *h, const char *profile, const char *alias, struct buf *der_out)
{
    Seal__AliasCert m = SEAL__ALIAS_CERT__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_ALIAS_CERT);

    m.profile = text_field(profile);
    m.alias = text_field(alias);
    r.alias_cert = &m;
    return hsm_call(h, &r, der_out, NULL);
}

enum err hsm_key_use(struct hsm *h, const struct hsm_key_ref *key, enum hsm_mechanism mechanism,
                     const char *md, const char *mgf1_md, struct bytes input, struct buf *out)
{
    Seal__KeyUse m = SEAL__KEY_USE__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_KEY_USE);

    m.profile = text_field(key->profile);
    m.reverse = text_field(key->reverse);
    m.blob = message_data(key->blob);
    m.spki_opt = message_data(key->spki);
    m.mechanism = (Seal__Mechanism)mechanism;
    m.md_opt = text_field(md);
    m.mgf1_md_opt = text_field(mgf1_md);
    m.input = message_data(input);
    r.key_use = &m;
    return hsm_call(h, &r, out, NULL);
}

/* ---- data keys ---- */

static enum err data_key_call(struct hsm *h, const Seal__Request *request, struct secret *key_out,
                              Seal__Response **response_out)
{
    struct secret key = {0};
    enum err e = hsm_call(h, request, NULL, response_out);

    if (e)
        return e;
    if (!(*response_out)->data_key || (*response_out)->data_key->key.len != HSM_DATA_KEY_LEN)
        return err_note(ERR_HSM_AWAY, "data key", "the answer makes no sense");
    e = secret_new(HSM_DATA_KEY_LEN, &key);
    if (e)
        return e;
    memcpy(key.data, (*response_out)->data_key->key.data, HSM_DATA_KEY_LEN);
    *key_out = key;
    return ERR_OK;
}

enum err hsm_data_key_new(struct hsm *h, enum hsm_wrap_key under, struct secret *key_out,
                          struct buf *wrapped_out, uint32_t *generation_out)
{
    CLEANUP(response_free) Seal__Response *response = NULL;
    CLEANUP(secret_free) struct secret key = {0};
    Seal__DataKeyNew m = SEAL__DATA_KEY_NEW__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_DATA_KEY_NEW);
    enum err e;

    m.under = (Seal__WrapKey)under;
    r.data_key_new = &m;
    e = data_key_call(h, &r, &key, &response);
    if (e)
        return e;
    buf_append_bytes(wrapped_out, message_bytes(response->data_key->wrapped));
    e = buf_error(wrapped_out);
    if (e)
        return e;
    *key_out = key;
    key = (struct secret){0};
    *generation_out = response->data_key->generation;
    return ERR_OK;
}

enum err hsm_data_key_open(struct hsm *h, enum hsm_wrap_key under, struct bytes wrapped,
                           struct secret *key_out)
{
    CLEANUP(response_free) Seal__Response *response = NULL;
    Seal__DataKeyOpen m = SEAL__DATA_KEY_OPEN__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_DATA_KEY_OPEN);

    m.under = (Seal__WrapKey)under;
    m.wrapped = message_data(wrapped);
    r.data_key_open = &m;
    return data_key_call(h, &r, key_out, &response);
}

enum err hsm_spool_retire(struct hsm *h, uint32_t oldest_in_use)
{
    Seal__SpoolRetire m = SEAL__SPOOL_RETIRE__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_SPOOL_RETIRE);

    m.oldest_in_use = oldest_in_use;
    r.spool_retire = &m;
    return hsm_call(h, &r, NULL, NULL);
}

/* ---- a profile, while mail flows ---- */

enum err hsm_activation_code(struct hsm *h, const char *profile, char code_out[HSM_CODE_LEN + 1])
{
    CLEANUP(buf_wipe) struct buf code = {0};
    enum err e = hsm_call_profile(h, SEAL__REQUEST__VERB_ACTIVATION_CODE, profile, &code);

    if (!e && code.len != HSM_CODE_LEN)
        e = err_note(ERR_HSM_AWAY, "activation code", "the answer makes no sense");
    if (!e)
        memcpy(code_out, code.data, HSM_CODE_LEN + 1);
    return e;
}

enum err hsm_suspend(struct hsm *h, const char *profile)
{
    return hsm_call_profile(h, SEAL__REQUEST__VERB_SUSPEND, profile, NULL);
}

enum err hsm_leaf_crl(struct hsm *h, const char *profile, struct buf *out)
{
    return hsm_call_profile(h, SEAL__REQUEST__VERB_LEAF_CRL, profile, out);
}

enum err hsm_checkpoint(struct hsm *h, const char *profile, struct buf *out)
{
    return hsm_call_profile(h, SEAL__REQUEST__VERB_CHECKPOINT, profile, out);
}

enum err hsm_user_request(struct hsm *h, const char *profile, struct bytes cms_der,
                          struct bytes csr_der, struct buf *result_out)
{
    Seal__UserRequest m = SEAL__USER_REQUEST__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_USER_REQUEST);

    m.profile = text_field(profile);
    m.cms = message_data(cms_der);
    m.csr_opt = message_data(csr_der);
    r.user_request = &m;
    return hsm_call(h, &r, result_out, NULL);
}
