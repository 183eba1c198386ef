/* SPDX-License-Identifier: GPL-3.0-or-later */
/* request_test.c - who may add or withdraw a user key, deactivate or delete: only an enrolled key,
 * by a signed line with a nonce good once. */
#include "tests/hsm/issue_case.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- who may add a user key ---- */

static void added_key_needs_an_enrolled_key_and_a_fresh_nonce(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    EVP_PKEY *second = kit_key(KEY_P256);
    X509_REQ *csr = kit_csr(second, NULL);
    X509 *x;
    char spki[65];

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_spki_hex(second, spki);
    kit_request_new(&kit, &u, "add-key", spki, csr, &json);
    assert_err(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_OK);
    x = kit_certificate(&out);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(x), second), 1);
    assert_int_equal(kit_verify(&u, x, X509_PURPOSE_SMIME_SIGN, "user1@home.example.com"),
                     X509_V_OK);
    assert_int_equal(certs_of(u.profile), 2);
    buf_reset(&out);
    assert_err(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_REFUSED);
    kit_restart(&kit);
    assert_err(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_REFUSED);
    assert_int_equal(certs_of(u.profile), 2);
    X509_free(x);
    X509_REQ_free(csr);
    EVP_PKEY_free(second);
}

static void request_that_did_its_work_is_not_honoured_again(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_activate(&kit, &u);
    kit_request_new(&kit, &u, "deactivate", "-", NULL, &json);
    assert_err(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_OK);
    assert_int_equal(state_of(u.profile), PROFILE_READY);
    kit_activate(&kit, &u);
    for (int i = 0; i < 2; i++) {
        assert_err(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_REFUSED);
        assert_non_null(strstr(err_note_get()->detail, "nonce"));
        assert_int_equal(state_of(u.profile), PROFILE_ACTIVE);
        kit_restart(&kit);
    }
}

struct request_attack {
    const char *name;
    const char *verb;
    bool other_user;    /* signed by the enrolled key of another profile */
    bool self_signed;   /* by the new key itself, in a certificate of its own making */
    bool wrong_spki;    /* the line names another key than the CSR */
    bool wrong_profile; /* the line names another profile */
    bool wrong_verb;    /* the file says another verb than the line */
    bool own_nonce;     /* a nonce nobody gave */
    bool late_nonce;    /* older than a week */
    const char *why;    /* the note */
};

static const struct request_attack request_attacks[] = {
    {.name = "another user's key",
     .verb = "add-key",
     .other_user = true,
     .why = "not signed by an enrolled key"},
    {.name = "a self-signed certificate",
     .verb = "add-key",
     .self_signed = true,
     .why = "signature is wrong"},
    {.name = "another key hash",
     .verb = "add-key",
     .wrong_spki = true,
     .why = "another key than the certificate request"},
    {.name = "another profile",
     .verb = "add-key",
     .wrong_profile = true,
     .why = "names another profile"},
    {.name = "another verb", .verb = "add-key", .wrong_verb = true, .why = "another verb"},
    {.name = "an invented nonce", .verb = "add-key", .own_nonce = true, .why = "nonce is unknown"},
    {.name = "an expired nonce", .verb = "add-key", .late_nonce = true, .why = "nonce is unknown"},
    {.name = "delete by another user",
     .verb = "delete",
     .other_user = true,
     .why = "not signed by an enrolled key"},
    {.name = "deactivate without nonce",
     .verb = "deactivate",
     .own_nonce = true,
     .why = "nonce is unknown"},
};

static X509 *self_signed(const X509 *like, EVP_PKEY *key)
{
    X509 *x = X509_dup((X509 *)(uintptr_t)like);

    assert_true(X509_set_pubkey(x, key) && X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

/* The same file with another member: what is not under the signature can be rewritten. */
static void text_replace(const struct buf *json, const char *member, const char *value,
                         struct buf *out)
{
    cJSON *o = cJSON_Parse(buf_str(json));
    char *text;

    assert_true(cJSON_ReplaceItemInObject(o, member, cJSON_CreateString(value)));
    text = cJSON_Print(o);
    buf_append_str(out, text);
    cJSON_free(text);
    cJSON_Delete(o);
}

static void request_attack_run(const struct request_attack *at, struct kit_user *u,
                               struct kit_user *v)
{
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf told = {0};
    EVP_PKEY *second = kit_key(KEY_P256);
    X509_REQ *csr = strcmp(at->verb, "add-key") == 0 ? kit_csr(second, NULL) : NULL;
    X509 *own = self_signed(u->cert, second);
    X509 *cert = at->self_signed ? own : at->other_user ? v->cert : u->cert;
    EVP_PKEY *key = at->self_signed ? second : at->other_user ? v->key : u->key;
    char spki[65] = "-", nonce[AUTHORITY_NONCE_LEN + 1];

    if (csr)
        kit_spki_hex(at->wrong_spki ? u->key : second, spki);
    assert_err(authority_nonce_new(kit.a, u->profile, nonce), ERR_OK);
    if (at->own_nonce)
        memset(nonce, 'b', AUTHORITY_NONCE_LEN);
    if (at->late_nonce)
        kit_now_s += 7 * KIT_DAY_S;
    kit_request(at->wrong_profile ? v->profile : u->profile,
                at->wrong_verb ? "withdraw-key" : at->verb, spki, nonce, cert, key, csr, &text);
    text_replace(&text, "profile", u->profile, &told);
    text_replace(&told, "verb", at->verb, &json);
    assert_err(authority_issue(kit.a, u->profile, buf_bytes(&json), &out), ERR_REFUSED);
    assert_non_null(strstr(err_note_get()->detail, at->why));
    assert_int_equal(out.len, 0);
    X509_free(own);
    X509_REQ_free(csr);
    EVP_PKEY_free(second);
}

static void request_without_its_proof_is_refused(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(kit_user_clear) struct kit_user v = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_enrol(&kit, &v, KEY_P384, KEY_P256);
    for (size_t i = 0; i < sizeof request_attacks / sizeof *request_attacks; i++) {
        print_message("    %s\n", request_attacks[i].name);
        request_attack_run(&request_attacks[i], &u, &v);
        assert_int_equal(certs_of(u.profile), 1);
        assert_int_equal(state_of(u.profile), PROFILE_READY);
    }
}

static void withdrawn_key_neither_signs_nor_receives(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    CLEANUP(buf_clear) struct buf crl_der = {0};
    const uint8_t *p;
    X509_CRL *crl;
    X509_REVOKED *revoked = NULL;
    char spki[65];

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_spki_hex(u.key, spki);
    kit_request_new(&kit, &u, "withdraw-key", spki, NULL, &json);
    assert_err(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_OK);
    assert_int_equal(out.len, 0);
    assert_int_equal(certs_of(u.profile), 0);
    buf_reset(&json);
    kit_request_new(&kit, &u, "delete", "-", NULL, &json);
    assert_err(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_REFUSED);
    assert_err(authority_leaf_crl(kit.a, u.profile, &crl_der), ERR_OK);
    p = crl_der.data;
    crl = d2i_X509_CRL(NULL, &p, (long)crl_der.len);
    assert_non_null(crl);
    assert_int_equal(X509_CRL_verify(crl, X509_get0_pubkey(u.intermediate)), 1);
    assert_int_equal(X509_CRL_get0_by_cert(crl, &revoked, u.cert), 1);
    X509_CRL_free(crl);
}

static void expired_key_counts_for_90_days(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    int64_t before = kit_now_s;

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_activate(&kit, &u);
    kit_now_s = before + 730 * KIT_DAY_S + 89 * KIT_DAY_S;
    assert_err(authority_profile_get(kit.a, u.profile, &p), ERR_OK);
    assert_int_equal(p.n_certs, 1);
    assert_true(p.certs[0].expired);
    kit_request_new(&kit, &u, "deactivate", "-", NULL, &json);
    assert_err(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_OK);
    buf_reset(&json);
    kit_now_s = before + 730 * KIT_DAY_S + 91 * KIT_DAY_S;
    assert_int_equal(certs_of(u.profile), 0);
    kit_request_new(&kit, &u, "delete", "-", NULL, &json);
    assert_err(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_REFUSED);
    kit_now_s = before;
}

static void request_by_mail_is_found_among_other_lines(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf twice = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf result = {0};
    char nonce[AUTHORITY_NONCE_LEN + 1];

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_activate(&kit, &u);
    assert_err(authority_nonce_new(kit.a, u.profile, nonce), ERR_OK);
    buf_printf(&text, "Content-Type: text/plain\r\n\r\nHello,\r\nsealrelay: deactivate %s - %s\r\n",
               u.profile, nonce);
    buf_printf(&twice, "%s%s", buf_str(&text), buf_str(&text));
    kit_cms(buf_str(&twice), u.cert, u.key, &der);
    assert_err(
        authority_user_request(kit.a, u.profile, buf_bytes(&der), (struct bytes){0}, &result),
        ERR_FORMAT);
    buf_reset(&der);
    kit_cms(buf_str(&text), u.cert, u.key, &der);
    assert_err(
        authority_user_request(kit.a, u.profile, buf_bytes(&der), (struct bytes){0}, &result),
        ERR_OK);
    assert_int_equal(state_of(u.profile), PROFILE_READY);
    der.data[der.len - 3] ^= 1;
    assert_err(
        authority_user_request(kit.a, u.profile, buf_bytes(&der), (struct bytes){0}, &result),
        ERR_REFUSED);
}

/* Signed by the right key over the right line, in a form that proves less than it seems. */
static void cms_odd(const char *content, const struct kit_user *u, unsigned flags, int type,
                    const EVP_MD *md, struct buf *der)
{
    BIO *bio = BIO_new_mem_buf(content, -1);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_BINARY | CMS_PARTIAL);
    uint8_t *data = NULL;
    int len;

    assert_non_null(cms);
    assert_int_equal(CMS_set1_eContentType(cms, OBJ_nid2obj(type)), 1);
    assert_non_null(CMS_add1_signer(cms, u->cert, u->key, md, flags | CMS_NOSMIMECAP));
    assert_int_equal(CMS_final(cms, bio, NULL, CMS_BINARY), 1);
    len = i2d_CMS_ContentInfo(cms, &data);
    assert_true(len > 0);
    buf_append(der, data, (size_t)len);
    OPENSSL_free(data);
    CMS_ContentInfo_free(cms);
    BIO_free(bio);
}

static void odd_signature_by_the_right_key_is_refused(void **state)
{
    static const struct {
        const char *name;
        unsigned flags;
        int type;
        const EVP_MD *(*md)(void);
        const char *why; /* NULL: it is good */
    } cases[] = {
        {"no signed attributes", CMS_NOATTR, NID_pkcs7_data, EVP_sha256, "signed attributes"},
        {"a receipt", 0, NID_id_smime_ct_receipt, EVP_sha256, "signed attributes"},
        {"a timestamp", 0, NID_id_smime_ct_TSTInfo, EVP_sha256, "signed attributes"},
        {"SHA-1", 0, NID_pkcs7_data, EVP_sha1, "SHA-2"},
        {"plain", 0, NID_pkcs7_data, EVP_sha256, NULL},
    };
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    char nonce[AUTHORITY_NONCE_LEN + 1];
    char line[128];

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_activate(&kit, &u);
    assert_err(authority_nonce_new(kit.a, u.profile, nonce), ERR_OK);
    (void)snprintf(line, sizeof line, "sealrelay: deactivate %s - %s\n", u.profile, nonce);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_clear) struct buf der = {0};
        CLEANUP(buf_clear) struct buf result = {0};

        print_message("    %s\n", cases[i].name);
        cms_odd(line, &u, cases[i].flags, cases[i].type, cases[i].md(), &der);
        assert_err(
            authority_user_request(kit.a, u.profile, buf_bytes(&der), (struct bytes){0}, &result),
            cases[i].why ? ERR_REFUSED : ERR_OK);
        if (cases[i].why)
            assert_non_null(strstr(err_note_get()->detail, cases[i].why));
        assert_int_equal(state_of(u.profile), cases[i].why ? PROFILE_ACTIVE : PROFILE_READY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_key_needs_an_enrolled_key_and_a_fresh_nonce),
        cmocka_unit_test(request_that_did_its_work_is_not_honoured_again),
        cmocka_unit_test(request_without_its_proof_is_refused),
        cmocka_unit_test(withdrawn_key_neither_signs_nor_receives),
        cmocka_unit_test(expired_key_counts_for_90_days),
        cmocka_unit_test(request_by_mail_is_found_among_other_lines),
        cmocka_unit_test(odd_signature_by_the_right_key_is_refused),
    };

    return cmocka_run_group_tests(tests, case_group_start, case_group_end);
}
