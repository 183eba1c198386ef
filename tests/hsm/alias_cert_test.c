/* SPDX-License-Identifier: GPL-3.0-or-later */
/* alias_cert_test.c - certificates of a user's aliases on SoftHSM: over which key, for which
 * addresses, and how they end. */
#include "daemon/base/fdio.h"
#include "hsm/journal/index.h"
#include "tests/hsm/issue_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ALIAS "shop@relay.example.com"

/* ALIAS's certificate in u's profile. given. */
static X509 *certified(const struct kit_user *u)
{
    CLEANUP(buf_clear) struct buf der = {0};

    assert_err(authority_alias_cert(kit.a, u->profile, ALIAS, &der), ERR_OK);
    return kit_x509(&der);
}

static void certify_fails(const char *profile, const char *alias, enum err wanted)
{
    CLEANUP(buf_clear) struct buf der = {0};

    assert_err(authority_alias_cert(kit.a, profile, alias, &der), wanted);
    assert_int_equal(der.len, 0);
}

static bool is_over(const X509 *cert, const EVP_PKEY *key)
{
    return EVP_PKEY_eq(X509_get0_pubkey(cert), key) == 1;
}

static bool is_revoked(const struct kit_user *u, X509 *cert)
{
    CLEANUP(buf_clear) struct buf der = {0};
    X509_REVOKED *found = NULL;
    const uint8_t *p;
    X509_CRL *crl;
    bool revoked;

    assert_err(authority_leaf_crl(kit.a, u->profile, &der), ERR_OK);
    p = der.data;
    crl = d2i_X509_CRL(NULL, &p, (long)der.len);
    assert_non_null(crl);
    revoked = X509_CRL_get0_by_cert(crl, &found, cert) == 1;
    X509_CRL_free(crl);
    return revoked;
}

static void ask(const struct kit_user *u, const char *verb, EVP_PKEY *about, X509_REQ *csr)
{
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    char spki[65];

    kit_spki_hex(about, spki);
    kit_request_new(&kit, u, verb, spki, csr, &json);
    assert_err(authority_issue(kit.a, u->profile, buf_bytes(&json), &out), ERR_OK);
}

static void an_alias_is_certified_over_its_users_key_and_names_no_mailbox(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(kit_user_clear) struct kit_user v = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    X509 *one, *other;

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_RSA_2048);
    kit_enrol(&kit, &v, KEY_P384, KEY_P256);
    assert_err(authority_alias_cert(kit.a, u.profile, ALIAS, &der), ERR_OK);
    one = kit_x509(&der);
    other = certified(&v);
    assert_true(is_over(one, u.key));
    assert_true(is_over(other, v.key));
    assert_int_equal(kit_verify(&u, one, X509_PURPOSE_SMIME_ENCRYPT, ALIAS), X509_V_OK);
    assert_int_equal(kit_verify(&v, other, X509_PURPOSE_SMIME_SIGN, ALIAS), X509_V_OK);
    assert_int_equal(kit_verify(&u, one, X509_PURPOSE_SMIME_SIGN, "user1@home.example.com"),
                     X509_V_ERR_EMAIL_MISMATCH);
    assert_int_not_equal(kit_verify(&u, other, X509_PURPOSE_SMIME_SIGN, ALIAS), X509_V_OK);
    assert_null(memmem(der.data, der.len, "home.example.com", 16));
    X509_free(one);
    X509_free(other);
}

static void what_is_no_alias_of_the_user_is_not_certified(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender s = {0};
    static const char *const addresses[] = {
        "shop@victim.example.com",             /* of no relay domain */
        "shop@sub.relay.example.com",          /* below one: outside the name constraints */
        "shop@example.com",                    /* above one */
        "user1@home.example.com",              /* the mailbox */
        "second@home.example.com",             /* the other one */
        "r-aaaaaaaaaaaaaaaa@mail.example.org", /* a reverse alias that nobody has */
        "postmaster@relay.example.com",
        "abuse@mail.example.org",
        "b-aaaaaaaaaaaaaaaa@relay.example.com", /* a return path */
        "*@relay.example.com",                  /* a catch-all */
        "Shop@relay.example.com",               /* not folded */
        "shop@RELAY.example.com",
        "shop@relay.example.com@relay.example.com",
        "a b@relay.example.com",
        "shop\n@relay.example.com",
        "\"shop\"@relay.example.com",
        "shop@relay.example.com.",
        "@relay.example.com",
        "shop@",
        "",
    };

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        print_message("    %s\n", addresses[i]);
        certify_fails(u.profile, addresses[i], ERR_REFUSED);
    }
    assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &s),
               ERR_OK);
    certify_fails(u.profile, s.reverse, ERR_REFUSED);
}

static void only_a_profile_that_may_mail_has_alias_certificates(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    X509 *cert;

    (void)state;
    certify_fails("zzzzzzzzzzzzzzzz", ALIAS, ERR_NOT_FOUND);
    kit_profile(&kit, &u, KEY_P384, KEY_P256);
    certify_fails(u.profile, ALIAS, ERR_NOT_ACTIVE);
    kit_user_clear(&u);
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_activate(&kit, &u);
    assert_err(authority_suspend(kit.a, u.profile), ERR_OK);
    certify_fails(u.profile, ALIAS, ERR_NOT_ACTIVE);
    assert_err(authority_resume(kit.a, u.profile), ERR_OK);
    cert = certified(&u);
    assert_err(authority_delete(kit.a, u.profile), ERR_OK);
    certify_fails(u.profile, ALIAS, ERR_NOT_ACTIVE);
    assert_true(is_revoked(&u, cert));
    X509_free(cert);
}

static void
the_newest_key_is_certified_and_a_withdrawn_one_takes_its_certificates_along(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    EVP_PKEY *second = kit_key(KEY_P256);
    X509_REQ *csr = kit_csr(second, NULL);
    X509 *before, *of_second, *after;

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    before = certified(&u);
    ask(&u, "add-key", second, csr);
    of_second = certified(&u);
    assert_true(is_over(of_second, second));
    assert_false(is_revoked(&u, of_second));
    ask(&u, "withdraw-key", second, NULL);
    kit_restart(&kit);
    after = certified(&u);
    assert_true(is_over(after, u.key));
    assert_true(is_revoked(&u, of_second));
    assert_false(is_revoked(&u, before));
    assert_false(is_revoked(&u, after));
    ask(&u, "withdraw-key", u.key, NULL);
    certify_fails(u.profile, ALIAS, ERR_EXPIRED);
    assert_true(is_revoked(&u, after));
    X509_free(before);
    X509_free(of_second);
    X509_free(after);
    X509_REQ_free(csr);
    EVP_PKEY_free(second);
}

static void an_expired_key_is_not_certified(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    int64_t before = kit_now_s;

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_now_s = before + 731 * KIT_DAY_S;
    assert_int_equal(certs_of(u.profile), 1);
    certify_fails(u.profile, ALIAS, ERR_EXPIRED);
    kit_now_s = before;
}

static void alias_certificates_are_bounded_an_hour(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    struct authority_limits before = kit.options.limits;

    (void)state;
    kit.options.limits = (struct authority_limits){.senders_hour = 1};
    kit_restart(&kit);
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    for (int i = 0; i < 10; i++)
        X509_free(certified(&u));
    certify_fails(u.profile, ALIAS, ERR_LIMIT);
    kit_now_s += 3600;
    X509_free(certified(&u));
    kit.options.limits = before;
    kit_restart(&kit);
}

static void the_journal_tells_of_each_and_over_which_key(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf path = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf wanted = {0};
    char spki[65];

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    X509_free(certified(&u));
    kit_spki_hex(u.key, spki);
    buf_printf(&path, "%s/journal", kit.options.state_dir);
    assert_err(file_read(buf_str(&path), 64u << 20, &text), ERR_OK);
    buf_printf(&wanted, " alias-cert %s alias=" ALIAS " serial=", u.profile);
    assert_non_null(strstr(buf_str(&text), buf_str(&wanted)));
    buf_reset(&wanted);
    buf_printf(&wanted, " spki=%s mac=", spki);
    assert_non_null(strstr(strstr(buf_str(&text), " alias-cert "), buf_str(&wanted)));
}

static void a_journal_line_without_the_key_does_not_count(void **state)
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    static const struct {
        const char *end;
        enum err wanted;
    } lines[] = {
        {"profile aaaaaaaaaaaaaaaa user=uuuuuuuuuuuuuuuu", ERR_OK},
        {"alias-cert aaaaaaaaaaaaaaaa alias=" ALIAS " serial=02 not-after=5 spki=00", ERR_OK},
        {"alias-cert aaaaaaaaaaaaaaaa alias=" ALIAS " serial=02 not-after=5", ERR_TAMPERED},
        {"alias-cert aaaaaaaaaaaaaaaa alias=" ALIAS " not-after=5 spki=00", ERR_TAMPERED},
        {"alias-cert bbbbbbbbbbbbbbbb alias=" ALIAS " serial=02 not-after=5 spki=00", ERR_TAMPERED},
    };
    struct journal_index *index = NULL;

    (void)state;
    assert_err(journal_index_new(&index), ERR_OK);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        CLEANUP(buf_clear) struct buf text = {0};
        struct journal_line line;

        buf_printf(&text, "%s %zu 1800000000 %s\n", zeros, i + 1, lines[i].end);
        assert_err(journal_line_parse(buf_bytes(&text), &line), ERR_OK);
        assert_err(journal_index_visit(index, &line, buf_bytes(&text)), lines[i].wanted);
    }
    journal_index_free(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alias_is_certified_over_its_users_key_and_names_no_mailbox),
        cmocka_unit_test(what_is_no_alias_of_the_user_is_not_certified),
        cmocka_unit_test(only_a_profile_that_may_mail_has_alias_certificates),
        cmocka_unit_test(
            the_newest_key_is_certified_and_a_withdrawn_one_takes_its_certificates_along),
        cmocka_unit_test(an_expired_key_is_not_certified),
        cmocka_unit_test(alias_certificates_are_bounded_an_hour),
        cmocka_unit_test(the_journal_tells_of_each_and_over_which_key),
        cmocka_unit_test(a_journal_line_without_the_key_does_not_count),
    };

    return cmocka_run_group_tests(tests, case_group_start, case_group_end);
}
