/* SPDX-License-Identifier: GPL-3.0-or-later */
/* enrol_test.c - enrolments, users' certificate requests and files that must not be accepted. */
#include "tests/hsm/issue_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect(enum err got, enum err wanted, const char *what)
{
    if (got != wanted)
        print_error("%s: got %s (%s: %s)\n", what, err_name(got), err_note_get()->action,
                    err_note_get()->detail);
    assert_int_equal(got, wanted);
}

/* ---- enrolments that must fail ---- */

static void ext_replace(X509 *x, int nid, const char *value)
{
    int at = X509_get_ext_by_NID(x, nid, -1);
    X509_EXTENSION *ext;

    if (at >= 0)
        X509_EXTENSION_free(X509_delete_ext(x, at));
    if (!value)
        return;
    ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(ext);
    assert_true(X509_add_ext(x, ext, at));
    X509_EXTENSION_free(ext);
}

static void no_pathlen(X509 *x)
{
    ext_replace(x, NID_basic_constraints, "critical,CA:TRUE");
}

static void pathlen_one(X509 *x)
{
    ext_replace(x, NID_basic_constraints, "critical,CA:TRUE,pathlen:1");
}

static void pathlen_zero(X509 *x)
{
    ext_replace(x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
}

static void server_auth(X509 *x)
{
    ext_replace(x, NID_ext_key_usage, "emailProtection,serverAuth");
}

static void no_eku(X509 *x)
{
    ext_replace(x, NID_ext_key_usage, NULL);
}

static void foreign_domain(X509 *x)
{
    ext_replace(x, NID_name_constraints,
                "permitted;email:relay.example.com,permitted;email:mail.example.org,"
                "permitted;email:user1@home.example.com,permitted;email:victim.example.com");
}

static void no_constraints(X509 *x)
{
    ext_replace(x, NID_name_constraints, NULL);
}

static void digital_signature(X509 *x)
{
    ext_replace(x, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign");
}

static void usage_not_critical(X509 *x)
{
    ext_replace(x, NID_key_usage, "keyCertSign,cRLSign");
}

static void other_policy(X509 *x)
{
    CERTIFICATEPOLICIES *p = X509_get_ext_d2i(x, NID_certificate_policies, NULL, NULL);
    POLICYINFO *info = sk_POLICYINFO_value(p, 0);

    ASN1_OBJECT_free(info->policyid);
    info->policyid = OBJ_txt2obj("2.23.140.1.5.1.2", 1);
    assert_true(X509_add1_ext_i2d(x, NID_certificate_policies, p, 0, X509V3_ADD_REPLACE) == 1);
    CERTIFICATEPOLICIES_free(p);
}

static void more_extensions(X509 *x)
{
    ext_replace(x, NID_subject_alt_name, "email:ceo@victim.example.com");
}

static void other_name(X509 *x)
{
    assert_true(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "OU", MBSTRING_UTF8,
                                           (const uint8_t *)"More", -1, -1, 0));
}

static void longer(X509 *x)
{
    assert_non_null(X509_time_adj_ex(X509_getm_notAfter(x), 400, 0,
                                     &(time_t){(time_t)(kit_now_s + 3640 * KIT_DAY_S)}));
}

static void begins_in_the_future(X509 *x)
{
    assert_non_null(X509_time_adj_ex(X509_getm_notBefore(x), 5, 0, &(time_t){(time_t)kit_now_s}));
}

static void long_ago(X509 *x)
{
    assert_non_null(
        X509_time_adj_ex(X509_getm_notBefore(x), -200, 0, &(time_t){(time_t)kit_now_s}));
}

static void short_serial(X509 *x)
{
    assert_true(ASN1_INTEGER_set(X509_get_serialNumber(x), 1));
}

static void root_eku(X509 *x)
{
    ext_replace(x, NID_ext_key_usage, "emailProtection");
}

static void sequence_put(struct buf *out, struct bytes content)
{
    const uint8_t head[] = {0x30, 0x82, (uint8_t)(content.len >> 8), (uint8_t)content.len};

    assert_true(content.len > 255 && content.len < 65536);
    buf_append(out, head, sizeof head);
    buf_append_bytes(out, content);
}

/* issuerUniqueID stands between the key and the extensions, RFC 5280 4.1. */
static X509 *with_unique_id(X509 *x)
{
    static const uint8_t unique_id[] = {0x81, 0x02, 0x00, 0x55};
    CLEANUP(buf_clear) struct buf content = {0}, whole = {0}, der = {0};
    uint8_t *tbs = NULL, *all = NULL;
    int n = i2d_re_X509_tbs(x, &tbs), len = i2d_X509(x, &all), tag, class;
    const uint8_t *p = tbs, *start;
    long length;
    X509 *out;

    assert_int_equal(ASN1_get_object(&p, &length, &tag, &class, n), V_ASN1_CONSTRUCTED);
    for (start = p; p < tbs + n; p += length) {
        const uint8_t *item = p;

        assert_false(ASN1_get_object(&p, &length, &tag, &class, tbs + n - p) & 0x80);
        if (class == V_ASN1_CONTEXT_SPECIFIC && tag == 3) {
            buf_append(&content, start, (size_t)(item - start));
            buf_append(&content, unique_id, sizeof unique_id);
            buf_append(&content, item, (size_t)(tbs + n - item));
        }
    }
    sequence_put(&whole, buf_bytes(&content));
    p = all;
    assert_false(ASN1_get_object(&p, &length, &tag, &class, len) & 0x80);
    buf_append(&whole, p + n, (size_t)(all + len - p - n));
    sequence_put(&der, buf_bytes(&whole));
    out = kit_x509(&der);
    OPENSSL_free(tbs);
    OPENSSL_free(all);
    return out;
}

static const struct {
    const char *name;
    struct kit_tweak tweak;
    const char *part; /* the note's action */
} enrolment_attacks[] = {
    {"intermediate without pathlen", {.intermediate = no_pathlen}, "intermediate"},
    {"intermediate with pathlen 1", {.intermediate = pathlen_one}, "intermediate"},
    {"intermediate for TLS servers", {.intermediate = server_auth}, "intermediate"},
    {"intermediate without EKU", {.intermediate = no_eku}, "intermediate"},
    {"intermediate for a foreign domain", {.intermediate = foreign_domain}, "intermediate"},
    {"intermediate without constraints", {.intermediate = no_constraints}, "intermediate"},
    {"intermediate that signs data", {.intermediate = digital_signature}, "intermediate"},
    {"intermediate, usage not critical", {.intermediate = usage_not_critical}, "intermediate"},
    {"intermediate of another policy", {.intermediate = other_policy}, "intermediate"},
    {"intermediate with an address", {.intermediate = more_extensions}, "intermediate"},
    {"intermediate of another name", {.intermediate = other_name}, "intermediate"},
    {"intermediate valid for too long", {.intermediate = longer}, "intermediate"},
    {"intermediate from the future", {.intermediate = begins_in_the_future}, "intermediate"},
    {"intermediate from long ago", {.intermediate = long_ago}, "intermediate"},
    {"intermediate numbered 1", {.intermediate = short_serial}, "intermediate"},
    {"intermediate with a foreign key", {.foreign_key = true}, "intermediate"},
    {"intermediate signed by another root", {.foreign_signature = true}, "intermediate"},
    {"intermediate with a unique identifier", {.remake = with_unique_id}, "intermediate"},
    {"root with EKU", {.root = root_eku}, "root"},
    {"root with pathlen", {.root = pathlen_zero}, "root"},
    {"root for a foreign domain", {.root = foreign_domain}, "root"},
    {"root of another name", {.root = other_name}, "root"},
    {"root from long ago", {.root = long_ago}, "root"},
    {"CRL that ends early", {.crl_days_short = 1}, "root CRL"},
    {"CRL that revokes", {.crl_revokes = true}, "root CRL"},
    {"statement for another profile",
     {.statement_profile = "aaaaaaaaaaaaaaaa"},
     "enrolment statement"},
    {"statement for another key", {.statement_other_key = true}, "enrolment statement"},
    {"no statement", {.no_statement = true}, "statement"},
};

static void enrolment_that_departs_from_the_request_is_refused(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf good = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    enum err e;

    (void)state;
    kit_profile(&kit, &u, KEY_P384, KEY_P256);
    for (size_t i = 0; i < sizeof enrolment_attacks / sizeof *enrolment_attacks; i++) {
        CLEANUP(buf_clear) struct buf json = {0};

        kit_enrolment(&kit, &u, &enrolment_attacks[i].tweak, &json);
        err_note_clear();
        e = authority_install(kit.a, u.profile, buf_bytes(&json));
        if ((e != ERR_REFUSED && e != ERR_FORMAT) ||
            strcmp(err_note_get()->action, enrolment_attacks[i].part) != 0)
            fail_msg("%s: %s, %s: %s", enrolment_attacks[i].name, err_name(e),
                     err_note_get()->action, err_note_get()->detail);
        expect(authority_issue(kit.a, u.profile, (struct bytes){0}, &out), ERR_WRONG_STATE,
               enrolment_attacks[i].name);
    }
    kit_enrolment(&kit, &u, NULL, &good);
    expect(authority_install(kit.a, u.profile, buf_bytes(&good)), ERR_OK, "the honest one");
    expect(authority_install(kit.a, u.profile, buf_bytes(&good)), ERR_OK, "again");
    expect(authority_request_json(kit.a, u.profile, &out), ERR_WRONG_STATE, "request");
}

static void second_intermediate_is_never_accepted(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf first = {0};
    CLEANUP(buf_clear) struct buf second = {0};

    (void)state;
    kit_profile(&kit, &u, KEY_P384, KEY_P256);
    kit_enrolment(&kit, &u, NULL, &first);
    kit_enrolment(&kit, &u, NULL, &second);
    expect(authority_install(kit.a, u.profile, buf_bytes(&first)), ERR_OK, "first");
    expect(authority_install(kit.a, u.profile, buf_bytes(&second)), ERR_WRONG_STATE, "second");
}

static void enrolment_of_another_profile_is_refused(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(kit_user_clear) struct kit_user v = {0};
    CLEANUP(buf_clear) struct buf json = {0};

    (void)state;
    kit_profile(&kit, &u, KEY_P384, KEY_P256);
    kit_profile(&kit, &v, KEY_P384, KEY_P256);
    kit_enrolment(&kit, &u, NULL, &json);
    expect(authority_install(kit.a, v.profile, buf_bytes(&json)), ERR_REFUSED, "install");
}

/* ---- users' certificate requests ---- */

static void csr_judged(const char *name, X509_REQ *csr, EVP_PKEY *key, bool good)
{
    CLEANUP(kit_user_clear) struct kit_user u = {.key = key, .csr = csr};
    CLEANUP(buf_clear) struct buf json = {0};

    kit_profile(&kit, &u, KEY_P384, KEY_P256);
    kit_enrolment(&kit, &u, NULL, &json);
    expect(authority_install(kit.a, u.profile, buf_bytes(&json)), good ? ERR_OK : ERR_REFUSED,
           name);
}

static void request_for_more_than_a_users_certificate_is_refused(void **state)
{
    static const struct {
        const char *extension[2][2];
        bool good;
    } cases[] = {
        {{{"basicConstraints", "CA:TRUE"}}, false},
        {{{"basicConstraints", "critical,CA:TRUE,pathlen:0"}}, false},
        {{{"keyUsage", "critical,digitalSignature,keyCertSign"}}, false},
        {{{"extendedKeyUsage", "serverAuth"}}, false},
        {{{"extendedKeyUsage", "emailProtection,serverAuth"}}, false},
        {{{"subjectAltName", "email:ceo@victim.example.com"}}, false},
        {{{"subjectAltName", "email:user1@home.example.com,DNS:home.example.com"}}, false},
        {{{"nameConstraints", "permitted;email:victim.example.com"}}, false},
        {{{"subjectAltName", "email:second@home.example.com"}}, true},
        {{{"extendedKeyUsage", "emailProtection"}}, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EVP_PKEY *key = kit_key(KEY_P256);
        const char *list[2][2] = {{cases[i].extension[0][0], cases[i].extension[0][1]}};

        csr_judged(list[0][1], kit_csr(key, list), key, cases[i].good);
    }
}

static void key_of_another_type_is_refused(void **state)
{
    static const enum key_type types[] = {KEY_P384, KEY_RSA_2048};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        EVP_PKEY *key = kit_key(types[i]);

        csr_judged(key_type_name(types[i]), kit_csr(key, NULL), key, false);
    }
}

static void request_without_possession_of_its_key_is_refused(void **state)
{
    EVP_PKEY *key = kit_key(KEY_P256), *thief = kit_key(KEY_P256);
    X509_REQ *csr = kit_csr(key, NULL);

    (void)state;
    assert_true(X509_REQ_sign(csr, thief, EVP_sha256()) > 0);
    csr_judged("stolen key", csr, key, false);
    EVP_PKEY_free(thief);
}

/* The CA's own request is handed to everybody, and proves that somebody has its key. */
static void a_cas_key_is_no_users(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(kit_user_clear) struct kit_user v = {.root_key = kit_key(KEY_RSA_3072)};
    CLEANUP(buf_clear) struct buf request = {0};
    CLEANUP(buf_clear) struct buf enrolment = {0};
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    X509_REQ *csr;
    char spki[65];

    (void)state;
    kit_profile(&kit, &u, KEY_RSA_3072, KEY_RSA_3072);
    expect(authority_request_json(kit.a, u.profile, &request), ERR_OK, "request");
    csr = kit_csr_of(&request);
    kit_enrolment(&kit, &u, NULL, &enrolment);
    expect(authority_install(kit.a, u.profile, buf_bytes(&enrolment)), ERR_OK, "install");
    expect(authority_issue(kit.a, u.profile, (struct bytes){0}, &out), ERR_OK, "issue");
    u.cert = kit_certificate(&out);
    kit_spki_hex(X509_get0_pubkey(u.intermediate), spki);
    kit_request_new(&kit, &u, "add-key", spki, csr, &json);
    expect(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_REFUSED, "CA key");
    X509_REQ_free(csr);
    csr = kit_csr(u.root_key, NULL);
    buf_reset(&json);
    kit_spki_hex(u.root_key, spki);
    kit_request_new(&kit, &u, "add-key", spki, csr, &json);
    expect(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_REFUSED, "root key");
    X509_REQ_free(csr);
    assert_int_equal(EVP_PKEY_up_ref(v.root_key), 1);
    v.key = v.root_key;
    buf_reset(&enrolment);
    kit_profile(&kit, &v, KEY_RSA_3072, KEY_RSA_3072);
    kit_enrolment(&kit, &v, NULL, &enrolment);
    expect(authority_install(kit.a, v.profile, buf_bytes(&enrolment)), ERR_REFUSED, "first key");
}

static void user_key_enrolled_before_is_refused(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    char spki[65];

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_spki_hex(u.key, spki);
    kit_request_new(&kit, &u, "add-key", spki, u.csr, &json);
    expect(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_REFUSED, "again");
}

/* ---- files ---- */

static void malformed_files_are_refused_as_such(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"format\":\"sealrelay-enrolment 1\"}",
        "{\"format\":\"sealrelay-enrolment 2\",\"profile\":\"aaaaaaaaaaaaaaaa\"}",
        "{\"format\":\"sealrelay-enrolment 1\",\"profile\":\"../../../etc/pass\"}",
        "{\"format\":\"sealrelay-enrolment 1\",\"profile\":17}",
        "{\"format\":\"sealrelay-enrolment 1\",\"extra\":\"x\"}",
        "{\"format\":\"sealrelay-enrolment 1\",\"format\":\"sealrelay-enrolment 1\"}",
        "{\"format\":\"sealrelay-enrolment 1\",\"profile\":\"aaaaaaaaaaaaaaaa\",\"root\":\"x\"}",
    };
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};

    (void)state;
    kit_profile(&kit, &u, KEY_P384, KEY_P256);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect(authority_install(kit.a, u.profile, bytes_of(texts[i])), ERR_FORMAT, texts[i]);
    kit_enrolment(&kit, &u, NULL, &json);
    for (size_t cut = 1; cut < json.len; cut += 97)
        expect(authority_install(kit.a, u.profile, (struct bytes){json.data, json.len - cut}),
               ERR_FORMAT, "cut short");
    buf_append_str(&json, "{}");
    expect(authority_install(kit.a, u.profile, buf_bytes(&json)), ERR_FORMAT, "more behind");
    expect(authority_issue(kit.a, u.profile, bytes_of("{\"format\":1}"), &out), ERR_FORMAT,
           "request");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enrolment_that_departs_from_the_request_is_refused),
        cmocka_unit_test(second_intermediate_is_never_accepted),
        cmocka_unit_test(enrolment_of_another_profile_is_refused),
        cmocka_unit_test(request_for_more_than_a_users_certificate_is_refused),
        cmocka_unit_test(key_of_another_type_is_refused),
        cmocka_unit_test(request_without_possession_of_its_key_is_refused),
        cmocka_unit_test(a_cas_key_is_no_users),
        cmocka_unit_test(user_key_enrolled_before_is_refused),
        cmocka_unit_test(malformed_files_are_refused_as_such),
    };

    return cmocka_run_group_tests(tests, case_group_start_roomy, case_group_end);
}
