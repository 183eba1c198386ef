/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cert_cache_test.c - the same certificate for the same bytes, and for no others. */
#include "daemon/flow/cert_cache.h"
#include "tests/smime/test_pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>

#define THREADS 8
#define ROUNDS  200

static struct test_pki pki;

static struct bytes der_of(X509 *cert, uint8_t **der)
{
    int len;

    *der = NULL;
    len = i2d_X509(cert, der);
    assert_true(len > 0);
    return (struct bytes){*der, (size_t)len};
}

static void equal_bytes_give_the_same_certificate_and_others_their_own(void **state)
{
    uint8_t *raw[2];
    struct bytes user = der_of(pki.user, &raw[0]);
    struct bytes inter = der_of(pki.inter, &raw[1]);
    X509 *first = cert_parse(user);
    X509 *again = cert_parse(user);
    X509 *other = cert_parse(inter);

    (void)state;
    assert_ptr_equal(first, again);
    assert_int_equal(X509_cmp(first, pki.user), 0);
    assert_int_equal(X509_cmp(other, pki.inter), 0);
    X509_free(first);
    X509_free(again);
    X509_free(other);
    free(raw[0]);
    free(raw[1]);
}

static void bytes_that_are_no_certificate_are_refused_each_time(void **state)
{
    uint8_t *raw;
    struct bytes user = der_of(pki.user, &raw);
    CLEANUP(buf_clear) struct buf longer = {0};

    (void)state;
    buf_append_bytes(&longer, user);
    buf_append(&longer, "", 1);
    for (int i = 0; i < 2; i++) {
        assert_null(cert_parse(buf_bytes(&longer)));
        assert_null(cert_parse((struct bytes){user.data, user.len - 1}));
        assert_null(cert_parse((struct bytes){user.data, 0}));
    }
    ERR_clear_error();
    free(raw);
}

/* Certificates that push each other out, taken and freed by many threads at once. */
static void *take_and_free(void *arg)
{
    const struct bytes *ders = arg;

    for (int i = 0; i < ROUNDS; i++) {
        X509 *cert = cert_parse(ders[i % 4]);

        if (!cert || !X509_get0_pubkey(cert))
            abort();
        X509_free(cert);
    }
    return NULL;
}

static void many_threads_share_certificates(void **state)
{
    X509 *certs[] = {pki.root, pki.inter, pki.sender, pki.user};
    pthread_t threads[THREADS];
    struct bytes ders[4];
    uint8_t *raw[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        ders[i] = der_of(certs[i], &raw[i]);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_free, ders), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < 4; i++)
        free(raw[i]);
}

static int start(void **state)
{
    (void)state;
    test_pki_new(&pki, true);
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_pki_free(&pki);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_bytes_give_the_same_certificate_and_others_their_own),
        cmocka_unit_test(bytes_that_are_no_certificate_are_refused_each_time),
        cmocka_unit_test(many_threads_share_certificates),
    };

    return cmocka_run_group_tests(tests, start, end);
}
