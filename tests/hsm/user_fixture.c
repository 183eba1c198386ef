/* SPDX-License-Identifier: GPL-3.0-or-later */
/* user_fixture.c - root, intermediate, CRL, statement and CSR of a test user. */
#include "tests/hsm/user_fixture.h"

#include "daemon/base/clock.h"
#include "daemon/base/codec.h"
#include "hsm/issue/certificate.h"

#include <cjson/cJSON.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#define DAY_S     86400
#define NAMES_MAX 16

struct enrolling {
    const cJSON *request;
    struct cert_values values;
    const char *domains[NAMES_MAX];
    const char *addresses[NAMES_MAX];
    EVP_PKEY *root_key;
    EVP_PKEY *ca_key;
    X509_CRL *crl;
    X509_REQ *csr;
    struct buf statement;
    int64_t now_s;
};

static const char *text_of(const struct enrolling *n, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(n->request, name));
}

static int64_t days_of(const struct enrolling *n, const char *name)
{
    return (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(n->request, name));
}

static size_t list_of(const struct enrolling *n, const char *name, const char *out[NAMES_MAX])
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(n->request, name);
    size_t count = 0;

    for (const cJSON *i = list ? list->child : NULL; i && count < NAMES_MAX; i = i->next)
        out[count++] = i->valuestring;
    return count;
}

static void values_read(struct enrolling *n)
{
    n->values.country = text_of(n, "country");
    n->values.organisation = text_of(n, "organisation");
    n->values.domains = n->domains;
    n->values.n_domains = list_of(n, "relay_domains", n->domains);
    n->values.addresses = n->addresses;
    n->values.n_addresses = list_of(n, "addresses", n->addresses);
}

static EVP_PKEY *key_make(const char *type)
{
    if (type && strcmp(type, "p-384") == 0)
        return EVP_EC_gen("P-384");
    if (type && strcmp(type, "p-256") == 0)
        return EVP_EC_gen("P-256");
    return EVP_RSA_gen(type && strcmp(type, "rsa-3072") == 0 ? 3072u : 2048u);
}

static enum err csr_key(struct enrolling *n)
{
    const char *pem = text_of(n, "csr");
    BIO *bio = BIO_new_mem_buf(pem ? pem : "", -1);
    X509_REQ *csr = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);

    n->ca_key = csr ? X509_REQ_get_pubkey(csr) : NULL;
    X509_REQ_free(csr);
    BIO_free(bio);
    return n->ca_key ? ERR_OK : err_note(ERR_FORMAT, "request", "no CSR");
}

static struct cert_dates ca_dates(const struct enrolling *n, const char *days)
{
    int64_t from = n->now_s - CERT_BACKDATE_CA_DAYS * (int64_t)DAY_S;

    return (struct cert_dates){from, from + days_of(n, days) * DAY_S - 1};
}

static enum err certificates_make(struct enrolling *n, struct user_fixture *u)
{
    struct cert_dates root = ca_dates(n, "root_days");
    struct cert_dates intermediate = ca_dates(n, "intermediate_days");
    struct crl_dates crl = {n->now_s - DAY_S, root.not_after_s};
    enum err e;

    n->values.common_name = text_of(n, "root_name");
    e = cert_compose(CERT_ROOT, &n->values, NULL, n->root_key, &root, &u->root);
    if (!e)
        e = cert_sign(u->root, n->root_key);
    n->values.common_name = text_of(n, "intermediate_name");
    n->values.policy_oid = text_of(n, "policy_oid");
    n->values.crl_url = text_of(n, "crl_url");
    n->values.aia_url = text_of(n, "aia_url");
    if (!e)
        e = cert_compose(CERT_INTERMEDIATE, &n->values, u->root, n->ca_key, &intermediate,
                         &u->intermediate);
    if (!e)
        e = cert_sign(u->intermediate, n->root_key);
    if (!e)
        e = crl_compose(u->root, NULL, 0, 1, &crl, &n->crl);
    return e ? e : crl_sign(n->crl, n->root_key);
}

static enum err statement_make(struct enrolling *n, struct user_fixture *u)
{
    CLEANUP(buf_clear) struct buf text = {0};
    char ca[CERT_SPKI_HEX_LEN + 1], user[CERT_SPKI_HEX_LEN + 1];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = EVP_PKEY_is_a(n->root_key, "RSA") ? EVP_sha256() : EVP_sha384();
    uint8_t signature[1024];
    size_t len = sizeof signature;
    enum err e = cert_spki_hash(n->ca_key, ca);

    if (!e)
        e = cert_spki_hash(u->key, user);
    if (!e)
        e = enrolment_statement_text(text_of(n, "profile"), &n->values, ca, user, &text);
    if (!e && (!ctx || EVP_DigestSignInit(ctx, NULL, md, NULL, n->root_key) != 1 ||
               EVP_DigestSign(ctx, signature, &len, text.data, text.len) != 1))
        e = err_note_openssl(ERR_BUG, "statement");
    EVP_MD_CTX_free(ctx);
    if (!e)
        base64_append(&n->statement, (struct bytes){signature, len});
    return e;
}

static enum err csr_make(struct enrolling *n, struct user_fixture *u)
{
    X509_NAME *name = X509_NAME_new();

    n->csr = X509_REQ_new();
    if (!name || !n->csr ||
        !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)n->addresses[0], -1,
                                    -1, 0) ||
        !X509_REQ_set_subject_name(n->csr, name) || !X509_REQ_set_pubkey(n->csr, u->key) ||
        !X509_REQ_sign(n->csr, u->key, EVP_sha256())) {
        X509_NAME_free(name);
        return err_note_openssl(ERR_BUG, "csr");
    }
    X509_NAME_free(name);
    return ERR_OK;
}

static bool add_pem(cJSON *json, const char *name, BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    CLEANUP(buf_clear) struct buf text = {0};

    if (len <= 0)
        return false;
    buf_append(&text, data, (size_t)len);
    (void)BIO_reset(bio);
    return cJSON_AddStringToObject(json, name, buf_str(&text)) != NULL;
}

static enum err file_write(struct enrolling *n, struct user_fixture *u, struct buf *out)
{
    cJSON *json = cJSON_CreateObject();
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    bool good = json && bio && cJSON_AddStringToObject(json, "format", "sealrelay-enrolment 1") &&
                cJSON_AddStringToObject(json, "profile", text_of(n, "profile")) &&
                PEM_write_bio_X509(bio, u->root) && add_pem(json, "root", bio) &&
                PEM_write_bio_X509(bio, u->intermediate) && add_pem(json, "intermediate", bio) &&
                PEM_write_bio_X509_CRL(bio, n->crl) && add_pem(json, "crl", bio) &&
                cJSON_AddStringToObject(json, "statement", buf_str(&n->statement)) &&
                PEM_write_bio_X509_REQ(bio, n->csr) && add_pem(json, "user_csr", bio) &&
                (text = cJSON_PrintUnformatted(json));

    if (good)
        buf_append_str(out, text);
    cJSON_free(text);
    cJSON_Delete(json);
    BIO_free(bio);
    return good ? buf_error(out) : err_note(ERR_NOMEM, "enrolment", "not written");
}

static enum err keys_make(struct enrolling *n, struct user_fixture *u)
{
    n->root_key = key_make(text_of(n, "ca_key_type"));
    u->key = key_make(text_of(n, "user_key_type"));
    if (!n->root_key || !u->key)
        return err_note_openssl(ERR_BUG, "keys");
    return csr_key(n);
}

enum err user_fixture_enrol(struct user_fixture *u, struct bytes request_json,
                            struct buf *enrolment_out)
{
    cJSON *json = cJSON_ParseWithLength((const char *)request_json.data, request_json.len);
    struct enrolling n = {.request = json, .now_s = clock_now_s()};
    enum err e = json ? ERR_OK : err_note(ERR_FORMAT, "request", "no JSON");

    *u = (struct user_fixture){0};
    values_read(&n);
    if (!e)
        e = keys_make(&n, u);
    if (!e)
        e = certificates_make(&n, u);
    if (!e)
        e = statement_make(&n, u);
    if (!e)
        e = csr_make(&n, u);
    if (!e)
        e = file_write(&n, u, enrolment_out);
    EVP_PKEY_free(n.root_key);
    EVP_PKEY_free(n.ca_key);
    X509_CRL_free(n.crl);
    X509_REQ_free(n.csr);
    buf_clear(&n.statement);
    cJSON_Delete(json);
    return e;
}

void user_fixture_clear(struct user_fixture *u)
{
    EVP_PKEY_free(u->key);
    X509_free(u->root);
    X509_free(u->intermediate);
    *u = (struct user_fixture){0};
}
