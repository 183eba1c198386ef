/* SPDX-License-Identifier: GPL-3.0-or-later */
/* provider.c - the provider itself: built into the process, loaded beside OpenSSL's own, and the
 * way from a certificate and a key reference to an EVP_PKEY.
 *
 * OpenSSL's own provider stays the preferred one for everything, so that only keys made here end in
 * the key service; and those do because they cannot be exported whole. */
#include "hsm/provider/provider.h"
#include "hsm/provider/key.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RSA_NAMES "RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define EC_NAMES  "EC:id-ecPublicKey:1.2.840.10045.2.1"

static const OSSL_ALGORITHM keymgmts[] = {
    {RSA_NAMES, PROVIDER_PROPERTIES, rsa_keymgmt_functions, "RSA key of the key service"},
    {EC_NAMES, PROVIDER_PROPERTIES, ec_keymgmt_functions, "EC key of the key service"},
    {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM signatures[] = {
    {RSA_NAMES, PROVIDER_PROPERTIES, signature_functions, "RSA PKCS#1 v1.5"},
    {"ECDSA", PROVIDER_PROPERTIES, signature_functions, "ECDSA"},
    {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM ciphers[] = {
    {RSA_NAMES, PROVIDER_PROPERTIES, cipher_functions, "RSA PKCS#1 v1.5 and OAEP"},
    {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM exchanges[] = {
    {"ECDH", PROVIDER_PROPERTIES, exchange_functions, "ECDH"}, {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *operations(void *context, int operation, int *no_cache)
{
    (void)context;
    *no_cache = 0;
    if (operation == OSSL_OP_KEYMGMT)
        return keymgmts;
    if (operation == OSSL_OP_SIGNATURE)
        return signatures;
    if (operation == OSSL_OP_ASYM_CIPHER)
        return ciphers;
    return operation == OSSL_OP_KEYEXCH ? exchanges : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))operations}, {0, NULL}};

    (void)in;
    *out = functions;
    *context = (void *)(uintptr_t)handle; /* must be something; we keep no state */
    return 1;
}

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
/* Held to the end of the process: a key may outlive whoever loaded us. */
static OSSL_PROVIDER *openssl_provider, *our_provider;
static bool loaded;

/* Loading any provider by hand stops OpenSSL from loading its own by itself. */
static void load(void)
{
    openssl_provider = OSSL_PROVIDER_load(NULL, "default");
    if (OSSL_PROVIDER_add_builtin(NULL, PROVIDER_NAME, provider_init))
        our_provider = OSSL_PROVIDER_load(NULL, PROVIDER_NAME);
    loaded =
        openssl_provider && our_provider && EVP_set_default_properties(NULL, "?provider=default");
}

enum err provider_load(void)
{
    (void)pthread_once(&load_once, load);
    return loaded ? ERR_OK : err_note_openssl(ERR_NOMEM, "OSSL_PROVIDER_load");
}

static void made_free(struct provided_key **key)
{
    provided_key_free(*key);
}

static enum err key_fill(struct provided_key *key, struct hsm *h, const struct hsm_key_ref *ref,
                         X509 *cert)
{
    unsigned char *spki = NULL;
    int spki_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);

    key->public = X509_get_pubkey(cert);
    if (spki_len > 0)
        buf_append(&key->spki, spki, (size_t)spki_len);
    OPENSSL_free(spki);
    if (!key->public || spki_len <= 0)
        return err_note_openssl(ERR_FORMAT, "X509_get_pubkey");
    key->hsm = h;
    key->profile = strdup(ref->profile);
    key->reverse = strdup(ref->reverse);
    buf_append_bytes(&key->blob, ref->blob);
    if (!key->profile || !key->reverse)
        return err_note(ERR_NOMEM, "provider", "out of memory");
    return buf_error(&key->blob) ? ERR_NOMEM : buf_error(&key->spki);
}

static const char *type_of(X509 *cert)
{
    const EVP_PKEY *public = X509_get0_pubkey(cert);

    if (public && EVP_PKEY_is_a(public, "RSA"))
        return "RSA";
    return public && EVP_PKEY_is_a(public, "EC") ? "EC" : NULL;
}

enum err provider_key(struct hsm *h, const struct hsm_key_ref *key, X509 *cert, EVP_PKEY **out)
{
    const char *type = type_of(cert);
    CLEANUP(made_free) struct provided_key *made = NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(PROVIDER_PARAM_KEY, &made, sizeof(void *)),
        OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *context;
    enum err e;

    if (!type)
        return err_note(ERR_FORMAT, "provider", "certificate's key is neither RSA nor EC");
    made = provided_key_new(type);
    e = made ? key_fill(made, h, key, cert) : err_note(ERR_NOMEM, "provider", "out of memory");
    if (e)
        return e;
    context = EVP_PKEY_CTX_new_from_name(NULL, type, PROVIDER_PROPERTIES);
    *out = NULL;
    if (!context || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, out, EVP_PKEY_KEYPAIR, params) <= 0)
        e = err_note_openssl(ERR_NOMEM, "EVP_PKEY_fromdata");
    EVP_PKEY_CTX_free(context);
    return e;
}

enum err provider_key_expect(EVP_PKEY *key, size_t len)
{
    const OSSL_PROVIDER *of = EVP_PKEY_get0_provider(key);

    if (!of || strcmp(OSSL_PROVIDER_get0_name(of), PROVIDER_NAME) != 0)
        return err_note(ERR_USAGE, "provider_key_expect", "a key of somebody else");
    return EVP_PKEY_set_size_t_param(key, PROVIDER_PARAM_CONTENT_KEY_LEN, len) == 1
               ? ERR_OK
               : err_note_openssl(ERR_USAGE, "provider_key_expect");
}
