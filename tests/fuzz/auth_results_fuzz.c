/* SPDX-License-Identifier: GPL-3.0-or-later */
/* auth_results_fuzz.c - any bytes as Authentication-Results, and as a header that holds one: what
 * is said stays said when something is put behind it, and a pass stands in the bytes. */
#include "daemon/verdict/auth_results.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void parse_value(struct bytes value)
{
    CLEANUP(buf_clear) struct buf longer = {0};
    struct auth_results r, again;
    enum err e = auth_results_parse(value, &r);

    err_note_clear();
    if (e)
        return;
    require(strlen(r.header_from) <= VERDICT_DOMAIN_MAX);
    buf_append_bytes(&longer, value);
    buf_append_str(&longer, "; x-nothing=pass");
    require(!auth_results_parse(buf_bytes(&longer), &again));
    require(again.spf == r.spf && again.dkim == r.dkim && again.dmarc == r.dmarc &&
            again.policy == r.policy && strcmp(again.header_from, r.header_from) == 0);
    buf_append_str(&longer, "; dmarc=pass; dmarc=fail");
    require(auth_results_parse(buf_bytes(&longer), &again) == ERR_FORMAT);
    err_note_clear();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(message_clear) struct message m = {0};
    const struct message_field *f;

    parse_value((struct bytes){data, size});
    if (message_parse((struct bytes){data, size}, &m)) {
        err_note_clear();
        return 0;
    }
    f = auth_results_find(&m, "mx.example.com");
    if (f) {
        require(f >= m.fields && f < m.fields + m.n_fields);
        require(auth_results_is_by(f->value, "MX.example.COM"));
        parse_value(f->value);
    }
    return 0;
}
