/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open_size_test.c - a message of 25 MB opens in less than four times its size, its own bytes
 * included, whatever its form.
 *
 * The sanitizer tells every allocation, the linker every locked page. */
#include "tests/smime/reply_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MESSAGE_BYTES (25u * 1000 * 1000)
#define CPU_MAX_S     20.0 /* with sanitizers */

/* Of the address sanitizer; not every compiler brings its header along. */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *p);

/* --wrap gives these names. */
enum err __real_secret_new(size_t len, struct secret *out);
enum err __wrap_secret_new(size_t len, struct secret *out);
void __real_secret_free(struct secret *s);
void __wrap_secret_free(struct secret *s);

static struct test_pki pki;
static size_t held, peak;
static bool counting;

static void more(size_t n)
{
    if (!counting)
        return;
    held += n;
    peak = held > peak ? held : peak;
}

static void less(size_t n)
{
    if (counting)
        held -= n < held ? n : held;
}

static void on_malloc(const volatile void *p, size_t n)
{
    (void)p;
    more(n);
}

static void on_free(const volatile void *p)
{
    less(p ? __sanitizer_get_allocated_size(p) : 0);
}

enum err __wrap_secret_new(size_t len, struct secret *out)
{
    more(len);
    return __real_secret_new(len, out);
}

void __wrap_secret_free(struct secret *s)
{
    less(s ? s->len : 0);
    __real_secret_free(s);
}

static int start(void **state)
{
    (void)state;
    test_pki_new(&pki, false);
    return __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    test_pki_free(&pki);
    return 0;
}

/* Base64, as attachments are. */
static void big_entity_make(size_t n, struct buf *out)
{
    static const char line[] =
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4\r\n";

    buf_reserve(out, n + sizeof line);
    buf_append_str(out, "Content-Type: application/octet-stream\r\n"
                        "Content-Transfer-Encoding: base64\r\n\r\n");
    while (out->len < n)
        buf_append(out, line, sizeof line - 1);
}

static void stream_encrypt(struct bytes inner, struct buf *out)
{
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_128_cbc(), CMS_STREAM | CMS_BINARY);
    BIO *content = BIO_new_mem_buf(inner.data, (int)inner.len);
    BIO *ber = BIO_new(BIO_s_mem());
    char *data = NULL;
    long len;

    assert_non_null(CMS_add1_recipient_cert(cms, pki.sender, 0));
    assert_int_equal(i2d_CMS_bio_stream(ber, cms, content, CMS_STREAM | CMS_BINARY), 1);
    len = BIO_get_mem_data(ber, &data);
    buf_append(out, data, (size_t)len);
    BIO_free(ber);
    BIO_free(content);
    CMS_ContentInfo_free(cms);
}

static void sealed_make(bool opaque, bool indefinite, struct buf *out)
{
    CLEANUP(buf_clear) struct buf entity = {0};
    CLEANUP(buf_clear) struct buf inner = {0};
    CLEANUP(buf_clear) struct buf ber = {0};
    struct reply_signing signing = {.opaque = opaque};

    /* base64 of base64 in the opaque case, base64 of it all in both */
    big_entity_make(MESSAGE_BYTES / (opaque ? 19 : 14) * 10, &entity);
    reply_sign(&pki, &signing, buf_bytes(&entity), &inner);
    if (indefinite)
        stream_encrypt(buf_bytes(&inner), &ber);
    else
        reply_encrypt_to(pki.sender, EVP_aes_128_cbc(), buf_bytes(&inner), &ber);
    reply_cms_append(buf_bytes(&ber), out);
}

static void big_message_opens_in_bounds(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        CLEANUP(reply_opened_clear) struct reply_opened o;
        CLEANUP(buf_clear) struct buf entity = {0};
        struct reply_opening how = {0};
        clock_t begun;
        double cpu_s;

        sealed_make(i % 2, i / 2, &entity);
        held = 0;
        peak = 0;
        begun = clock();
        counting = true; /* the message itself is held by o and counts */
        reply_open(&pki, &how, buf_bytes(&entity), &o);
        counting = false;
        cpu_s = (double)(clock() - begun) / CLOCKS_PER_SEC;
        print_message("%s, %s lengths: %zu bytes, peak %.2f times, %.1f s\n",
                      i % 2 ? "opaque" : "detached", i / 2 ? "indefinite" : "definite", o.raw.len,
                      (double)peak / (double)o.raw.len, cpu_s);
        assert_int_equal(o.e, ERR_OK);
        assert_int_equal(o.result.kind, OPEN_ENCRYPTED_SIGNED);
        assert_true(o.raw.len > MESSAGE_BYTES * 9 / 10);
        assert_true(peak > o.raw.len && peak < 4 * o.raw.len);
        assert_true(cpu_s < CPU_MAX_S);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(big_message_opens_in_bounds),
    };

    return cmocka_run_group_tests(tests, start, end);
}
