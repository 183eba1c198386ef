/* SPDX-License-Identifier: GPL-3.0-or-later */
/* buf.c - borrowed slices and growable buffers. */
#include "daemon/base/buf.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BUF_FIRST_BYTES 256u

struct bytes bytes_of(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool bytes_equal_nocase(struct bytes a, const char *s)
{
    size_t len = strlen(s);

    return a.len == len && (len == 0 || strncasecmp((const char *)a.data, s, len) == 0);
}

void buf_reserve(struct buf *b, size_t extra)
{
    size_t need;
    size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;
    uint8_t *grown;

    if (b->failed || __builtin_add_overflow(b->len, extra, &need) || need == SIZE_MAX) {
        b->failed = true;
        return;
    }
    need++; /* the NUL behind the content */
    if (need <= b->cap)
        return;
    while (cap < need && cap <= SIZE_MAX / 2)
        cap += cap / 2;
    if (cap < need)
        cap = need;
    grown = realloc(b->data, cap);
    if (!grown) {
        b->failed = true;
        return;
    }
    b->data = grown;
    b->cap = cap;
}

void buf_append(struct buf *b, const void *data, size_t len)
{
    buf_reserve(b, len);
    if (b->failed)
        return;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_append_str(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_append_bytes(struct buf *b, struct bytes s)
{
    buf_append(b, s.data, s.len);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0) {
        b->failed = true;
        return;
    }
    buf_reserve(b, (size_t)len);
    if (b->failed)
        return;
    va_start(args, fmt);
    (void)vsnprintf((char *)b->data + b->len, (size_t)len + 1, fmt, args);
    va_end(args);
    b->len += (size_t)len;
}

enum err buf_error(const struct buf *b)
{
    return b->failed ? err_note(ERR_NOMEM, "buf_append", "out of memory") : ERR_OK;
}

struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->data, b->len};
}

const char *buf_str(const struct buf *b)
{
    return b->len ? (const char *)b->data : "";
}

void buf_clear(struct buf *b)
{
    if (!b)
        return;
    free(b->data);
    *b = (struct buf){0};
}

void buf_wipe(struct buf *b)
{
    if (b && b->data)
        OPENSSL_cleanse(b->data, b->cap);
    buf_clear(b);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

void str_free(char **s)
{
    free(*s);
    *s = NULL;
}
