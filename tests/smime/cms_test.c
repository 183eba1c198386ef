/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cms_test.c - what stands in the signature and in the envelope: attributes, certificates,
 * recipients, algorithms. */
#include "tests/smime/sealing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/cms.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

static CMS_ContentInfo *cms_load(const struct test_pki *p, const char *name)
{
    CLEANUP(buf_clear) struct buf der = {0};
    const unsigned char *at;
    CMS_ContentInfo *cms;

    test_read(p, name, &der);
    at = der.data;
    cms = d2i_CMS_ContentInfo(NULL, &at, (long)der.len);
    assert_non_null(cms);
    return cms;
}

static void attribute_is_single(CMS_SignerInfo *si, int nid)
{
    X509_ATTRIBUTE *a;
    int at = CMS_signed_get_attr_by_NID(si, nid, -1);

    assert_true(at >= 0);
    assert_true(CMS_signed_get_attr_by_NID(si, nid, at) < 0);
    a = CMS_signed_get_attr(si, at);
    assert_int_equal(X509_ATTRIBUTE_count(a), 1);
}

static void capabilities_are_ours(CMS_SignerInfo *si)
{
    static const uint8_t want[] = {0x30, 0x27, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
                                   0x03, 0x04, 0x01, 0x2a, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
                                   0x01, 0x65, 0x03, 0x04, 0x01, 0x16, 0x30, 0x0b, 0x06, 0x09, 0x60,
                                   0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02};
    const ASN1_STRING *der =
        CMS_signed_get0_data_by_OBJ(si, OBJ_nid2obj(NID_SMIMECapabilities), -3, V_ASN1_SEQUENCE);

    assert_non_null(der);
    assert_int_equal(ASN1_STRING_length(der), sizeof want);
    assert_memory_equal(ASN1_STRING_get0_data(der), want, sizeof want);
}

static void signing_time_is_given_one(CMS_SignerInfo *si)
{
    const ASN1_TIME *t =
        CMS_signed_get0_data_by_OBJ(si, OBJ_nid2obj(NID_pkcs9_signingTime), -3, V_ASN1_UTCTIME);

    assert_non_null(t);
    assert_int_equal(ASN1_TIME_cmp_time_t(t, (time_t)sealing_time_s), 0);
}

static void signature_holds_what_clients_want_and_no_more(void **state)
{
    static const int attributes[] = {NID_pkcs9_contentType, NID_pkcs9_messageDigest,
                                     NID_pkcs9_signingTime, NID_SMIMECapabilities};
    const struct test_pki *sets[] = {&sealing_rsa, &sealing_ec};
    struct bytes entity = bytes_of(SEALING_ENTITY);

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        CMS_ContentInfo *cms;
        CMS_SignerInfo *si;
        STACK_OF(X509) * certs;
        X509_ALGOR *digest;

        sealing_to_file(sets[s], &entity, 1);
        sealing_decrypt(sets[s]);
        sealing_split(sets[s]);
        cms = cms_load(sets[s], "signature.der");
        assert_int_equal(CMS_is_detached(cms), 1);
        assert_int_equal(sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms)), 1);
        si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
        assert_int_equal(CMS_SignerInfo_cert_cmp(si, sets[s]->sender), 0);
        assert_int_equal(CMS_signed_get_attr_count(si), 4);
        assert_int_equal(CMS_unsigned_get_attr_count(si), -1);
        for (size_t i = 0; i < 4; i++)
            attribute_is_single(si, attributes[i]);
        capabilities_are_ours(si);
        signing_time_is_given_one(si);
        CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, NULL);
        assert_int_equal(OBJ_obj2nid(digest->algorithm), NID_sha256);
        certs = CMS_get1_certs(cms);
        assert_int_equal(sk_X509_num(certs), 3); /* sender, intermediate, other leaf; no root */
        for (int i = 0; i < sk_X509_num(certs); i++)
            assert_int_not_equal(X509_cmp(sk_X509_value(certs, i), sets[s]->root), 0);
        sk_X509_pop_free(certs, X509_free);
        CMS_ContentInfo_free(cms);
    }
}

static void envelope_names_recipients_by_issuer_and_serial(void **state)
{
    static const int kinds[] = {CMS_RECIPINFO_TRANS, CMS_RECIPINFO_AGREE};
    const struct test_pki *sets[] = {&sealing_rsa, &sealing_ec};
    struct bytes entity = bytes_of(SEALING_ENTITY);

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        STACK_OF(CMS_RecipientInfo) * infos;
        CMS_ContentInfo *cms;
        CMS_RecipientInfo *ri;

        sealing_to_file(sets[s], &entity, 1);
        cms = cms_load(sets[s], "sealed.der");
        assert_int_equal(OBJ_obj2nid(CMS_get0_type(cms)), NID_pkcs7_enveloped);
        infos = CMS_get0_RecipientInfos(cms);
        assert_int_equal(sk_CMS_RecipientInfo_num(infos), 1);
        ri = sk_CMS_RecipientInfo_value(infos, 0);
        assert_int_equal(CMS_RecipientInfo_type(ri), kinds[s]);
        if (kinds[s] == CMS_RECIPINFO_TRANS)
            assert_int_equal(CMS_RecipientInfo_ktri_cert_cmp(ri, sets[s]->user), 0);
        CMS_ContentInfo_free(cms);
    }
}

static void oid_is_in(const struct test_pki *p, const char *oid)
{
    CLEANUP(buf_clear) struct buf der = {0};
    ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);

    assert_non_null(obj);
    test_read(p, "sealed.der", &der);
    assert_non_null(memmem(der.data, der.len, OBJ_get0_data(obj), OBJ_length(obj)));
    ASN1_OBJECT_free(obj);
}

static void envelope_uses_aes_256_cbc_and_for_ec_sha_256_and_a_wrap_as_strong(void **state)
{
    struct bytes entity = bytes_of(SEALING_ENTITY);

    (void)state;
    sealing_to_file(&sealing_rsa, &entity, 1);
    oid_is_in(&sealing_rsa, "1.2.840.113549.1.1.1");    /* rsaEncryption, PKCS #1 v1.5 */
    oid_is_in(&sealing_rsa, "2.16.840.1.101.3.4.1.42"); /* aes256-CBC */
    sealing_to_file(&sealing_ec, &entity, 1);
    oid_is_in(&sealing_ec, "2.16.840.1.101.3.4.1.42");
    oid_is_in(&sealing_ec, "1.3.132.1.11.1");          /* dhSinglePass-stdDH-sha256kdf */
    oid_is_in(&sealing_ec, "2.16.840.1.101.3.4.1.45"); /* aes256-wrap */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_holds_what_clients_want_and_no_more),
        cmocka_unit_test(envelope_names_recipients_by_issuer_and_serial),
        cmocka_unit_test(envelope_uses_aes_256_cbc_and_for_ec_sha_256_and_a_wrap_as_strong),
    };

    return cmocka_run_group_tests(tests, sealing_start, sealing_end);
}
