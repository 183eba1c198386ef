/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sealing.c - messages sealed for a test PKI, as files that other programs judge. */
#include "tests/smime/sealing.h"

#include "daemon/base/clock.h"
#include "daemon/base/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

struct test_pki sealing_rsa, sealing_ec;
int64_t sealing_time_s;

int sealing_start(void **state)
{
    (void)state;
    sealing_time_s = clock_now_s() - 7200;
    test_pki_new(&sealing_rsa, false);
    test_pki_new(&sealing_ec, true);
    return 0;
}

int sealing_end(void **state)
{
    (void)state;
    test_pki_free(&sealing_rsa);
    test_pki_free(&sealing_ec);
    return 0;
}

enum err sealing_to_buf(void *ctx, const uint8_t *data, size_t len)
{
    buf_append(ctx, data, len);
    return ERR_OK;
}

enum err sealing_run(const struct test_pki *p, const struct seal_job *more, seal_sink sink,
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
    job.signing_time_s = sealing_time_s;
    e = seal_run(&job, sink, ctx);
    sk_X509_free(extra);
    sk_X509_free(recipients);
    return e;
}

void sealing_to_file(const struct test_pki *p, const struct bytes *pieces, size_t n)
{
    CLEANUP(buf_clear) struct buf message = {0};
    CLEANUP(buf_clear) struct buf body = {0};
    CLEANUP(buf_clear) struct buf der = {0};
    struct seal_job job = {.entity = pieces, .n_entity = n};

    assert_int_equal(sealing_run(p, &job, sealing_to_buf, &body), ERR_OK);
    seal_header_append(&message);
    buf_append_str(&message, "\r\n");
    buf_append_bytes(&message, buf_bytes(&body));
    assert_int_equal(base64_decode(buf_bytes(&body), &der), ERR_OK);
    test_write(p, "sealed.eml", buf_bytes(&message));
    test_write(p, "sealed.der", buf_bytes(&der));
}

void sealing_decrypt(const struct test_pki *p)
{
    const char *argv[] = {"openssl", "cms",        "-decrypt", "-in",      "sealed.eml",
                          "-recip",  "user.pem",   "-inkey",   "user.key", "-binary",
                          "-out",    "signed.eml", NULL};

    assert_int_equal(test_run(p, "", argv), 0);
}

void sealing_split(const struct test_pki *p)
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
