/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal_test.c - what is sealed opens and verifies elsewhere: openssl cms, NSS and gpgsm judge. */
#include "daemon/base/clock.h"
#include "daemon/base/codec.h"
#include "daemon/smime/seal.h"
#include "tests/smime/test_pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/cms.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MARKER "quartz-vessel-marker"
#define ENTITY "Content-Type: text/plain; hp=\"cipher\"\r\n\r\n" MARKER "\r\n"

static struct test_pki rsa, ec;
static int64_t signing_time_s; /* two hours ago: not the clock's own */

static int group_setup(void **state)
{
    (void)state;
    signing_time_s = clock_now_s() - 7200;
    test_pki_new(&rsa, false);
    test_pki_new(&ec, true);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    test_pki_free(&rsa);
    test_pki_free(&ec);
    return 0;
}

static enum err to_buf(void *ctx, const uint8_t *data, size_t len)
{
    buf_append(ctx, data, len);
    return ERR_OK;
}

static enum err seal_with(const struct test_pki *p, const struct seal_job *more, seal_sink sink,
                          void *ctx)
{
    STACK_OF(X509) *extra = sk_X509_new_null();
    STACK_OF(X509) *recipients = sk_X509_new_null();
    struct seal_job job = *more;
    enum err e;

    sk_X509_push(extra, p->inter);
    sk_X509_push(extra, p->user); /* another leaf of the thread */
    sk_X509_push(extra, p->inter);
    sk_X509_push(extra, p->root);
    sk_X509_push(recipients, p->user);
    job.signer = p->sender;
    job.signer_key = job.signer_key ? job.signer_key : p->sender_key;
    job.extra_certs = extra;
    job.recipients = recipients;
    job.signing_time_s = signing_time_s;
    e = seal_run(&job, sink, ctx);
    sk_X509_free(extra);
    sk_X509_free(recipients);
    return e;
}

/* The sealed message, header included, as dir/sealed.eml; its body as dir/sealed.der. */
static void seal_to_file(const struct test_pki *p, const struct bytes *pieces, size_t n)
{
    CLEANUP(buf_clear) struct buf message = {0};
    CLEANUP(buf_clear) struct buf body = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    struct seal_job job = {.entity = pieces, .n_entity = n};

    assert_int_equal(seal_with(p, &job, to_buf, &body), ERR_OK);
    seal_header_append(&message);
    buf_append_str(&message, "\r\n");
    buf_append_bytes(&message, buf_bytes(&body));
    assert_int_equal(base64_decode(buf_bytes(&body), &der), ERR_OK);
    test_write(p, "sealed.eml", buf_bytes(&message));
    test_write(p, "sealed.der", buf_bytes(&der));
}

static void decrypt(const struct test_pki *p)
{
    const char *argv[] = {"openssl", "cms",        "-decrypt", "-in",      "sealed.eml",
                          "-recip",  "user.pem",   "-inkey",   "user.key", "-binary",
                          "-out",    "signed.eml", NULL};

    assert_int_equal(test_run(p, "", argv), 0);
}

/* The two parts of dir/signed.eml as dir/entity and dir/signature.der. */
static void multipart_split(const struct test_pki *p)
{
    CLEANUP(buf_clear) struct buf all = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    char delimiter[5 + 32 + 1] = "\r\n--";
    const uint8_t *at, *end, *start;

    test_read(p, "signed.eml", &all);
    at = memmem(all.data, all.len, "boundary=\"", 10);
    assert_non_null(at);
    memcpy(delimiter + 4, at + 10, 32);
    delimiter[36] = '\0';
    at = memmem(all.data, all.len, delimiter, 36);
    assert_non_null(at);
    start = at + 38;
    end = memmem(start, (size_t)(all.data + all.len - start), delimiter, 36);
    assert_non_null(end);
    test_write(p, "entity", (struct bytes){start, (size_t)(end - start)});
    at = memmem(end, (size_t)(all.data + all.len - end), "\r\n\r\n", 4);
    assert_non_null(at);
    start = at + 4;
    end = memmem(start, (size_t)(all.data + all.len - start), delimiter, 36);
    assert_non_null(end);
    assert_int_equal(base64_decode((struct bytes){start, (size_t)(end - start)}, &der), ERR_OK);
    test_write(p, "signature.der", buf_bytes(&der));
}

static void openssl_verifies(const struct test_pki *p, struct bytes entity)
{
    const char *verify[] = {"openssl",  "cms",      "-verify",   "-in",  "signed.eml", "-CAfile",
                            "root.pem", "-purpose", "smimesign", "-out", "verified",   NULL};
    CLEANUP(buf_clear) struct buf got = {0};

    assert_int_equal(test_run(p, "", verify), 0);
    test_read(p, "verified", &got);
    assert_true(bytes_equal(buf_bytes(&got), entity));
}

static void openssl_opens_and_verifies_every_kind_of_content(void **state)
{
    static const char *const cases[] = {
        "Content-Type: text/plain; hp=\"cipher\"\r\n\r\nplain\r\n",
        "Content-Type: text/plain\r\n\r\n",
        "Content-Type: text/plain\r\n\r\nno line end",
        /* lines that a mail store or a MIME parser might take for its own */
        "A: b\r\n\r\nFrom here\r\n.\r\n..\r\ntrailing blanks  \r\n\r\n\r\n",
        "A: b\r\n\r\n8-bit \xe4\xf6\xfc\xff and UTF-8 \xc3\xa4\r\n--\r\n--boundary\r\n",
    };
    const struct test_pki *sets[] = {&rsa, &ec};

    (void)state;
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct bytes entity = bytes_of(cases[i]);

            seal_to_file(sets[s], &entity, 1);
            decrypt(sets[s]);
            openssl_verifies(sets[s], entity);
        }
}

static void long_lines_and_many_pieces_come_through(void **state)
{
    CLEANUP(buf_clear) struct buf all = {0};
    struct bytes pieces[4];

    (void)state;
    buf_append_str(&all, "A: b\r\n\r\n");
    for (unsigned i = 0; i < 300000; i++)
        buf_printf(&all, "%u ", i);
    buf_append_str(&all, "\r\n");
    pieces[0] = (struct bytes){all.data, 1};
    pieces[1] = (struct bytes){all.data + 1, 0};
    pieces[2] = (struct bytes){all.data + 1, 70001};
    pieces[3] = (struct bytes){all.data + 70002, all.len - 70002};
    seal_to_file(&rsa, pieces, 4);
    decrypt(&rsa);
    openssl_verifies(&rsa, buf_bytes(&all));
}

static void nss_opens_and_verifies(void **state)
{
    const char *db[] = {"certutil", "-N", "-d", "sql:nss", "--empty-password", NULL};
    const char *root[] = {"certutil", "-A",  "-d", "sql:nss", "-n",       "root",
                          "-t",       ",C,", "-a", "-i",      "root.pem", NULL};
    const char *key[] = {"pk12util", "-i",     "user.p12", "-d", "sql:nss",
                         "-W",       "secret", "-K",       "",   NULL};
    const char *open[] = {"cmsutil",    "-D", "-d",         "sql:nss", "-i",
                          "sealed.der", "-o", "signed.eml", NULL};
    const char *verify[] = {"cmsutil",       "-D", "-d",      "sql:nss", "-c", "entity", "-i",
                            "signature.der", "-o", "nss.out", NULL};
    struct bytes entity = bytes_of(ENTITY);

    (void)state;
    seal_to_file(&rsa, &entity, 1);
    assert_int_equal(mkdir(test_path(&rsa, "nss"), 0700), 0);
    assert_int_equal(test_run(&rsa, "", db), 0);
    assert_int_equal(test_run(&rsa, "", root), 0);
    assert_int_equal(test_run(&rsa, "", key), 0);
    assert_int_equal(test_run(&rsa, "", open), 0);
    multipart_split(&rsa);
    assert_int_equal(test_run(&rsa, "", verify), 0);
    test_write(&rsa, "entity", bytes_of("Content-Type: text/plain\r\n\r\nother\r\n"));
    assert_int_not_equal(test_run(&rsa, "", verify), 0);
}

static void gpgsm_trust_root(void)
{
    CLEANUP(buf_clear) struct buf line = {0};
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    assert_int_equal(mkdir(test_path(&rsa, "gnupg"), 0700), 0);
    assert_int_equal(X509_digest(rsa.root, EVP_sha1(), digest, &len), 1);
    hex_append(&line, (struct bytes){digest, len});
    buf_append_str(&line, " S\n");
    test_write(&rsa, "gnupg/trustlist.txt", buf_bytes(&line));
    test_write(&rsa, "gnupg/gpgsm.conf", bytes_of("disable-crl-checks\n"));
    test_write(&rsa, "gnupg/gpg-agent.conf", bytes_of("allow-loopback-pinentry\n"));
}

static void gpgsm_opens_and_verifies(void **state)
{
    const char *certs[] = {"gpgsm",     "--batch",    "--import", "root.pem",
                           "inter.pem", "sender.pem", NULL};
    const char *key[] = {"gpgsm", "--batch",  "--pinentry-mode", "loopback", "--passphrase-fd",
                         "0",     "--import", "user.p12",        NULL};
    const char *open[] = {"gpgsm",           "--batch",   "--pinentry-mode", "loopback",
                          "--passphrase-fd", "0",         "--output",        "signed.eml",
                          "--yes",           "--decrypt", "sealed.der",      NULL};
    const char *verify[] = {"gpgsm", "--batch", "--verify", "signature.der", "entity", NULL};
    const char *end[] = {"gpgconf", "--kill", "all", NULL};
    struct bytes entity = bytes_of(ENTITY);
    int opened, good, bad;

    (void)state;
    seal_to_file(&rsa, &entity, 1);
    gpgsm_trust_root();
    assert_int_equal(test_run(&rsa, "", certs), 0);
    (void)test_run(&rsa, "secret", key); /* says 2 for a user certificate it knows nothing of */
    opened = test_run(&rsa, "secret", open);
    multipart_split(&rsa);
    good = test_run(&rsa, "", verify);
    test_write(&rsa, "entity", bytes_of("Content-Type: text/plain\r\n\r\nother\r\n"));
    bad = test_run(&rsa, "", verify);
    (void)test_run(&rsa, "", end);
    assert_int_equal(opened, 0);
    assert_int_equal(good, 0);
    assert_int_not_equal(bad, 0);
}

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
    assert_int_equal(ASN1_TIME_cmp_time_t(t, (time_t)signing_time_s), 0);
}

static void signature_holds_what_clients_want_and_no_more(void **state)
{
    static const int attributes[] = {NID_pkcs9_contentType, NID_pkcs9_messageDigest,
                                     NID_pkcs9_signingTime, NID_SMIMECapabilities};
    const struct test_pki *sets[] = {&rsa, &ec};
    struct bytes entity = bytes_of(ENTITY);

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        CMS_ContentInfo *cms;
        CMS_SignerInfo *si;
        STACK_OF(X509) * certs;
        X509_ALGOR *digest;

        seal_to_file(sets[s], &entity, 1);
        decrypt(sets[s]);
        multipart_split(sets[s]);
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
    const struct test_pki *sets[] = {&rsa, &ec};
    struct bytes entity = bytes_of(ENTITY);

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        STACK_OF(CMS_RecipientInfo) * infos;
        CMS_ContentInfo *cms;
        CMS_RecipientInfo *ri;

        seal_to_file(sets[s], &entity, 1);
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
    struct bytes entity = bytes_of(ENTITY);

    (void)state;
    seal_to_file(&rsa, &entity, 1);
    oid_is_in(&rsa, "1.2.840.113549.1.1.1");    /* rsaEncryption, PKCS #1 v1.5 */
    oid_is_in(&rsa, "2.16.840.1.101.3.4.1.42"); /* aes256-CBC */
    seal_to_file(&ec, &entity, 1);
    oid_is_in(&ec, "2.16.840.1.101.3.4.1.42");
    oid_is_in(&ec, "1.3.132.1.11.1");          /* dhSinglePass-stdDH-sha256kdf */
    oid_is_in(&ec, "2.16.840.1.101.3.4.1.45"); /* aes256-wrap */
}

static void base64_lines_are_76_columns_with_crlf(void **state)
{
    CLEANUP(buf_clear) struct buf body = {0};
    struct bytes entity = bytes_of(ENTITY);
    struct seal_job job = {.entity = &entity, .n_entity = 1};
    size_t at = 0;

    (void)state;
    assert_int_equal(seal_with(&rsa, &job, to_buf, &body), ERR_OK);
    while (at < body.len) {
        const uint8_t *lf = memchr(body.data + at, '\n', body.len - at);
        size_t len;

        assert_non_null(lf);
        len = (size_t)(lf - body.data) - at;
        assert_int_equal(lf[-1], '\r');
        assert_true(len == 77 || (size_t)(lf - body.data) + 1 == body.len);
        at += len + 1;
    }
}

static void no_clear_text_reaches_the_sink(void **state)
{
    CLEANUP(buf_clear) struct buf body = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    struct bytes entity = bytes_of(ENTITY);
    struct seal_job job = {.entity = &entity, .n_entity = 1};

    (void)state;
    assert_int_equal(seal_with(&rsa, &job, to_buf, &body), ERR_OK);
    assert_int_equal(base64_decode(buf_bytes(&body), &der), ERR_OK);
    assert_null(memmem(body.data, body.len, MARKER, strlen(MARKER)));
    assert_null(memmem(der.data, der.len, MARKER, strlen(MARKER)));
    assert_null(memmem(der.data, der.len, "Content-Type", 12));
    assert_null(memmem(der.data, der.len, TEST_SENDER, strlen(TEST_SENDER)));
}

struct failing_sink {
    size_t calls, fail_at;
};

static enum err fail_later(void *ctx, const uint8_t *data, size_t len)
{
    struct failing_sink *s = ctx;

    (void)data;
    (void)len;
    return s->calls++ >= s->fail_at ? ERR_NOSPACE : ERR_OK;
}

static void failing_sink_ends_the_pipeline_with_its_error(void **state)
{
    CLEANUP(buf_clear) struct buf big = {0};
    struct bytes entity;
    struct seal_job job = {.entity = &entity, .n_entity = 1};

    (void)state;
    for (unsigned i = 0; i < 40000; i++)
        buf_append_str(&big, "0123456789\r\n");
    entity = buf_bytes(&big);
    for (size_t fail_at = 0; fail_at < 42; fail_at += 3) {
        struct failing_sink sink = {.fail_at = fail_at};
        enum err e = seal_with(&rsa, &job, fail_later, &sink);

        err_note_clear();
        assert_int_equal(e, sink.calls > fail_at ? ERR_NOSPACE : ERR_OK);
        assert_true(sink.calls <= fail_at + 1);
    }
}

static enum err key_is_away(void)
{
    return ERR_HSM_AWAY;
}

/* By way of DER, because a certificate made here remembers the whole key. */
static EVP_PKEY *public_half(X509 *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    const unsigned char *at = der;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, len);

    assert_non_null(key);
    OPENSSL_free(der);
    return key;
}

static void failed_signature_is_an_error_never_unsigned_mail(void **state)
{
    const struct test_pki *sets[] = {&rsa, &ec};
    struct bytes entity = bytes_of(ENTITY);

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        CLEANUP(buf_clear) struct buf body = {0};
        EVP_PKEY *public_only = public_half(sets[s]->sender);
        struct seal_job job = {
            .entity = &entity, .n_entity = 1, .signer_key = public_only, .key_error = key_is_away};

        assert_int_equal(seal_with(sets[s], &job, to_buf, &body), ERR_HSM_AWAY);
        err_note_clear();
        job.key_error = NULL;
        assert_int_equal(seal_with(sets[s], &job, to_buf, &body), ERR_BUG);
        err_note_clear();
        EVP_PKEY_free(public_only);
    }
}

static void key_of_another_certificate_and_no_recipient_are_bugs(void **state)
{
    CLEANUP(buf_clear) struct buf body = {0};
    struct bytes entity = bytes_of(ENTITY);
    struct seal_job job = {.entity = &entity, .n_entity = 1, .signer_key = rsa.user_key};

    (void)state;
    assert_int_equal(seal_with(&rsa, &job, to_buf, &body), ERR_BUG);
    err_note_clear();
    job.signer = rsa.sender;
    job.signer_key = rsa.sender_key;
    assert_int_equal(seal_run(&job, to_buf, &body), ERR_BUG);
    err_note_clear();
    assert_int_equal(body.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_opens_and_verifies_every_kind_of_content),
        cmocka_unit_test(long_lines_and_many_pieces_come_through),
        cmocka_unit_test(nss_opens_and_verifies),
        cmocka_unit_test(gpgsm_opens_and_verifies),
        cmocka_unit_test(signature_holds_what_clients_want_and_no_more),
        cmocka_unit_test(envelope_names_recipients_by_issuer_and_serial),
        cmocka_unit_test(envelope_uses_aes_256_cbc_and_for_ec_sha_256_and_a_wrap_as_strong),
        cmocka_unit_test(base64_lines_are_76_columns_with_crlf),
        cmocka_unit_test(no_clear_text_reaches_the_sink),
        cmocka_unit_test(failing_sink_ends_the_pipeline_with_its_error),
        cmocka_unit_test(failed_signature_is_an_error_never_unsigned_mail),
        cmocka_unit_test(key_of_another_certificate_and_no_recipient_are_bugs),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
