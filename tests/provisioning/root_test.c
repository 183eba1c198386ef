/* SPDX-License-Identifier: GPL-3.0-or-later */
/* root_test.c - the root key is gone once its signatures are made: its private number is nowhere
 * in this process's memory. The number is learned by watching the secure heap: a copy of it, each
 * byte changed, is taken while the key signs. */
#include "daemon/base/clock.h"
#include "provisioning/enroll/keys.h"
#include "provisioning/enroll/root.h"

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NUMBER_LEN 48
#define MASK       0x5a
#define WINDOW     (1u << 20)

static char request_head[] =
    "{\"format\":\"sealrelay-request 1\",\"profile\":\"abcdefgh234567ab\",\"country\":\"DE\","
    "\"organisation\":\"Example\",\"root_name\":\"Root\",\"intermediate_name\":\"Mail\","
    "\"relay_domains\":[\"relay.example.com\"],\"addresses\":[\"alice@home.example.net\"],"
    "\"ca_key_type\":\"p-384\",\"user_key_type\":\"p-256\",\"root_days\":5475,"
    "\"intermediate_days\":3640,\"user_days\":730,\"policy_oid\":\"2.25.1\"";

/* A private number, in both byte orders, masked so that the test's own copy is not found. */
static uint8_t masked[2][NUMBER_LEN];

static void learn_number(EVP_PKEY *key)
{
    BIGNUM *number = BN_secure_new();
    uint8_t *bytes = OPENSSL_secure_zalloc(NUMBER_LEN);

    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
    assert_int_equal(BN_bn2binpad(number, bytes, NUMBER_LEN), NUMBER_LEN);
    for (size_t i = 0; i < NUMBER_LEN; i++) {
        masked[0][i] = bytes[i] ^ MASK;
        masked[1][NUMBER_LEN - 1 - i] = bytes[i] ^ MASK;
    }
    OPENSSL_secure_clear_free(bytes, NUMBER_LEN);
    BN_clear_free(number);
}

/* Hits of the number in len bytes: any 16 of its bytes in a row count. */
static size_t count_hits(const uint8_t *data, size_t len)
{
    size_t hits = 0;

    for (size_t order = 0; order < 2; order++) {
        const uint8_t *wanted = masked[order] + 16;
        const uint8_t *at = data;

        while (at + 16 <= data + len &&
               (at = memchr(at, wanted[0] ^ MASK, len - 15 - (size_t)(at - data)))) {
            size_t same = 1;

            while (same < 16 && (at[same] ^ MASK) == wanted[same])
                same++;
            hits += same == 16;
            at++;
        }
    }
    return hits;
}

/* Every writable mapping that the process really has, read through /proc/self/mem. */
static size_t hits_in_memory(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    static uint8_t window[WINDOW];
    char line[512];
    size_t hits = 0;

    assert_non_null(maps);
    assert_true(mem >= 0);
    while (fgets(line, sizeof line, maps)) {
        char *rest = line;
        unsigned long from = strtoul(line, &rest, 16);
        unsigned long to = *rest == '-' ? strtoul(rest + 1, &rest, 16) : 0;

        if (to <= from || strlen(rest) < 3 || rest[2] != 'w')
            continue;
        if (to - from > (1ul << 28))
            continue; /* the sanitizer's shadow, not memory */
        for (unsigned long at = from; at < to; at += WINDOW - 64) {
            size_t want = to - at < WINDOW ? to - at : WINDOW;
            ssize_t got;

            if (at <= (unsigned long)window + WINDOW && at + want >= (unsigned long)window)
                continue;
            got = pread(mem, window, want, (off_t)at);
            if (got > 0)
                hits += count_hits(window, (size_t)got);
            OPENSSL_cleanse(window, sizeof window);
        }
    }
    (void)fclose(maps);
    (void)close(mem);
    return hits;
}

static void read_request(struct request *r, EVP_PKEY *ca)
{
    static const char *const names[] = {"ca@example.com"};
    CLEANUP(buf_clear) struct buf csr = {0};
    CLEANUP(buf_clear) struct buf json = {0};

    assert_int_equal(csr_new(ca, names, 1, &csr), ERR_OK);
    buf_append_str(&json, request_head);
    json_add_string(&json, "csr", buf_bytes(&csr));
    buf_append_str(&json, "}");
    assert_int_equal(request_read(buf_bytes(&json), r), ERR_OK);
}

static void search_finds_a_key_that_lives_and_not_one_that_is_freed(void **state)
{
    EVP_PKEY *key = NULL;

    (void)state;
    assert_int_equal(key_new("p-384", &key), ERR_OK);
    learn_number(key);
    assert_true(hits_in_memory() > 0);
    EVP_PKEY_free(key);
    assert_int_equal(hits_in_memory(), 0);
}

/* The certificates outlive the key here, as they do in the tool. */
static void certificates_keep_no_private_key_alive(void **state)
{
    CLEANUP(root_enrolment_clear) struct root_enrolment made = {0};
    CLEANUP(request_clear) struct request r = {0};
    CLEANUP(key_free) EVP_PKEY *ca = NULL;
    CLEANUP(key_free) EVP_PKEY *user = NULL;
    CLEANUP(key_free) EVP_PKEY *public_key = NULL;
    size_t before;

    (void)state;
    assert_int_equal(key_new("p-384", &ca), ERR_OK);
    assert_int_equal(key_new("p-256", &user), ERR_OK);
    read_request(&r, ca);
    assert_int_equal(request_csr_key(&r, &public_key), ERR_OK);
    /* Once before measuring: OpenSSL's own random generators come to life in the secure heap. */
    assert_int_equal(root_enrolment_make(&r, public_key, user, clock_now_s(), &made), ERR_OK);
    root_enrolment_clear(&made);
    before = CRYPTO_secure_used();
    assert_int_equal(root_enrolment_make(&r, public_key, user, clock_now_s(), &made), ERR_OK);
    assert_int_equal(CRYPTO_secure_used(), before);
}

static void composing_takes_the_public_part_only(void **state)
{
    struct cert_dates dates = {1000, 2000};
    CLEANUP(request_clear) struct request r = {0};
    CLEANUP(key_free) EVP_PKEY *ca = NULL;
    EVP_PKEY *root = NULL;
    struct cert_values values;
    X509 *cert = NULL;

    (void)state;
    assert_int_equal(key_new("p-384", &ca), ERR_OK);
    read_request(&r, ca);
    values = request_values(&r);
    assert_int_equal(key_new("p-384", &root), ERR_OK);
    learn_number(root);
    assert_int_equal(cert_compose(CERT_ROOT, &values, NULL, root, &dates, &cert), ERR_OK);
    assert_int_equal(cert_sign(cert, root), ERR_OK);
    EVP_PKEY_free(root);
    assert_int_equal(hits_in_memory(), 0);
    X509_free(cert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_finds_a_key_that_lives_and_not_one_that_is_freed),
        cmocka_unit_test(certificates_keep_no_private_key_alive),
        cmocka_unit_test(composing_takes_the_public_part_only),
    };
    bool locked;

    if (keys_start(&locked) != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
