/* SPDX-License-Identifier: GPL-3.0-or-later */
/* report_fuzz.c - any message as a report: what is told of it is always of its closed sets. */
#include "daemon/message/report.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_clear) struct buf raw = {0};
    CLEANUP(message_clear) struct message m = {0};
    struct report r;

    /* what a sender's line ends become on the wire */
    for (size_t i = 0; i < size; i++)
        buf_append(&raw, data[i] == '\n' ? (const void *)"\r\n" : &data[i],
                   data[i] == '\n' ? 2 : 1);
    if (!raw.len || message_parse(buf_bytes(&raw), &m))
        return 0;
    report_read(&m, &r);
    require(r.kind <= REPORT_UNPARSED && strlen(r.status) <= REPORT_STATUS_MAX);
    require(strspn(r.status, "0123456789.") == strlen(r.status));
    require(r.kind != REPORT_FAILED || strlen(r.status) >= 5);
    for (const char *c = r.diagnostic; *c; c++)
        require(*c >= 0x20 && *c < 0x7f);
    (void)report_is_automatic(&m);
    return 0;
}
