/* SPDX-License-Identifier: GPL-3.0-or-later */
/* socketmap_fuzz.c - look-ups of any bytes, cut in any way.
 *
 * The first byte says how long a read is. What must hold: answers are netstrings with a known word,
 * one a request; what is looked up is an address; where a read ends changes nothing. */
#include "daemon/receive/path.h"
#include "daemon/receive/socketmap.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static enum err look_up(void *ctx, const char *address)
{
    (void)ctx;
    check(strlen(address) <= PATH_ADDRESS_MAX_BYTES && strchr(address, '@'));
    for (const char *c = address; *c; c++)
        check(*c >= ' ' && *c < 0x7F);
    return (enum err)(strlen(address) % ERR_COUNT);
}

static void check_answers(struct bytes out)
{
    static const char *const words[] = {"OK ", "NOTFOUND ", "TEMP ", "TIMEOUT ", "PERM "};

    while (out.len) {
        bool known = false;
        size_t len = 0;

        while (out.len && out.data[0] != ':') {
            len = len * 10 + (size_t)(out.data[0] - '0');
            out.data++;
            out.len--;
        }
        check(out.len >= len + 2 && out.data[len + 1] == ',');
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            known = known || (len >= strlen(words[i]) &&
                              memcmp(out.data + 1, words[i], strlen(words[i])) == 0);
        check(known);
        out.data += len + 2;
        out.len -= len + 2;
    }
}

static bool feed(struct bytes in, size_t piece, struct buf *out)
{
    struct receive_handler handler = {.lookup = look_up};
    struct socketmap m = {0};
    bool going = true;

    while (in.len && going) {
        size_t n = in.len < piece ? in.len : piece;

        going = socketmap_feed(&m, (struct bytes){in.data, n}, &handler, out);
        in.data += n;
        in.len -= n;
    }
    return going;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_clear) struct buf whole = {0};
    CLEANUP(buf_clear) struct buf cut = {0};
    struct bytes in;

    if (size == 0)
        return 0;
    in = (struct bytes){data + 1, size - 1};
    check(feed(in, SIZE_MAX, &whole) == feed(in, (size_t)data[0] + 1, &cut));
    check(bytes_equal(buf_bytes(&whole), buf_bytes(&cut)));
    check_answers(buf_bytes(&whole));
    return 0;
}
