/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bundle_test.c - a PKCS #12 file in the old form is one that gpgsm opens, each time. */
#include "provisioning/enroll/bundle.h"
#include "provisioning/enroll/old_reader.h"
#include "tests/smime/test_pki.h"

#include <openssl/pkcs12.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PASSPHRASE "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define FILES      150u /* without a choice three of them would be for nobody */

static struct test_pki pki;

static void every_file_in_the_old_form_is_for_old_readers(void **state)
{
    struct bundle b = {
        .key = pki.user_key, .cert = pki.user, .chain = {pki.inter, pki.root}, .name = "user"};
    struct secret passphrase = {0};

    (void)state;
    assert_int_equal(secret_new(sizeof PASSPHRASE, &passphrase), ERR_OK);
    memcpy(passphrase.data, PASSPHRASE, sizeof PASSPHRASE);
    for (unsigned i = 0; i < FILES; i++) {
        CLEANUP(buf_clear) struct buf der = {0};
        const uint8_t *at;
        PKCS12 *p12;

        assert_int_equal(bundle_make(&b, BUNDLE_COMPATIBLE, &passphrase, &der), ERR_OK);
        at = der.data;
        p12 = d2i_PKCS12(NULL, &at, (long)der.len);
        assert_non_null(p12);
        assert_true(old_reader_takes(p12, PASSPHRASE));
        PKCS12_free(p12);
    }
    secret_free(&passphrase);
}

/* The first file of its kind that chance makes. */
static void file_write(bool taken, const char *name)
{
    PKCS12 *p12 = NULL;
    FILE *f = fopen(test_path(&pki, name), "w");

    do {
        PKCS12_free(p12);
        p12 = PKCS12_create("secret", "user", pki.user_key, pki.user, NULL,
                            NID_pbe_WithSHA1And3_Key_TripleDES_CBC,
                            NID_pbe_WithSHA1And3_Key_TripleDES_CBC, 100, -1, 0);
        assert_non_null(p12);
    } while (old_reader_takes(p12, "secret") != taken);
    assert_int_equal(PKCS12_set_mac(p12, "secret", -1, NULL, 0, 100, EVP_sha1()), 1);
    assert_non_null(f);
    assert_int_equal(i2d_PKCS12_fp(f, p12), 1);
    assert_int_equal(fclose(f), 0);
    PKCS12_free(p12);
}

static int imported(const char *name)
{
    const char *words[] = {
        "gpgsm", "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import",
        name,    NULL};

    return test_run(&pki, "secret\n", words);
}

static void gpgsm_reads_those_that_are_said_to_be_read(void **state)
{
    const char *folder[] = {"mkdir", "-p", "-m", "700", "gnupg", NULL};
    const char *end[] = {"gpgconf", "--kill", "all", NULL};
    int good, bad;

    (void)state;
    file_write(true, "good.p12");
    file_write(false, "bad.p12");
    assert_int_equal(test_run(&pki, "", folder), 0);
    bad = imported("bad.p12");
    good = imported("good.p12");
    (void)test_run(&pki, "", end);
    assert_int_equal(good, 0);
    assert_int_not_equal(bad, 0);
}

static int world_make(void **state)
{
    (void)state;
    test_pki_new(&pki, false);
    return 0;
}

static int world_end(void **state)
{
    (void)state;
    test_pki_free(&pki);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_in_the_old_form_is_for_old_readers),
        cmocka_unit_test(gpgsm_reads_those_that_are_said_to_be_read),
    };

    return cmocka_run_group_tests(tests, world_make, world_end);
}
