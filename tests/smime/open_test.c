/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open_test.c - replies that must open: every form that real clients send, made by openssl cms, NSS
 * and gpgsm. */
#include "daemon/base/codec.h"
#include "tests/smime/reply_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define ARGS_MAX 24

static struct test_pki rsa, ec;

static int start(void **state)
{
    (void)state;
    test_pki_new(&rsa, false);
    test_pki_new(&ec, true);
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_pki_free(&rsa);
    test_pki_free(&ec);
    return 0;
}

/* "openssl cms" with words behind each other, as many as there are. */
static void openssl_cms(const struct test_pki *p, const char *fixed, const char *words,
                        const char *last)
{
    const char *argv[ARGS_MAX + 4] = {"openssl", "cms"};
    char text[512];
    char *at = text, *word;
    size_t n = 2;

    assert_true(strlen(fixed) + strlen(words) + strlen(last) + 3 < sizeof text);
    (void)snprintf(text, sizeof text, "%s %s %s", fixed, words, last);
    while ((word = strsep(&at, " ")))
        if (*word) {
            assert_true(n < ARGS_MAX);
            argv[n++] = word;
        }
    assert_int_equal(test_run(p, "", argv), 0);
}

static void opens_as(const struct test_pki *p, const char *file, enum open_kind kind)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;
    CLEANUP(buf_clear) struct buf entity = {0};
    CLEANUP(buf_clear) struct buf crlf = {0};
    struct reply_opening how = {.unsigned_allowed = kind == OPEN_ENCRYPTED || kind == OPEN_PLAIN};

    test_read(p, file, &entity);
    reply_crlf(buf_bytes(&entity), &crlf);
    reply_open(p, &how, buf_bytes(&crlf), &o);
    reply_is_opened(&o, kind, REPLY_ENTITY);
    assert_int_equal(o.key_loads, kind == OPEN_ENCRYPTED || kind == OPEN_ENCRYPTED_SIGNED);
}

static const struct {
    const char *what, *sign, *encrypt;
    bool ec;
} cms_cases[] = {
    {"AES-128-CBC", "", "-aes128", false},
    {"AES-192-CBC", "", "-aes192", false},
    {"AES-256-CBC, SHA-512", "-md sha512", "-aes256", false},
    {"3DES, SHA-384", "-md sha384", "-des3", false},
    {"AES-128-GCM", "", "-aes-128-gcm", false},
    {"AES-256-GCM", "", "-aes-256-gcm", false},
    {"BER of indefinite length", "-stream", "-aes128 -stream", false},
    {"opaque signature", "-nodetach", "-aes128", false},
    {"opaque signature, BER", "-nodetach -stream", "-aes128 -stream", false},
    {"bare LF inside", "-LF", "-aes128 -binary", false},
    {"signer by key identifier", "-keyid", "-aes128 -keyid", false},
    {"PSS", "-keyopt rsa_padding_mode:pss", "-aes128", false},
    {"OAEP with SHA-1", "", "-aes128 -recip sender.pem -keyopt rsa_padding_mode:oaep", false},
    {"OAEP with SHA-256", "",
     "-aes128 -recip sender.pem -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256", false},
    {"several recipients", "", "-aes128 user.pem root.pem", true},
    {"ECDH, SHA-1", "", "-aes128", true},
    {"ECDH, SHA-256", "", "-aes128 -recip sender.pem -keyopt ecdh_kdf_md:sha256", true},
    {"ECDH, SHA-384", "", "-aes256 -recip sender.pem -keyopt ecdh_kdf_md:sha384", true},
    {"ECDH, AES-GCM", "", "-aes-256-gcm", true},
    {"ECDH, 3DES, BER, opaque", "-nodetach -stream", "-des3 -stream", true},
};

static void what_openssl_makes_opens(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cms_cases / sizeof *cms_cases; i++) {
        const struct test_pki *p = cms_cases[i].ec ? &ec : &rsa;
        bool lf = strcmp(cms_cases[i].sign, "-LF") == 0;
        const char *named = strstr(cms_cases[i].encrypt, "-recip") ? "" : "sender.pem";

        print_message("%s\n", cms_cases[i].what);
        test_write(p, "entity", bytes_of(REPLY_ENTITY));
        openssl_cms(p,
                    "-sign -in entity -binary -signer user.pem -inkey user.key -certfile inter.pem"
                    " -out signed.eml",
                    lf ? "" : cms_cases[i].sign, lf ? "" : "-crlfeol");
        if (lf) {
            CLEANUP(buf_clear) struct buf text = {0};
            size_t kept = 0;

            test_read(p, "signed.eml", &text);
            for (size_t at = 0; at < text.len; at++)
                if (text.data[at] != '\r')
                    text.data[kept++] = text.data[at];
            test_write(p, "signed.eml", (struct bytes){text.data, kept});
        }
        openssl_cms(p, "-encrypt -in signed.eml -crlfeol -out sealed.eml", cms_cases[i].encrypt,
                    named);
        opens_as(p, "sealed.eml", OPEN_ENCRYPTED_SIGNED);
        if (!lf && !strstr(cms_cases[i].sign, "-stream"))
            opens_as(p, "signed.eml", OPEN_SIGNED);
        openssl_cms(p, "-encrypt -in entity -binary -crlfeol -out sealed.eml", cms_cases[i].encrypt,
                    named);
        opens_as(p, "sealed.eml", OPEN_ENCRYPTED);
    }
}

/* A DER file of another program as the body of a message. */
static void cms_file_opens(const char *file, enum open_kind kind)
{
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf entity = {0};

    test_read(&rsa, file, &der);
    reply_cms_append(buf_bytes(&der), &entity);
    test_write(&rsa, "sealed.eml", buf_bytes(&entity));
    opens_as(&rsa, "sealed.eml", kind);
}

/* The entity signed by another program: sig.der is detached; as multipart/signed in signed.eml. */
static void detached_join(const char *file)
{
    CLEANUP(buf_clear) struct buf der = {0};
    CLEANUP(buf_clear) struct buf out = {0};

    test_read(&rsa, file, &der);
    buf_append_str(&out, "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";"
                         " micalg=sha-256; boundary=b1\r\n\r\n--b1\r\n" REPLY_ENTITY "\r\n--b1\r\n"
                         "Content-Type: application/pkcs7-signature\r\n"
                         "Content-Transfer-Encoding: base64\r\n\r\n");
    base64_append(&out, buf_bytes(&der));
    buf_append_str(&out, "\r\n--b1--\r\n");
    test_write(&rsa, "signed.eml", buf_bytes(&out));
}

static void what_nss_makes_opens(void **state)
{
    const char *db[] = {"certutil", "-N", "-d", "sql:nss", "--empty-password", NULL};
    const char *root[] = {"certutil", "-A",  "-d", "sql:nss", "-n",       "root",
                          "-t",       ",C,", "-a", "-i",      "root.pem", NULL};
    const char *inter[] = {"certutil", "-A",  "-d", "sql:nss", "-n",        "inter",
                           "-t",       ",C,", "-a", "-i",      "inter.pem", NULL};
    const char *alias[] = {"certutil", "-A", "-d", "sql:nss", "-n",         "alias",
                           "-t",       ",,", "-a", "-i",      "sender.pem", NULL};
    const char *key[] = {"pk12util", "-i",     "user.p12", "-d", "sql:nss",
                         "-W",       "secret", "-K",       "",   NULL};
    const char *sign[] = {"cmsutil", "-S",     "-d", "sql:nss", "-N", "user",    "-T", "-G",
                          "-H",      "SHA256", "-i", "entity",  "-o", "sig.der", NULL};
    const char *opaque[] = {"cmsutil", "-S",     "-d", "sql:nss", "-N", "user",       "-G",
                            "-H",      "SHA256", "-i", "entity",  "-o", "opaque.der", NULL};
    const char *seal[] = {"cmsutil", "-E",         "-d", "sql:nss",    "-r", TEST_SENDER,
                          "-i",      "signed.eml", "-o", "sealed.der", NULL};

    (void)state;
    test_write(&rsa, "entity", bytes_of(REPLY_ENTITY));
    assert_int_equal(mkdir(test_path(&rsa, "nss"), 0700), 0);
    assert_int_equal(test_run(&rsa, "", db), 0);
    assert_int_equal(test_run(&rsa, "", root), 0);
    assert_int_equal(test_run(&rsa, "", inter), 0);
    assert_int_equal(test_run(&rsa, "", alias), 0);
    assert_int_equal(test_run(&rsa, "", key), 0);
    assert_int_equal(test_run(&rsa, "", opaque), 0);
    cms_file_opens("opaque.der", OPEN_SIGNED);
    assert_int_equal(test_run(&rsa, "", sign), 0);
    detached_join("sig.der");
    opens_as(&rsa, "signed.eml", OPEN_SIGNED);
    assert_int_equal(test_run(&rsa, "", seal), 0);
    cms_file_opens("sealed.der", OPEN_ENCRYPTED_SIGNED);
}

static void gpgsm_set_up(void)
{
    const char *certs[] = {"gpgsm",     "--batch",    "--import", "root.pem",
                           "inter.pem", "sender.pem", NULL};
    const char *key[] = {"gpgsm", "--batch",  "--pinentry-mode", "loopback", "--passphrase-fd",
                         "0",     "--import", "user.p12",        NULL};
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
    assert_int_equal(test_run(&rsa, "", certs), 0);
    (void)test_run(&rsa, "secret", key); /* says 2 for a certificate it knows nothing of */
}

static void what_gpgsm_makes_opens(void **state)
{
    const char *opaque[] = {
        "gpgsm", "--batch", "--pinentry-mode", "loopback",   "--passphrase-fd", "0",      "--yes",
        "-u",    TEST_USER, "--output",        "opaque.der", "--sign",          "entity", NULL};
    const char *sign[] = {
        "gpgsm", "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0",      "--yes",
        "-u",    TEST_USER, "--output",        "sig.der",  "--detach-sign",   "entity", NULL};
    const char *seal[] = {"gpgsm",    "--batch",    "--yes",     "-r",         TEST_SENDER,
                          "--output", "sealed.der", "--encrypt", "signed.eml", NULL};
    const char *stop[] = {"gpgconf", "--kill", "all", NULL};
    int opaque_status, sign_status, seal_status;

    (void)state;
    test_write(&rsa, "entity", bytes_of(REPLY_ENTITY));
    gpgsm_set_up();
    opaque_status = test_run(&rsa, "secret", opaque);
    sign_status = test_run(&rsa, "secret", sign);
    if (!sign_status)
        detached_join("sig.der");
    seal_status = test_run(&rsa, "", seal);
    (void)test_run(&rsa, "", stop);
    assert_int_equal(opaque_status, 0);
    assert_int_equal(sign_status, 0);
    assert_int_equal(seal_status, 0);
    cms_file_opens("opaque.der", OPEN_SIGNED);
    opens_as(&rsa, "signed.eml", OPEN_SIGNED);
    cms_file_opens("sealed.der", OPEN_ENCRYPTED_SIGNED);
}

/* ---- odd but right ---- */

static void content_type_and_base64_may_be_odd(void **state)
{
    static const struct {
        const char *header;
        size_t line;      /* base64 characters a line; 0: all in one */
        const char *more; /* in front of the body, and behind each line */
    } cases[] = {
        {"Content-Type: application/x-pkcs7-mime\r\nContent-Transfer-Encoding: BASE64\r\n", 76, ""},
        {"content-type: Application/PKCS7-MIME; smime-type=enveloped-data; name=\"smime.p7m\"\r\n"
         "content-transfer-encoding:\r\n\tbase64 \r\n",
         64, ""},
        {"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n" /* it is not */
         "Content-Transfer-Encoding: base64\r\n",
         996, " "},
        {"Content-Type: application/pkcs7-mime; name=\xc3\xa4.p7m; smime-type=\r\n"
         "Content-Transfer-Encoding: base64\r\n",
         0, "\t"},
        {"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n", 3,
         "\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(reply_opened_clear) struct reply_opened o;
        CLEANUP(buf_clear) struct buf inner = {0};
        CLEANUP(buf_clear) struct buf der = {0};
        CLEANUP(buf_clear) struct buf text = {0};
        CLEANUP(buf_clear) struct buf entity = {0};
        struct reply_signing signing = {.opaque = i % 2 == 0};
        struct reply_opening how = {0};
        size_t line = cases[i].line;

        reply_sign(&rsa, &signing, bytes_of(REPLY_ENTITY), &inner);
        reply_encrypt_to(rsa.sender, EVP_aes_256_cbc(), buf_bytes(&inner), &der);
        base64_append(&text, buf_bytes(&der));
        buf_append_str(&entity, cases[i].header);
        buf_append_str(&entity, "\r\n");
        buf_append_str(&entity, cases[i].more);
        for (size_t at = 0; at < text.len; at += line) {
            line = line ? line : text.len;
            buf_append(&entity, text.data + at, text.len - at < line ? text.len - at : line);
            buf_append_str(&entity, cases[i].more);
            buf_append_str(&entity, "\r\n");
        }
        reply_open(&rsa, &how, buf_bytes(&entity), &o);
        reply_is_opened(&o, OPEN_ENCRYPTED_SIGNED, REPLY_ENTITY);
    }
}

static void binary_transfer_opens(void **state)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;
    CLEANUP(buf_clear) struct buf inner = {0};
    CLEANUP(buf_clear) struct buf entity = {0};
    struct reply_signing signing = {0};
    struct reply_opening how = {0};

    (void)state;
    reply_sign(&rsa, &signing, bytes_of(REPLY_ENTITY), &inner);
    buf_append_str(&entity, "Content-Type: application/pkcs7-mime\r\n"
                            "Content-Transfer-Encoding: binary\r\n\r\n");
    reply_encrypt_to(rsa.sender, EVP_aes_256_cbc(), buf_bytes(&inner), &entity);
    buf_append_str(&entity, "\r\n");
    reply_open(&rsa, &how, buf_bytes(&entity), &o);
    reply_is_opened(&o, OPEN_ENCRYPTED_SIGNED, REPLY_ENTITY);
}

/* Headers with CRLF, a body with bare LF: signed as it stands, or as CRLF. */
static void bare_lf_in_a_body_opens_as_it_was_signed(void **state)
{
    static const char entity[] = "Content-Type: text/plain\r\n\r\none\ntwo\r\n";
    static const char canonical[] = "Content-Type: text/plain\r\n\r\none\r\ntwo\r\n";

    (void)state;
    for (int as_crlf = 0; as_crlf < 2; as_crlf++) {
        CLEANUP(reply_opened_clear) struct reply_opened o;
        CLEANUP(buf_clear) struct buf inner = {0};
        CLEANUP(buf_clear) struct buf sealed = {0};
        struct reply_signing signing = {0};
        struct reply_opening how = {0};
        uint8_t *at;

        reply_sign(&rsa, &signing, bytes_of(as_crlf ? canonical : entity), &inner);
        if (as_crlf) {
            at = memmem(inner.data, inner.len, "one\r\n", 5);
            assert_non_null(at);
            memmove(at + 3, at + 4, (size_t)(inner.data + inner.len - at - 4));
            inner.len--;
        }
        reply_encrypt(&rsa, buf_bytes(&inner), &sealed);
        reply_open(&rsa, &how, buf_bytes(&sealed), &o);
        reply_is_opened(&o, OPEN_ENCRYPTED_SIGNED, as_crlf ? canonical : entity);
    }
}

static void plain_mail_opens_where_the_signature_is_waived(void **state)
{
    static const char entity[] =
        "Content-Type: text/plain\r\ncontent-language: de\r\n\r\nHello\r\n";
    CLEANUP(reply_opened_clear) struct reply_opened o, refused;
    struct reply_opening how = {.unsigned_allowed = true};

    (void)state;
    reply_open(&rsa, &how, bytes_of(entity), &o);
    reply_is_opened(&o, OPEN_PLAIN, entity);
    how.unsigned_allowed = false;
    reply_open(&rsa, &how, bytes_of(entity), &refused);
    reply_is_refused(&refused, "not signed");
}

/* S/MIME below the root is content: nothing of it is opened or believed. */
static void smime_inside_a_multipart_is_never_opened(void **state)
{
    CLEANUP(reply_opened_clear) struct reply_opened o;
    CLEANUP(buf_clear) struct buf entity = {0};
    struct reply_opening how = {.unsigned_allowed = true};

    (void)state;
    buf_append_str(&entity, "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n");
    reply_encrypt(&rsa, bytes_of(REPLY_ENTITY), &entity);
    buf_append_str(&entity, "--m--\r\n");
    reply_open(&rsa, &how, buf_bytes(&entity), &o);
    assert_int_equal(o.e, ERR_OK);
    assert_int_equal(o.result.kind, OPEN_PLAIN);
    assert_int_equal(o.key_loads, 0);
    assert_null(
        memmem(o.result.entity.data, o.result.entity.len, REPLY_MARKER, strlen(REPLY_MARKER)));
}

/* ---- what the result tells ---- */

static void open_twice(const struct reply_signing *one, const struct reply_signing *two,
                       struct reply_opened o[2])
{
    const struct reply_signing *how[2] = {one, two};
    struct reply_opening opening = {0};

    for (size_t i = 0; i < 2; i++) {
        CLEANUP(buf_clear) struct buf inner = {0};
        CLEANUP(buf_clear) struct buf sealed = {0};

        reply_sign(&ec, how[i], bytes_of(REPLY_ENTITY), &inner);
        reply_encrypt(&ec, buf_bytes(&inner), &sealed);
        reply_open(&ec, &opening, buf_bytes(&sealed), &o[i]);
        reply_is_opened(&o[i], OPEN_ENCRYPTED_SIGNED, REPLY_ENTITY);
    }
}

/* ECDSA signs the same thing with other octets each time; encryption differs each time. */
static void signature_id_is_of_what_was_signed_and_envelope_id_of_the_envelope(void **state)
{
    int64_t now_s = time(NULL);
    struct reply_signing at_noon = {.time_s = now_s - 60}, later = {.time_s = now_s};
    struct reply_signing opaque = {.time_s = now_s - 60, .opaque = true};
    const struct reply_signing *other[] = {&at_noon, &opaque, &later};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct reply_opened o[2];
        bool same;

        open_twice(&at_noon, other[i], o);
        same = memcmp(o[0].result.signature_id, o[1].result.signature_id, OPEN_DIGEST_LEN) == 0;
        assert_true(same == (other[i] != &later));
        assert_memory_not_equal(o[0].result.envelope_id, o[1].result.envelope_id, OPEN_DIGEST_LEN);
        assert_memory_equal(o[0].result.signer_spki, o[1].result.signer_spki, OPEN_DIGEST_LEN);
        assert_int_equal(o[0].result.signing_time_s, now_s - 60);
        assert_false(o[0].result.signer_expired);
        reply_opened_clear(&o[0]);
        reply_opened_clear(&o[1]);
    }
}

static void result_names_everybody_it_was_encrypted_to(void **state)
{
    static const char *const forms[] = {"-aes128 user.pem", "-aes128 -keyid user.pem"};
    const struct test_pki *sets[] = {&rsa, &ec};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const struct test_pki *p = sets[i / 2];
        CLEANUP(reply_opened_clear) struct reply_opened o;
        CLEANUP(buf_clear) struct buf sealed = {0};
        CLEANUP(buf_clear) struct buf crlf = {0};
        struct reply_opening how = {.unsigned_allowed = true};

        test_write(p, "entity", bytes_of(REPLY_ENTITY));
        openssl_cms(p, "-encrypt -in entity -binary -crlfeol -out sealed.eml", forms[i % 2],
                    "sender.pem");
        test_read(p, "sealed.eml", &sealed);
        reply_crlf(buf_bytes(&sealed), &crlf);
        reply_open(p, &how, buf_bytes(&crlf), &o);
        reply_is_opened(&o, OPEN_ENCRYPTED, REPLY_ENTITY);
        assert_int_equal(o.result.n_recipients, 2);
        assert_true(open_result_names(&o.result, p->sender));
        assert_true(open_result_names(&o.result, p->user));
        assert_false(open_result_names(&o.result, p->inter));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_openssl_makes_opens),
        cmocka_unit_test(what_nss_makes_opens),
        cmocka_unit_test(what_gpgsm_makes_opens),
        cmocka_unit_test(content_type_and_base64_may_be_odd),
        cmocka_unit_test(binary_transfer_opens),
        cmocka_unit_test(bare_lf_in_a_body_opens_as_it_was_signed),
        cmocka_unit_test(plain_mail_opens_where_the_signature_is_waived),
        cmocka_unit_test(smime_inside_a_multipart_is_never_opened),
        cmocka_unit_test(signature_id_is_of_what_was_signed_and_envelope_id_of_the_envelope),
        cmocka_unit_test(result_names_everybody_it_was_encrypted_to),
    };

    return cmocka_run_group_tests(tests, start, end);
}
