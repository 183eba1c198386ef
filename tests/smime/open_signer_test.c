/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open_signer_test.c - signatures that must not count, each for its own reason, and those at the
 * edge that must. In clear, where the note may tell the reason. */
#include "daemon/smime/ber.h"
#include "tests/smime/reply_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

static struct test_pki pki, other;

static int start(void **state)
{
    (void)state;
    test_pki_new(&pki, false);
    test_pki_new(&other, true);
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_pki_free(&pki);
    test_pki_free(&other);
    return 0;
}

static void opened(const struct reply_signing *signing, const struct reply_opening *opening,
                   struct reply_opened *o)
{
    CLEANUP(buf_clear) struct buf entity = {0};

    reply_sign(&pki, signing, bytes_of(REPLY_ENTITY), &entity);
    reply_open(&pki, opening, buf_bytes(&entity), o);
}

static void refused(const struct reply_signing *signing, const struct reply_opening *opening,
                    const char *why)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;

    opened(signing, opening, &o);
    reply_is_refused(&o, why);
}

static void accepted(const struct reply_signing *signing, const struct reply_opening *opening)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;

    opened(signing, opening, &o);
    reply_is_opened(&o, OPEN_SIGNED, REPLY_ENTITY);
}

/* ---- who ---- */

/* The user's certificate with another key in it, of the same issuer and serial number. */
static X509 *certificate_like(X509 *cert, EVP_PKEY *key)
{
    X509 *made = X509_dup(cert);

    assert_non_null(made);
    assert_int_equal(X509_set_pubkey(made, key), 1);
    assert_true(X509_sign(made, pki.inter_key, EVP_sha384()) > 0);
    return made;
}

static void only_enrolled_keys_count(void **state)
{
    struct reply_signing by_user = {0}, by_sender = {.cert = pki.sender, .key = pki.sender_key};
    struct reply_signing by_other = {.cert = other.user, .key = other.user_key};
    struct reply_opening plain = {0}, nobody = {.nobody_enrolled = true};
    struct reply_opening profile = {.enrolled = other.user}, waived = {.unsigned_allowed = true};

    (void)state;
    accepted(&by_user, &plain);
    accepted(&by_other, &profile);
    refused(&by_sender, &plain, "enrolled");
    refused(&by_user, &nobody, "enrolled");
    refused(&by_user, &profile, "enrolled");
    refused(&by_other, &plain, "enrolled");
    refused(&by_other, &waived, "enrolled");
}

static void certificate_that_only_looks_enrolled_does_not_count(void **state)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *forged = certificate_like(pki.user, key);
    struct reply_signing signing = {.cert = forged, .key = key};
    struct reply_opening opening = {0};

    (void)state;
    refused(&signing, &opening, "does not hold");
    X509_free(forged);
    EVP_PKEY_free(key);
}

static void weak_key_does_not_count(void **state)
{
    EVP_PKEY *key = EVP_RSA_gen(1024);
    X509 *weak = certificate_like(pki.user, key);
    struct reply_signing signing = {.cert = weak, .key = key};
    struct reply_opening opening = {.enrolled = weak};

    (void)state;
    refused(&signing, &opening, "enrolled");
    X509_free(weak);
    EVP_PKEY_free(key);
}

/* ---- when ---- */

static void signing_time_must_be_near(void **state)
{
    static const struct {
        int64_t age_s;
        const char *why;
    } cases[] = {{0, NULL},
                 {-3590, NULL},
                 {-3660, "ahead"},
                 {7 * 86400 - 60, NULL},
                 {7 * 86400 + 60, "7 days"},
                 {400 * 86400, "7 days"}};
    struct reply_opening opening = {.now_s = time(NULL)};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply_signing signing = {.time_s = opening.now_s - cases[i].age_s};

        if (cases[i].why)
            refused(&signing, &opening, cases[i].why);
        else
            accepted(&signing, &opening);
    }
}

static void expired_certificate_counts_for_90_days(void **state)
{
    struct tm tm = {0};
    int64_t end_s;

    (void)state;
    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notAfter(pki.user), &tm), 1);
    end_s = timegm(&tm);
    for (int64_t days = -1; days <= 91; days++) {
        struct reply_opening opening = {.now_s = end_s + days * 86400 + 60};
        struct reply_signing signing = {.time_s = opening.now_s};
        CLEANUP(reply_opened_clear) struct reply_opened o;

        if (days > 1 && days < 89)
            continue;
        opened(&signing, &opening, &o);
        if (days >= 90)
            reply_is_refused(&o, "90 days");
        else
            reply_is_opened(&o, OPEN_SIGNED, REPLY_ENTITY);
        assert_true(o.result.signer_expired == (days >= 0 && days < 90));
    }
}

/* ---- form ---- */

static CMS_SignerInfo *signer_of(CMS_ContentInfo *cms)
{
    return sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
}

static void signer_add(CMS_ContentInfo *cms, const struct test_pki *p, unsigned flags)
{
    assert_non_null(CMS_add1_signer(cms, p->sender, p->sender_key, EVP_sha256(), flags));
}

static void certificates_add(CMS_ContentInfo *cms, const struct test_pki *p, unsigned flags)
{
    (void)flags;
    for (long i = 0; i < 50; i++) {
        X509 *more = X509_dup(p->sender);

        assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(more), 100000 + i), 1);
        assert_true(X509_sign(more, p->inter_key, EVP_sha384()) > 0);
        assert_int_equal(CMS_add1_cert(cms, more), 1);
        X509_free(more);
    }
}

static void attribute_delete(CMS_SignerInfo *si, int nid)
{
    X509_ATTRIBUTE_free(CMS_signed_delete_attr(si, CMS_signed_get_attr_by_NID(si, nid, -1)));
}

/* Where OpenSSL agrees to sign such attributes; what is judged comes before the signature. */
static void resign(CMS_SignerInfo *si)
{
    (void)CMS_SignerInfo_sign(si);
}

static void type_delete(CMS_ContentInfo *cms, const struct test_pki *p)
{
    (void)p;
    attribute_delete(signer_of(cms), NID_pkcs9_contentType);
    resign(signer_of(cms));
}

static void type_change(CMS_ContentInfo *cms, const struct test_pki *p)
{
    (void)p;
    attribute_delete(signer_of(cms), NID_pkcs9_contentType);
    assert_int_equal(CMS_signed_add1_attr_by_NID(signer_of(cms), NID_pkcs9_contentType,
                                                 V_ASN1_OBJECT, OBJ_nid2obj(NID_pkcs7_signed), -1),
                     1);
    resign(signer_of(cms));
}

/* OpenSSL adds no attribute twice by itself: a second one is put beside it by its own call. */
static void attribute_double(CMS_SignerInfo *si, int nid)
{
    X509_ATTRIBUTE *a = CMS_signed_get_attr(si, CMS_signed_get_attr_by_NID(si, nid, -1));

    assert_int_equal(CMS_signed_add1_attr(si, a), 1);
    resign(si);
}

static void type_double(CMS_ContentInfo *cms, const struct test_pki *p)
{
    (void)p;
    attribute_double(signer_of(cms), NID_pkcs9_contentType);
}

static void digest_double(CMS_ContentInfo *cms, const struct test_pki *p)
{
    (void)p;
    attribute_double(signer_of(cms), NID_pkcs9_messageDigest);
}

static void time_double(CMS_ContentInfo *cms, const struct test_pki *p)
{
    (void)p;
    attribute_double(signer_of(cms), NID_pkcs9_signingTime);
}

static void time_twice_in_one(CMS_ContentInfo *cms, const struct test_pki *p)
{
    CMS_SignerInfo *si = signer_of(cms);
    X509_ATTRIBUTE *a =
        CMS_signed_get_attr(si, CMS_signed_get_attr_by_NID(si, NID_pkcs9_signingTime, -1));
    ASN1_TIME *t = ASN1_TIME_set(NULL, time(NULL));

    (void)p;
    assert_int_equal(X509_ATTRIBUTE_set1_data(a, ASN1_STRING_type(t), ASN1_STRING_get0_data(t),
                                              ASN1_STRING_length(t)),
                     1);
    resign(si);
    ASN1_TIME_free(t);
}

/* Left unsigned: signing would put it back. */
static void time_delete(CMS_ContentInfo *cms, const struct test_pki *p)
{
    (void)p;
    attribute_delete(signer_of(cms), NID_pkcs9_signingTime);
}

static void digest_delete(CMS_ContentInfo *cms, const struct test_pki *p)
{
    (void)p;
    attribute_delete(signer_of(cms), NID_pkcs9_messageDigest);
    resign(signer_of(cms));
}

static void time_without_zone(CMS_ContentInfo *cms, const struct test_pki *p)
{
    CMS_SignerInfo *si = signer_of(cms);

    (void)p;
    attribute_delete(si, NID_pkcs9_signingTime);
    assert_int_equal(
        CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, V_ASN1_UTCTIME, "261122100000", 12),
        1);
    resign(si);
}

static void type_of_content_change(CMS_ContentInfo *cms, const struct test_pki *p, unsigned flags)
{
    (void)p;
    (void)flags;
    assert_int_equal(CMS_set1_eContentType(cms, OBJ_nid2obj(NID_id_smime_ct_TSTInfo)), 1);
}

static void form_must_be_right(void **state)
{
    static const char attributes[] = "signed attributes";
    const struct {
        struct reply_signing signing;
        const char *why;
    } cases[] = {
        {{.prepare = signer_add}, "one SignerInfo"},
        {{.prepare = certificates_add}, "too many certificates or digests"},
        {{.md = EVP_sha1()}, "too weak"},
        {{.md = EVP_sha224()}, "too weak"},
        {{.flags = CMS_NOATTR}, attributes},
        {{.tweak = type_delete}, attributes},
        {{.tweak = type_change}, attributes},
        {{.tweak = type_double}, attributes},
        {{.tweak = digest_double}, attributes},
        {{.tweak = digest_delete}, attributes},
        {{.tweak = time_delete}, attributes},
        {{.tweak = time_double}, attributes},
        {{.tweak = time_twice_in_one}, attributes},
        {{.tweak = time_without_zone}, attributes},
        {{.prepare = type_of_content_change}, attributes},
    };
    struct reply_opening opening = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int opaque = 0; opaque < 2; opaque++) {
            struct reply_signing signing = cases[i].signing;

            signing.opaque = opaque;
            print_message("case %zu: %s\n", i, cases[i].why);
            refused(&signing, &opening, cases[i].why);
        }
}

static void cms_is_refused(bool opaque, struct bytes der, const char *why)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;
    CLEANUP(buf_clear) struct buf entity = {0};
    struct reply_opening opening = {0};

    if (opaque)
        reply_cms_append(der, &entity);
    else
        reply_join(bytes_of(REPLY_ENTITY), der, &entity);
    reply_open(&pki, &opening, buf_bytes(&entity), &o);
    reply_is_refused(&o, why);
}

/* Content inside a detached signature, or none in an opaque one, is what readers disagree about. */
static void content_must_be_where_it_belongs(void **state)
{
    struct reply_signing opaque = {.opaque = true}, detached = {0};
    CLEANUP(buf_clear) struct buf with = {0};
    CLEANUP(buf_clear) struct buf without = {0};

    (void)state;
    reply_signature(&pki, &opaque, bytes_of(REPLY_ENTITY), &with);
    reply_signature(&pki, &detached, bytes_of(REPLY_ENTITY), &without);
    cms_is_refused(false, buf_bytes(&with), "content is not where");
    cms_is_refused(true, buf_bytes(&without), "content is not where");
}

static void bag_of_certificates_is_no_signature(void **state)
{
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_DETACHED);
    CLEANUP(buf_clear) struct buf der = {0};
    unsigned char *p = NULL;
    int len;

    (void)state;
    assert_int_equal(CMS_add1_cert(cms, pki.user), 1);
    len = i2d_CMS_ContentInfo(cms, &p);
    assert_true(len > 0);
    buf_append(&der, p, (size_t)len);
    cms_is_refused(false, buf_bytes(&der), "one SignerInfo");
    OPENSSL_free(p);
    CMS_ContentInfo_free(cms);
}

/* A SignedData like another, with this many digestAlgorithms: each would cost a pass. */
static void digests_repeat(struct bytes der, size_t n, struct buf *out)
{
    static const uint8_t head[] = {0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                   0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x80, 0x30,
                                   0x80, 0x02, 0x01, 0x01, 0x31, 0x80};
    static const uint8_t sha256[] = {0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
                                     0x01, 0x65, 0x03, 0x04, 0x02, 0x01};
    struct ber info = {0}, explicit = {0}, data = {0}, digests = {0};
    const uint8_t *behind;

    assert_true(ber_next(&der, &info) && ber_child(&info, 1, BER_CONTEXT_0, &explicit) &&
                ber_child(&explicit, 0, BER_SEQUENCE, &data) &&
                ber_child(&data, 1, BER_SET, &digests));
    behind = digests.contents.data + digests.contents.len;
    buf_append(out, head, sizeof head);
    for (size_t i = 0; i < n; i++)
        buf_append(out, sha256, sizeof sha256);
    buf_append(out, "\0\0", 2);
    buf_append(out, behind, (size_t)(data.contents.data + data.contents.len - behind));
    buf_append(out, "\0\0\0\0\0\0", 6);
}

static void digests_are_bounded(void **state)
{
    struct reply_signing detached = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf many = {0};
    CLEANUP(buf_clear) struct buf some = {0};
    CLEANUP(buf_clear) struct buf entity = {0};
    CLEANUP(reply_opened_clear) struct reply_opened o;
    struct reply_opening opening = {0};

    (void)state;
    reply_signature(&pki, &detached, bytes_of(REPLY_ENTITY), &der);
    digests_repeat(buf_bytes(&der), 9, &many);
    cms_is_refused(false, buf_bytes(&many), "too many certificates or digests");
    digests_repeat(buf_bytes(&der), 8, &some);
    reply_join(bytes_of(REPLY_ENTITY), buf_bytes(&some), &entity);
    reply_open(&pki, &opening, buf_bytes(&entity), &o);
    reply_is_opened(&o, OPEN_SIGNED, REPLY_ENTITY);
}

static void altered_content_does_not_verify(void **state)
{
    (void)state;
    for (int opaque = 0; opaque < 2; opaque++)
        for (int lf = 0; lf < 2; lf++) {
            CLEANUP(reply_opened_clear) struct reply_opened o;
            struct reply_signing signing = {.opaque = opaque};
            struct reply_opening opening = {0};
            CLEANUP(buf_clear) struct buf der = {0};
            CLEANUP(buf_clear) struct buf entity = {0};
            uint8_t *at;

            reply_signature(&pki, &signing, bytes_of(REPLY_ENTITY), &der);
            at = opaque ? memmem(der.data, der.len, REPLY_MARKER, strlen(REPLY_MARKER)) : NULL;
            if (at)
                *at = lf ? '\n' : '#';
            if (opaque)
                reply_cms_append(buf_bytes(&der), &entity);
            else
                reply_join(bytes_of(lf ? "Content-Type: text/plain\r\n\r\nother\n"
                                       : "Content-Type: text/plain\r\n\r\nother\r\n"),
                           buf_bytes(&der), &entity);
            reply_open(&pki, &opening, buf_bytes(&entity), &o);
            reply_is_refused(&o, "does not hold");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_enrolled_keys_count),
        cmocka_unit_test(certificate_that_only_looks_enrolled_does_not_count),
        cmocka_unit_test(weak_key_does_not_count),
        cmocka_unit_test(signing_time_must_be_near),
        cmocka_unit_test(expired_certificate_counts_for_90_days),
        cmocka_unit_test(form_must_be_right),
        cmocka_unit_test(content_must_be_where_it_belongs),
        cmocka_unit_test(bag_of_certificates_is_no_signature),
        cmocka_unit_test(digests_are_bounded),
        cmocka_unit_test(altered_content_does_not_verify),
    };

    return cmocka_run_group_tests(tests, start, end);
}
