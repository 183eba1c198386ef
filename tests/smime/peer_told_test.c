/* SPDX-License-Identifier: GPL-3.0-or-later */
/* peer_told_test.c - strangers' mail that is not signed at all, signatures that are too long to
 * look at, names of authorities, what mail programs say they can do; and the authorities' files. */
#include "daemon/smime/peer.h"
#include "tests/smime/reply_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/objects.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static struct test_pki pki;
static struct trust *trust;

static int start(void **state)
{
    (void)state;
    test_pki_new(&pki, true);
    assert_int_equal(trust_open(test_path(&pki, "root.pem"), &trust), ERR_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    trust_free(trust);
    test_pki_free(&pki);
    return 0;
}

static void asked(struct bytes entity, struct peer_signature *out)
{
    CLEANUP(message_clear) struct message m = {0};
    CLEANUP(buf_clear) struct buf raw = {0};

    buf_append_str(&raw, "From: A User <" TEST_USER ">\r\n");
    buf_append_bytes(&raw, entity);
    assert_int_equal(message_parse(buf_bytes(&raw), &m), ERR_OK);
    assert_int_equal(peer_verify(trust, &m, time(NULL), out), ERR_OK);
}

static void told(struct bytes entity, const char *want)
{
    CLEANUP(peer_signature_clear) struct peer_signature s = {0};
    CLEANUP(buf_clear) struct buf line = {0};

    asked(entity, &s);
    peer_line_append(&line, &s);
    assert_string_equal(buf_str(&line) + strlen("Sealrelay-Signature: "), want);
}

static void cms_told(CMS_ContentInfo *cms, const char *want)
{
    CLEANUP(buf_clear) struct buf entity = {0};
    unsigned char *der = NULL;
    int len = i2d_CMS_ContentInfo(cms, &der);

    assert_true(len > 0);
    reply_cms_append((struct bytes){der, (size_t)len}, &entity);
    told(buf_bytes(&entity), want);
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
}

static void what_nobody_signed_is_none(void **state)
{
    CLEANUP(buf_clear) struct buf inner = {0};
    CLEANUP(buf_clear) struct buf entity = {0};
    CMS_ContentInfo *certs = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL);

    (void)state;
    told(bytes_of(REPLY_ENTITY), "none");
    told(bytes_of("\r\n"), "none");
    told(bytes_of("Content-Type: multipart/signed; boundary=x; "
                  "protocol=\"application/pgp-signature\"\r\n\r\n--x--\r\n"),
         "none");
    reply_encrypt(&pki, bytes_of(REPLY_ENTITY), &entity);
    told(buf_bytes(&entity), "none");
    assert_int_equal(CMS_add1_cert(certs, pki.user), 1);
    cms_told(certs, "none");
    buf_clear(&entity);
    reply_sign(&pki, &(struct reply_signing){0}, bytes_of(REPLY_ENTITY), &inner);
    buf_append_str(&entity, "Content-Type: multipart/mixed; boundary=outside\r\n\r\n--outside\r\n");
    buf_append_bytes(&entity, buf_bytes(&inner));
    buf_append_str(&entity, "--outside\r\n\r\nMore words\r\n--outside--\r\n");
    told(buf_bytes(&entity), "none");
}

/* An entity of a body that long, under these fields. */
static void long_told(const char *fields, const char *before, const char *after, const char *want)
{
    CLEANUP(buf_clear) struct buf entity = {0};

    buf_append_str(&entity, fields);
    buf_append_str(&entity, before);
    buf_reserve(&entity, PEER_CMS_BYTES_MAX + 1);
    for (size_t i = 0; i < PEER_CMS_BYTES_MAX / 4 + 1; i++)
        buf_append_str(&entity, "AAAA");
    buf_append_str(&entity, after);
    told(buf_bytes(&entity), want);
}

static void what_is_too_long_is_not_looked_at(void **state)
{
    (void)state;
    long_told("Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n",
              "", "\r\n", "unchecked");
    long_told("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n"
              "Content-Transfer-Encoding: base64\r\n\r\n",
              "", "\r\n", "unchecked");
    long_told("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n"
              "Content-Transfer-Encoding: base64\r\n\r\n",
              "", "\r\n", "none");
    long_told("Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data\r\n"
              "Content-Transfer-Encoding: base64\r\n\r\n",
              "", "\r\n", "none");
    long_told("Content-Type: multipart/signed; boundary=x; "
              "protocol=\"application/pkcs7-signature\"\r\n\r\n",
              "--x\r\n\r\nwords\r\n--x\r\nContent-Type: application/pkcs7-signature\r\n"
              "Content-Transfer-Encoding: base64\r\n\r\n",
              "\r\n--x--\r\n", "bad");
}

static void no_good_signature_is_that_long(void **state)
{
    static const char close[] = "\r\n--";
    CLEANUP(buf_clear) struct buf entity = {0};
    CLEANUP(buf_clear) struct buf longer = {0};
    size_t at;

    (void)state;
    reply_sign(&pki, &(struct reply_signing){0}, bytes_of(REPLY_ENTITY), &entity);
    told(buf_bytes(&entity), "good; by=Test Intermediate");
    at = entity.len - strlen(close);
    while (memcmp(entity.data + at, close, strlen(close)) != 0)
        at--;
    buf_append(&longer, entity.data, at);
    for (size_t i = 0; i < PEER_CMS_BYTES_MAX / 2; i++)
        buf_append_str(&longer, "\r\n");
    buf_append(&longer, entity.data + at, entity.len - at);
    told(buf_bytes(&longer), "bad");
}

static void a_long_message_with_a_short_signature_is_looked_at(void **state)
{
    CLEANUP(buf_clear) struct buf content = {0};
    CLEANUP(buf_clear) struct buf entity = {0};

    (void)state;
    buf_append_str(&content, "Content-Type: text/plain\r\n\r\n");
    for (size_t i = 0; i < PEER_CMS_BYTES_MAX / 16 + 1; i++)
        buf_append_str(&content, "fourteen chars\r\n");
    reply_sign(&pki, &(struct reply_signing){0}, buf_bytes(&content), &entity);
    told(buf_bytes(&entity), "good; by=Test Intermediate");
}

/* ---- names ---- */

static void issuer_told(const char *name, const char *organisation, const char *want)
{
    const struct test_role authority = {.name = name,
                                        .organisation = organisation,
                                        .usage = "critical,keyCertSign",
                                        .basic = "critical,CA:TRUE"};
    const struct test_role leaf = {.name = "Leaf", .email = "email:" TEST_USER};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *ca = test_certificate(&authority, key, pki.root, pki.root_key);
    X509 *kept = pki.inter;
    struct reply_signing how = {.key = EVP_EC_gen("P-256")};
    CLEANUP(buf_clear) struct buf entity = {0};

    how.cert = test_certificate(&leaf, how.key, ca, key);
    pki.inter = ca; /* which comes along */
    reply_sign(&pki, &how, bytes_of(REPLY_ENTITY), &entity);
    pki.inter = kept;
    told(buf_bytes(&entity), want);
    X509_free(how.cert);
    EVP_PKEY_free(how.key);
    X509_free(ca);
    EVP_PKEY_free(key);
}

static void a_name_is_told_with_harmless_characters_only(void **state)
{
#define TEN "0123456789"
    (void)state;
    issuer_told("A & B's (Mail), Inc. no-1_x", NULL, "good; by=A & B's (Mail), Inc. no-1_x");
    issuer_told("CA; by=Other\r\nSubject: <x>", NULL, "good; by=CA? by?Other??Subject? ?x?");
    issuer_told("Gr\xc3\xbc\xc3\x9f", NULL, "good; by=Gr????");
    issuer_told(NULL, "Only an organisation", "good; by=Only an organisation");
    issuer_told("Name", "Organisation", "good; by=Name");
    issuer_told("Name  ", NULL, "good; by=Name");
    issuer_told(" ", NULL, "good; by=?");
    issuer_told(TEN TEN TEN TEN TEN TEN "\xc3\xbc\xc3\xbc\xc3\xbc", NULL,
                "good; by=" TEN TEN TEN TEN TEN TEN "????");
}

/* ---- capabilities ---- */

struct capabilities {
    const int *nids;
    size_t n;
    unsigned times;
};
static struct capabilities wanted;

static void capabilities_add(CMS_ContentInfo *cms, const struct test_pki *p, unsigned flags)
{
    CMS_SignerInfo *si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
    STACK_OF(X509_ALGOR) *all = NULL;

    (void)p;
    (void)flags;
    for (size_t i = 0; i < wanted.n; i++)
        assert_int_equal(CMS_add_simple_smimecap(&all, wanted.nids[i], -1), 1);
    for (unsigned i = 0; i < wanted.times; i++)
        assert_int_equal(CMS_add_smimecap(si, all), 1);
    sk_X509_ALGOR_pop_free(all, X509_ALGOR_free);
}

static bool is_told_aes_128(struct capabilities said)
{
    struct reply_signing how = {.flags = CMS_NOSMIMECAP, .prepare = capabilities_add};
    CLEANUP(peer_signature_clear) struct peer_signature s = {0};
    CLEANUP(buf_clear) struct buf entity = {0};

    wanted = said;
    reply_sign(&pki, &how, bytes_of(REPLY_ENTITY), &entity);
    asked(buf_bytes(&entity), &s);
    assert_int_equal(s.state, PEER_GOOD);
    return s.aes_128;
}

static void aes_128_is_for_those_who_say_it_and_nothing_longer(void **state)
{
    static const int only[] = {NID_aes_128_cbc, NID_des_ede3_cbc};
    static const int both[] = {NID_aes_256_cbc, NID_aes_128_cbc};
    static const int longer[] = {NID_aes_256_cbc};
    static const int neither[] = {NID_des_ede3_cbc};

    (void)state;
    assert_true(is_told_aes_128((struct capabilities){only, 2, 1}));
    assert_false(is_told_aes_128((struct capabilities){both, 2, 1}));
    assert_false(is_told_aes_128((struct capabilities){longer, 1, 1}));
    assert_false(is_told_aes_128((struct capabilities){neither, 1, 1}));
    assert_false(is_told_aes_128((struct capabilities){NULL, 0, 0}));
}

/* ---- the authorities' files ---- */

static void trust_is(const char *name, enum err want)
{
    struct trust *t = NULL;

    assert_int_equal(trust_open(test_path(&pki, name), &t), want);
    if (!want)
        trust_free(t);
    else
        assert_null(t);
    err_note_clear();
}

static void authorities_are_read_from_a_file_or_a_folder(void **state)
{
    CLEANUP(buf_clear) struct buf root = {0};
    struct trust *kept = trust, *folder = NULL;
    CLEANUP(buf_clear) struct buf entity = {0};

    (void)state;
    test_read(&pki, "root.pem", &root);
    trust_is("no-such-file", ERR_CONFIG);
    trust_is("user.key", ERR_CONFIG);
    trust_is("root.pem", ERR_OK);
    assert_int_equal(mkdir(test_path(&pki, "empty"), 0700), 0);
    test_write(&pki, "empty/.pem", buf_bytes(&root));
    test_write(&pki, "empty/readme.txt", bytes_of("no certificate"));
    trust_is("empty", ERR_CONFIG);
    assert_int_equal(mkdir(test_path(&pki, "full"), 0700), 0);
    test_write(&pki, "full/readme.txt", bytes_of("no certificate"));
    test_write(&pki, "full/root.crt", buf_bytes(&root));
    assert_int_equal(trust_open(test_path(&pki, "full"), &folder), ERR_OK);
    reply_sign(&pki, &(struct reply_signing){0}, bytes_of(REPLY_ENTITY), &entity);
    trust = folder;
    told(buf_bytes(&entity), "good; by=Test Intermediate");
    trust = kept;
    trust_free(folder);
    test_write(&pki, "full/broken.cer", bytes_of("no certificate"));
    trust_is("full", ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_signed_is_none),
        cmocka_unit_test(what_is_too_long_is_not_looked_at),
        cmocka_unit_test(no_good_signature_is_that_long),
        cmocka_unit_test(a_long_message_with_a_short_signature_is_looked_at),
        cmocka_unit_test(a_name_is_told_with_harmless_characters_only),
        cmocka_unit_test(aes_128_is_for_those_who_say_it_and_nothing_longer),
        cmocka_unit_test(authorities_are_read_from_a_file_or_a_folder),
    };

    return cmocka_run_group_tests(tests, start, end);
}
