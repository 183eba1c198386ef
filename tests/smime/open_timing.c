/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open_timing.c - can good padding be told from bad by the clock? 2,000 interleaved pairs through a
 * real key service on SoftHSM; a Mann-Whitney test of the two samples, and their medians.
 *
 * Run by name (label timing): it needs a machine that is not busy with something else. */
#include "hsm/provider/provider.h"
#include "tests/smime/alias_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAIRS         2000u
#define WARM_UP       50u
#define CALL_MS       20000
#define P_ENOUGH      0.001
#define MEDIAN_MAX_NS 50000.0

struct sample {
    double ns;
    bool bad;
};

static struct service_fixture service;
static struct hsm *relay;
static struct test_pki pki;
static struct alias rsa;

static int start(void **state)
{
    enum err e = service_fixture_new(&service, "decryptions_per_hour = 100000\n");

    (void)state;
    if (!e)
        e = provider_load();
    relay = service_fixture_open(service.relay_socket, CALL_MS);
    if (!e)
        e = alias_new(&service, relay, KEY_RSA_2048, &rsa);
    test_pki_new(&pki, false);
    return e != ERR_OK;
}

static int end(void **state)
{
    (void)state;
    alias_clear(&rsa);
    test_pki_free(&pki);
    hsm_free(relay);
    return service_fixture_free(&service) ? 0 : -1;
}

static double now_ns(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Another content key each time, so that nothing is in any cache for one kind only. */
static double open_ns(struct bytes ber, bool bad, size_t key_len)
{
    CLEANUP(buf_clear) struct buf forged = {0};
    CLEANUP(reply_opened_clear) struct reply_opened o;
    uint8_t block[256];
    double begun_ns;

    alias_block(key_len, bad, block);
    alias_key_set(&rsa, ber, (struct bytes){block, sizeof block}, &forged);
    begun_ns = now_ns();
    alias_open(&pki, &rsa, buf_bytes(&forged), &o);
    begun_ns = now_ns() - begun_ns;
    assert_int_equal(o.e, ERR_UNPROVEN);
    return begun_ns;
}

static int by_time(const void *a, const void *b)
{
    double x = ((const struct sample *)a)->ns, y = ((const struct sample *)b)->ns;

    return x < y ? -1 : x > y;
}

/* The time that this share of one kind does not exceed. n: of both kinds. */
static double quantile_ns(const struct sample *sorted, size_t n, bool bad, double share)
{
    size_t wanted = (size_t)((double)n / 2 * share), seen = 0;

    for (size_t i = 0; i < n; i++)
        if (sorted[i].bad == bad && ++seen >= wanted)
            return sorted[i].ns;
    return 0;
}

/* Two-sided p by the normal approximation, ties at their mean rank. Mann, Whitney 1947. */
static double mann_whitney_p(const struct sample *sorted, size_t n)
{
    double ranks = 0, half = (double)n / 2, mean = half * half / 2;
    double deviation = sqrt(half * half * ((double)n + 1) / 12);

    for (size_t i = 0; i < n;) {
        size_t same = i;

        while (same < n && sorted[same].ns == sorted[i].ns)
            same++;
        for (size_t k = i; k < same; k++)
            ranks += sorted[k].bad ? ((double)i + 1 + (double)same) / 2 : 0;
        i = same;
    }
    return erfc(fabs(ranks - half * (half + 1) / 2 - mean) / deviation / sqrt(2));
}

static void pairs_compare(const char *what, size_t good_len)
{
    struct sample *samples = calloc(2 * (size_t)PAIRS, sizeof *samples);
    CLEANUP(buf_clear) struct buf inner = {0};
    CLEANUP(buf_clear) struct buf ber = {0};
    struct reply_signing signing = {0};
    static const double shares[] = {0.05, 0.25, 0.5}; /* the last one counts */
    double p, difference = 0;

    assert_non_null(samples);
    reply_sign(&pki, &signing, bytes_of(REPLY_ENTITY), &inner);
    reply_encrypt_to(rsa.cert, EVP_aes_128_cbc(), buf_bytes(&inner), &ber);
    for (size_t i = 0; i < PAIRS + WARM_UP; i++) {
        uint8_t first = 0;
        size_t at = i < WARM_UP ? 0 : 2 * (i - WARM_UP);

        assert_int_equal(RAND_bytes(&first, 1), 1);
        for (size_t k = 0; k < 2; k++) {
            bool bad = k == (first & 1u);

            samples[at + k] = (struct sample){open_ns(buf_bytes(&ber), bad, good_len), bad};
        }
    }
    qsort(samples, 2 * (size_t)PAIRS, sizeof *samples, by_time);
    p = mann_whitney_p(samples, 2 * (size_t)PAIRS);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        double good = quantile_ns(samples, 2 * (size_t)PAIRS, false, shares[i]);

        difference = quantile_ns(samples, 2 * (size_t)PAIRS, true, shares[i]) - good;
        print_message("%s, quantile %.2f: %.1f us, with bad padding %+.1f us\n", what, shares[i],
                      good / 1000, difference / 1000);
    }
    print_message("%s: p = %.4f\n", what, p);
    free(samples);
    assert_true(p > P_ENOUGH || fabs(difference) < MEDIAN_MAX_NS);
}

static void another_key_and_bad_padding_take_the_same_time(void **state)
{
    (void)state;
    pairs_compare("a key of the right length", 16);
}

static void a_key_of_another_length_and_bad_padding_take_the_same_time(void **state)
{
    (void)state;
    pairs_compare("a key of 200 bytes", 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_key_and_bad_padding_take_the_same_time),
        cmocka_unit_test(a_key_of_another_length_and_bad_padding_take_the_same_time),
    };

    return cmocka_run_group_tests(tests, start, end);
}
