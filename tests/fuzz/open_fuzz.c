/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open_fuzz.c - any bytes as a reply, as its CMS, or as what lies inside its envelope: opened whole
 * or refused in the one way, and what opens is a MIME entity in memory that is ours.
 *
 * The first byte says which of the three. Keys are fixed, so that seeds open. */
#include "daemon/base/codec.h"
#include "daemon/smime/open.h"

#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define NOW_S 1795000000
#define USER  "user@home.example"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static EVP_PKEY *user_key, *alias_key;
static X509 *user_cert, *alias_cert;
static unsigned char *user_der;
static int user_der_len;

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* The P-256 key whose private value is this small number. */
static EVP_PKEY *key_make(unsigned value)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    BIGNUM *private = BN_new();
    EC_POINT *point = EC_POINT_new(group);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    unsigned char encoded[65];
    OSSL_PARAM *params;
    EVP_PKEY *key = NULL;

    require(BN_set_word(private, value) && EC_POINT_mul(group, point, private, NULL, NULL, NULL));
    require(EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, encoded, sizeof encoded,
                               NULL) == sizeof encoded);
    require(
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, encoded, sizeof encoded) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, private));
    params = OSSL_PARAM_BLD_to_param(build);
    require(EVP_PKEY_fromdata_init(ctx) > 0 &&
            EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) > 0);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    EC_POINT_free(point);
    BN_free(private);
    EC_GROUP_free(group);
    return key;
}

static X509 *cert_make(EVP_PKEY *key, long serial, const char *email)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, email);

    require(X509_set_version(cert, X509_VERSION_3) == 1 &&
            ASN1_INTEGER_set(X509_get_serialNumber(cert), serial) == 1);
    require(ASN1_TIME_set(X509_getm_notBefore(cert), NOW_S - 86400) &&
            ASN1_TIME_set(X509_getm_notAfter(cert), NOW_S + 86400));
    require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"fuzz", -1,
                                       -1, 0) == 1);
    require(X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key) == 1 &&
            X509_add_ext(cert, ext, -1) == 1 && X509_sign(cert, key, EVP_sha256()) > 0);
    X509_EXTENSION_free(ext);
    return cert;
}

static void keys_make(void)
{
    if (user_key)
        return;
    user_key = key_make(7);
    alias_key = key_make(11);
    user_cert = cert_make(user_key, 7, "email:" USER);
    alias_cert = cert_make(alias_key, 11, "email:r-abcdefghijklmnop@relay.example");
    user_der_len = i2d_X509(user_cert, &user_der);
    require(user_der_len > 0);
}

static enum err key_load(void *ctx, size_t which, size_t content_key_len, EVP_PKEY **out)
{
    (void)ctx;
    require(which == 0 && content_key_len >= 16 && content_key_len <= 32);
    require(EVP_PKEY_up_ref(alias_key) == 1);
    *out = alias_key;
    return ERR_OK;
}

static void opened_check(const struct message *m, const struct open_result *r)
{
    CLEANUP(message_clear) struct message entity = {0};
    const uint8_t *data = r->entity.data;
    bool in_plain = r->plain.data && data >= r->plain.data &&
                    data + r->entity.len <= r->plain.data + r->plain.len;
    bool in_raw = data >= m->raw.data && data + r->entity.len <= m->raw.data + m->raw.len;

    require(in_plain || in_raw);
    require(message_parse(r->entity, &entity) == ERR_OK);
    if (r->kind == OPEN_SIGNED || r->kind == OPEN_ENCRYPTED_SIGNED)
        require(llabs((long long)(r->signing_time_s - NOW_S)) <= OPEN_SIGNING_TIME_AGE_S);
    require((r->n_recipients > 0) ==
            (r->kind == OPEN_ENCRYPTED || r->kind == OPEN_ENCRYPTED_SIGNED));
}

static void message_open(struct bytes raw)
{
    CLEANUP(message_clear) struct message m = {0};
    struct bytes enrolled = {user_der, (size_t)user_der_len};
    struct open_job job = {.message = &m,
                           .certs = &alias_cert,
                           .n_certs = 1,
                           .key_load = key_load,
                           .user_certs = &enrolled,
                           .n_user_certs = 1,
                           .now_s = NOW_S,
                           .unpaced = true};

    if (message_parse(raw, &m) != ERR_OK)
        return;
    for (int allowed = 0; allowed < 2; allowed++) {
        struct open_result result = {0};
        enum err e;

        err_note_clear();
        job.unsigned_allowed = allowed;
        e = open_run(&job, &result);
        require(e == ERR_OK || e == ERR_UNPROVEN);
        if (!e)
            opened_check(&m, &result);
        else
            require(!result.plain.data && !result.entity.data && !result.recipients);
        open_result_clear(&result);
    }
}

static void cms_open(struct bytes ber)
{
    CLEANUP(buf_clear) struct buf raw = {0};

    buf_append_str(&raw, "From: " USER "\r\nContent-Type: application/pkcs7-mime\r\n"
                         "Content-Transfer-Encoding: base64\r\n\r\n");
    base64_append(&raw, ber);
    message_open(buf_bytes(&raw));
}

static void inside_open(struct bytes entity)
{
    STACK_OF(X509) *to = sk_X509_new_null();
    BIO *content = BIO_new_mem_buf(entity.data, (int)entity.len);
    CMS_ContentInfo *cms;
    unsigned char *der = NULL;
    int len;

    require(sk_X509_push(to, alias_cert) > 0);
    cms = CMS_encrypt(to, content, EVP_aes_128_cbc(), CMS_BINARY);
    len = i2d_CMS_ContentInfo(cms, &der);
    require(len > 0);
    cms_open((struct bytes){der, (size_t)len});
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    BIO_free(content);
    sk_X509_free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = {data + 1, size - 1};

    if (!size)
        return 0;
    keys_make();
    switch (data[0] % 3) {
    case 0:
        message_open(rest);
        break;
    case 1:
        cms_open(rest);
        break;
    default:
        inside_open(rest);
        break;
    }
    return 0;
}
