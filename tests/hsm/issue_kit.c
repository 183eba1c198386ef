/* SPDX-License-Identifier: GPL-3.0-or-later */
/* issue_kit.c - the user's side of enrolments, for tests. */
#include "tests/hsm/issue_kit.h"

#include "daemon/base/codec.h"
#include "hsm/issue/certificate.h"

#include <cjson/cJSON.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int64_t kit_now_s = 1790000000; /* 2026-09-21 */

int64_t kit_clock(void)
{
    return kit_now_s;
}

static void ok(enum err e)
{
    if (e)
        print_error("%s: %s: %s\n", err_name(e), err_note_get()->action, err_note_get()->detail);
    assert_int_equal(e, ERR_OK);
}

void kit_open(struct kit *k, const struct authority_options *options)
{
    struct token_options token_options = {0};

    memset(k, 0, sizeof *k);
    ok(softhsm_fixture_new(&k->softhsm));
    token_options.module = k->softhsm.module;
    token_options.ca_uri = k->softhsm.uri;
    token_options.sender_uri = k->softhsm.uri;
    token_options.pin_file = k->softhsm.pin_file;
    token_options.state_dir = k->softhsm.state_dir;
    ok(token_open(&token_options, &k->token));
    ok(token_init(k->token));
    if (options)
        k->options = *options;
    k->options.token = k->token;
    k->options.state_dir = k->softhsm.state_dir;
    k->options.now = kit_clock;
    ok(authority_open(&k->options, &k->a));
}

void kit_close(struct kit *k)
{
    authority_close(k->a);
    token_close(k->token);
    softhsm_fixture_free(&k->softhsm);
}

void kit_restart(struct kit *k)
{
    authority_close(k->a);
    k->a = NULL;
    ok(authority_open(&k->options, &k->a));
}

void kit_user_clear(struct kit_user *u)
{
    EVP_PKEY_free(u->root_key);
    X509_free(u->root);
    X509_free(u->intermediate);
    X509_CRL_free(u->crl);
    EVP_PKEY_free(u->key);
    X509_REQ_free(u->csr);
    X509_free(u->cert);
    buf_clear(&u->statement);
    memset(u, 0, sizeof *u);
}

EVP_PKEY *kit_key(enum key_type type)
{
    static const struct {
        enum key_type type;
        const char *curve;
        size_t bits;
    } kinds[] = {{KEY_RSA_2048, NULL, 2048},
                 {KEY_RSA_3072, NULL, 3072},
                 {KEY_P256, "P-256", 0},
                 {KEY_P384, "P-384", 0}};
    EVP_PKEY *key = NULL;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].type == type)
            key =
                kinds[i].curve ? EVP_EC_gen(kinds[i].curve) : EVP_RSA_gen((unsigned)kinds[i].bits);
    assert_non_null(key);
    return key;
}

void kit_profile(struct kit *k, struct kit_user *u, enum key_type ca, enum key_type key)
{
    static const char *const addresses[] = {"User1@Home.example.com", "second@home.example.com"};
    static const char *const domains[] = {"relay.example.com", "mail.example.org"};
    struct authority_profile_new p = {
        .addresses = addresses,
        .n_addresses = 2,
        .domains = domains,
        .n_domains = 2,
        .country = "de",
        .organisation = "Test Relay",
        .ca_key_type = ca,
        .user_key_type = key,
        .sender_key_type = key,
    };

    if (!u->id[0])
        ok(id_new(u->id));
    p.user = u->id;
    ok(authority_profile_add(k->a, &p, u->profile));
}

X509_REQ *kit_csr(EVP_PKEY *key, const char *nid_value[][2])
{
    X509_REQ *csr = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();

    assert_true(X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(csr), "CN", MBSTRING_UTF8,
                                           (const uint8_t *)"user1@home.example.com", -1, -1, 0));
    assert_true(X509_REQ_set_pubkey(csr, key));
    for (size_t i = 0; nid_value && nid_value[i][0]; i++) {
        X509_EXTENSION *ext = X509V3_EXT_conf(NULL, NULL, nid_value[i][0], nid_value[i][1]);

        assert_non_null(ext);
        assert_true(sk_X509_EXTENSION_push(list, ext) > 0);
    }
    if (sk_X509_EXTENSION_num(list))
        assert_true(X509_REQ_add_extensions(csr, list));
    assert_true(X509_REQ_sign(csr, key, EVP_sha256()) > 0);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    return csr;
}

void kit_spki_hex(EVP_PKEY *key, char out[65])
{
    ok(cert_spki_hash(key, out));
}

/* ---- enrolment ---- */

static char *json_text(const cJSON *o, const char *name)
{
    char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));

    assert_non_null(text);
    return text;
}

struct request {
    cJSON *json;
    const char *domains[16], *addresses[16];
    struct cert_values values;
    EVP_PKEY *ca_key;
};

static size_t json_list(const cJSON *o, const char *name, const char **out)
{
    const cJSON *item;
    size_t n = 0;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(o, name)) out[n++] =
        cJSON_GetStringValue(item);
    return n;
}

X509_REQ *kit_csr_of(const struct buf *request_json)
{
    cJSON *o = cJSON_Parse(buf_str(request_json));
    BIO *bio = BIO_new_mem_buf(json_text(o, "csr"), -1);
    X509_REQ *csr = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);

    assert_non_null(csr);
    BIO_free(bio);
    cJSON_Delete(o);
    return csr;
}

static void request_load(struct kit *k, const struct kit_user *u, struct request *r)
{
    CLEANUP(buf_clear) struct buf text = {0};
    const cJSON *url;
    X509_REQ *csr;

    ok(authority_request_json(k->a, u->profile, &text));
    r->json = cJSON_Parse(buf_str(&text));
    assert_non_null(r->json);
    r->values = (struct cert_values){
        .country = json_text(r->json, "country"),
        .organisation = json_text(r->json, "organisation"),
        .domains = r->domains,
        .n_domains = json_list(r->json, "relay_domains", r->domains),
        .addresses = r->addresses,
        .n_addresses = json_list(r->json, "addresses", r->addresses),
        .policy_oid = json_text(r->json, "policy_oid"),
    };
    url = cJSON_GetObjectItemCaseSensitive(r->json, "crl_url");
    r->values.crl_url = url ? cJSON_GetStringValue(url) : NULL;
    url = cJSON_GetObjectItemCaseSensitive(r->json, "aia_url");
    r->values.aia_url = url ? cJSON_GetStringValue(url) : NULL;
    csr = kit_csr_of(&text);
    r->ca_key = X509_REQ_get_pubkey(csr);
    assert_int_equal(X509_REQ_verify(csr, r->ca_key), 1);
    X509_REQ_free(csr);
}

static struct cert_dates ca_dates(const struct request *r, const char *days)
{
    int64_t from = kit_now_s - 31 * KIT_DAY_S;
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(r->json, days);

    return (struct cert_dates){from, from + (int64_t)cJSON_GetNumberValue(n) * KIT_DAY_S - 1};
}

static void root_make(struct request *r, struct kit_user *u, const struct kit_tweak *t)
{
    struct cert_dates dates = ca_dates(r, "root_days");

    r->values.common_name = json_text(r->json, "root_name");
    ok(cert_compose(CERT_ROOT, &r->values, NULL, u->root_key, &dates, &u->root));
    if (t->root)
        t->root(u->root);
    ok(cert_sign(u->root, u->root_key));
}

static void intermediate_make(struct request *r, struct kit_user *u, const struct kit_tweak *t)
{
    struct cert_dates dates = ca_dates(r, "intermediate_days");
    EVP_PKEY *other = kit_key(KEY_P384);

    r->values.common_name = json_text(r->json, "intermediate_name");
    ok(cert_compose(CERT_INTERMEDIATE, &r->values, u->root, t->foreign_key ? other : r->ca_key,
                    &dates, &u->intermediate));
    if (t->intermediate)
        t->intermediate(u->intermediate);
    ok(cert_sign(u->intermediate, t->foreign_signature ? other : u->root_key));
    if (t->remake) {
        X509 *again = t->remake(u->intermediate);

        X509_free(u->intermediate);
        u->intermediate = again;
        ok(cert_sign(again, u->root_key));
    }
    EVP_PKEY_free(other);
}

static void crl_make(struct kit_user *u, const struct kit_tweak *t)
{
    struct cert_dates root;
    struct crl_dates dates = {.this_update_s = kit_now_s};

    ok(cert_time(u->root, &root));
    dates.next_update_s = root.not_after_s - t->crl_days_short * KIT_DAY_S;
    ok(crl_compose(u->root, &u->intermediate, t->crl_revokes, 1, &dates, &u->crl));
    ok(crl_sign(u->crl, u->root_key));
}

static void statement_make(const struct request *r, struct kit_user *u, const struct kit_tweak *t)
{
    CLEANUP(buf_clear) struct buf text = {0};
    char ca[65], user[65];
    uint8_t signature[1024];
    size_t len = sizeof signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ec = EVP_PKEY_is_a(u->root_key, "EC");

    kit_spki_hex(r->ca_key, ca);
    kit_spki_hex(t->statement_other_key ? r->ca_key : u->key, user);
    ok(enrolment_statement_text(t->statement_profile ? t->statement_profile : u->profile,
                                &r->values, ca, user, &text));
    assert_int_equal(
        EVP_DigestSignInit(ctx, NULL, ec ? EVP_sha384() : EVP_sha256(), NULL, u->root_key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, text.data, text.len), 1);
    EVP_MD_CTX_free(ctx);
    buf_reset(&u->statement);
    buf_append(&u->statement, signature, len);
}

static void pem_add(cJSON *o, const char *name, BIO *bio)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    char *copy = strndup(text, (size_t)len);

    assert_non_null(cJSON_AddStringToObject(o, name, copy));
    free(copy);
    BIO_free(bio);
}

static void json_take(cJSON *o, struct buf *out)
{
    char *text = cJSON_Print(o);

    assert_non_null(text);
    buf_append_str(out, text);
    cJSON_free(text);
    cJSON_Delete(o);
}

static void enrolment_write(const struct kit_user *u, bool no_statement, struct buf *json)
{
    CLEANUP(buf_clear) struct buf statement = {0};
    cJSON *o = cJSON_CreateObject();
    BIO *root = BIO_new(BIO_s_mem()), *intermediate = BIO_new(BIO_s_mem());
    BIO *crl = BIO_new(BIO_s_mem()), *csr = BIO_new(BIO_s_mem());

    (void)cJSON_AddStringToObject(o, "format", "sealrelay-enrolment 1");
    (void)cJSON_AddStringToObject(o, "profile", u->profile);
    assert_true(PEM_write_bio_X509(root, u->root) && PEM_write_bio_X509_CRL(crl, u->crl) &&
                PEM_write_bio_X509(intermediate, u->intermediate) &&
                PEM_write_bio_X509_REQ(csr, u->csr));
    pem_add(o, "root", root);
    pem_add(o, "intermediate", intermediate);
    pem_add(o, "crl", crl);
    base64_append(&statement, buf_bytes(&u->statement));
    if (!no_statement)
        (void)cJSON_AddStringToObject(o, "statement", buf_str(&statement));
    pem_add(o, "user_csr", csr);
    json_take(o, json);
}

static enum key_type key_type_of(const struct request *r, const char *name)
{
    enum key_type type = KEY_P384;

    ok(key_type_parse(json_text(r->json, name), &type));
    return type;
}

void kit_enrolment(struct kit *k, struct kit_user *u, const struct kit_tweak *tweak,
                   struct buf *json)
{
    static const struct kit_tweak none;
    const struct kit_tweak *t = tweak ? tweak : &none;
    struct request r = {0};

    request_load(k, u, &r);
    if (!u->root_key)
        u->root_key = kit_key(key_type_of(&r, "ca_key_type"));
    if (!u->key)
        u->key = kit_key(key_type_of(&r, "user_key_type"));
    if (!u->csr)
        u->csr = kit_csr(u->key, NULL);
    X509_free(u->root);
    X509_free(u->intermediate);
    X509_CRL_free(u->crl);
    root_make(&r, u, t);
    intermediate_make(&r, u, t);
    crl_make(u, t);
    statement_make(&r, u, t);
    enrolment_write(u, t->no_statement, json);
    EVP_PKEY_free(r.ca_key);
    cJSON_Delete(r.json);
}

void kit_enrol(struct kit *k, struct kit_user *u, enum key_type ca, enum key_type key)
{
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf certificate = {0};

    kit_profile(k, u, ca, key);
    kit_enrolment(k, u, NULL, &json);
    ok(authority_install(k->a, u->profile, buf_bytes(&json)));
    ok(authority_issue(k->a, u->profile, (struct bytes){0}, &certificate));
    u->cert = kit_certificate(&certificate);
}

void kit_activate(struct kit *k, const struct kit_user *u)
{
    char code[HSM_CODE_LEN + 1];

    ok(authority_code_new(k->a, u->profile, code));
    ok(authority_activate(k->a, u->profile, code));
}

X509 *kit_certificate(const struct buf *json)
{
    cJSON *o = cJSON_Parse(buf_str(json));
    BIO *bio = BIO_new_mem_buf(json_text(o, "certificate"), -1);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    assert_non_null(x);
    BIO_free(bio);
    cJSON_Delete(o);
    return x;
}

X509 *kit_x509(const struct buf *der)
{
    const uint8_t *p = der->data;
    X509 *x = d2i_X509(NULL, &p, (long)der->len);

    assert_non_null(x);
    return x;
}

/* ---- requests ---- */

void kit_cms(const char *content, X509 *cert, EVP_PKEY *key, struct buf *der)
{
    BIO *bio = BIO_new_mem_buf(content, -1);
    CMS_ContentInfo *cms = CMS_sign(cert, key, NULL, bio, CMS_BINARY | CMS_NOSMIMECAP);
    uint8_t *data = NULL;
    int len;

    assert_non_null(cms);
    len = i2d_CMS_ContentInfo(cms, &data);
    assert_true(len > 0);
    buf_append(der, data, (size_t)len);
    OPENSSL_free(data);
    CMS_ContentInfo_free(cms);
    BIO_free(bio);
}

void kit_request(const char *profile, const char *verb, const char *spki, const char *nonce,
                 X509 *cert, EVP_PKEY *key, X509_REQ *csr, struct buf *json)
{
    CLEANUP(buf_clear) struct buf line = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    cJSON *o = cJSON_CreateObject();

    buf_printf(&line, "sealrelay: %s %s %s %s\n", verb, profile, spki, nonce);
    kit_cms(buf_str(&line), cert, key, &der);
    base64_append(&text, buf_bytes(&der));
    (void)cJSON_AddStringToObject(o, "format", "sealrelay-user-request 1");
    (void)cJSON_AddStringToObject(o, "profile", profile);
    (void)cJSON_AddStringToObject(o, "verb", verb);
    (void)cJSON_AddStringToObject(o, "cms", buf_str(&text));
    if (csr) {
        BIO *bio = BIO_new(BIO_s_mem());

        assert_true(PEM_write_bio_X509_REQ(bio, csr));
        pem_add(o, "csr", bio);
    }
    json_take(o, json);
}

void kit_request_new(struct kit *k, const struct kit_user *u, const char *verb, const char *spki,
                     X509_REQ *csr, struct buf *json)
{
    char nonce[AUTHORITY_NONCE_LEN + 1];

    ok(authority_nonce_new(k->a, u->profile, nonce));
    kit_request(u->profile, verb, spki, nonce, u->cert, u->key, csr, json);
}

int kit_verify(const struct kit_user *u, X509 *leaf, int purpose, const char *email)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509_VERIFY_PARAM *param;
    int result;

    assert_true(X509_STORE_add_cert(store, u->root) && sk_X509_push(chain, u->intermediate) > 0 &&
                X509_STORE_CTX_init(ctx, store, leaf, chain));
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)kit_now_s);
    assert_true(X509_STORE_CTX_set_purpose(ctx, purpose));
    if (email)
        assert_true(X509_VERIFY_PARAM_set1_email(param, email, 0));
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    result = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    sk_X509_free(chain);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return result;
}
