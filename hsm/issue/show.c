/* SPDX-License-Identifier: GPL-3.0-or-later */
/* show.c - look-ups from memory: for mail, and for the operator's eyes. */
#include "hsm/issue/inside.h"
#include "hsm/issue/request.h"

#include "daemon/base/codec.h"

#include <cjson/cJSON.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

/* ---- whom mail is sealed to ---- */

static enum err list_copy(const struct record_list *from, char ***to, size_t *n_to)
{
    char **copy = calloc(from->n + 1, sizeof *copy);

    *to = copy;
    if (!copy)
        return ERR_NOMEM;
    for (size_t i = 0; i < from->n; i++) {
        copy[i] = strdup(from->items[i]);
        if (!copy[i])
            return ERR_NOMEM;
        *n_to = i + 1;
    }
    return ERR_OK;
}

static enum err certs_copy(const struct record *r, int64_t now_s, struct hsm_profile *out)
{
    out->certs = calloc(r->n_keys + 1, sizeof *out->certs);
    if (!out->certs)
        return ERR_NOMEM;
    /* Nothing is sealed to a deleted profile. */
    for (size_t i = 0; i < r->n_keys && out->state != PROFILE_DELETED; i++) {
        const struct record_key *k = &r->keys[i];
        struct hsm_user_cert *c = &out->certs[out->n_certs];

        if (k->withdrawn_s || now_s > k->not_after_s + USER_GRACE_S)
            continue;
        out->n_certs++;
        c->expired = now_s > k->not_after_s;
        buf_append_bytes(&c->der, buf_bytes(&k->cert));
        if (buf_error(&c->der))
            return ERR_NOMEM;
    }
    return ERR_OK;
}

static enum err profile_fill(const struct record *r, int64_t now_s, struct hsm_profile *out)
{
    struct hsm_profile p = {.state = r->state, .sender_key_type = r->sender_key_type};
    enum err e;

    memcpy(p.profile, r->profile, sizeof p.profile);
    memcpy(p.user, r->user, sizeof p.user);
    if (r->deleting)
        p.state = PROFILE_DELETED;
    buf_append_bytes(&p.intermediate, buf_bytes(&r->intermediate));
    e = buf_error(&p.intermediate);
    if (!e)
        e = list_copy(&r->addresses, &p.addresses, &p.n_addresses);
    if (!e)
        e = list_copy(&r->domains, &p.domains, &p.n_domains);
    if (!e)
        e = certs_copy(r, now_s, &p);
    if (e)
        hsm_profile_clear(&p);
    else
        *out = p;
    return e;
}

enum err authority_profile_get(struct authority *a, const char *profile, struct hsm_profile *out)
{
    CLEANUP(record_drop) struct record *r = NULL;
    enum err e = authority_find(a, profile, &r);

    return e ? e : profile_fill(r, authority_now(a), out);
}

enum err authority_user_profile(struct authority *a, const char *user, struct hsm_profile *out)
{
    CLEANUP(record_drop) struct record *r = NULL;

    (void)pthread_mutex_lock(&a->look);
    for (size_t i = 0; user && !r && i < a->n_slots; i++) {
        struct record *one = a->slots[i]->record;

        if (one && one->state == PROFILE_ACTIVE && !one->deleting && strcmp(one->user, user) == 0)
            r = record_ref(one);
    }
    (void)pthread_mutex_unlock(&a->look);
    return r ? profile_fill(r, authority_now(a), out)
             : err_note(ERR_NOT_ACTIVE, "user", "has no active profile");
}

/* ---- for the operator ---- */

static bool strings_json(cJSON *o, const char *name, const struct record_list *list)
{
    cJSON *array = cJSON_AddArrayToObject(o, name);
    bool ok = array;

    for (size_t i = 0; ok && i < list->n; i++)
        ok = cJSON_AddItemToArray(array, cJSON_CreateString(list->items[i]));
    return ok;
}

static bool text_json(cJSON *o, const char *name, const char *value)
{
    return cJSON_AddStringToObject(o, name, value);
}

static bool number_json(cJSON *o, const char *name, int64_t value)
{
    return cJSON_AddNumberToObject(o, name, (double)value);
}

static bool summary_fill(cJSON *o, const struct record *r)
{
    size_t keys = 0;

    for (size_t i = 0; i < r->n_keys; i++)
        keys += !r->keys[i].withdrawn_s;
    return text_json(o, "profile", r->profile) && text_json(o, "user", r->user) &&
           text_json(o, "state", r->deleting ? "deleting" : profile_state_name(r->state)) &&
           strings_json(o, "addresses", &r->addresses) && strings_json(o, "domains", &r->domains) &&
           text_json(o, "ca_key_type", key_type_name(r->ca_key_type)) &&
           text_json(o, "user_key_type", key_type_name(r->user_key_type)) &&
           text_json(o, "sender_key_type", key_type_name(r->sender_key_type)) &&
           number_json(o, "user_keys", (int64_t)keys) &&
           number_json(o, "kek_generation", r->kek_generation) &&
           number_json(o, "created", r->created_s) && number_json(o, "version", r->version);
}

static bool key_fill(cJSON *o, const struct record_key *k)
{
    CLEANUP(x509_drop) X509 *x = NULL;
    CLEANUP(buf_clear) struct buf spki = {0};
    CLEANUP(buf_clear) struct buf serial = {0};
    const ASN1_STRING *number;

    if (cert_of_der(buf_bytes(&k->cert), &x))
        return false;
    number = (const ASN1_STRING *)X509_get0_serialNumber(x);
    hex_append(&spki, (struct bytes){k->spki_sha256, sizeof k->spki_sha256});
    hex_append(&serial,
               (struct bytes){ASN1_STRING_get0_data(number), (size_t)ASN1_STRING_length(number)});
    return text_json(o, "spki_sha256", buf_str(&spki)) &&
           text_json(o, "serial", buf_str(&serial)) &&
           number_json(o, "not_before", k->not_before_s) &&
           number_json(o, "not_after", k->not_after_s) &&
           number_json(o, "enrolled", k->enrolled_s) && number_json(o, "withdrawn", k->withdrawn_s);
}

static bool detail_fill(cJSON *o, const struct record *r)
{
    CLEANUP(buf_clear) struct buf pem = {0};
    cJSON *keys = cJSON_AddArrayToObject(o, "keys");
    bool ok =
        keys && summary_fill(o, r) && text_json(o, "country", r->country) &&
        text_json(o, "organisation", r->organisation) && text_json(o, "root_name", r->root_name) &&
        text_json(o, "intermediate_name", r->intermediate_name) &&
        text_json(o, "policy_oid", r->policy_oid) && number_json(o, "user_days", r->user_days);

    if (ok && r->intermediate.len)
        ok = !pem_of(PEM_STRING_X509, buf_bytes(&r->intermediate), &pem) &&
             text_json(o, "intermediate", buf_str(&pem));
    for (size_t i = 0; ok && i < r->n_keys; i++) {
        cJSON *one = cJSON_CreateObject();

        ok = cJSON_AddItemToArray(keys, one) && key_fill(one, &r->keys[i]);
    }
    return ok;
}

/* Takes o. */
static enum err json_give(cJSON *o, bool complete, struct buf *out)
{
    char *text = o && complete ? cJSON_Print(o) : NULL;

    if (text) {
        buf_append_str(out, text);
        buf_append_str(out, "\n");
    }
    cJSON_free(text);
    cJSON_Delete(o);
    return text ? buf_error(out) : ERR_NOMEM;
}

static bool tampered_fill(cJSON *o, const struct slot *s)
{
    return text_json(o, "profile", s->profile) && text_json(o, "user", s->user) &&
           text_json(o, "state", "tampered");
}

enum err authority_list(struct authority *a, struct buf *json_out)
{
    cJSON *array = cJSON_CreateArray();
    bool ok = array;

    (void)pthread_mutex_lock(&a->look);
    for (size_t i = 0; ok && i < a->n_slots; i++) {
        const struct slot *s = a->slots[i];
        cJSON *o = cJSON_CreateObject();

        ok = cJSON_AddItemToArray(array, o) &&
             (s->record ? summary_fill(o, s->record) : tampered_fill(o, s));
    }
    (void)pthread_mutex_unlock(&a->look);
    return json_give(array, ok, json_out);
}

enum err authority_show(struct authority *a, const char *profile, struct buf *json_out)
{
    CLEANUP(record_drop) struct record *r = NULL;
    cJSON *o;
    enum err e = authority_find(a, profile, &r);

    if (e)
        return e;
    o = cJSON_CreateObject();
    return json_give(o, o && detail_fill(o, r), json_out);
}

/* ---- the journal ---- */

enum err authority_checkpoint(struct authority *a, const char *profile, struct buf *out)
{
    CLEANUP(record_drop) struct record *r = NULL;
    enum err e = authority_find(a, profile, &r);

    return e ? e : journal_checkpoint(a->journal, authority_now(a), out);
}

enum err authority_journal_verify(struct authority *a, struct buf *json_out)
{
    struct journal_verdict v;
    cJSON *o;
    bool ok;
    enum err e = journal_recheck(a->journal, &v);

    if (e)
        return e;
    o = cJSON_CreateObject();
    ok = o && number_json(o, "entries", (int64_t)v.entries) &&
         number_json(o, "checkpoints", (int64_t)v.checkpoints) && text_json(o, "head", v.head) &&
         cJSON_AddBoolToObject(o, "good", v.good);
    if (ok && !v.good)
        ok = number_json(o, "line", (int64_t)v.bad_line) && text_json(o, "reason", v.reason);
    return json_give(o, ok, json_out);
}

enum err authority_journal_public(struct authority *a, struct buf *pem_out)
{
    CLEANUP(key_drop) EVP_PKEY *key = NULL;
    CLEANUP(buf_clear) struct buf der = {0};
    enum err e = token_journal_public(a->options.token, &key);

    if (!e)
        e = key_spki(key, &der);
    return e ? e : pem_of(PEM_STRING_PUBLIC, buf_bytes(&der), pem_out);
}
