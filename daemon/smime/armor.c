/* SPDX-License-Identifier: GPL-3.0-or-later */
/* armor.c - DER in, base64 lines of 76 characters with CRLF out to the sink.
 *
 * OpenSSL's own filter writes lines of 64 with bare LF. Invariant: after the sink failed nothing
 * more reaches it, and its error is kept for the caller. RFC 2045 6.8. */
#include "daemon/smime/armor.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LINE_IN_BYTES   57u /* become 76 characters */
#define LINE_OUT_BYTES  78u /* with CRLF */
#define BLOCK_LINES     208u
#define BLOCK_OUT_BYTES (BLOCK_LINES * LINE_OUT_BYTES) /* 16 KiB a call of the sink */

struct armor {
    seal_sink sink;
    void *ctx;
    enum err error;
    uint8_t line[LINE_IN_BYTES];
    size_t line_len;
    uint8_t block[BLOCK_OUT_BYTES + 1]; /* EVP_EncodeBlock writes a NUL */
    size_t block_len;
};

static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static void block_send(struct armor *a)
{
    if (!a->error && a->block_len)
        a->error = a->sink(a->ctx, a->block, a->block_len);
    a->block_len = 0;
}

static void line_end(struct armor *a)
{
    if (!a->line_len)
        return;
    a->block_len += (size_t)EVP_EncodeBlock(a->block + a->block_len, a->line, (int)a->line_len);
    a->block[a->block_len++] = '\r';
    a->block[a->block_len++] = '\n';
    a->line_len = 0;
    if (a->block_len + LINE_OUT_BYTES > BLOCK_OUT_BYTES)
        block_send(a);
}

static int armor_write(BIO *bio, const char *data, int len)
{
    struct armor *a = BIO_get_data(bio);
    size_t left = len > 0 ? (size_t)len : 0;

    while (left && !a->error) {
        size_t n = LINE_IN_BYTES - a->line_len;

        if (n > left)
            n = left;
        memcpy(a->line + a->line_len, data, n);
        a->line_len += n;
        data += n;
        left -= n;
        if (a->line_len == LINE_IN_BYTES)
            line_end(a);
    }
    return a->error ? -1 : len;
}

static long armor_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH && !armor_error(bio) ? 1 : 0;
}

static int armor_destroy(BIO *bio)
{
    free(BIO_get_data(bio));
    BIO_set_data(bio, NULL);
    return 1;
}

static void method_make(void)
{
    int type = BIO_get_new_index();

    if (type < 0)
        return;
    method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "base64 lines");
    if (method &&
        (!BIO_meth_set_write(method, armor_write) || !BIO_meth_set_ctrl(method, armor_ctrl) ||
         !BIO_meth_set_destroy(method, armor_destroy))) {
        BIO_meth_free(method);
        method = NULL;
    }
}

BIO *armor_new(seal_sink sink, void *ctx)
{
    struct armor *a = calloc(1, sizeof *a);
    BIO *bio;

    if (!a)
        return NULL;
    (void)pthread_once(&method_once, method_make);
    bio = method ? BIO_new(method) : NULL;
    if (!bio) {
        free(a);
        return NULL;
    }
    a->sink = sink;
    a->ctx = ctx;
    BIO_set_data(bio, a);
    BIO_set_init(bio, 1);
    return bio;
}

enum err armor_finish(BIO *armor)
{
    struct armor *a = BIO_get_data(armor);

    line_end(a);
    block_send(a);
    return a->error;
}

enum err armor_error(BIO *armor)
{
    const struct armor *a = BIO_get_data(armor);

    return a->error;
}
