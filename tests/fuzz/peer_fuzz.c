/* SPDX-License-Identifier: GPL-3.0-or-later */
/* peer_fuzz.c - any bytes as a stranger's message, as its CMS, or as the signature beside a text:
 * there is always an answer, and a good one is by the one key of the one certificate that the one
 * authority has issued, told in harmless characters.
 *
 * The first byte says which of the three. Keys are fixed, so that seeds stay good. */
#include "daemon/base/codec.h"
#include "daemon/base/fdio.h"
#include "daemon/smime/peer.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOW_S  1795000000
#define USER   "user@home.example"
#define FROM   "From: " USER "\r\n"
#define BORDER "\r\n--x\r\n"
#define TEXT   "Content-Type: text/plain\r\n\r\nThe parts are on their way.\r\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static EVP_PKEY *authority_key, *user_key;
static X509 *authority, *user;
static struct trust *trust;

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

static void extension_add(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    require(ext && X509_add_ext(cert, ext, -1) == 1);
    X509_EXTENSION_free(ext);
}

static X509 *cert_make(EVP_PKEY *key, const char *name, X509 *issuer)
{
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);

    require(X509_set_version(cert, X509_VERSION_3) == 1 &&
            ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer ? 2 : 1) == 1);
    require(ASN1_TIME_set(X509_getm_notBefore(cert), NOW_S - 86400) &&
            ASN1_TIME_set(X509_getm_notAfter(cert), NOW_S + 86400));
    require(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                       -1, 0) == 1);
    extension_add(cert, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    extension_add(cert, NID_key_usage, issuer ? "digitalSignature,keyAgreement" : "keyCertSign");
    if (issuer)
        extension_add(cert, NID_subject_alt_name, "email:" USER);
    require(X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)) == 1 &&
            X509_set_pubkey(cert, key) == 1 && X509_sign(cert, authority_key, EVP_sha256()) > 0);
    return cert;
}

/* trust_open() reads files. */
static void trust_make(void)
{
    int fd = memfd_create("authority", 0);
    FILE *file = fdopen(fd, "w");
    char path[64];

    require(file && PEM_write_X509(file, authority) == 1 && fflush(file) == 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    require(trust_open(path, &trust) == ERR_OK);
    (void)fclose(file);
}

static void world_make(void)
{
    if (trust)
        return;
    authority_key = key_make(5);
    user_key = key_make(7);
    authority = cert_make(authority_key, "Fuzz CA; by=me", NULL);
    user = cert_make(user_key, "fuzz", authority);
    trust_make();
}

static void answer_check(const struct message *m, const struct peer_signature *s)
{
    CLEANUP(buf_clear) struct buf line = {0};

    require((s->cert != NULL) == (s->state == PEER_GOOD));
    peer_line_append(&line, s);
    require(line.len < 128 && !memchr(line.data, '\r', line.len));
    if (s->state != PEER_GOOD) {
        require(!memmem(line.data, line.len, "good", 4));
        return;
    }
    require(strcmp(s->by, "Fuzz CA? by?me") == 0 && message_count(m, "From") == 1);
    require(EVP_PKEY_eq(X509_get0_pubkey(s->cert), user_key) == 1 &&
            X509_NAME_cmp(X509_get_subject_name(s->cert), X509_get_subject_name(user)) == 0);
}

static void message_ask(struct bytes raw)
{
    CLEANUP(message_clear) struct message m = {0};

    if (message_parse(raw, &m) != ERR_OK) {
        err_note_clear();
        return;
    }
    for (int known = 0; known < 2; known++) {
        struct peer_signature s = {0};

        require(peer_verify(known ? trust : NULL, &m, NOW_S, &s) == ERR_OK);
        require(known || s.state != PEER_GOOD);
        answer_check(&m, &s);
        peer_signature_clear(&s);
    }
}

static void cms_ask(struct bytes ber)
{
    CLEANUP(buf_clear) struct buf raw = {0};

    buf_append_str(&raw, FROM "Content-Type: application/pkcs7-mime\r\n"
                              "Content-Transfer-Encoding: base64\r\n\r\n");
    base64_append(&raw, ber);
    message_ask(buf_bytes(&raw));
}

static void signature_ask(struct bytes ber)
{
    CLEANUP(buf_clear) struct buf raw = {0};

    buf_append_str(&raw, FROM "Content-Type: multipart/signed; boundary=x;\r\n"
                              " protocol=\"application/pkcs7-signature\"\r\n" BORDER TEXT BORDER
                              "Content-Type: application/pkcs7-signature\r\n"
                              "Content-Transfer-Encoding: base64\r\n\r\n");
    base64_append(&raw, ber);
    buf_append_str(&raw, "\r\n--x--\r\n");
    message_ask(buf_bytes(&raw));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = {data + 1, size - 1};

    if (!size)
        return 0;
    world_make();
    switch (data[0] % 3) {
    case 0:
        message_ask(rest);
        break;
    case 1:
        cms_ask(rest);
        break;
    default:
        signature_ask(rest);
        break;
    }
    return 0;
}
