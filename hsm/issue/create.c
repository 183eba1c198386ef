/* SPDX-License-Identifier: GPL-3.0-or-later */
/* create.c - a new profile: its keys in the token, its record, and the file for the user's tool. */
#include "hsm/issue/inside.h"

#include "daemon/base/failpoint.h"
#include "hsm/issue/csr.h"
#include "hsm/issue/name.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define ROOT_DAYS_DEFAULT         5475
#define INTERMEDIATE_DAYS_DEFAULT 3640
#define ROOT_DAYS_MIN             760 /* longer than any leaf */
#define CA_MARGIN_DAYS            30
#define USER_DAYS_LONG            730
#define USER_DAYS_SHORT           365
#define ORGANISATION_MAX          64
#define ORGANISATION_DEFAULT      "Sealrelay"

static enum err wrong(const char *field, const char *must)
{
    return err_note(ERR_USAGE, field, "%s", must);
}

/* ASCII only: what is not is refused by the form checks behind. */
static enum err lower_add(struct record_list *list, const char *text)
{
    CLEANUP(buf_clear) struct buf copy = {0};

    for (; text && *text; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text + 32) : *text;

        buf_append(&copy, &c, 1);
    }
    if (buf_error(&copy))
        return ERR_NOMEM;
    if (record_list_has(list, buf_str(&copy)))
        return err_note(ERR_USAGE, "list", "holds a name twice");
    return record_list_add(list, buf_str(&copy));
}

static enum err list_take(struct record_list *list, const char *const *items, size_t n,
                          bool (*is_good)(const char *), const char *what)
{
    enum err e = n ? ERR_OK : wrong(what, "at least one is needed");

    for (size_t i = 0; !e && i < n; i++) {
        e = lower_add(list, items[i]);
        if (!e && !is_good(list->items[list->n - 1]))
            e = wrong(what, "malformed");
    }
    return e;
}

static enum err names_take(const struct authority_profile_new *p, struct record *r)
{
    enum err e = list_take(&r->addresses, p->addresses, p->n_addresses, name_is_address, "address");

    if (!e)
        e = list_take(&r->domains, p->domains, p->n_domains, name_is_domain, "domain");
    for (size_t i = 0; !e && i < r->addresses.n; i++)
        if (record_list_has(&r->domains, strchr(r->addresses.items[i], '@') + 1))
            e = wrong("address", "lies in a relay domain");
    return e;
}

static bool is_title(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > ORGANISATION_MAX || s[0] == ' ' || s[n - 1] == ' ')
        return false;
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
            return false;
    return true;
}

static enum err subject_take(const struct authority_profile_new *p, struct record *r)
{
    const char *organisation = p->organisation ? p->organisation : ORGANISATION_DEFAULT;
    char country[3] = {0};
    char name[CERT_NAME_MAX + 1];
    enum err e;

    if (!p->country || strlen(p->country) != 2 || !isalpha((unsigned char)p->country[0]) ||
        !isalpha((unsigned char)p->country[1]))
        return wrong("country", "two letters expected");
    if (!is_title(organisation))
        return wrong("organisation", "1 to 64 printable ASCII characters expected");
    country[0] = (char)(p->country[0] & ~0x20);
    country[1] = (char)(p->country[1] & ~0x20);
    e = record_set_text(&r->country, country);
    if (!e)
        e = record_set_text(&r->organisation, organisation);
    (void)snprintf(name, sizeof name, "Sealrelay Root %s", r->profile);
    if (!e)
        e = record_set_text(&r->root_name, name);
    (void)snprintf(name, sizeof name, "Sealrelay Mail %s", r->profile);
    return e ? e : record_set_text(&r->intermediate_name, name);
}

static enum err numbers_take(const struct authority_profile_new *p, struct record *r)
{
    bool user_ec = p->user_key_type == KEY_P256;

    r->root_days = p->root_days ? p->root_days : ROOT_DAYS_DEFAULT;
    r->intermediate_days = p->intermediate_days ? p->intermediate_days : INTERMEDIATE_DAYS_DEFAULT;
    r->user_days = p->user_days ? p->user_days : USER_DAYS_LONG;
    r->ca_key_type = p->ca_key_type;
    r->user_key_type = p->user_key_type;
    r->sender_key_type = p->sender_key_type;
    if (p->ca_key_type != KEY_P384 && p->ca_key_type != KEY_RSA_3072)
        return wrong("ca_key_type", "p-384 or rsa-3072 expected");
    if (p->user_key_type == KEY_P384 || p->sender_key_type == KEY_P384)
        return wrong("user_key_type", "rsa-2048, rsa-3072 or p-256 expected");
    if (user_ec != (p->sender_key_type == KEY_P256))
        return wrong("sender_key_type", "same algorithm as the user's expected");
    if (r->root_days < ROOT_DAYS_MIN || r->root_days > CERT_ROOT_DAYS_MAX)
        return wrong("root_days", "760 to 7305 expected");
    if (r->intermediate_days > CERT_INTERMEDIATE_DAYS_MAX ||
        r->intermediate_days > r->root_days - CA_MARGIN_DAYS)
        return wrong("intermediate_days", "at most 3652, and 30 less than root_days");
    if (r->user_days != USER_DAYS_SHORT && r->user_days != USER_DAYS_LONG)
        return wrong("user_days", "365 or 730 expected");
    return ERR_OK;
}

static enum err url_make(char **field, const char *prefix, const char *profile, const char *end)
{
    CLEANUP(buf_clear) struct buf url = {0};

    if (!prefix)
        return ERR_OK;
    buf_printf(&url, "%s%s%s", prefix, profile, end);
    return buf_error(&url) ? ERR_NOMEM : record_set_text(field, buf_str(&url));
}

static enum err urls_take(const struct authority *a, struct record *r)
{
    enum err e = url_make(&r->root_crl_url, a->crl_url, r->profile, "-root.crl");

    if (!e)
        e = url_make(&r->leaf_crl_url, a->crl_url, r->profile, ".crl");
    if (!e)
        e = url_make(&r->root_aia_url, a->aia_url, r->profile, "-root.cer");
    if (!e)
        e = url_make(&r->leaf_aia_url, a->aia_url, r->profile, ".cer");
    return e ? e : record_set_text(&r->policy_oid, a->policy_oid);
}

static enum err order_take(const struct authority *a, const struct authority_profile_new *p,
                           struct record *r)
{
    enum err e = id_is_valid(p->user) ? id_new(r->profile) : wrong("user", "not an id");

    if (e)
        return e;
    memcpy(r->user, p->user, sizeof r->user);
    r->created_s = authority_now(a);
    r->kek_generation = 1;
    e = numbers_take(p, r);
    if (!e)
        e = names_take(p, r);
    if (!e)
        e = subject_take(p, r);
    return e ? e : urls_take(a, r);
}

static enum err user_room(struct authority *a, const char *user)
{
    unsigned n = 0;

    (void)pthread_mutex_lock(&a->look);
    for (size_t i = 0; i < a->n_slots; i++) {
        const struct slot *s = a->slots[i];

        n += strcmp(s->user, user) == 0 && (!s->record || s->record->state != PROFILE_DELETED);
    }
    (void)pthread_mutex_unlock(&a->look);
    return n < a->limits.profiles_user
               ? ERR_OK
               : err_note(ERR_LIMIT, "profiles", "no more than %u a user", a->limits.profiles_user);
}

/* The journal names the profile before the token holds its keys: a crash between leaves a name
 * without record, whose keys the next start destroys. */
static enum err keys_make(struct authority *a, struct record *r)
{
    CLEANUP(key_drop) EVP_PKEY *key = NULL;
    enum err e =
        journal_append(a->journal, r->created_s, "profile", r->profile, "user=%s", r->user);

    if (!e && failpoint("profile.journalled"))
        e = ERR_IO;
    if (!e)
        e = token_ca_new(a->options.token, r->profile, r->ca_key_type, &key);
    if (!e)
        e = token_kek_new(a->options.token, r->profile, (uint32_t)r->kek_generation);
    if (!e && failpoint("profile.keys"))
        e = ERR_IO;
    return e ? e : key_spki(key, &r->ca_spki);
}

static enum err profile_make(struct authority *a, struct record *r)
{
    struct index_profile known;
    enum err e = keys_make(a, r);

    if (!e)
        e = record_save(a->store, r->created_s, NULL, r);
    if (!e)
        return authority_slot_add(a, r->profile, r->user, record_ref(r));
    if (journal_index_profile(a->index, r->profile, &known) && known.version == 0 &&
        !token_profile_destroy(a->options.token, r->profile))
        (void)journal_append(a->journal, r->created_s, "abandon", r->profile, "%s", "");
    return e;
}

enum err authority_profile_add(struct authority *a, const struct authority_profile_new *p,
                               id_text profile_out)
{
    CLEANUP(record_drop) struct record *r = NULL;
    enum err e = record_new(&r);

    if (!e)
        e = order_take(a, p, r);
    if (e)
        return e;
    (void)pthread_mutex_lock(&a->change);
    e = user_room(a, r->user);
    if (!e)
        e = profile_make(a, r);
    (void)pthread_mutex_unlock(&a->change);
    if (e)
        return e;
    authority_pool_tell(a);
    memcpy(profile_out, r->profile, sizeof(id_text));
    return ERR_OK;
}

/* ---- the request file ---- */

static enum err csr_pem(struct authority *a, const struct record *r, struct buf *pem)
{
    struct cert_values values = values_of_ca(r, r->intermediate_name);
    CLEANUP(ca_close) struct ca ca = {0};
    CLEANUP(csr_drop) X509_REQ *csr = NULL;
    CLEANUP(buf_clear) struct buf der = {0};
    enum err e = ca_open(a, r, &ca);

    if (!e)
        e = csr_compose(&values, ca.key.public_key, &csr);
    if (!e)
        e = seal_csr(&ca.key, csr, &der);
    return e ? e : pem_of(PEM_STRING_X509_REQ, buf_bytes(&der), pem);
}

static bool list_json(cJSON *o, const char *name, const struct record_list *list)
{
    cJSON *array = cJSON_AddArrayToObject(o, name);
    bool ok = array;

    for (size_t i = 0; ok && i < list->n; i++)
        ok = cJSON_AddItemToArray(array, cJSON_CreateString(list->items[i]));
    return ok;
}

static bool text_json(cJSON *o, const char *name, const char *value)
{
    return !value || cJSON_AddStringToObject(o, name, value);
}

static bool request_fill(cJSON *o, const struct record *r, const char *csr)
{
    return text_json(o, "format", "sealrelay-request 1") && text_json(o, "profile", r->profile) &&
           text_json(o, "country", r->country) && text_json(o, "organisation", r->organisation) &&
           text_json(o, "root_name", r->root_name) &&
           text_json(o, "intermediate_name", r->intermediate_name) &&
           list_json(o, "relay_domains", &r->domains) && list_json(o, "addresses", &r->addresses) &&
           text_json(o, "ca_key_type", key_type_name(r->ca_key_type)) &&
           text_json(o, "user_key_type", key_type_name(r->user_key_type)) &&
           cJSON_AddNumberToObject(o, "root_days", (double)r->root_days) &&
           cJSON_AddNumberToObject(o, "intermediate_days", (double)r->intermediate_days) &&
           cJSON_AddNumberToObject(o, "user_days", (double)r->user_days) &&
           text_json(o, "crl_url", r->root_crl_url) && text_json(o, "aia_url", r->root_aia_url) &&
           text_json(o, "policy_oid", r->policy_oid) && text_json(o, "csr", csr);
}

enum err authority_request_json(struct authority *a, const char *profile, struct buf *json_out)
{
    CLEANUP(record_drop) struct record *r = NULL;
    CLEANUP(buf_clear) struct buf pem = {0};
    cJSON *o;
    char *text;
    enum err e = authority_find(a, profile, &r);

    if (e)
        return e;
    if (r->state != PROFILE_PENDING || r->deleting || r->intermediate.len)
        return err_note(ERR_WRONG_STATE, "profile", "is enrolled already, or deleted");
    e = csr_pem(a, r, &pem);
    if (e)
        return e;
    o = cJSON_CreateObject();
    text = o && request_fill(o, r, buf_str(&pem)) ? cJSON_Print(o) : NULL;
    if (text) {
        buf_append_str(json_out, text);
        buf_append_str(json_out, "\n");
    }
    cJSON_free(text);
    cJSON_Delete(o);
    return text ? buf_error(json_out) : ERR_NOMEM;
}
