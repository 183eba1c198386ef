/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal_test.c - what is sealed opens and verifies elsewhere, openssl cms, NSS and gpgsm judge; and
 * nothing but ciphertext leaves, whatever fails. */
#include "daemon/base/codec.h"
#include "tests/smime/sealing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>

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
    const struct test_pki *sets[] = {&sealing_rsa, &sealing_ec};

    (void)state;
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct bytes entity = bytes_of(cases[i]);

            sealing_to_file(sets[s], &entity, 1);
            sealing_decrypt(sets[s]);
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
    sealing_to_file(&sealing_rsa, pieces, 4);
    sealing_decrypt(&sealing_rsa);
    openssl_verifies(&sealing_rsa, buf_bytes(&all));
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
    struct bytes entity = bytes_of(SEALING_ENTITY);

    (void)state;
    sealing_to_file(&sealing_rsa, &entity, 1);
    assert_int_equal(mkdir(test_path(&sealing_rsa, "nss"), 0700), 0);
    assert_int_equal(test_run(&sealing_rsa, "", db), 0);
    assert_int_equal(test_run(&sealing_rsa, "", root), 0);
    assert_int_equal(test_run(&sealing_rsa, "", key), 0);
    assert_int_equal(test_run(&sealing_rsa, "", open), 0);
    sealing_split(&sealing_rsa);
    assert_int_equal(test_run(&sealing_rsa, "", verify), 0);
    test_write(&sealing_rsa, "entity", bytes_of("Content-Type: text/plain\r\n\r\nother\r\n"));
    assert_int_not_equal(test_run(&sealing_rsa, "", verify), 0);
}

static void gpgsm_trust_root(void)
{
    CLEANUP(buf_clear) struct buf line = {0};
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    assert_int_equal(mkdir(test_path(&sealing_rsa, "gnupg"), 0700), 0);
    assert_int_equal(X509_digest(sealing_rsa.root, EVP_sha1(), digest, &len), 1);
    hex_append(&line, (struct bytes){digest, len});
    buf_append_str(&line, " S\n");
    test_write(&sealing_rsa, "gnupg/trustlist.txt", buf_bytes(&line));
    test_write(&sealing_rsa, "gnupg/gpgsm.conf", bytes_of("disable-crl-checks\n"));
    test_write(&sealing_rsa, "gnupg/gpg-agent.conf", bytes_of("allow-loopback-pinentry\n"));
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
    struct bytes entity = bytes_of(SEALING_ENTITY);
    int opened, good, bad;

    (void)state;
    sealing_to_file(&sealing_rsa, &entity, 1);
    gpgsm_trust_root();
    assert_int_equal(test_run(&sealing_rsa, "", certs), 0);
    (void)test_run(&sealing_rsa, "secret",
                   key); /* says 2 for a user certificate it knows nothing of */
    opened = test_run(&sealing_rsa, "secret", open);
    sealing_split(&sealing_rsa);
    good = test_run(&sealing_rsa, "", verify);
    test_write(&sealing_rsa, "entity", bytes_of("Content-Type: text/plain\r\n\r\nother\r\n"));
    bad = test_run(&sealing_rsa, "", verify);
    (void)test_run(&sealing_rsa, "", end);
    assert_int_equal(opened, 0);
    assert_int_equal(good, 0);
    assert_int_not_equal(bad, 0);
}

static void base64_lines_are_76_columns_with_crlf(void **state)
{
    CLEANUP(buf_clear) struct buf body = {0};
    struct bytes entity = bytes_of(SEALING_ENTITY);
    struct seal_job job = {.entity = &entity, .n_entity = 1};
    size_t at = 0;

    (void)state;
    assert_int_equal(sealing_run(&sealing_rsa, &job, sealing_to_buf, &body), ERR_OK);
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
    struct bytes entity = bytes_of(SEALING_ENTITY);
    struct seal_job job = {.entity = &entity, .n_entity = 1};

    (void)state;
    assert_int_equal(sealing_run(&sealing_rsa, &job, sealing_to_buf, &body), ERR_OK);
    assert_int_equal(base64_decode(buf_bytes(&body), &der), ERR_OK);
    assert_null(memmem(body.data, body.len, SEALING_MARKER, strlen(SEALING_MARKER)));
    assert_null(memmem(der.data, der.len, SEALING_MARKER, strlen(SEALING_MARKER)));
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
        enum err e = sealing_run(&sealing_rsa, &job, fail_later, &sink);

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
    const struct test_pki *sets[] = {&sealing_rsa, &sealing_ec};
    struct bytes entity = bytes_of(SEALING_ENTITY);

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        CLEANUP(buf_clear) struct buf body = {0};
        EVP_PKEY *public_only = public_half(sets[s]->sender);
        struct seal_job job = {
            .entity = &entity, .n_entity = 1, .signer_key = public_only, .key_error = key_is_away};

        assert_int_equal(sealing_run(sets[s], &job, sealing_to_buf, &body), ERR_HSM_AWAY);
        err_note_clear();
        job.key_error = NULL;
        assert_int_equal(sealing_run(sets[s], &job, sealing_to_buf, &body), ERR_BUG);
        err_note_clear();
        EVP_PKEY_free(public_only);
    }
}

static void key_of_another_certificate_and_no_recipient_are_bugs(void **state)
{
    CLEANUP(buf_clear) struct buf body = {0};
    struct bytes entity = bytes_of(SEALING_ENTITY);
    struct seal_job job = {.entity = &entity, .n_entity = 1, .signer_key = sealing_rsa.user_key};

    (void)state;
    assert_int_equal(sealing_run(&sealing_rsa, &job, sealing_to_buf, &body), ERR_BUG);
    err_note_clear();
    job.signer = sealing_rsa.sender;
    job.signer_key = sealing_rsa.sender_key;
    assert_int_equal(seal_run(&job, sealing_to_buf, &body), ERR_BUG);
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
        cmocka_unit_test(base64_lines_are_76_columns_with_crlf),
        cmocka_unit_test(no_clear_text_reaches_the_sink),
        cmocka_unit_test(failing_sink_ends_the_pipeline_with_its_error),
        cmocka_unit_test(failed_signature_is_an_error_never_unsigned_mail),
        cmocka_unit_test(key_of_another_certificate_and_no_recipient_are_bugs),
    };

    return cmocka_run_group_tests(tests, sealing_start, sealing_end);
}
