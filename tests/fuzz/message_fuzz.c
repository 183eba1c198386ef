/* SPDX-License-Identifier: GPL-3.0-or-later */
/* message_fuzz.c - any bytes as a message: every slice lies inside, in order, and unfolds clean. */
#include "daemon/message/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void field_check(const struct message *m, const struct message_field *f, const uint8_t **at)
{
    CLEANUP(buf_clear) struct buf text = {0};

    require(f->whole.data >= *at && f->whole.len > 0);
    require(f->whole.data + f->whole.len <= m->body.data);
    require(f->name.len > 0 && f->name.data == f->whole.data);
    require(f->value.data > f->name.data && f->value.data[-1] == ':');
    require(f->value.data + f->value.len <= f->whole.data + f->whole.len);
    require(message_unfold(f->value, &text) == ERR_OK);
    for (size_t i = 0; i < text.len; i++)
        require(text.data[i] >= 0x20 && text.data[i] != 0x7f);
    *at = f->whole.data + f->whole.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_clear) struct buf raw = {0};
    struct message m = {0};
    const uint8_t *at;

    /* what a sender's line ends become on the wire; a CR in the input makes the bare ones */
    for (size_t i = 0; i < size; i++)
        buf_append(&raw, data[i] == '\n' ? (const void *)"\r\n" : &data[i],
                   data[i] == '\n' ? 2 : 1);
    if (!raw.len || message_parse(buf_bytes(&raw), &m))
        return 0;
    at = m.raw.data;
    require(m.body.data + m.body.len == m.raw.data + m.raw.len);
    for (size_t i = 0; i < m.n_fields; i++)
        field_check(&m, &m.fields[i], &at);
    message_clear(&m);
    return 0;
}
