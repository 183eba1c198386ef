/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content_type_fuzz.c - any bytes as a Content-Type: one that parses still does, and says hp, with
 * the parameter added. */
#include "daemon/message/content_type.h"

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
    CLEANUP(buf_clear) struct buf with_hp = {0};
    struct content_type ct, again;

    content_type_read((struct bytes){data, size}, &ct);
    require(strlen(ct.type) <= CONTENT_TYPE_TEXT_MAX &&
            strlen(ct.protocol) <= CONTENT_TYPE_TEXT_MAX);
    buf_append(&with_hp, data, size);
    buf_append_str(&with_hp, "; hp=\"cipher\"");
    content_type_read(buf_bytes(&with_hp), &again);
    require(!ct.parses || (again.parses && again.has_hp));
    require(!ct.parses || (ct.type[0] && ct.subtype[0]) || size > CONTENT_TYPE_TEXT_MAX);
    require(!ct.parses || strcmp(ct.smime_type, again.smime_type) == 0);
    return 0;
}
