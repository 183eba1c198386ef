/* SPDX-License-Identifier: GPL-3.0-or-later */
/* template.h - which attributes each kind of key has, as data.
 *
 * Internal to hsm/token. Every usage attribute is set on every key, for a token's default may be
 * TRUE (SoftHSM's is). Every key ends in CKA_MODIFIABLE=FALSE, which comes last: an attribute set
 * after it is refused. What a table says is read back before a key is used. */
#ifndef SEALRELAY_HSM_TOKEN_TEMPLATE_H
#define SEALRELAY_HSM_TOKEN_TEMPLATE_H

#include "hsm/token/cryptoki.h"

#define TEMPLATE_ATTRS_MAX   32
#define TEMPLATE_ALLOWED_MAX 4

enum attr_kind { ATTR_BOOL, ATTR_ULONG };

struct attr_row {
    CK_ATTRIBUTE_TYPE type;
    CK_ULONG value;
    enum attr_kind kind;
    bool optional; /* left out where the token does not know it; token_report then says so */
};

struct key_table {
    const char *name;
    CK_OBJECT_CLASS class;
    const struct attr_row *rows;
    size_t n_rows;
    bool unwrap_template; /* a KEK: whatever it unwraps gets unwrap_rows at least */
};

/* The kinds of keys. "half" is the public object beside a private key. */
extern const struct key_table table_ca_ec, table_ca_rsa, table_kek, table_record, table_journal_ec,
    table_journal_rsa, table_data, table_pool_rsa, table_pool_ec, table_sender_rsa, table_sender_ec,
    table_half, table_half_session, table_derived;

/* One template being put together. Zeroed before use; values borrowed. */
struct template
{
    CK_ATTRIBUTE attrs[TEMPLATE_ATTRS_MAX];
    CK_ULONG n;
    CK_MECHANISM_TYPE allowed[TEMPLATE_ALLOWED_MAX];
    bool overflow;
};

/* What a template gets besides its table. */
struct template_more {
    struct bytes label;
    struct bytes id;
    struct bytes ec_params;    /* public half of an EC key */
    CK_ULONG modulus_bits;     /* public half of an RSA key */
    CK_ULONG value_len;        /* secret key */
    CK_MECHANISM_TYPE allowed; /* 0: no CKA_ALLOWED_MECHANISMS */
    CK_MECHANISM_TYPE allowed_2;
    CK_MECHANISM_TYPE allowed_3;
};

/* template_make - the whole template of a key; optional rows only when asked. more is borrowed for
 * as long as the template is used. Errors: ERR_BUG (too many attributes). */
enum err template_make(struct template *t, const struct key_table *table,
                       const struct template_more *more, bool with_optional);
struct ck_attrs template_attrs(struct template *t);

/* The mechanisms a KEK may have for its one, the best first. */
#define WRAP_MECHANISMS 3
extern const CK_MECHANISM_TYPE wrap_mechanisms[WRAP_MECHANISMS];

/* template_check - does the token keep what the table says? wrong_out: static name of the first
 * attribute that differs, NULL when all agree. */
CK_RV template_check(struct ck_session *s, CK_OBJECT_HANDLE o, const struct key_table *table,
                     const char **wrong_out);

/* attr_name - "CKA_SIGN"; "CKA_?" for those no table has. Static. */
const char *attr_name(CK_ATTRIBUTE_TYPE type);

#endif
