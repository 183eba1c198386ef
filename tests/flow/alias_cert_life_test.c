/* SPDX-License-Identifier: GPL-3.0-or-later */
/* alias_cert_life_test.c - when an alias's certificate is made, used, made anew, over a true store
 * and a double of the key service that certifies in software. */
#include "daemon/flow/parcel.h"
#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define NOW_S ((int64_t)1800000000)
#define DAY_S ((int64_t)86400)
#define ALIAS "shop@relay.example.com"

static struct {
    scratch_path dir;
    struct forward forward;
    struct store_alias alias;
    char *domains[1];
    EVP_PKEY *first, *second;
    /* what the key service is told to do, and what it was asked */
    enum err fail;
    EVP_PKEY *over;
    int64_t ends_s;
    unsigned made;
} t;

static void cert_append(struct buf *out, EVP_PKEY *key, int64_t ends_s)
{
    static long serial;
    X509 *cert = X509_new();
    uint8_t *der = NULL;
    int len;

    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), NOW_S - 30 * DAY_S));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), ends_s));
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial), 1);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    len = i2d_X509(cert, &der);
    assert_true(len > 0);
    buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    X509_free(cert);
}

/* ---- the rest of the key service's double ---- */

enum err hsm_user_profile(struct hsm *h, const char *user, struct hsm_profile *out)
{
    (void)h;
    (void)user;
    (void)out;
    return ERR_NOT_ACTIVE;
}

enum err hsm_profile_get(struct hsm *h, const char *profile, struct hsm_profile *out)
{
    (void)h;
    (void)profile;
    (void)out;
    return ERR_NOT_FOUND;
}

enum err hsm_alias_cert(struct hsm *h, const char *profile, const char *alias, struct buf *der_out)
{
    (void)h;
    assert_string_equal(profile, "aaaaaaaaaaaaaaaa");
    assert_string_equal(alias, ALIAS);
    t.made++;
    if (!t.fail)
        cert_append(der_out, t.over, t.ends_s);
    return t.fail;
}

/* ---- */

static int setup(void **state)
{
    static const char *const mailboxes[] = {"alice@home.example.com"};
    static char domain[] = "relay.example.com";
    scratch_path path;
    id_text user;

    (void)state;
    memset(&t, 0, sizeof t);
    scratch_new(t.dir);
    scratch_join(t.dir, "store.db", path);
    t.forward.hsm = hsm_double_new();
    t.first = EVP_EC_gen("P-256");
    t.second = EVP_EC_gen("P-256");
    t.over = t.first;
    t.ends_s = NOW_S + 700 * DAY_S;
    t.domains[0] = domain;
    assert_int_equal(store_open(path, t.forward.hsm, &t.forward.store), ERR_OK);
    assert_int_equal(store_user_add(t.forward.store, "alice", mailboxes, 1, NOW_S, user), ERR_OK);
    assert_int_equal(store_alias_add(t.forward.store, "alice", ALIAS, NULL, NOW_S, &t.alias),
                     ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_close(t.forward.store);
    hsm_double_free(t.forward.hsm);
    EVP_PKEY_free(t.first);
    EVP_PKEY_free(t.second);
    scratch_remove(t.dir);
    return 0;
}

/* What a message brings at that time, when the user has that key. given; NULL: none. */
static X509 *brought(int64_t now_s, EVP_PKEY *user_key, bool expired)
{
    struct hsm_user_cert user = {.expired = expired};
    struct forward_job job = {.id = "bbbbbbbbbbbbbbbb", .now_s = now_s};
    struct parcel *p = calloc(1, sizeof *p);
    X509 *cert = NULL;

    assert_non_null(p);
    cert_append(&user.der, user_key, NOW_S + 730 * DAY_S);
    p->profile = (struct hsm_profile){.profile = "aaaaaaaaaaaaaaaa",
                                      .domains = t.domains,
                                      .n_domains = 1,
                                      .certs = &user,
                                      .n_certs = 1};
    cert_append(&p->profile.intermediate, t.second, NOW_S + 3000 * DAY_S);
    p->alias = t.alias;
    p->extra_certs = sk_X509_new_null();
    parcel_alias_certs(&t.forward, &job, p);
    assert_true(sk_X509_num(p->extra_certs) <= 1);
    cert = sk_X509_pop(p->extra_certs);
    sk_X509_free(p->extra_certs);
    buf_clear(&p->profile.intermediate);
    buf_clear(&user.der);
    free(p);
    return cert;
}

/* key NULL: the message goes without one. made: so often the key service was asked, in all. */
static void expect_at(int64_t now_s, EVP_PKEY *user_key, const EVP_PKEY *key, unsigned made)
{
    X509 *cert = brought(now_s, user_key, false);

    assert_int_equal(cert != NULL, key != NULL);
    if (key)
        assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), key), 1);
    assert_int_equal(t.made, made);
    X509_free(cert);
}

static void it_is_made_once_and_anew_in_its_last_month(void **state)
{
    (void)state;
    expect_at(NOW_S, t.first, t.first, 1);
    expect_at(NOW_S, t.first, t.first, 1);
    expect_at(NOW_S + 669 * DAY_S, t.first, t.first, 1);
    t.ends_s = NOW_S + 1400 * DAY_S;
    expect_at(NOW_S + 671 * DAY_S, t.first, t.first, 2);
    expect_at(NOW_S + 701 * DAY_S, t.first, t.first, 2);
}

static void one_that_ends_with_its_intermediate_is_not_made_anew(void **state)
{
    (void)state;
    t.ends_s = NOW_S + 3000 * DAY_S;
    expect_at(NOW_S, t.first, t.first, 1);
    expect_at(NOW_S + 2990 * DAY_S, t.first, t.first, 1);
}

static void while_none_can_be_made_the_old_one_serves_to_its_end(void **state)
{
    (void)state;
    t.fail = ERR_LIMIT;
    expect_at(NOW_S, t.first, NULL, 1);
    t.fail = ERR_OK;
    expect_at(NOW_S, t.first, t.first, 2);
    t.fail = ERR_HSM_AWAY;
    expect_at(NOW_S + 690 * DAY_S, t.first, t.first, 3);
    expect_at(NOW_S + 701 * DAY_S, t.first, NULL, 4);
    assert_int_equal(err_note_get()->action[0], '\0');
}

static void one_over_a_key_that_the_user_no_longer_has_does_not_travel(void **state)
{
    (void)state;
    expect_at(NOW_S, t.first, t.first, 1);
    t.fail = ERR_EXPIRED;
    expect_at(NOW_S, t.second, NULL, 2);
    assert_null(brought(NOW_S, t.first, true));
    t.fail = ERR_OK;
    t.over = t.second;
    expect_at(NOW_S, t.second, t.second, 4);
}

static void role_addresses_and_aliases_below_the_domain_have_none(void **state)
{
    static const char *const addresses[] = {"postmaster@relay.example.com",
                                            "abuse@relay.example.com", "shop@any.relay.example.com",
                                            "shop@other.example.com"};

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        memcpy(t.alias.address, addresses[i], strlen(addresses[i]) + 1);
        expect_at(NOW_S, t.first, NULL, 0);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_is_made_once_and_anew_in_its_last_month),
        CASE(one_that_ends_with_its_intermediate_is_not_made_anew),
        CASE(while_none_can_be_made_the_old_one_serves_to_its_end),
        CASE(one_over_a_key_that_the_user_no_longer_has_does_not_travel),
        CASE(role_addresses_and_aliases_below_the_domain_have_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
