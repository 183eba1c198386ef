/* SPDX-License-Identifier: GPL-3.0-or-later */
/* buf.h - bytes as {pointer, length}: borrowed slices and growable buffers.
 *
 * Mail content is never a C string. A buffer remembers that an append failed, so that a caller
 * builds a whole value and asks once. */
#ifndef SEALRELAY_BASE_BUF_H
#define SEALRELAY_BASE_BUF_H

#include "daemon/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed run of bytes; not NUL-terminated. */
struct bytes {
    const uint8_t *data;
    size_t len;
};

/* bytes_of - the bytes of a C string, without its NUL. */
struct bytes bytes_of(const char *s);
bool bytes_equal(struct bytes a, struct bytes b);
/* bytes_equal_nocase - ASCII letters compare without case. */
bool bytes_equal_nocase(struct bytes a, const char *s);

/* A growable, owned run of bytes. All zero is an empty buffer. data[len] is always NUL once
 * anything was appended, for printing only. */
struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool failed; /* an append ran out of memory; content is incomplete */
};

void buf_append(struct buf *b, const void *data, size_t len);
void buf_append_str(struct buf *b, const char *s);
void buf_append_bytes(struct buf *b, struct bytes s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* buf_reserve - room for extra more bytes without further allocation. */
void buf_reserve(struct buf *b, size_t extra);
/* buf_error - ERR_OK, or ERR_NOMEM when any append failed. */
enum err buf_error(const struct buf *b);
struct bytes buf_bytes(const struct buf *b);
/* buf_str - content as a C string, "" when empty. Borrowed until the next change. */
const char *buf_str(const struct buf *b);
/* buf_clear - free the content; the buffer is empty and usable again. Accepts NULL. */
void buf_clear(struct buf *b);
/* buf_wipe - overwrite the content, then buf_clear. For anything secret or in clear. */
void buf_wipe(struct buf *b);
/* buf_reset - forget the content, keep the memory. */
void buf_reset(struct buf *b);

/* For declarations that clean up behind themselves: CLEANUP(buf_clear) struct buf b = {0}; */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* str_free - free() for CLEANUP(str_free) char *s. */
void str_free(char **s);

#endif
