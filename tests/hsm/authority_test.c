/* SPDX-License-Identifier: GPL-3.0-or-later */
/* authority_test.c - a profile's life on SoftHSM, and every way around its rules that must fail. */
#include "hsm/issue/certificate.h"
#include "tests/hsm/issue_case.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void profile_goes_from_pending_to_active_and_survives_a_restart(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};
    CLEANUP(hsm_profile_clear) struct hsm_profile q = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    assert_int_equal(state_of(u.profile), PROFILE_READY);
    assert_err(authority_user_profile(kit.a, u.id, &p), ERR_NOT_ACTIVE);
    kit_activate(&kit, &u);
    assert_err(authority_user_profile(kit.a, u.id, &p), ERR_OK);
    kit_restart(&kit);
    assert_err(authority_user_profile(kit.a, u.id, &q), ERR_OK);
    assert_string_equal(q.profile, u.profile);
    assert_int_equal(q.n_certs, 1);
    assert_int_equal(q.n_addresses, 2);
    assert_string_equal(q.addresses[0], "user1@home.example.com");
    assert_string_equal(q.domains[0], "relay.example.com");
    assert_true(bytes_equal(buf_bytes(&p.certs[0].der), buf_bytes(&q.certs[0].der)));
}

static void one_profile_of_a_user_is_active(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(kit_user_clear) struct kit_user v = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    memcpy(v.id, u.id, sizeof v.id);
    kit_enrol(&kit, &v, KEY_P384, KEY_P256);
    kit_activate(&kit, &u);
    kit_activate(&kit, &v);
    assert_int_equal(state_of(u.profile), PROFILE_READY);
    assert_int_equal(state_of(v.profile), PROFILE_ACTIVE);
}

static void wrong_codes_end_the_code(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    char code[HSM_CODE_LEN + 1], typed[HSM_CODE_LEN + 3];

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    assert_err(authority_activate(kit.a, u.profile, "aaaaaaaa"), ERR_REFUSED);
    assert_err(authority_code_new(kit.a, u.profile, code), ERR_OK);
    for (int i = 0; i < 5; i++)
        assert_err(authority_activate(kit.a, u.profile, "0aaaaaaa"), ERR_REFUSED);
    assert_err(authority_activate(kit.a, u.profile, code), ERR_REFUSED);
    assert_err(authority_code_new(kit.a, u.profile, code), ERR_OK);
    kit_now_s += 2 * KIT_DAY_S;
    assert_err(authority_activate(kit.a, u.profile, code), ERR_REFUSED);
    assert_err(authority_code_new(kit.a, u.profile, code), ERR_OK);
    (void)snprintf(typed, sizeof typed, "%.4s-%s", code, code + 4);
    typed[0] = (char)(typed[0] >= 'a' ? typed[0] - 32 : typed[0]);
    assert_err(authority_activate(kit.a, u.profile, typed), ERR_OK);
    assert_err(authority_code_new(kit.a, u.profile, code), ERR_WRONG_STATE);
}

static void codes_are_bounded_a_day_across_restarts(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    char code[HSM_CODE_LEN + 1];

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    for (int i = 0; i < 10; i++)
        assert_err(authority_code_new(kit.a, u.profile, code), ERR_OK);
    kit_restart(&kit);
    assert_err(authority_code_new(kit.a, u.profile, code), ERR_LIMIT);
    kit_now_s += KIT_DAY_S;
    assert_err(authority_code_new(kit.a, u.profile, code), ERR_OK);
}

static void suspended_profile_uses_no_key_and_resumes_to_ready(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender s = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_activate(&kit, &u);
    assert_err(authority_key_check(kit.a, u.profile, HSM_SIGN_ECDSA), ERR_OK);
    assert_err(authority_suspend(kit.a, u.profile), ERR_OK);
    assert_err(authority_suspend(kit.a, u.profile), ERR_OK);
    assert_err(authority_key_check(kit.a, u.profile, HSM_SIGN_ECDSA), ERR_NOT_ACTIVE);
    assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &s),
               ERR_NOT_ACTIVE);
    assert_err(authority_resume(kit.a, u.profile), ERR_OK);
    assert_int_equal(state_of(u.profile), PROFILE_READY);
}

/* ---- senders ---- */

static void sender_is_certified_only_under_own_reverse_aliases(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(kit_user_clear) struct kit_user same = {0};
    CLEANUP(kit_user_clear) struct kit_user other = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender s = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender again = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    memcpy(same.id, u.id, sizeof same.id);
    kit_enrol(&kit, &same, KEY_P384, KEY_P256);
    kit_enrol(&kit, &other, KEY_P384, KEY_P256);
    assert_err(authority_sender_new(kit.a, u.profile, "victim.example", NULL, false, &s),
               ERR_REFUSED);
    assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com",
                                    "r-aaaaaaaaaaaaaaaa@relay.example.com", false, &s),
               ERR_REFUSED);
    assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &s),
               ERR_OK);
    kit_restart(&kit);
    assert_err(
        authority_sender_new(kit.a, other.profile, "relay.example.com", s.reverse, false, &again),
        ERR_REFUSED);
    assert_err(authority_sender_new(kit.a, u.profile, "mail.example.org", s.reverse, false, &again),
               ERR_REFUSED);
    assert_err(
        authority_sender_new(kit.a, same.profile, "relay.example.com", s.reverse, false, &again),
        ERR_OK);
    assert_string_equal(again.reverse, s.reverse);
    assert_false(bytes_equal(buf_bytes(&again.blob), buf_bytes(&s.blob)));
}

static void sender_key_signs_for_its_certificate(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender s = {0};
    CLEANUP(buf_clear) struct buf signature = {0};
    uint8_t digest[32] = {1, 2, 3};
    struct hsm_key_ref ref;
    EVP_PKEY_CTX *ctx;
    X509 *x;

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &s),
               ERR_OK);
    x = kit_x509(&s.cert);
    assert_int_equal(kit_verify(&u, x, X509_PURPOSE_SMIME_SIGN, s.reverse), X509_V_OK);
    ref = (struct hsm_key_ref){
        .profile = u.profile, .reverse = s.reverse, .blob = buf_bytes(&s.blob)};
    assert_err(token_sender_use(kit.token, &ref, HSM_SIGN_ECDSA, "SHA256", NULL,
                                (struct bytes){digest, sizeof digest}, &signature),
               ERR_OK);
    ctx = EVP_PKEY_CTX_new(X509_get0_pubkey(x), NULL);
    assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
    assert_int_equal(EVP_PKEY_verify(ctx, signature.data, signature.len, digest, sizeof digest), 1);
    EVP_PKEY_CTX_free(ctx);
    X509_free(x);
}

static void renewal_keeps_the_key_until_there_is_a_newer_kek(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(kit_user_clear) struct kit_user v = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender s = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender same = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender newer = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender none = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_enrol(&kit, &v, KEY_P384, KEY_P256);
    assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &s),
               ERR_OK);
    assert_err(authority_sender_renew(kit.a, u.profile, s.reverse, buf_bytes(&s.blob), &same),
               ERR_OK);
    assert_true(bytes_equal(buf_bytes(&same.blob), buf_bytes(&s.blob)));
    assert_false(bytes_equal(buf_bytes(&same.cert), buf_bytes(&s.cert)));
    assert_err(authority_rekey(kit.a, u.profile), ERR_OK);
    assert_err(authority_sender_renew(kit.a, u.profile, s.reverse, buf_bytes(&s.blob), &newer),
               ERR_OK);
    assert_false(bytes_equal(buf_bytes(&newer.blob), buf_bytes(&s.blob)));
    assert_err(authority_sender_renew(kit.a, v.profile, s.reverse, buf_bytes(&s.blob), &none),
               ERR_REFUSED);
    s.blob.data[s.blob.len / 2] ^= 1;
    assert_err(authority_sender_renew(kit.a, u.profile, s.reverse, buf_bytes(&s.blob), &none),
               ERR_TAMPERED);
}

static void new_senders_are_bounded_an_hour_and_a_day(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    struct authority_limits before = kit.options.limits;

    (void)state;
    kit.options.limits = (struct authority_limits){
        .senders_hour = 2, .senders_day = 3, .signatures_hour = 1, .decryptions_hour = 2};
    kit_restart(&kit);
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    for (int i = 0; i < 5; i++) {
        CLEANUP(hsm_sender_clear) struct hsm_sender s = {0};
        static const enum err wanted[] = {ERR_OK, ERR_OK, ERR_LIMIT, ERR_OK, ERR_LIMIT};

        if (i == 3)
            kit_now_s += 3600;
        if (i == 4)
            kit_restart(&kit);
        assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &s),
                   wanted[i]);
    }
    assert_err(authority_key_check(kit.a, u.profile, HSM_SIGN_ECDSA), ERR_OK);
    assert_err(authority_key_check(kit.a, u.profile, HSM_SIGN_ECDSA), ERR_LIMIT);
    assert_err(authority_key_check(kit.a, u.profile, HSM_DERIVE_ECDH), ERR_OK);
    assert_err(authority_key_check(kit.a, u.profile, HSM_DERIVE_ECDH), ERR_OK);
    assert_err(authority_key_check(kit.a, u.profile, HSM_DERIVE_ECDH), ERR_LIMIT);
    kit_now_s += 3600;
    assert_err(authority_key_check(kit.a, u.profile, HSM_SIGN_ECDSA), ERR_OK);
    kit.options.limits = before;
    kit_restart(&kit);
}

/* ---- deletion ---- */

static void deletion_revokes_every_leaf_and_destroys_the_keys(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender s = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender none = {0};
    CLEANUP(buf_clear) struct buf json = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    struct buf first = {0};
    X509_REVOKED *revoked = NULL;
    const uint8_t *p;
    X509_CRL *crl;
    X509 *x;

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &s),
               ERR_OK);
    assert_err(authority_leaf_crl(kit.a, u.profile, &first), ERR_OK);
    kit_request_new(&kit, &u, "delete", "-", NULL, &json);
    assert_err(authority_issue(kit.a, u.profile, buf_bytes(&json), &out), ERR_OK);
    assert_int_equal(state_of(u.profile), PROFILE_DELETED);
    assert_err(authority_delete(kit.a, u.profile), ERR_OK);
    buf_clear(&first);
    assert_err(authority_leaf_crl(kit.a, u.profile, &first), ERR_OK);
    p = first.data;
    crl = d2i_X509_CRL(NULL, &p, (long)first.len);
    x = kit_x509(&s.cert);
    assert_int_equal(X509_CRL_verify(crl, X509_get0_pubkey(u.intermediate)), 1);
    assert_int_equal(X509_CRL_get0_by_cert(crl, &revoked, x), 1);
    assert_int_equal(X509_CRL_get0_by_cert(crl, &revoked, u.cert), 1);
    assert_int_equal(
        ASN1_TIME_compare(X509_CRL_get0_nextUpdate(crl), X509_get0_notAfter(u.intermediate)), 0);
    assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &none),
               ERR_NOT_ACTIVE);
    assert_int_not_equal(token_ca_sign(kit.token, u.profile, EVP_sha384(),
                                       (struct bytes){(const uint8_t[48]){0}, 48}, &out),
                         ERR_OK);
    kit_restart(&kit);
    assert_int_equal(state_of(u.profile), PROFILE_DELETED);
    assert_int_equal(certs_of(u.profile), 0);
    X509_free(x);
    X509_CRL_free(crl);
    buf_clear(&first);
}

static void leaf_crl_lives_a_week_and_is_renewed_daily(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf one = {0};
    CLEANUP(buf_clear) struct buf two = {0};
    CLEANUP(buf_clear) struct buf three = {0};
    int days = 0, seconds = 0;
    const uint8_t *p;
    X509_CRL *crl;

    (void)state;
    kit_profile(&kit, &u, KEY_P384, KEY_P256);
    assert_err(authority_leaf_crl(kit.a, u.profile, &one), ERR_WRONG_STATE);
    kit_user_clear(&u);
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    assert_err(authority_leaf_crl(kit.a, u.profile, &one), ERR_OK);
    assert_err(authority_leaf_crl(kit.a, u.profile, &two), ERR_OK);
    assert_true(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
    kit_now_s += KIT_DAY_S;
    assert_err(authority_leaf_crl(kit.a, u.profile, &three), ERR_OK);
    assert_false(bytes_equal(buf_bytes(&one), buf_bytes(&three)));
    p = three.data;
    crl = d2i_X509_CRL(NULL, &p, (long)three.len);
    assert_int_equal(ASN1_TIME_diff(&days, &seconds, X509_CRL_get0_lastUpdate(crl),
                                    X509_CRL_get0_nextUpdate(crl)),
                     1);
    assert_int_equal(days, 7);
    X509_CRL_free(crl);
}

static void profile_order_out_of_bounds_is_refused(void **state)
{
    static const struct {
        const char *address, *domain, *country, *organisation;
        enum key_type ca, user, sender;
        unsigned root_days, intermediate_days, user_days;
    } cases[] = {
        {"user home.example.com", "relay.example.com", "DE", NULL, KEY_P384, KEY_P256, KEY_P256, 0,
         0, 0},
        {"u@relay.example.com", "relay.example.com", "DE", NULL, KEY_P384, KEY_P256, KEY_P256, 0, 0,
         0},
        {"u@home.example.com", "com", "DE", NULL, KEY_P384, KEY_P256, KEY_P256, 0, 0, 0},
        {"u@home.example.com", ".example.com", "DE", NULL, KEY_P384, KEY_P256, KEY_P256, 0, 0, 0},
        {"u@home.example.com", "r\xc3\xa4.example", "DE", NULL, KEY_P384, KEY_P256, KEY_P256, 0, 0,
         0},
        {"\xc3\xbc@home.example.com", "relay.example.com", "DE", NULL, KEY_P384, KEY_P256, KEY_P256,
         0, 0, 0},
        {"u@home.example.com", "relay.example.com", "D1", NULL, KEY_P384, KEY_P256, KEY_P256, 0, 0,
         0},
        {"u@home.example.com", "relay.example.com", "DE", "a\nb", KEY_P384, KEY_P256, KEY_P256, 0,
         0, 0},
        {"u@home.example.com", "relay.example.com", "DE", NULL, KEY_P256, KEY_P256, KEY_P256, 0, 0,
         0},
        {"u@home.example.com", "relay.example.com", "DE", NULL, KEY_P384, KEY_P384, KEY_P256, 0, 0,
         0},
        {"u@home.example.com", "relay.example.com", "DE", NULL, KEY_P384, KEY_RSA_2048, KEY_P256, 0,
         0, 0},
        {"u@home.example.com", "relay.example.com", "DE", NULL, KEY_P384, KEY_P256, KEY_P256, 8000,
         0, 0},
        {"u@home.example.com", "relay.example.com", "DE", NULL, KEY_P384, KEY_P256, KEY_P256, 0,
         4000, 0},
        {"u@home.example.com", "relay.example.com", "DE", NULL, KEY_P384, KEY_P256, KEY_P256, 0, 0,
         800},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        id_text user, profile;
        struct authority_profile_new p = {
            .user = user,
            .addresses = &cases[i].address,
            .n_addresses = 1,
            .domains = &cases[i].domain,
            .n_domains = 1,
            .country = cases[i].country,
            .organisation = cases[i].organisation,
            .ca_key_type = cases[i].ca,
            .user_key_type = cases[i].user,
            .sender_key_type = cases[i].sender,
            .root_days = cases[i].root_days,
            .intermediate_days = cases[i].intermediate_days,
            .user_days = cases[i].user_days,
        };

        assert_err(id_new(user), ERR_OK);
        assert_err(authority_profile_add(kit.a, &p, profile), ERR_USAGE);
    }
}

static void list_show_and_verify_are_readable(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf list = {0};
    CLEANUP(buf_clear) struct buf show = {0};
    CLEANUP(buf_clear) struct buf verdict = {0};
    CLEANUP(buf_clear) struct buf line = {0};
    cJSON *o;

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    assert_err(authority_list(kit.a, &list), ERR_OK);
    assert_non_null(strstr(buf_str(&list), u.profile));
    assert_err(authority_show(kit.a, u.profile, &show), ERR_OK);
    o = cJSON_Parse(buf_str(&show));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "keys")), 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(o, "state")), "ready");
    cJSON_Delete(o);
    assert_err(authority_checkpoint(kit.a, u.profile, &line), ERR_OK);
    assert_non_null(strstr(buf_str(&line), " checkpoint - sig="));
    assert_err(authority_journal_verify(kit.a, &verdict), ERR_OK);
    o = cJSON_Parse(buf_str(&verdict));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(o, "good")));
    cJSON_Delete(o);
}

static void leaf_ends_with_its_intermediate(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender s = {0};
    CLEANUP(hsm_sender_clear) struct hsm_sender none = {0};
    int64_t before = kit_now_s;
    struct cert_dates above, d;
    X509 *sender;

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    assert_err(cert_time(u.intermediate, &above), ERR_OK);
    kit_now_s = above.not_after_s - 10 * KIT_DAY_S;
    assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &s),
               ERR_OK);
    sender = kit_x509(&s.cert);
    assert_err(cert_time(sender, &d), ERR_OK);
    assert_int_equal(d.not_after_s, above.not_after_s);
    kit_now_s = above.not_after_s;
    assert_err(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &none),
               ERR_EXPIRED);
    kit_now_s = before;
    X509_free(sender);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile_goes_from_pending_to_active_and_survives_a_restart),
        cmocka_unit_test(one_profile_of_a_user_is_active),
        cmocka_unit_test(wrong_codes_end_the_code),
        cmocka_unit_test(codes_are_bounded_a_day_across_restarts),
        cmocka_unit_test(suspended_profile_uses_no_key_and_resumes_to_ready),
        cmocka_unit_test(sender_is_certified_only_under_own_reverse_aliases),
        cmocka_unit_test(sender_key_signs_for_its_certificate),
        cmocka_unit_test(renewal_keeps_the_key_until_there_is_a_newer_kek),
        cmocka_unit_test(new_senders_are_bounded_an_hour_and_a_day),
        cmocka_unit_test(deletion_revokes_every_leaf_and_destroys_the_keys),
        cmocka_unit_test(leaf_ends_with_its_intermediate),
        cmocka_unit_test(leaf_crl_lives_a_week_and_is_renewed_daily),
        cmocka_unit_test(profile_order_out_of_bounds_is_refused),
        cmocka_unit_test(list_show_and_verify_are_readable),
    };

    return cmocka_run_group_tests(tests, case_group_start, case_group_end);
}
