/* SPDX-License-Identifier: GPL-3.0-or-later */
/* template.c - the attribute tables of every kind of key, and templates made from them.
 *
 * CA key: signs, nothing else. KEK: wraps and unwraps, nothing else, by one mechanism, and what it
 * unwraps is private, sensitive, not extractable, a session object and no KEK itself. Pool key:
 * extractable until it is wrapped, and of no use but to be wrapped. Sender key: not extractable. */
#include "hsm/token/template.h"

#include <string.h>

#define YES(type)                                                                                  \
    {                                                                                              \
        type, CK_TRUE, ATTR_BOOL, false                                                            \
    }
#define NO(type)                                                                                   \
    {                                                                                              \
        type, CK_FALSE, ATTR_BOOL, false                                                           \
    }
#define MAYBE(type)                                                                                \
    {                                                                                              \
        type, CK_FALSE, ATTR_BOOL, true                                                            \
    }
#define IS(type, v)                                                                                \
    {                                                                                              \
        type, v, ATTR_ULONG, false                                                                 \
    }

#define TABLE(table, text, object_class, table_rows, kek)                                          \
    const struct key_table table = {text, object_class, table_rows,                                \
                                    sizeof(table_rows) / sizeof *(table_rows), kek}

/* clang-format off */
#define PRIVATE_ROWS(key_type, token, extractable, sign, decrypt, derive)                          \
    IS(CKA_CLASS, CKO_PRIVATE_KEY), IS(CKA_KEY_TYPE, key_type),                                    \
    token(CKA_TOKEN), YES(CKA_PRIVATE), YES(CKA_SENSITIVE), extractable(CKA_EXTRACTABLE),          \
    sign(CKA_SIGN), NO(CKA_SIGN_RECOVER), decrypt(CKA_DECRYPT), derive(CKA_DERIVE), NO(CKA_UNWRAP)

#define SECRET_ROWS(key_type, crypt, sign, wrap)                                                   \
    IS(CKA_CLASS, CKO_SECRET_KEY), IS(CKA_KEY_TYPE, key_type),                                     \
    YES(CKA_TOKEN), YES(CKA_PRIVATE), YES(CKA_SENSITIVE), NO(CKA_EXTRACTABLE),                     \
    crypt(CKA_ENCRYPT), crypt(CKA_DECRYPT), sign(CKA_SIGN), NO(CKA_VERIFY),                        \
    wrap(CKA_WRAP), wrap(CKA_UNWRAP), NO(CKA_DERIVE)

#define PUBLIC_ROWS(token)                                                                         \
    IS(CKA_CLASS, CKO_PUBLIC_KEY), token(CKA_TOKEN), NO(CKA_PRIVATE), NO(CKA_ENCRYPT),             \
    YES(CKA_VERIFY), NO(CKA_VERIFY_RECOVER), NO(CKA_WRAP), NO(CKA_DERIVE), MAYBE(CKA_COPYABLE)

/* A token for CA keys alone need not know CKA_COPYABLE: what is copied stays unextractable. */
static const struct attr_row ca_ec_rows[] = {
    PRIVATE_ROWS(CKK_EC, YES, NO, YES, NO, NO), MAYBE(CKA_COPYABLE)};
static const struct attr_row ca_rsa_rows[] = {
    PRIVATE_ROWS(CKK_RSA, YES, NO, YES, NO, NO), MAYBE(CKA_COPYABLE)};
static const struct attr_row kek_rows[] = {
    SECRET_ROWS(CKK_AES, NO, NO, YES), NO(CKA_COPYABLE)};
static const struct attr_row record_rows[] = {
    SECRET_ROWS(CKK_GENERIC_SECRET, NO, YES, NO), MAYBE(CKA_COPYABLE)};
static const struct attr_row data_rows[] = {
    SECRET_ROWS(CKK_AES, YES, NO, NO), MAYBE(CKA_COPYABLE)};
static const struct attr_row pool_rsa_rows[] = {
    PRIVATE_ROWS(CKK_RSA, NO, YES, NO, NO, NO), NO(CKA_COPYABLE)};
static const struct attr_row pool_ec_rows[] = {
    PRIVATE_ROWS(CKK_EC, NO, YES, NO, NO, NO), NO(CKA_COPYABLE)};
static const struct attr_row sender_rsa_rows[] = {
    PRIVATE_ROWS(CKK_RSA, NO, NO, YES, YES, NO), NO(CKA_COPYABLE)};
static const struct attr_row sender_ec_rows[] = {
    PRIVATE_ROWS(CKK_EC, NO, NO, YES, NO, YES), NO(CKA_COPYABLE)};
static const struct attr_row half_rows[] = {PUBLIC_ROWS(YES)};
static const struct attr_row half_session_rows[] = {PUBLIC_ROWS(NO)};
/* The shared secret of one ECDH: read at once and destroyed. */
static const struct attr_row derived_rows[] = {
    IS(CKA_CLASS, CKO_SECRET_KEY), IS(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
    NO(CKA_TOKEN), NO(CKA_SENSITIVE), YES(CKA_EXTRACTABLE), NO(CKA_ENCRYPT), NO(CKA_DECRYPT),
    NO(CKA_SIGN), NO(CKA_VERIFY), NO(CKA_WRAP), NO(CKA_UNWRAP), NO(CKA_DERIVE)};

/* CKA_MODIFIABLE must not stand here: with it SoftHSM refuses every unwrap. */
static const CK_OBJECT_CLASS class_private = CKO_PRIVATE_KEY;
static const CK_BBOOL yes = CK_TRUE;
static const CK_BBOOL no = CK_FALSE;
#define VALUE(v) (void *)(uintptr_t)&(v), sizeof(v)
static const CK_ATTRIBUTE unwrap_attrs[] = {
    {CKA_CLASS, VALUE(class_private)}, {CKA_PRIVATE, VALUE(yes)}, {CKA_SENSITIVE, VALUE(yes)},
    {CKA_TOKEN, VALUE(no)}, {CKA_EXTRACTABLE, VALUE(no)}, {CKA_UNWRAP, VALUE(no)}};
/* clang-format on */
#define UNWRAP_ATTRS (sizeof unwrap_attrs / sizeof *unwrap_attrs)

TABLE(table_ca_ec, "CA key", CKO_PRIVATE_KEY, ca_ec_rows, false);
TABLE(table_ca_rsa, "CA key", CKO_PRIVATE_KEY, ca_rsa_rows, false);
TABLE(table_kek, "KEK", CKO_SECRET_KEY, kek_rows, true);
TABLE(table_record, "record key", CKO_SECRET_KEY, record_rows, false);
TABLE(table_journal_ec, "journal key", CKO_PRIVATE_KEY, ca_ec_rows, false);
TABLE(table_journal_rsa, "journal key", CKO_PRIVATE_KEY, ca_rsa_rows, false);
TABLE(table_data, "spool or store key", CKO_SECRET_KEY, data_rows, false);
TABLE(table_pool_rsa, "pool key", CKO_PRIVATE_KEY, pool_rsa_rows, false);
TABLE(table_pool_ec, "pool key", CKO_PRIVATE_KEY, pool_ec_rows, false);
TABLE(table_sender_rsa, "sender key", CKO_PRIVATE_KEY, sender_rsa_rows, false);
TABLE(table_sender_ec, "sender key", CKO_PRIVATE_KEY, sender_ec_rows, false);
TABLE(table_half, "public half", CKO_PUBLIC_KEY, half_rows, false);
TABLE(table_half_session, "public half", CKO_PUBLIC_KEY, half_session_rows, false);
TABLE(table_derived, "shared secret", CKO_SECRET_KEY, derived_rows, false);

static void attr_put(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    if (t->n == TEMPLATE_ATTRS_MAX) {
        t->overflow = true;
        return;
    }
    t->attrs[t->n++] = (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, len};
}

static void bytes_put(struct template *t, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    if (value.len)
        attr_put(t, type, value.data, value.len);
}

static void allowed_put(struct template *t, const struct template_more *more)
{
    const CK_MECHANISM_TYPE all[] = {more->allowed, more->allowed_2, more->allowed_3};
    size_t n = 0;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i])
            t->allowed[n++] = all[i];
    if (n)
        attr_put(t, CKA_ALLOWED_MECHANISMS, t->allowed, n * sizeof *t->allowed);
}

enum err template_make(struct template *t, const struct key_table *table,
                       const struct template_more *more, bool with_optional)
{
    /* RSA public exponent 65537, big-endian. */
    static const uint8_t exponent[] = {0x01, 0x00, 0x01};
    bool allowed_too = with_optional || table->unwrap_template;

    *t = (struct template){0};
    for (size_t i = 0; i < table->n_rows; i++) {
        const struct attr_row *row = &table->rows[i];

        if (row->optional && !with_optional)
            continue;
        if (row->kind == ATTR_BOOL)
            attr_put(t, row->type, row->value ? &yes : &no, sizeof yes);
        else
            attr_put(t, row->type, &row->value, sizeof row->value);
    }
    bytes_put(t, CKA_LABEL, more->label);
    bytes_put(t, CKA_ID, more->id);
    bytes_put(t, CKA_EC_PARAMS, more->ec_params);
    if (more->modulus_bits) {
        attr_put(t, CKA_MODULUS_BITS, &more->modulus_bits, sizeof more->modulus_bits);
        attr_put(t, CKA_PUBLIC_EXPONENT, exponent, sizeof exponent);
    }
    if (more->value_len)
        attr_put(t, CKA_VALUE_LEN, &more->value_len, sizeof more->value_len);
    if (allowed_too)
        allowed_put(t, more);
    if (table->unwrap_template)
        attr_put(t, CKA_UNWRAP_TEMPLATE, unwrap_attrs, sizeof unwrap_attrs);
    attr_put(t, CKA_MODIFIABLE, &no, sizeof no);
    return t->overflow ? err_note(ERR_BUG, "template", "%s has too many attributes", table->name)
                       : ERR_OK;
}

struct ck_attrs template_attrs(struct template *t)
{
    return (struct ck_attrs){t->attrs, t->n};
}

/* One row against the token; optional ones may be unknown to it. */
static CK_RV row_check(struct ck_session *s, CK_OBJECT_HANDLE o, const struct attr_row *row,
                       bool *same_out)
{
    CK_ULONG number = 0;
    bool flag = false;
    CK_RV rv;

    *same_out = true;
    if (row->optional)
        return CKR_OK;
    if (row->kind == ATTR_BOOL) {
        rv = ck_get_bool(s, o, row->type, &flag);
        *same_out = rv == CKR_OK && flag == (row->value != 0);
    } else {
        rv = ck_get_ulong(s, o, row->type, &number);
        *same_out = rv == CKR_OK && number == row->value;
    }
    /* A token that does not know a usage does not allow it either. */
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID) {
        *same_out = row->kind == ATTR_BOOL && !row->value;
        rv = CKR_OK;
    }
    return rv;
}

/* ---- what makes a KEK a KEK ---- */

const CK_MECHANISM_TYPE wrap_mechanisms[WRAP_MECHANISMS] = {CKM_AES_KEY_WRAP_KWP,
                                                            CKM_AES_KEY_WRAP_PAD, CKM_AES_CBC_PAD};

/* Does the token keep a list of this length? */
static CK_RV length_check(struct ck_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type,
                          CK_ULONG len, const char **wrong_out)
{
    CK_ULONG kept = 0;
    CK_RV rv = ck_get_length(s, o, type, &kept);

    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || (rv == CKR_OK && kept != len)) {
        *wrong_out = attr_name(type);
        return CKR_OK;
    }
    return rv;
}

static bool unwrap_attr_is_kept(const CK_ATTRIBUTE *wanted, const CK_ATTRIBUTE *kept, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (kept[i].type == wanted->type)
            return kept[i].pValue && kept[i].ulValueLen == wanted->ulValueLen &&
                   memcmp(kept[i].pValue, wanted->pValue, wanted->ulValueLen) == 0;
    return false;
}

/* The template attribute by attribute: asked for their lengths first, PKCS#11 2.40 5.7. A token may
 * keep the list and not show what is in it; then its length has to do. */
static CK_RV unwrap_template_check(struct ck_session *s, CK_OBJECT_HANDLE o, const char **wrong_out)
{
    CK_ATTRIBUTE kept[UNWRAP_ATTRS] = {{0, NULL, 0}};
    CK_ATTRIBUTE list = {CKA_UNWRAP_TEMPLATE, kept, sizeof kept};
    CK_ULONG values[UNWRAP_ATTRS] = {0};
    CK_RV rv = length_check(s, o, CKA_UNWRAP_TEMPLATE, sizeof unwrap_attrs, wrong_out);

    if (rv != CKR_OK || *wrong_out)
        return rv;
    rv = ck_get_all(s, o, &list, 1);
    if (rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID)
        return CKR_OK;
    for (size_t i = 0; i < UNWRAP_ATTRS; i++)
        if (kept[i].ulValueLen <= sizeof values[i])
            kept[i].pValue = &values[i];
    list.ulValueLen = sizeof kept;
    if (rv == CKR_OK)
        rv = ck_get_all(s, o, &list, 1);
    for (size_t i = 0; rv == CKR_OK && !*wrong_out && i < UNWRAP_ATTRS; i++)
        if (!unwrap_attr_is_kept(&unwrap_attrs[i], kept, UNWRAP_ATTRS))
            *wrong_out = attr_name(CKA_UNWRAP_TEMPLATE);
    return rv;
}

/* One mechanism, and one that wraps. */
static CK_RV allowed_check(struct ck_session *s, CK_OBJECT_HANDLE o, const char **wrong_out)
{
    CK_MECHANISM_TYPE kept = 0;
    CK_ATTRIBUTE list = {CKA_ALLOWED_MECHANISMS, &kept, sizeof kept};
    CK_RV rv = length_check(s, o, CKA_ALLOWED_MECHANISMS, sizeof kept, wrong_out);

    if (rv == CKR_OK && !*wrong_out)
        rv = ck_get_all(s, o, &list, 1);
    if (rv != CKR_OK || *wrong_out)
        return rv;
    for (size_t i = 0; i < WRAP_MECHANISMS; i++)
        if (wrap_mechanisms[i] == kept)
            return CKR_OK;
    *wrong_out = attr_name(CKA_ALLOWED_MECHANISMS);
    return CKR_OK;
}

static CK_RV kek_check(struct ck_session *s, CK_OBJECT_HANDLE o, const char **wrong_out)
{
    CK_RV rv = unwrap_template_check(s, o, wrong_out);

    return rv != CKR_OK || *wrong_out ? rv : allowed_check(s, o, wrong_out);
}

/* All rows in one call, for a token on the far side of a network: true when every one is as the
 * table says. Where not, or where the token does not know one, the rows are asked one by one. */
static bool rows_all_good(struct ck_session *s, CK_OBJECT_HANDLE o, const struct key_table *table)
{
    CK_ATTRIBUTE attrs[TEMPLATE_ATTRS_MAX];
    CK_ULONG numbers[TEMPLATE_ATTRS_MAX] = {0};
    CK_BBOOL flags[TEMPLATE_ATTRS_MAX] = {0};
    CK_BBOOL modifiable = CK_TRUE;
    bool good = true;

    if (table->n_rows >= TEMPLATE_ATTRS_MAX)
        return false;
    for (size_t i = 0; i < table->n_rows; i++)
        attrs[i] = table->rows[i].kind == ATTR_BOOL
                       ? (CK_ATTRIBUTE){table->rows[i].type, &flags[i], sizeof flags[i]}
                       : (CK_ATTRIBUTE){table->rows[i].type, &numbers[i], sizeof numbers[i]};
    attrs[table->n_rows] = (CK_ATTRIBUTE){CKA_MODIFIABLE, &modifiable, sizeof modifiable};
    if (ck_get_all(s, o, attrs, table->n_rows + 1) != CKR_OK)
        return false;
    for (size_t i = 0; i < table->n_rows; i++) {
        const struct attr_row *row = &table->rows[i];

        good &= row->kind == ATTR_BOOL ? flags[i] == row->value : numbers[i] == row->value;
    }
    return good && !modifiable;
}

CK_RV template_check(struct ck_session *s, CK_OBJECT_HANDLE o, const struct key_table *table,
                     const char **wrong_out)
{
    static const struct attr_row unmodifiable = NO(CKA_MODIFIABLE);
    bool same;
    CK_RV rv;

    *wrong_out = NULL;
    if (table->unwrap_template) {
        rv = kek_check(s, o, wrong_out);
        if (rv != CKR_OK || *wrong_out)
            return rv;
    }
    if (rows_all_good(s, o, table))
        return CKR_OK;
    for (size_t i = 0; i <= table->n_rows; i++) {
        const struct attr_row *row = i < table->n_rows ? &table->rows[i] : &unmodifiable;

        rv = row_check(s, o, row, &same);
        if (rv != CKR_OK)
            return rv;
        if (!same) {
            *wrong_out = attr_name(row->type);
            return CKR_OK;
        }
    }
    return CKR_OK;
}

const char *attr_name(CK_ATTRIBUTE_TYPE type)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
    } names[] = {
        {CKA_CLASS, "CKA_CLASS"},
        {CKA_KEY_TYPE, "CKA_KEY_TYPE"},
        {CKA_TOKEN, "CKA_TOKEN"},
        {CKA_PRIVATE, "CKA_PRIVATE"},
        {CKA_SENSITIVE, "CKA_SENSITIVE"},
        {CKA_EXTRACTABLE, "CKA_EXTRACTABLE"},
        {CKA_SIGN, "CKA_SIGN"},
        {CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER"},
        {CKA_VERIFY, "CKA_VERIFY"},
        {CKA_VERIFY_RECOVER, "CKA_VERIFY_RECOVER"},
        {CKA_ENCRYPT, "CKA_ENCRYPT"},
        {CKA_DECRYPT, "CKA_DECRYPT"},
        {CKA_WRAP, "CKA_WRAP"},
        {CKA_UNWRAP, "CKA_UNWRAP"},
        {CKA_DERIVE, "CKA_DERIVE"},
        {CKA_COPYABLE, "CKA_COPYABLE"},
        {CKA_MODIFIABLE, "CKA_MODIFIABLE"},
        {CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE"},
        {CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE"},
        {CKA_LOCAL, "CKA_LOCAL"},
        {CKA_UNWRAP_TEMPLATE, "CKA_UNWRAP_TEMPLATE"},
        {CKA_ALLOWED_MECHANISMS, "CKA_ALLOWED_MECHANISMS"},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == type)
            return names[i].name;
    return "CKA_?";
}
