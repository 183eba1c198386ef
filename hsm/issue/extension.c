/* SPDX-License-Identifier: GPL-3.0-or-later */
/* extension.c - certificate extensions as typed values (RFC 5280 4.2), never as configuration
 * text. Each function builds one value, adds it and frees it. */
#include "hsm/issue/extension.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

static enum err add(X509 *cert, int nid, void *value, int critical)
{
    if (X509_add1_ext_i2d(cert, nid, value, critical, X509V3_ADD_DEFAULT) != 1)
        return err_note_openssl(ERR_FORMAT, "X509_add1_ext_i2d");
    return ERR_OK;
}

static ASN1_IA5STRING *ia5_new(const char *text)
{
    ASN1_IA5STRING *s = ASN1_IA5STRING_new();

    if (s && ASN1_STRING_set(s, text, (int)strlen(text)) != 1) {
        ASN1_IA5STRING_free(s);
        s = NULL;
    }
    return s;
}

/* A general name that holds an IA5String: rfc822Name, dNSName or URI. */
static GENERAL_NAME *name_new(int type, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *s = ia5_new(text);

    if (!name || !s) {
        GENERAL_NAME_free(name);
        ASN1_IA5STRING_free(s);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, type, s);
    return name;
}

/* Give name to names; frees it when there is no room. */
static bool names_push(GENERAL_NAMES *names, GENERAL_NAME *name)
{
    if (names && name && sk_GENERAL_NAME_push(names, name) > 0)
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static bool is_ia5(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= 0x20 || (unsigned char)*s > 0x7e)
            return false;
    return true;
}

enum err extension_ca(X509 *cert, int pathlen)
{
    BASIC_CONSTRAINTS *b = BASIC_CONSTRAINTS_new();
    enum err e = ERR_NOMEM;

    if (!b)
        return e;
    b->ca = 0xff;
    if (pathlen >= 0) {
        b->pathlen = ASN1_INTEGER_new();
        if (!b->pathlen || ASN1_INTEGER_set(b->pathlen, pathlen) != 1)
            goto done;
    }
    e = add(cert, NID_basic_constraints, b, 1);
done:
    BASIC_CONSTRAINTS_free(b);
    return e;
}

enum err extension_usage(X509 *cert, const int *bits)
{
    ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
    enum err e = usage ? ERR_OK : ERR_NOMEM;

    for (; !e && *bits >= 0; bits++)
        if (ASN1_BIT_STRING_set_bit(usage, *bits, 1) != 1)
            e = ERR_NOMEM;
    if (!e)
        e = add(cert, NID_key_usage, usage, 1);
    ASN1_BIT_STRING_free(usage);
    return e;
}

enum err extension_email_protection(X509 *cert)
{
    EXTENDED_KEY_USAGE *usage = sk_ASN1_OBJECT_new_null();
    enum err e = ERR_NOMEM;

    /* OBJ_nid2obj hands out a static object: it must not be freed with the stack. */
    if (usage && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_email_protect)) > 0)
        e = add(cert, NID_ext_key_usage, usage, 0);
    sk_ASN1_OBJECT_free(usage);
    return e;
}

/* SHA-1 of the public key's bits, RFC 5280 4.2.1.2 method 1: a name, not a defence. */
static enum err key_id(X509 *cert)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    enum err e = ERR_NOMEM;

    if (id && X509_pubkey_digest(cert, EVP_sha1(), digest, &len) == 1 &&
        ASN1_OCTET_STRING_set(id, digest, (int)len) == 1)
        e = add(cert, NID_subject_key_identifier, id, 0);
    ASN1_OCTET_STRING_free(id);
    return e;
}

static AUTHORITY_KEYID *authority_of(const X509 *issuer)
{
    ASN1_OCTET_STRING *id = X509_get_ext_d2i(issuer, NID_subject_key_identifier, NULL, NULL);
    AUTHORITY_KEYID *authority = id ? AUTHORITY_KEYID_new() : NULL;

    if (!authority)
        ASN1_OCTET_STRING_free(id);
    else
        authority->keyid = id;
    return authority;
}

enum err extension_key_ids(X509 *cert, const X509 *issuer)
{
    AUTHORITY_KEYID *authority;
    enum err e = key_id(cert);

    if (e || !issuer)
        return e;
    authority = authority_of(issuer);
    e = authority ? add(cert, NID_authority_key_identifier, authority, 0)
                  : err_note_openssl(ERR_FORMAT, "issuer's key id");
    AUTHORITY_KEYID_free(authority);
    return e;
}

enum err extension_addresses(X509 *cert, const char *const *addresses, size_t n)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    enum err e = names ? ERR_OK : ERR_NOMEM;

    for (size_t i = 0; !e && i < n; i++)
        if (!is_ia5(addresses[i]))
            e = err_note(ERR_FORMAT, "subjectAltName", "address is not ASCII");
        else if (!names_push(names, name_new(GEN_EMAIL, addresses[i])))
            e = ERR_NOMEM;
    if (!e)
        e = n ? add(cert, NID_subject_alt_name, names, 0) : ERR_FORMAT;
    GENERAL_NAMES_free(names);
    return e;
}

enum err extension_policy(X509 *cert, const char *oid)
{
    CERTIFICATEPOLICIES *policies = sk_POLICYINFO_new_null();
    POLICYINFO *policy = POLICYINFO_new();
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    enum err e;

    if (!object) {
        e = err_note_openssl(ERR_FORMAT, "policy OID");
    } else if (!policies || !policy || sk_POLICYINFO_push(policies, policy) <= 0) {
        e = ERR_NOMEM;
    } else {
        policy->policyid = object;
        e = add(cert, NID_certificate_policies, policies, 0);
        CERTIFICATEPOLICIES_free(policies); /* with policy and object in it */
        return e;
    }
    ASN1_OBJECT_free(object);
    POLICYINFO_free(policy);
    CERTIFICATEPOLICIES_free(policies);
    return e;
}

static bool is_http_url(const char *url)
{
    return strncmp(url, "http://", 7) == 0 && url[7] && is_ia5(url);
}

enum err extension_crl_url(X509 *cert, const char *url)
{
    CRL_DIST_POINTS *points = sk_DIST_POINT_new_null();
    DIST_POINT *point = DIST_POINT_new();
    enum err e = ERR_NOMEM;

    if (!points || !point || sk_DIST_POINT_push(points, point) <= 0) {
        DIST_POINT_free(point);
        goto done;
    }
    point->distpoint = DIST_POINT_NAME_new();
    if (!point->distpoint)
        goto done;
    point->distpoint->type = 0;
    point->distpoint->name.fullname = sk_GENERAL_NAME_new_null();
    if (!is_http_url(url))
        e = err_note(ERR_FORMAT, "cRLDistributionPoints", "not an http URL");
    else if (names_push(point->distpoint->name.fullname, name_new(GEN_URI, url)))
        e = add(cert, NID_crl_distribution_points, points, 0);
done:
    CRL_DIST_POINTS_free(points);
    return e;
}

enum err extension_aia_url(X509 *cert, const char *url)
{
    AUTHORITY_INFO_ACCESS *access = sk_ACCESS_DESCRIPTION_new_null();
    ACCESS_DESCRIPTION *one = ACCESS_DESCRIPTION_new();
    enum err e = ERR_NOMEM;

    if (!access || !one || sk_ACCESS_DESCRIPTION_push(access, one) <= 0) {
        ACCESS_DESCRIPTION_free(one);
        goto done;
    }
    one->method = OBJ_nid2obj(NID_ad_ca_issuers);
    GENERAL_NAME_free(one->location);
    one->location = name_new(GEN_URI, url);
    if (!is_http_url(url))
        e = err_note(ERR_FORMAT, "authorityInfoAccess", "not an http URL");
    else if (one->location)
        e = add(cert, NID_info_access, access, 0);
done:
    AUTHORITY_INFO_ACCESS_free(access);
    return e;
}

/* name: taken. */
static bool subtree_push(STACK_OF(GENERAL_SUBTREE) * subtrees, GENERAL_NAME *name)
{
    GENERAL_SUBTREE *subtree = name ? GENERAL_SUBTREE_new() : NULL;

    if (!subtree) {
        GENERAL_NAME_free(name);
        return false;
    }
    GENERAL_NAME_free(subtree->base);
    subtree->base = name;
    if (sk_GENERAL_SUBTREE_push(subtrees, subtree) > 0)
        return true;
    GENERAL_SUBTREE_free(subtree);
    return false;
}

/* An address and mask of zeros: every address of that length. */
static GENERAL_NAME *every_ip(int len)
{
    static const uint8_t zeros[32];
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *ip = ASN1_OCTET_STRING_new();

    if (!name || !ip || ASN1_OCTET_STRING_set(ip, zeros, len) != 1) {
        GENERAL_NAME_free(name);
        ASN1_OCTET_STRING_free(ip);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, GEN_IPADD, ip);
    return name;
}

static enum err permit(NAME_CONSTRAINTS *c, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_ia5(names[i]) || !names[i][0])
            return err_note(ERR_FORMAT, "nameConstraints", "name is empty or not ASCII");
        if (!subtree_push(c->permittedSubtrees, name_new(GEN_EMAIL, names[i])))
            return ERR_NOMEM;
    }
    return ERR_OK;
}

enum err extension_name_constraints(X509 *cert, const struct cert_values *values)
{
    NAME_CONSTRAINTS *c = NAME_CONSTRAINTS_new();
    enum err e = ERR_NOMEM;

    if (!c)
        return e;
    c->permittedSubtrees = sk_GENERAL_SUBTREE_new_null();
    c->excludedSubtrees = sk_GENERAL_SUBTREE_new_null();
    if (!c->permittedSubtrees || !c->excludedSubtrees)
        goto done;
    e = permit(c, values->domains, values->n_domains);
    if (!e)
        e = permit(c, values->addresses, values->n_addresses);
    if (!e && (!subtree_push(c->excludedSubtrees, name_new(GEN_DNS, "")) ||
               !subtree_push(c->excludedSubtrees, every_ip(8)) ||
               !subtree_push(c->excludedSubtrees, every_ip(32))))
        e = ERR_NOMEM;
    if (!e)
        e = add(cert, NID_name_constraints, c, 0);
done:
    NAME_CONSTRAINTS_free(c);
    return e;
}

enum err extension_crl(X509_CRL *crl, const X509 *issuer, uint64_t number)
{
    AUTHORITY_KEYID *authority = authority_of(issuer);
    ASN1_INTEGER *n = ASN1_INTEGER_new();
    enum err e = ERR_OK;

    if (!authority || !n || ASN1_INTEGER_set_uint64(n, number) != 1 ||
        X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, authority, 0, 0) != 1 ||
        X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, 0, 0) != 1)
        e = err_note_openssl(ERR_FORMAT, "CRL extensions");
    AUTHORITY_KEYID_free(authority);
    ASN1_INTEGER_free(n);
    return e;
}
