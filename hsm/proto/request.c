/* SPDX-License-Identifier: GPL-3.0-or-later */
/* request.c - the rules for every field, and the walk that applies them.
 *
 * protobuf-c's descriptors say which fields a message has; the table here says what each may hold.
 * Lengths are checked before content, and no string is longer than its rule when a handler sees
 * it. */
#include "hsm/proto/request.h"

#include "hsm/hsm.h"

#include <string.h>

_Static_assert((int)SEAL__KEY_TYPE__P384 == (int)KEY_P384, "key types agree");
_Static_assert((int)SEAL__KEY_TYPE__P256 == (int)KEY_P256, "key types agree");
_Static_assert((int)SEAL__PROFILE_STATE__DELETED == (int)PROFILE_DELETED, "states agree");
_Static_assert((int)SEAL__MECHANISM__DECRYPT_PKCS1 == (int)HSM_DECRYPT_PKCS1, "mechanisms agree");
_Static_assert((int)SEAL__MECHANISM__DERIVE_ECDH == (int)HSM_DERIVE_ECDH, "mechanisms agree");
_Static_assert((int)SEAL__WRAP_KEY__STORE == (int)HSM_WRAP_STORE, "wrapping keys agree");

enum form { FORM_ID, FORM_ADDRESS, FORM_DOMAIN, FORM_WORD, FORM_TEXT, FORM_BYTES, FORM_NUMBER };

struct field_rule {
    const char *name;
    uint64_t min, max; /* bytes; of a number its value */
    size_t count_max;  /* of a repeated field; 0: not repeated */
    enum form form;
    enum err error;
};

static const struct field_rule rules[] = {
    {"user", ID_LEN, ID_LEN, 0, FORM_ID, ERR_NOT_ACTIVE},
    {"for_user", ID_LEN, ID_LEN, 0, FORM_ID, ERR_USAGE},
    {"profile", ID_LEN, ID_LEN, 0, FORM_ID, ERR_NOT_FOUND},
    {"domain", 1, 253, 0, FORM_DOMAIN, ERR_REFUSED},
    {"reverse", 3, HSM_ADDRESS_MAX, 0, FORM_ADDRESS, ERR_TAMPERED},
    {"reverse_opt", 0, HSM_ADDRESS_MAX, 0, FORM_ADDRESS, ERR_TAMPERED},
    {"alias", 3, HSM_ADDRESS_MAX, 0, FORM_ADDRESS, ERR_REFUSED},
    {"idle_only", 0, 1, 0, FORM_NUMBER, ERR_USAGE},
    {"blob", 1, REQUEST_BLOB_MAX, 0, FORM_BYTES, ERR_TAMPERED},
    {"mechanism", 0, HSM_DERIVE_ECDH, 0, FORM_NUMBER, ERR_USAGE},
    {"spki_opt", 0, REQUEST_SPKI_MAX, 0, FORM_BYTES, ERR_TAMPERED},
    {"md_opt", 0, 32, 0, FORM_WORD, ERR_REFUSED},
    {"mgf1_md_opt", 0, 32, 0, FORM_WORD, ERR_REFUSED},
    {"input", 1, REQUEST_CIPHER_MAX, 0, FORM_BYTES, ERR_FORMAT},
    {"under", 0, HSM_WRAP_STORE, 0, FORM_NUMBER, ERR_USAGE},
    {"wrapped", 1, REQUEST_BLOB_MAX, 0, FORM_BYTES, ERR_TAMPERED},
    {"oldest_in_use", 0, UINT32_MAX, 0, FORM_NUMBER, ERR_USAGE},
    {"cms", 1, REQUEST_CMS_MAX, 0, FORM_BYTES, ERR_FORMAT},
    {"csr_opt", 0, REQUEST_BLOB_MAX, 0, FORM_BYTES, ERR_FORMAT},
    {"addresses", 3, HSM_ADDRESS_MAX, REQUEST_NAMES_MAX, FORM_ADDRESS, ERR_USAGE},
    {"domains", 1, 253, REQUEST_NAMES_MAX, FORM_DOMAIN, ERR_USAGE},
    {"country_opt", 0, 2, 0, FORM_WORD, ERR_USAGE},
    {"organisation_opt", 0, 64, 0, FORM_TEXT, ERR_USAGE},
    {"ca_key_type", 0, KEY_P384, 0, FORM_NUMBER, ERR_USAGE},
    {"user_key_type", 0, KEY_P384, 0, FORM_NUMBER, ERR_USAGE},
    {"sender_key_type", 0, KEY_P384, 0, FORM_NUMBER, ERR_USAGE},
    {"root_days", 0, 36525, 0, FORM_NUMBER, ERR_USAGE},
    {"intermediate_days", 0, 36525, 0, FORM_NUMBER, ERR_USAGE},
    {"user_days", 0, 36525, 0, FORM_NUMBER, ERR_USAGE},
    {"document", 1, REQUEST_DOCUMENT_MAX, 0, FORM_BYTES, ERR_FORMAT},
    {"document_opt", 0, REQUEST_DOCUMENT_MAX, 0, FORM_BYTES, ERR_FORMAT},
    {"code", 1, 32, 0, FORM_WORD, ERR_REFUSED},
    {"offset", 0, INT64_MAX, 0, FORM_NUMBER, ERR_USAGE},
};

static const struct field_rule *rule_of(const char *name)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

static enum err broken(const struct field_rule *rule, const char *what)
{
    return err_note(rule->error, "request", "%s: %s", rule->name, what);
}

/* Does every byte lie within first..last? */
static bool bytes_within(const char *s, unsigned char first, unsigned char last)
{
    for (; *s; s++)
        if ((unsigned char)*s < first || (unsigned char)*s > last)
            return false;
    return true;
}

static bool form_is_good(const struct field_rule *rule, const char *s)
{
    switch (rule->form) {
    case FORM_ID:
        return id_is_valid(s);
    case FORM_ADDRESS:
        return bytes_within(s, 0x21, 0x7e) && strchr(s, '@');
    case FORM_DOMAIN:
        return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") ==
               strlen(s);
    case FORM_WORD:
        return bytes_within(s, 0x21, 0x7e);
    case FORM_TEXT:
        return bytes_within(s, 0x20, 0x7e);
    case FORM_BYTES:
    case FORM_NUMBER:
        break;
    }
    return false; /* not a string: the rule does not fit the message */
}

static enum err string_check(const struct field_rule *rule, const char *s)
{
    size_t len = s ? strlen(s) : 0;

    if (len < rule->min)
        return broken(rule, "missing or too short");
    if (len > rule->max)
        return broken(rule, "too long");
    return len == 0 || form_is_good(rule, s) ? ERR_OK : broken(rule, "not of its form");
}

static enum err number_check(const struct field_rule *rule, uint64_t value)
{
    if (rule->form != FORM_NUMBER)
        return broken(rule, "not a number");
    return value >= rule->min && value <= rule->max ? ERR_OK : broken(rule, "out of range");
}

static enum err bytes_check(const struct field_rule *rule, const ProtobufCBinaryData *d)
{
    if (rule->form != FORM_BYTES || d->len < rule->min)
        return broken(rule, "missing or too short");
    return d->len <= rule->max ? ERR_OK : broken(rule, "too long");
}

static enum err strings_check(const struct field_rule *rule, size_t n, char *const *items)
{
    enum err e = ERR_OK;

    if (n > rule->count_max)
        return broken(rule, "too many");
    for (size_t i = 0; i < n && !e; i++)
        e = string_check(rule, items[i]);
    return e;
}

/* The value lies at offset in the C structure, in the C type of its protobuf type. A number is
 * copied out: its type is known by its width alone. */
static enum err single_check(const struct field_rule *rule, const ProtobufCFieldDescriptor *field,
                             const uint8_t *value)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;

    /* -Wswitch-enum wants the types no message of ours uses: they have no rule that fits. */
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return string_check(rule, *(char *const *)(const void *)value);
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return bytes_check(rule, (const ProtobufCBinaryData *)(const void *)value);
    if (field->type == PROTOBUF_C_TYPE_UINT64) {
        memcpy(&wide, value, sizeof wide);
        return number_check(rule, wide);
    }
    if (field->type == PROTOBUF_C_TYPE_UINT32 || field->type == PROTOBUF_C_TYPE_ENUM ||
        field->type == PROTOBUF_C_TYPE_BOOL) {
        memcpy(&narrow, value, sizeof narrow); /* enumeration and bool are ints in protobuf-c */
        return number_check(rule, narrow);
    }
    return broken(rule, "of a type without rules");
}

static enum err field_check(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field)
{
    const struct field_rule *rule = rule_of(field->name);
    const uint8_t *value = (const uint8_t *)m + field->offset;
    size_t n;

    if (!rule)
        return err_note(ERR_USAGE, "request", "%s: a field without a rule", field->name);
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return single_check(rule, field, value);
    if (field->type != PROTOBUF_C_TYPE_STRING)
        return broken(rule, "of a type without rules");
    memcpy(&n, (const uint8_t *)m + field->quantifier_offset, sizeof n);
    return strings_check(rule, n, *(char **const *)(const void *)value);
}

/* The message of the verb; NULL when there is none. */
static const ProtobufCMessage *verb_message(const Seal__Request *r)
{
    /* every member of the union is a pointer to a message, whose base comes first */
    return r->verb_case == SEAL__REQUEST__VERB__NOT_SET ? NULL : &r->ping->base;
}

bool request_is_whole(const Seal__Request *r)
{
    const ProtobufCMessage *m = verb_message(r);

    return m && r->base.n_unknown_fields == 0 && m->n_unknown_fields == 0;
}

/* A digest is short, a ciphertext is one block: input's bound depends on what is done with it. */
static enum err key_use_check(const Seal__KeyUse *u)
{
    bool signs =
        u->mechanism == SEAL__MECHANISM__SIGN_PKCS1 || u->mechanism == SEAL__MECHANISM__SIGN_ECDSA;

    if (signs && u->input.len > REQUEST_DIGEST_MAX)
        return err_note(ERR_FORMAT, "request", "input: too long for a digest");
    return ERR_OK;
}

enum err request_check(const Seal__Request *r)
{
    const ProtobufCMessage *m = verb_message(r);
    enum err e = ERR_OK;

    if (!m)
        return err_note(ERR_USAGE, "request", "no verb");
    for (unsigned i = 0; i < m->descriptor->n_fields && !e; i++)
        e = field_check(m, &m->descriptor->fields[i]);
    if (!e && r->verb_case == SEAL__REQUEST__VERB_KEY_USE)
        e = key_use_check(r->key_use);
    return e;
}

bool request_fields_have_rules(void)
{
    for (unsigned i = 0; i < seal__request__descriptor.n_fields; i++) {
        const ProtobufCMessageDescriptor *verb = seal__request__descriptor.fields[i].descriptor;

        for (unsigned j = 0; j < verb->n_fields; j++)
            if (!rule_of(verb->fields[j].name))
                return false;
    }
    return true;
}

const char *request_verb_name(Seal__Request__VerbCase verb)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(&seal__request__descriptor, (unsigned)verb);

    return field ? field->name : "none";
}
