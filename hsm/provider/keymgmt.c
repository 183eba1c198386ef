/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keymgmt.c - key management: the public half is OpenSSL's own key and answers every question.
 *
 * A key with a private half refuses to be exported whole: only then does OpenSSL use it with our
 * operations instead of copying its public half to another provider. A private key of OpenSSL's own
 * is not taken in either. */
#include "hsm/provider/key.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

static void *rsa_new(void *context)
{
    (void)context;
    return provided_key_new("RSA");
}

static void *ec_new(void *context)
{
    (void)context;
    return provided_key_new("EC");
}

static void key_free(void *key)
{
    provided_key_free(key);
}

static int key_has(const void *data, int selection)
{
    const struct provided_key *key = data;

    if (!key || ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) && !key->hsm))
        return 0;
    return key->public || !(selection & OSSL_KEYMGMT_SELECT_KEYPAIR);
}

static int key_match(const void *one, const void *two, int selection)
{
    const struct provided_key *a = one, *b = two;

    if (!a->public || !b->public)
        return 0;
    if (selection & OSSL_KEYMGMT_SELECT_KEYPAIR)
        return EVP_PKEY_eq(a->public, b->public) == 1;
    return EVP_PKEY_parameters_eq(a->public, b->public) == 1;
}

/* ---- in and out ---- */

/* What provider_key made: its fields move into the key OpenSSL has just asked for. */
static int key_adopt(struct provided_key *key, const OSSL_PARAM *param)
{
    const void *address = NULL;
    size_t len = 0;
    struct provided_key *made;

    if (!OSSL_PARAM_get_octet_string_ptr(param, &address, &len) || len != sizeof(void *))
        return 0;
    memcpy(&made, address, sizeof(void *));
    if (strcmp(made->type, key->type) != 0 || key->public)
        return 0;
    key->public = made->public;
    key->hsm = made->hsm;
    key->profile = made->profile;
    key->reverse = made->reverse;
    key->blob = made->blob;
    key->spki = made->spki;
    key->content_key_len = made->content_key_len;
    *made = (struct provided_key){.users = 1, .type = made->type};
    return 1;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
    struct provided_key *key = data;
    const OSSL_PARAM *ours = OSSL_PARAM_locate_const(params, PROVIDER_PARAM_KEY);
    int part =
        selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEY_PARAMETERS;
    EVP_PKEY_CTX *context;
    int ok;

    if (ours)
        return key_adopt(key, ours);
    if (OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY) ||
        OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_D))
        return 0;
    context = EVP_PKEY_CTX_new_from_name(NULL, key->type, "provider=default");
    ok = context && EVP_PKEY_fromdata_init(context) > 0 &&
         EVP_PKEY_fromdata(context, &key->public, part, (OSSL_PARAM *)(uintptr_t)params) > 0;
    EVP_PKEY_CTX_free(context);
    return ok;
}

static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *arg)
{
    struct provided_key *key = data;
    int part =
        selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEY_PARAMETERS;
    OSSL_PARAM *params = NULL;
    int ok;

    if (!key->public || (key->hsm && (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)))
        return 0;
    if (EVP_PKEY_todata(key->public, part, &params) <= 0)
        return 0;
    ok = callback(params, arg);
    OSSL_PARAM_free(params);
    return ok;
}

/* The parameters OpenSSL may exchange with us. */
static const OSSL_PARAM *rsa_types(int selection)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
                                       OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
                                       OSSL_PARAM_octet_string(PROVIDER_PARAM_KEY, NULL, 0),
                                       OSSL_PARAM_END};
    (void)selection;
    return types;
}

static const OSSL_PARAM *ec_types(int selection)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                       OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                       OSSL_PARAM_octet_string(PROVIDER_PARAM_KEY, NULL, 0),
                                       OSSL_PARAM_END};

    (void)selection;
    return types;
}

/* A key agreement's peer begins as a copy of our key's parameters, its point set later. */
static void *key_dup(const void *data, int selection)
{
    const struct provided_key *from = data;
    struct provided_key *to;
    bool ok;

    if (from->hsm && (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY))
        return provided_key_use((struct provided_key *)(uintptr_t)from);
    to = provided_key_new(from->type);
    if (!to || !from->public)
        return to;
    if (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) {
        to->public = EVP_PKEY_dup(from->public);
        ok = to->public != NULL;
    } else {
        to->public = EVP_PKEY_new();
        ok = to->public && EVP_PKEY_copy_parameters(to->public, from->public) == 1;
    }
    if (ok)
        return to;
    provided_key_free(to);
    return NULL;
}

/* ---- parameters ---- */

static int key_get_params(void *data, OSSL_PARAM params[])
{
    const struct provided_key *key = data;

    return key->public && EVP_PKEY_get_params(key->public, params);
}

static const OSSL_PARAM *key_gettable(void *context)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_END};

    (void)context;
    return params;
}

/* Of a peer only its point is ever set, of our own keys what they will unwrap. */
static int key_set_params(void *data, const OSSL_PARAM params[])
{
    struct provided_key *key = data;
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, PROVIDER_PARAM_CONTENT_KEY_LEN);
    size_t n = 0;

    if (key->hsm) {
        if (!p || !OSSL_PARAM_get_size_t(p, &n) || n > CONTENT_KEY_LEN_MAX)
            return 0;
        key->content_key_len = n;
        return 1;
    }
    return key->public && EVP_PKEY_set_params(key->public, (OSSL_PARAM *)(uintptr_t)params);
}

static const OSSL_PARAM *key_settable(void *context)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_size_t(PROVIDER_PARAM_CONTENT_KEY_LEN, NULL), OSSL_PARAM_END};

    (void)context;
    return params;
}

static const char *rsa_operation_name(int operation)
{
    (void)operation;
    return "RSA";
}

static const char *ec_operation_name(int operation)
{
    return operation == OSSL_OP_KEYEXCH ? "ECDH" : "ECDSA";
}

#define FN(id, function)                                                                           \
    {                                                                                              \
        id, (void (*)(void))(function)                                                             \
    }

/* clang-format off */
#define KEYMGMT(name, new_function, types_function, operation_function)                            \
    const OSSL_DISPATCH name[] = {                                                                 \
        FN(OSSL_FUNC_KEYMGMT_NEW, new_function),                                                   \
        FN(OSSL_FUNC_KEYMGMT_FREE, key_free),                                                      \
        FN(OSSL_FUNC_KEYMGMT_HAS, key_has),                                                        \
        FN(OSSL_FUNC_KEYMGMT_MATCH, key_match),                                                    \
        FN(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                                                  \
        FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, types_function),                                        \
        FN(OSSL_FUNC_KEYMGMT_EXPORT, key_export),                                                  \
        FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, types_function),                                        \
        FN(OSSL_FUNC_KEYMGMT_DUP, key_dup),                                                        \
        FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                                          \
        FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable),                                       \
        FN(OSSL_FUNC_KEYMGMT_SET_PARAMS, key_set_params),                                          \
        FN(OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, key_settable),                                       \
        FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, operation_function),                            \
        {0, NULL}}
/* clang-format on */

KEYMGMT(rsa_keymgmt_functions, rsa_new, rsa_types, rsa_operation_name);
KEYMGMT(ec_keymgmt_functions, ec_new, ec_types, ec_operation_name);
