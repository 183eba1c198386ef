/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rspamd_reply_fuzz.c - any bytes as rspamd's answer: nothing is claimed that is not said, and the
 * lines made of it are lines of known words. */
#include "daemon/verdict/rspamd_reply.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool is_line(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    return text.len > 0 && text.len < 900;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_clear) struct buf line = {0};
    CLEANUP(buf_clear) struct buf spam = {0};
    struct sender_verdict v = {.source = VERDICT_SOURCE_RSPAMD, .domain = "shop.example.net"};
    enum err e = rspamd_reply_parse((struct bytes){data, size}, &v);

    require(e == ERR_OK || e == ERR_FORMAT);
    err_note_clear();
    if (e)
        require(v.dmarc == AUTH_NONE && v.spf == AUTH_NONE && v.dkim == AUTH_NONE);
    require(isfinite(v.score) && isfinite(v.required));
    if (sender_verdict_aligned(&v))
        require(memmem(data, size, "DMARC_POLICY_ALLOW", 18) || memchr(data, '\\', size));
    verdict_line_append(&line, &v);
    verdict_spam_line_append(&spam, &v);
    require(is_line(buf_bytes(&line)) && is_line(buf_bytes(&spam)));
    return 0;
}
