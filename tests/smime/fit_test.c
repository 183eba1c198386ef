/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fit_test.c - which certificates mail may be encrypted to, by their keys, uses and lives. */
#include "daemon/smime/own_cert.h"
#include "tests/smime/test_pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define MAIL "email:" TEST_USER
#define DAY  86400

enum key { RSA_1024, RSA_2048, P_256, P_384, P_521, K_256, ED_25519, KEYS };

static EVP_PKEY *keys[KEYS];

static int start(void **state)
{
    (void)state;
    keys[RSA_1024] = EVP_RSA_gen(1024);
    keys[RSA_2048] = EVP_RSA_gen(2048);
    keys[P_256] = EVP_EC_gen("P-256");
    keys[P_384] = EVP_EC_gen("P-384");
    keys[P_521] = EVP_EC_gen("P-521");
    keys[K_256] = EVP_EC_gen("secp256k1");
    keys[ED_25519] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    for (size_t i = 0; i < KEYS; i++)
        assert_non_null(keys[i]);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++)
        EVP_PKEY_free(keys[i]);
    return 0;
}

/* The word of the note that says why, "" for fit. */
static void fits_as(enum key key, struct test_role role, const char *why)
{
    X509 *cert;
    enum err e;

    role.name = "Somebody";
    role.email = role.email ? role.email : MAIL;
    cert = test_certificate(&role, keys[key], NULL, keys[key == ED_25519 ? P_256 : key]);
    e = own_cert_check(cert, TEST_USER, time(NULL));
    assert_int_equal(e, why[0] ? ERR_REFUSED : ERR_OK);
    assert_non_null(strstr(err_note_get()->detail, why));
    err_note_clear();
    X509_free(cert);
}

static void a_key_is_of_a_kind_and_length_that_we_encrypt_to(void **state)
{
    const struct test_role any = {.md = EVP_sha256()};

    (void)state;
    fits_as(RSA_2048, any, "");
    fits_as(P_256, any, "");
    fits_as(P_384, any, "");
    fits_as(RSA_1024, any, "2048 to 8192");
    fits_as(P_521, any, "curve");
    fits_as(K_256, any, "curve");
    fits_as(ED_25519, any, "neither RSA");
}

static void a_key_is_meant_for_encryption_and_for_mail(void **state)
{
    const struct {
        enum key key;
        struct test_role role;
        const char *why;
    } rows[] = {
        {RSA_2048, {.usage = "keyEncipherment"}, ""},
        {RSA_2048, {.usage = "digitalSignature"}, "key usage"},
        {RSA_2048, {.usage = "digitalSignature,keyAgreement"}, "key usage"},
        {P_256, {.usage = "keyAgreement"}, ""},
        {P_256, {.usage = "digitalSignature,keyEncipherment"}, "key usage"},
        {P_256, {.purpose = "anyExtendedKeyUsage"}, ""},
        {P_256, {.purpose = "clientAuth,emailProtection"}, ""},
        {P_256, {.purpose = "clientAuth"}, "extended key usage"},
        {P_256, {.usage = "keyAgreement", .basic = "CA:FALSE"}, ""},
        {P_256, {.usage = "keyAgreement,keyCertSign", .basic = "CA:TRUE"}, "authority"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        fits_as(rows[i].key, rows[i].role, rows[i].why);
}

static void a_certificate_without_extended_key_usage_is_for_mail_too(void **state)
{
    const struct test_role role = {.name = TEST_USER, .email = MAIL};
    X509 *cert = test_certificate(&role, keys[P_256], NULL, keys[P_256]);
    X509_EXTENSION *gone;

    (void)state;
    gone = X509_delete_ext(cert, X509_get_ext_by_NID(cert, NID_ext_key_usage, -1));
    assert_non_null(gone);
    X509_EXTENSION_free(gone);
    assert_true(X509_sign(cert, keys[P_256], EVP_sha256()) > 0);
    assert_int_equal(own_cert_check(cert, TEST_USER, time(NULL)), ERR_OK);
    X509_free(cert);
}

static void an_address_is_told_as_a_mail_name_and_whole(void **state)
{
    (void)state;
    fits_as(P_256, (struct test_role){.email = "email:other@home.example," MAIL}, "");
    fits_as(P_256, (struct test_role){.email = "email:USER@HOME.EXAMPLE"}, "");
    fits_as(P_256, (struct test_role){.email = "DNS:user@home.example"}, "address");
    fits_as(P_256, (struct test_role){.email = "email:user@home.example.org"}, "address");
    fits_as(P_256, (struct test_role){.email = "URI:mailto:user@home.example"}, "address");
}

static void a_life_is_told_to_the_second(void **state)
{
    const struct test_role role = {.name = TEST_USER, .email = MAIL, .from_day = -2, .to_day = 3};
    X509 *cert = test_certificate(&role, keys[P_256], NULL, keys[P_256]);
    int64_t from_s = 0, to_s = 0;

    (void)state;
    assert_int_equal(own_cert_times(cert, &from_s, &to_s), ERR_OK);
    assert_int_equal(to_s - from_s, 5 * DAY);
    assert_true(from_s <= time(NULL) - 2 * DAY && from_s > time(NULL) - 2 * DAY - 60);
    assert_int_equal(own_cert_check(cert, TEST_USER, from_s), ERR_OK);
    assert_int_equal(own_cert_check(cert, TEST_USER, to_s), ERR_OK);
    assert_int_equal(own_cert_check(cert, TEST_USER, from_s - 1), ERR_REFUSED);
    assert_int_equal(own_cert_check(cert, TEST_USER, to_s + 1), ERR_EXPIRED);
    err_note_clear();
    X509_free(cert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_of_a_kind_and_length_that_we_encrypt_to),
        cmocka_unit_test(a_key_is_meant_for_encryption_and_for_mail),
        cmocka_unit_test(a_certificate_without_extended_key_usage_is_for_mail_too),
        cmocka_unit_test(an_address_is_told_as_a_mail_name_and_whole),
        cmocka_unit_test(a_life_is_told_to_the_second),
    };

    return cmocka_run_group_tests(tests, start, end);
}
