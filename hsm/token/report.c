/* SPDX-License-Identifier: GPL-3.0-or-later */
/* report.c - what the operator should know of the token: every key and its attributes, how keys are
 * wrapped, what the token cannot do, and what its loss would mean. */
#include "hsm/token/inside.h"
#include "hsm/token/name.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const CK_ATTRIBUTE_TYPE reported[] = {
    CKA_TOKEN,        CKA_PRIVATE,
    CKA_SENSITIVE,    CKA_ALWAYS_SENSITIVE,
    CKA_EXTRACTABLE,  CKA_NEVER_EXTRACTABLE,
    CKA_LOCAL,        CKA_MODIFIABLE,
    CKA_COPYABLE,     CKA_SIGN,
    CKA_SIGN_RECOVER, CKA_VERIFY,
    CKA_ENCRYPT,      CKA_DECRYPT,
    CKA_WRAP,         CKA_UNWRAP,
    CKA_DERIVE,
};

struct key_kind {
    const char *prefix;
    const char *name;
    const char *loss;
    const struct key_table *table;
};

/* The kind of a key by its name; a CA or journal key's table follows from its own key type. */
static const struct key_kind kinds[] = {
    {NAME_CA, "CA key", "the profile enrols anew under a new root", &table_ca_ec},
    {"sealrelay kek ", "KEK", "every sender key of the profile is lost; old replies stay closed",
     &table_kek},
    {"sealrelay record", "record key",
     "no key record and no sender blob can be believed: every user enrols anew", &table_record},
    {"sealrelay journal", "journal key", "new checkpoints cannot be tied to old ones",
     &table_journal_ec},
    {NAME_SPOOL, "spool key", "queued mail of its generation is lost", &table_data},
    {NAME_STORE, "store key", "addresses in the store are lost", &table_data},
};

static const struct key_kind *kind_of(const char *label)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(label, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return &kinds[i];
    return NULL;
}

static const char *mechanism_name(CK_MECHANISM_TYPE type)
{
    switch (type) {
    case CKM_AES_KEY_WRAP_KWP:
        return "CKM_AES_KEY_WRAP_KWP";
    case CKM_AES_KEY_WRAP_PAD:
        return "CKM_AES_KEY_WRAP_PAD";
    case CKM_AES_CBC_PAD:
        return "CKM_AES_CBC_PAD";
    case CKM_AES_GCM:
        return "CKM_AES_GCM";
    default:
        return "none";
    }
}

/* cJSON frees what it could not attach; one failure is enough to give up on the whole. */
static bool add(cJSON *object, const char *name, cJSON *item)
{
    if (item && cJSON_AddItemToObject(object, name, item))
        return true;
    cJSON_Delete(item);
    return false;
}

static bool add_text(cJSON *object, const char *name, const char *text)
{
    return cJSON_AddStringToObject(object, name, text) != NULL;
}

/* ---- keys ---- */

static enum err attributes_add(struct call *c, CK_OBJECT_HANDLE o, cJSON *key)
{
    cJSON *attributes = cJSON_AddObjectToObject(key, "attributes");

    for (size_t i = 0; attributes && i < sizeof reported / sizeof *reported; i++) {
        bool value = false;
        CK_RV rv = ck_get_bool(&c->ck, o, reported[i], &value);
        cJSON *item;

        if (rv != CKR_OK && rv != CKR_ATTRIBUTE_TYPE_INVALID && rv != CKR_ATTRIBUTE_SENSITIVE)
            return call_fail(c, rv);
        item = rv == CKR_OK ? cJSON_CreateBool(value) : cJSON_CreateNull();
        if (!add(attributes, attr_name(reported[i]), item))
            return err_note(ERR_NOMEM, "report", "out of memory");
    }
    return attributes ? ERR_OK : err_note(ERR_NOMEM, "report", "out of memory");
}

/* "0x00001087" of each mechanism the key may be used with; null where the token does not tell. */
static enum err mechanisms_add(struct call *c, CK_OBJECT_HANDLE o, cJSON *key)
{
    CLEANUP(buf_clear) struct buf value = {0};
    CK_RV rv = ck_get(&c->ck, o, CKA_ALLOWED_MECHANISMS, &value);
    cJSON *list = rv == CKR_OK ? cJSON_CreateArray() : cJSON_CreateNull();

    if (rv != CKR_OK && rv != CKR_ATTRIBUTE_TYPE_INVALID) {
        cJSON_Delete(list);
        return call_fail(c, rv);
    }
    if (!add(key, "allowed_mechanisms", list))
        return err_note(ERR_NOMEM, "report", "out of memory");
    for (size_t at = 0; at + sizeof(CK_MECHANISM_TYPE) <= value.len;
         at += sizeof(CK_MECHANISM_TYPE)) {
        CK_MECHANISM_TYPE type;
        char text[24];
        cJSON *item;

        memcpy(&type, value.data + at, sizeof type);
        (void)snprintf(text, sizeof text, "0x%08lx", type);
        item = cJSON_CreateString(text);
        if (!item || !cJSON_AddItemToArray(list, item)) {
            cJSON_Delete(item);
            return err_note(ERR_NOMEM, "report", "out of memory");
        }
    }
    return ERR_OK;
}

static enum err key_add(struct call *c, const char *label, CK_OBJECT_HANDLE o, cJSON *keys)
{
    const struct key_kind *kind = kind_of(label);
    const struct key_table *table = kind ? kind->table : NULL;
    cJSON *key = cJSON_CreateObject();
    const char *wrong = NULL;
    CK_ULONG type = 0;
    enum err e;
    CK_RV rv;

    if (!key || !cJSON_AddItemToArray(keys, key))
        return err_note(ERR_NOMEM, "report", "out of memory");
    if (!kind || !add_text(key, "label", label) || !add_text(key, "kind", kind->name) ||
        !add_text(key, "loss", kind->loss))
        return err_note(ERR_NOMEM, "report", "out of memory");
    rv = ck_get_ulong(&c->ck, o, CKA_KEY_TYPE, &type);
    if (rv == CKR_OK && type == CKK_RSA && table == &table_ca_ec)
        table = &table_ca_rsa;
    else if (rv == CKR_OK && type == CKK_RSA && table == &table_journal_ec)
        table = &table_journal_rsa;
    if (rv == CKR_OK)
        rv = template_check(&c->ck, o, table, &wrong);
    if (rv != CKR_OK)
        return call_fail(c, rv);
    if (!add(key, "as_required", cJSON_CreateBool(wrong == NULL)) ||
        (wrong && !add_text(key, "wrong", wrong)))
        return err_note(ERR_NOMEM, "report", "out of memory");
    e = mechanisms_add(c, o, key);
    return e ? e : attributes_add(c, o, key);
}

static enum err class_add(struct call *c, CK_OBJECT_CLASS class, cJSON *keys)
{
    CK_BBOOL token = CK_TRUE;
    CK_ATTRIBUTE attrs[] = {{CKA_CLASS, &class, sizeof class}, {CKA_TOKEN, &token, sizeof token}};
    struct ck_objects found;
    enum err e = ERR_OK;
    CK_RV rv = ck_find(&c->ck, attrs, 2, &found);

    if (rv != CKR_OK)
        return call_fail(c, rv);
    for (size_t i = 0; i < found.n && !e; i++) {
        CLEANUP(buf_clear) struct buf label = {0};
        bool ca;

        rv = ck_get(&c->ck, found.handles[i], CKA_LABEL, &label);
        if (rv != CKR_OK && rv != CKR_ATTRIBUTE_TYPE_INVALID)
            e = call_fail(c, rv);
        else if (name_is_ours(buf_bytes(&label), &ca) && kind_of(buf_str(&label)))
            e = key_add(c, buf_str(&label), found.handles[i], keys);
    }
    free(found.handles);
    return e;
}

/* ---- the token ---- */

static bool shortcoming(cJSON *list, bool missing, const char *text)
{
    cJSON *item;

    if (!missing)
        return true;
    item = cJSON_CreateString(text);
    return item && cJSON_AddItemToArray(list, item);
}

/* What a key lacks because the token knows no such attribute. */
static bool attribute_missing(struct call *c, const char *label, const struct key_table *table,
                              CK_ATTRIBUTE_TYPE type)
{
    CLEANUP(buf_clear) struct buf value = {0};
    CK_OBJECT_HANDLE key;

    return keyring_get(c, label, table, &key) == ERR_OK &&
           ck_get(&c->ck, key, type, &value) == CKR_ATTRIBUTE_TYPE_INVALID;
}

static bool shortcomings_add(struct call *c, bool sender, cJSON *out)
{
    const struct place *p = c->place;
    cJSON *list = cJSON_AddArrayToObject(out, "cannot");
    CK_MECHANISM_TYPE wrap = place_wrap_mechanism(p);

    if (!list || !shortcoming(list, !place_can_ec(p),
                              "EC keys: choose rsa-3072 for CA keys, RSA for sender keys; the "
                              "journal key is RSA"))
        return false;
    if (!sender)
        return true;
    return shortcoming(list, !wrap, "wrap keys by AES: it cannot be the sender token") &&
           shortcoming(list, wrap == CKM_AES_CBC_PAD,
                       "AES key wrap with padding: CBC is used, authenticated by the record key") &&
           shortcoming(list, place_data_mechanism(p) != CKM_AES_GCM,
                       "AES-GCM: CBC is used, authenticated by the record key") &&
           shortcoming(list, !place_can(p, CKM_RSA_PKCS_OAEP, CKF_DECRYPT),
                       "RSA-OAEP decryption") &&
           shortcoming(list, !place_can(p, CKM_ECDH1_DERIVE, CKF_DERIVE), "ECDH") &&
           shortcoming(list,
                       attribute_missing(c, NAME_RECORD, &table_record, CKA_ALLOWED_MECHANISMS),
                       "CKA_ALLOWED_MECHANISMS: keys are bound by their usage alone") &&
           shortcoming(list, attribute_missing(c, NAME_RECORD, &table_record, CKA_COPYABLE),
                       "CKA_COPYABLE: keys may be copied within the token");
}

static bool place_describe(const struct place *p, bool ca, bool sender, cJSON *out)
{
    const char *use = ca && sender ? "CA keys and sender keys" : ca ? "CA keys" : "sender keys";

    if (!add_text(out, "label", p->label) || !add_text(out, "serial", p->serial) ||
        !add_text(out, "model", p->model) || !add_text(out, "manufacturer", p->manufacturer) ||
        !add_text(out, "use", use) ||
        !add_text(out, "loss",
                  "CA keys and KEKs exist nowhere else; unless the vendor's cloning made a copy, "
                  "every user enrols anew and mail sealed to sender keys stays closed"))
        return false;
    return !sender || (add_text(out, "wrap_mechanism", mechanism_name(place_wrap_mechanism(p))) &&
                       add_text(out, "data_mechanism", mechanism_name(place_data_mechanism(p))));
}

static enum err place_add(struct call *c, bool ca, bool sender, cJSON *tokens)
{
    cJSON *out = cJSON_CreateObject();
    cJSON *keys;
    enum err e;

    if (!out || !cJSON_AddItemToArray(tokens, out) || !place_describe(c->place, ca, sender, out) ||
        !shortcomings_add(c, sender, out) || !(keys = cJSON_AddArrayToObject(out, "keys")))
        return err_note(ERR_NOMEM, "report", "out of memory");
    e = class_add(c, CKO_PRIVATE_KEY, keys);
    return e ? e : class_add(c, CKO_SECRET_KEY, keys);
}

static enum err role_add(struct token *t, enum role role, cJSON *tokens)
{
    struct call c;
    enum err e = call_begin(t, role, &c);
    bool shared;

    if (e)
        return e;
    shared = t->at[ROLE_CA] == t->at[ROLE_SENDER];
    if (role == ROLE_SENDER && shared)
        return call_end(&c, ERR_OK);
    return call_end(&c, place_add(&c, role == ROLE_CA, shared || role == ROLE_SENDER, tokens));
}

enum err token_report(struct token *t, struct cJSON **out)
{
    cJSON *report = cJSON_CreateObject();
    cJSON *tokens = report ? cJSON_AddArrayToObject(report, "tokens") : NULL;
    enum err e = tokens && add_text(report, "module", t->options.module)
                     ? ERR_OK
                     : err_note(ERR_NOMEM, "report", "out of memory");

    if (!e)
        e = role_add(t, ROLE_CA, tokens);
    if (!e)
        e = role_add(t, ROLE_SENDER, tokens);
    if (e)
        cJSON_Delete(report);
    else
        *out = report;
    return e;
}
