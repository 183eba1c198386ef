/* SPDX-License-Identifier: GPL-3.0-or-later */
/* csr.c - judges users' requests, composes the intermediate's. */
#include "hsm/issue/csr.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#define CSR_DER_MAX ((size_t)32 * 1024)

static enum err refused(const char *what)
{
    ERR_clear_error();
    return err_note(ERR_REFUSED, "certificate request", "%s", what);
}

static bool eku_is_mail(X509_EXTENSION *ext)
{
    EXTENDED_KEY_USAGE *eku = X509V3_EXT_d2i(ext);
    bool good = eku && sk_ASN1_OBJECT_num(eku) == 1 &&
                OBJ_obj2nid(sk_ASN1_OBJECT_value(eku, 0)) == NID_email_protect;

    EXTENDED_KEY_USAGE_free(eku);
    return good;
}

static bool address_is_own(const ASN1_STRING *s, char *const *addresses, size_t n)
{
    struct bytes got = {ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};

    for (size_t i = 0; i < n; i++)
        if (bytes_equal_nocase(got, addresses[i]))
            return true;
    return false;
}

static bool san_is_own(X509_EXTENSION *ext, char *const *addresses, size_t n)
{
    GENERAL_NAMES *names = X509V3_EXT_d2i(ext);
    bool good = names && sk_GENERAL_NAME_num(names) > 0;

    for (int i = 0; good && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        good = name->type == GEN_EMAIL && address_is_own(name->d.rfc822Name, addresses, n);
    }
    GENERAL_NAMES_free(names);
    return good;
}

static bool is_leaf_basic(X509_EXTENSION *ext)
{
    BASIC_CONSTRAINTS *b = X509V3_EXT_d2i(ext);
    bool good = b && !b->ca && !b->pathlen;

    BASIC_CONSTRAINTS_free(b);
    return good;
}

/* keyCertSign and cRLSign are not a user's. */
static bool is_leaf_usage(X509_EXTENSION *ext)
{
    ASN1_BIT_STRING *bits = X509V3_EXT_d2i(ext);
    bool good = bits && !ASN1_BIT_STRING_get_bit(bits, 5) && !ASN1_BIT_STRING_get_bit(bits, 6);

    ASN1_BIT_STRING_free(bits);
    return good;
}

static bool extension_is_allowed(X509_EXTENSION *ext, char *const *addresses, size_t n)
{
    switch (OBJ_obj2nid(X509_EXTENSION_get_object(ext))) {
    case NID_key_usage:
        return is_leaf_usage(ext);
    case NID_basic_constraints:
        return is_leaf_basic(ext);
    case NID_ext_key_usage:
        return eku_is_mail(ext);
    case NID_subject_alt_name:
        return san_is_own(ext, addresses, n);
    case NID_subject_key_identifier:
        return true;
    default:
        return false;
    }
}

static enum err extensions_check(X509_REQ *csr, char *const *addresses, size_t n)
{
    STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(csr);
    enum err e = ERR_OK;

    for (int i = 0; !e && i < sk_X509_EXTENSION_num(list); i++)
        if (!extension_is_allowed(sk_X509_EXTENSION_value(list, i), addresses, n))
            e = refused("asks for an extension that is not a user's");
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    return e;
}

static enum err spki_take(X509_REQ *csr, struct buf *out)
{
    uint8_t *der = NULL;
    int len = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(csr), &der);

    if (len <= 0)
        return err_note_openssl(ERR_NOMEM, "i2d_X509_PUBKEY");
    buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return buf_error(out);
}

enum err csr_check(X509_REQ *csr, enum key_type type, char *const *addresses, size_t n_addresses,
                   struct buf *spki_out, EVP_PKEY **key_out)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(csr);
    CLEANUP(buf_clear) struct buf spki = {0};
    CLEANUP(buf_clear) struct buf again = {0};
    enum err e;

    if (!key)
        return refused("its key is not readable");
    e = spki_take(csr, &spki);
    if (!e)
        e = key_check(key, buf_bytes(&spki), type);
    /* The certificate will carry the key encoded anew: it must be the key that was vouched for. */
    if (!e)
        e = key_spki(key, &again);
    if (!e && !bytes_equal(buf_bytes(&spki), buf_bytes(&again)))
        e = refused("its key is not in canonical form");
    if (!e && X509_REQ_verify(csr, key) != 1)
        e = refused("no proof of possession: its signature is wrong");
    if (!e)
        e = extensions_check(csr, addresses, n_addresses);
    if (e)
        return e;
    if (spki_out)
        buf_append_bytes(spki_out, buf_bytes(&spki));
    if (spki_out && buf_error(spki_out))
        return ERR_NOMEM;
    if (key_out && EVP_PKEY_up_ref(key) == 1)
        *key_out = key;
    return ERR_OK;
}

enum err csr_parse(struct bytes der, X509_REQ **out)
{
    const uint8_t *p = der.data;
    X509_REQ *csr =
        der.len && der.len <= CSR_DER_MAX ? d2i_X509_REQ(NULL, &p, (long)der.len) : NULL;

    if (!csr || p != der.data + der.len) {
        X509_REQ_free(csr);
        return err_note_openssl(ERR_FORMAT, "certificate request");
    }
    *out = csr;
    return ERR_OK;
}

enum err csr_compose(const struct cert_values *v, EVP_PKEY *key, X509_REQ **out)
{
    const struct {
        const char *attribute, *value;
    } parts[] = {{"C", v->country}, {"O", v->organisation}, {"CN", v->common_name}};
    X509_REQ *csr = X509_REQ_new();
    X509_NAME *name = X509_NAME_new();
    bool ok = csr && name && X509_REQ_set_version(csr, X509_REQ_VERSION_1) == 1;

    for (size_t i = 0; ok && i < sizeof parts / sizeof *parts; i++)
        ok = X509_NAME_add_entry_by_txt(name, parts[i].attribute, MBSTRING_UTF8,
                                        (const uint8_t *)parts[i].value, -1, -1, 0) == 1;
    ok = ok && X509_REQ_set_subject_name(csr, name) == 1 && X509_REQ_set_pubkey(csr, key) == 1;
    X509_NAME_free(name);
    if (!ok) {
        X509_REQ_free(csr);
        return err_note_openssl(ERR_NOMEM, "certificate request");
    }
    *out = csr;
    return ERR_OK;
}
