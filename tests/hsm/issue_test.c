/* SPDX-License-Identifier: GPL-3.0-or-later */
/* issue_test.c - what issued certificates look like.
 *
 * The checks are a list over certificates of every kind, made with every key type; the judge is
 * OpenSSL's parser and verifier, not the code that composed them. */
#include "daemon/base/codec.h"
#include "hsm/issue/certificate.h"
#include "tests/hsm/issue_case.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define POLICY "2.25.204867384412930154236791803645123872531"

static void expect(enum err got, enum err wanted, const char *what)
{
    if (got != wanted)
        print_error("%s: got %s (%s: %s)\n", what, err_name(got), err_note_get()->action,
                    err_note_get()->detail);
    assert_int_equal(got, wanted);
}

/* ---- the acceptance list: each check answers whether the certificate is as it must be ---- */

struct subject {
    X509 *x;
    X509 *issuer;
    bool is_ca, is_root, rsa_key, rsa_signature, has_urls;
    const char *address; /* leaves */
};

static int ext_at(const struct subject *s, int nid)
{
    int at = X509_get_ext_by_NID(s->x, nid, -1);

    /* no extension twice */
    assert_true(at < 0 || X509_get_ext_by_NID(s->x, nid, at) < 0);
    return at;
}

static bool ext_is(const struct subject *s, int nid, bool critical)
{
    int at = ext_at(s, nid);

    return at >= 0 && (X509_EXTENSION_get_critical(X509_get_ext(s->x, at)) != 0) == critical;
}

static bool is_version_3(const struct subject *s)
{
    return X509_get_version(s->x) == X509_VERSION_3;
}

static bool serial_is_16_to_19_octets_and_positive(const struct subject *s)
{
    const ASN1_INTEGER *n = X509_get0_serialNumber(s->x);
    int len = ASN1_STRING_length((const ASN1_STRING *)n);

    return ASN1_STRING_type((const ASN1_STRING *)n) == V_ASN1_INTEGER && len >= 16 && len <= 19;
}

static bool issuer_bytes_are_the_issuers_subject_bytes(const struct subject *s)
{
    const uint8_t *a, *b;
    size_t na, nb;

    return X509_NAME_get0_der(X509_get_issuer_name(s->x), &a, &na) &&
           X509_NAME_get0_der(X509_get_subject_name(s->issuer), &b, &nb) && na == nb &&
           memcmp(a, b, na) == 0;
}

static bool subject_is_of_its_kind(const struct subject *s)
{
    X509_NAME *name = X509_get_subject_name(s->x);
    char text[256];

    if (s->is_ca)
        return X509_NAME_entry_count(name) == 3 &&
               X509_NAME_get_text_by_NID(name, NID_countryName, text, sizeof text) == 2 &&
               X509_NAME_get_text_by_NID(name, NID_organizationName, text, sizeof text) > 0 &&
               X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof text) > 0;
    if (X509_NAME_entry_count(name) != 1)
        return false;
    if (strlen(s->address) <= 64)
        return X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof text) > 0 &&
               strcmp(text, s->address) == 0;
    return X509_NAME_get_text_by_NID(name, NID_serialNumber, text, sizeof text) > 0;
}

static bool algorithm_bytes_are_exact(const struct subject *s)
{
    static const uint8_t ecdsa[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                    0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
    static const uint8_t rsa[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                  0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
    const X509_ALGOR *outer = NULL;
    uint8_t *a = NULL, *b = NULL;
    int na, nb;
    bool same;

    X509_get0_signature(NULL, &outer, s->x);
    na = i2d_X509_ALGOR(outer, &a);
    nb = i2d_X509_ALGOR(X509_get0_tbs_sigalg(s->x), &b);
    same = na == nb && memcmp(a, b, (size_t)na) == 0 &&
           na == (int)(s->rsa_signature ? sizeof rsa : sizeof ecdsa) &&
           memcmp(a, s->rsa_signature ? rsa : ecdsa, (size_t)na) == 0;
    OPENSSL_free(a);
    OPENSSL_free(b);
    return same;
}

static bool key_bytes_are_exact(const struct subject *s)
{
    static const uint8_t rsa[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                  0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
    static const uint8_t p256[] = {0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                   0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    static const uint8_t p384[] = {0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                   0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
    struct bytes wanted = s->rsa_key ? (struct bytes){rsa, sizeof rsa}
                          : s->is_ca ? (struct bytes){p384, sizeof p384}
                                     : (struct bytes){p256, sizeof p256};
    uint8_t *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(s->x), &der);
    const uint8_t *p = der;
    long body = 0;
    int tag, class;
    bool same = len > 0 && ASN1_get_object(&p, &body, &tag, &class, len) == V_ASN1_CONSTRUCTED &&
                memcmp(p, wanted.data, wanted.len) == 0;

    OPENSSL_free(der);
    return same;
}

static bool validity_is_within_bounds(const struct subject *s)
{
    struct cert_dates d, above;

    if (cert_time(s->x, &d) || cert_time(s->issuer, &above) || d.not_after_s > above.not_after_s ||
        d.not_before_s > kit_now_s)
        return false;
    /* the last second counts */
    return s->is_ca || (d.not_after_s - d.not_before_s + 1 <= 824 * KIT_DAY_S &&
                        d.not_before_s == kit_now_s - 30 * KIT_DAY_S);
}

static bool dates_are_of_the_right_type(const struct subject *s)
{
    const ASN1_TIME *times[] = {X509_get0_notBefore(s->x), X509_get0_notAfter(s->x)};

    for (size_t i = 0; i < 2; i++) {
        const char *text = (const char *)ASN1_STRING_get0_data(times[i]);
        size_t len = (size_t)ASN1_STRING_length(times[i]);

        if (ASN1_STRING_type(times[i]) != V_ASN1_UTCTIME || len != 13 || text[12] != 'Z')
            return false;
    }
    return true;
}

static bool basic_constraints_are_of_its_kind(const struct subject *s)
{
    BASIC_CONSTRAINTS *b = X509_get_ext_d2i(s->x, NID_basic_constraints, NULL, NULL);
    bool good;

    if (!s->is_ca)
        good = !b;
    else
        good = b && b->ca && ext_is(s, NID_basic_constraints, true) &&
               (s->is_root ? !b->pathlen : b->pathlen && ASN1_INTEGER_get(b->pathlen) == 0);
    BASIC_CONSTRAINTS_free(b);
    return good;
}

static bool key_usage_is_critical_and_of_its_kind(const struct subject *s)
{
    uint32_t wanted = s->is_ca     ? KU_KEY_CERT_SIGN | KU_CRL_SIGN
                      : s->rsa_key ? KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT
                                   : KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT;

    return ext_is(s, NID_key_usage, true) && X509_get_key_usage(s->x) == wanted;
}

static bool eku_is_email_protection_alone(const struct subject *s)
{
    EXTENDED_KEY_USAGE *eku = X509_get_ext_d2i(s->x, NID_ext_key_usage, NULL, NULL);
    bool good;

    if (s->is_root)
        good = !eku;
    else
        good = eku && sk_ASN1_OBJECT_num(eku) == 1 && ext_is(s, NID_ext_key_usage, false) &&
               OBJ_obj2nid(sk_ASN1_OBJECT_value(eku, 0)) == NID_email_protect;
    EXTENDED_KEY_USAGE_free(eku);
    return good;
}

static bool is_lower(const ASN1_IA5STRING *s)
{
    for (int i = 0; i < ASN1_STRING_length(s); i++)
        if (isupper(ASN1_STRING_get0_data(s)[i]))
            return false;
    return true;
}

static bool san_holds_lower_case_mailboxes_alone(const struct subject *s)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(s->x, NID_subject_alt_name, NULL, NULL);
    bool good = s->is_ca ? !names : names && ext_is(s, NID_subject_alt_name, false);

    for (int i = 0; good && names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        good = name->type == GEN_EMAIL && is_lower(name->d.rfc822Name) &&
               (i > 0 || ((size_t)ASN1_STRING_length(name->d.rfc822Name) == strlen(s->address) &&
                          memcmp(ASN1_STRING_get0_data(name->d.rfc822Name), s->address,
                                 strlen(s->address)) == 0));
    }
    GENERAL_NAMES_free(names);
    return good;
}

static bool key_identifiers_tie_to_the_issuer(const struct subject *s)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(s->x);
    const ASN1_OCTET_STRING *above = X509_get0_subject_key_id(s->issuer);
    AUTHORITY_KEYID *aki = X509_get_ext_d2i(s->x, NID_authority_key_identifier, NULL, NULL);
    bool good = own && above && ext_is(s, NID_subject_key_identifier, false);

    if (s->is_root)
        good = good && !aki;
    else
        good = good && aki && aki->keyid && !aki->issuer && !aki->serial &&
               ASN1_OCTET_STRING_cmp(aki->keyid, above) == 0;
    AUTHORITY_KEYID_free(aki);
    return good;
}

static bool policy_is_our_own(const struct subject *s)
{
    CERTIFICATEPOLICIES *p = X509_get_ext_d2i(s->x, NID_certificate_policies, NULL, NULL);
    char text[80] = "";
    bool good;

    if (p && sk_POLICYINFO_num(p) == 1)
        (void)OBJ_obj2txt(text, sizeof text, sk_POLICYINFO_value(p, 0)->policyid, 1);
    good =
        s->is_root ? !p : strcmp(text, POLICY) == 0 && ext_is(s, NID_certificate_policies, false);
    CERTIFICATEPOLICIES_free(p);
    return good;
}

static bool urls_are_there_only_when_configured(const struct subject *s)
{
    bool wanted = s->has_urls && !s->is_root;

    return (ext_at(s, NID_crl_distribution_points) >= 0) == wanted &&
           (ext_at(s, NID_info_access) >= 0) == wanted;
}

static bool name_constraints_are_on_cas_and_not_critical(const struct subject *s)
{
    NAME_CONSTRAINTS *nc = X509_get_ext_d2i(s->x, NID_name_constraints, NULL, NULL);
    bool good = s->is_ca ? nc && ext_is(s, NID_name_constraints, false) &&
                               sk_GENERAL_SUBTREE_num(nc->permittedSubtrees) == 4 &&
                               sk_GENERAL_SUBTREE_num(nc->excludedSubtrees) == 3
                         : !nc;

    NAME_CONSTRAINTS_free(nc);
    return good;
}

static bool name_constraints_equal_the_issuers(const struct subject *s)
{
    int own = ext_at(s, NID_name_constraints);
    int above = X509_get_ext_by_NID(s->issuer, NID_name_constraints, -1);

    return !s->is_ca ||
           (own >= 0 && above >= 0 &&
            ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(X509_get_ext(s->x, own)),
                                  X509_EXTENSION_get_data(X509_get_ext(s->issuer, above))) == 0);
}

static bool nothing_else_is_in_it(const struct subject *s)
{
    int wanted = s->is_root ? 4 : s->is_ca ? 7 : 6;

    return X509_get_ext_count(s->x) == wanted + (s->has_urls && !s->is_root ? 2 : 0);
}

static bool is_signed_by_its_issuer(const struct subject *s)
{
    return X509_verify(s->x, X509_get0_pubkey(s->issuer)) == 1;
}

static bool rsa_key_is_sane(const struct subject *s)
{
    EVP_PKEY *key = X509_get0_pubkey(s->x);
    BIGNUM *e = NULL;
    bool good;

    if (!s->rsa_key)
        return true;
    good = EVP_PKEY_get_bn_param(key, "e", &e) == 1 && BN_is_word(e, 65537) &&
           EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) % 8 == 0;
    BN_free(e);
    return good;
}

#define CHECK(f)                                                                                   \
    {                                                                                              \
#f, f                                                                                      \
    }
static const struct {
    const char *name;
    bool (*holds)(const struct subject *);
} checks[] = {
    CHECK(is_version_3),
    CHECK(serial_is_16_to_19_octets_and_positive),
    CHECK(issuer_bytes_are_the_issuers_subject_bytes),
    CHECK(subject_is_of_its_kind),
    CHECK(algorithm_bytes_are_exact),
    CHECK(key_bytes_are_exact),
    CHECK(validity_is_within_bounds),
    CHECK(dates_are_of_the_right_type),
    CHECK(basic_constraints_are_of_its_kind),
    CHECK(key_usage_is_critical_and_of_its_kind),
    CHECK(eku_is_email_protection_alone),
    CHECK(san_holds_lower_case_mailboxes_alone),
    CHECK(key_identifiers_tie_to_the_issuer),
    CHECK(policy_is_our_own),
    CHECK(urls_are_there_only_when_configured),
    CHECK(name_constraints_are_on_cas_and_not_critical),
    CHECK(name_constraints_equal_the_issuers),
    CHECK(nothing_else_is_in_it),
    CHECK(is_signed_by_its_issuer),
    CHECK(rsa_key_is_sane),
};

static void checks_run(const char *what, const struct subject *s)
{
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (!checks[i].holds(s)) {
            X509_print_ex_fp(stderr, s->x, 0, 0);
            fail_msg("%s: %s does not hold", what, checks[i].name);
        }
    ERR_clear_error();
}

static void leaf_verifies_for_mail_alone(const struct kit_user *u, X509 *leaf, const char *address)
{
    assert_int_equal(kit_verify(u, leaf, X509_PURPOSE_SMIME_SIGN, address), X509_V_OK);
    /* OpenSSL 3.0 knows no keyAgreement here. */
    if (EVP_PKEY_is_a(X509_get0_pubkey(leaf), "RSA"))
        assert_int_equal(kit_verify(u, leaf, X509_PURPOSE_SMIME_ENCRYPT, address), X509_V_OK);
    assert_int_equal(kit_verify(u, leaf, X509_PURPOSE_SMIME_SIGN, "ceo@victim.example.com"),
                     X509_V_ERR_EMAIL_MISMATCH);
    assert_int_not_equal(kit_verify(u, leaf, X509_PURPOSE_SSL_SERVER, NULL), X509_V_OK);
    assert_int_not_equal(kit_verify(u, leaf, X509_PURPOSE_TIMESTAMP_SIGN, NULL), X509_V_OK);
}

static void every_kind_judged(enum key_type ca, enum key_type key, bool has_urls)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender s = {0};
    CLEANUP(buf_clear) struct buf alias_der = {0};
    bool ca_rsa = ca != KEY_P384, rsa = key != KEY_P256;
    X509 *sender, *alias;

    kit_enrol(&kit, &u, ca, key);
    expect(authority_sender_new(kit.a, u.profile, "mail.example.org", NULL, false, &s), ERR_OK,
           "sender");
    expect(authority_alias_cert(kit.a, u.profile, "shop@relay.example.com", &alias_der), ERR_OK,
           "alias");
    sender = kit_x509(&s.cert);
    alias = kit_x509(&alias_der);
    checks_run("root",
               &(struct subject){u.root, u.root, true, true, ca_rsa, ca_rsa, has_urls, NULL});
    checks_run("intermediate", &(struct subject){u.intermediate, u.root, true, false, ca_rsa,
                                                 ca_rsa, has_urls, NULL});
    checks_run("user", &(struct subject){u.cert, u.intermediate, false, false, rsa, ca_rsa,
                                         has_urls, "user1@home.example.com"});
    checks_run("sender", &(struct subject){sender, u.intermediate, false, false, rsa, ca_rsa,
                                           has_urls, s.reverse});
    checks_run("alias", &(struct subject){alias, u.intermediate, false, false, rsa, ca_rsa,
                                          has_urls, "shop@relay.example.com"});
    leaf_verifies_for_mail_alone(&u, u.cert, "user1@home.example.com");
    leaf_verifies_for_mail_alone(&u, u.cert, "second@home.example.com");
    leaf_verifies_for_mail_alone(&u, sender, s.reverse);
    leaf_verifies_for_mail_alone(&u, alias, "shop@relay.example.com");
    X509_free(sender);
    X509_free(alias);
}

static void certificates_meet_the_list_with_ec_keys(void **state)
{
    (void)state;
    every_kind_judged(KEY_P384, KEY_P256, false);
}

static void certificates_meet_the_list_with_rsa_keys_under_an_ec_ca(void **state)
{
    (void)state;
    every_kind_judged(KEY_P384, KEY_RSA_2048, false);
}

static void certificates_meet_the_list_under_an_rsa_ca(void **state)
{
    (void)state;
    every_kind_judged(KEY_RSA_3072, KEY_RSA_3072, false);
}

static void certificates_meet_the_list_with_configured_urls(void **state)
{
    (void)state;
    kit.options.crl_url = "http://crl.example.com/";
    kit.options.aia_url = "http://ca.example.com/";
    kit_restart(&kit);
    every_kind_judged(KEY_P384, KEY_P256, true);
    kit.options.crl_url = NULL;
    kit.options.aia_url = NULL;
    kit_restart(&kit);
}

static void long_address_gets_an_opaque_subject(void **state)
{
    static const char *const address[] = {
        "a.very.long.local.part.that.a.person.may.well.have.somewhere@department.home.example.com"};
    static const char *const domain[] = {"relay.example.com"};
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    struct authority_profile_new p = {.user = u.id,
                                      .addresses = address,
                                      .n_addresses = 1,
                                      .domains = domain,
                                      .n_domains = 1,
                                      .country = "DE",
                                      .ca_key_type = KEY_P384,
                                      .user_key_type = KEY_P256,
                                      .sender_key_type = KEY_P256};

    (void)state;
    expect(id_new(u.id), ERR_OK, "id");
    expect(authority_profile_add(kit.a, &p, u.profile), ERR_OK, "add");
    kit_enrolment(&kit, &u, NULL, &json);
    expect(authority_install(kit.a, u.profile, buf_bytes(&json)), ERR_OK, "install");
    expect(authority_issue(kit.a, u.profile, (struct bytes){0}, &out), ERR_OK, "issue");
    u.cert = kit_certificate(&out);
    assert_true(subject_is_of_its_kind(
        &(struct subject){u.cert, u.intermediate, false, false, false, false, false, address[0]}));
    leaf_verifies_for_mail_alone(&u, u.cert, address[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_meet_the_list_with_ec_keys),
        cmocka_unit_test(certificates_meet_the_list_with_rsa_keys_under_an_ec_ca),
        cmocka_unit_test(certificates_meet_the_list_under_an_rsa_ca),
        cmocka_unit_test(certificates_meet_the_list_with_configured_urls),
        cmocka_unit_test(long_address_gets_an_opaque_subject),
    };

    return cmocka_run_group_tests(tests, case_group_start_roomy, case_group_end);
}
