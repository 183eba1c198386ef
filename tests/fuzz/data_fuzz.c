/* SPDX-License-Identifier: GPL-3.0-or-later */
/* data_fuzz.c - the end-of-data machine against a reference that sees everything at once.
 *
 * The first two bytes say how the rest is cut into reads. */
#include "daemon/receive/data.h"

#include <stdlib.h>
#include <string.h>

#define FUZZ_MESSAGE_MAX 300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Where the message ends: the offset of the final dot, or in.len when it does not end. */
static size_t find_end(struct bytes in)
{
    if (in.len >= 3 && memcmp(in.data, ".\r\n", 3) == 0)
        return 0;
    for (size_t i = 0; i + 5 <= in.len; i++)
        if (memcmp(in.data + i, "\r\n.\r\n", 5) == 0)
            return i + 2;
    return in.len;
}

static bool has_stray(struct bytes in)
{
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] == '\0')
            return true;
        if (in.data[i] == '\r' && (i + 1 == in.len || in.data[i + 1] != '\n'))
            return true;
        if (in.data[i] == '\n' && (i == 0 || in.data[i - 1] != '\r'))
            return true;
    }
    return false;
}

static void unstuff(struct bytes in, struct buf *out)
{
    for (size_t i = 0; i < in.len; i++) {
        bool starts_line = i == 0 || (i >= 2 && memcmp(in.data + i - 2, "\r\n", 2) == 0);

        if (!starts_line || in.data[i] != '.')
            buf_append(out, in.data + i, 1);
    }
}

static void compare(const struct data *d, struct bytes message)
{
    CLEANUP(buf_clear) struct buf wanted = {0};
    enum err verdict = data_verdict(d);

    if (has_stray(message)) {
        check(verdict == ERR_BARE_LINE || verdict == ERR_TOO_BIG);
        check(message.len > FUZZ_MESSAGE_MAX || verdict == ERR_BARE_LINE);
        return;
    }
    unstuff(message, &wanted);
    check(verdict == (wanted.len > FUZZ_MESSAGE_MAX ? ERR_TOO_BIG : ERR_OK));
    check(verdict || bytes_equal(data_content(d), buf_bytes(&wanted)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_budget memory = {.max = 1u << 20};
    struct data d;
    struct bytes all;
    size_t end;
    size_t taken = 0;
    size_t pieces[2];
    bool ended = false;

    if (size < 2)
        return 0;
    pieces[0] = (size_t)data[0] % 16 + 1;
    pieces[1] = (size_t)data[1] + 1;
    all = (struct bytes){data + 2, size - 2};
    end = find_end(all);
    data_init(&d, &memory, 0, FUZZ_MESSAGE_MAX);
    for (size_t turn = 0; taken < all.len && !ended; turn++) {
        size_t len = pieces[turn % 2] < all.len - taken ? pieces[turn % 2] : all.len - taken;
        struct bytes piece = {all.data + taken, len};

        ended = data_feed(&d, &piece);
        taken += len - piece.len;
        check(ended || piece.len == 0);
    }
    check(data_seen(&d) == taken);
    check(ended == (end < all.len));
    if (ended) {
        check(taken == end + 3);
        compare(&d, (struct bytes){all.data, end});
    }
    data_clear(&d);
    check(memory_used(&memory) == 0);
    return 0;
}
