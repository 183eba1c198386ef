/* SPDX-License-Identifier: GPL-3.0-or-later */
/* address_fuzz.c - any bytes as an address field: what comes out is usable and survives a second
 * reading. */
#include "daemon/message/address.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void written_check(const struct buf *b)
{
    size_t column = 0;

    for (size_t i = 0; i < b->len; i++) {
        uint8_t c = b->data[i];

        require(c == '\r' || c == '\n' || (c >= 0x20 && c < 0x7f));
        if (c == '\r')
            require(b->data[i + 1] == '\n' && b->data[i + 2] == ' ');
        column = c == '\n' ? 0 : column + 1;
        require(column <= 998);
    }
}

static void mailbox_check(const struct mailbox *m)
{
    CLEANUP(buf_clear) struct buf written = {0};
    CLEANUP(mailbox_list_clear) struct mailbox_list again = {0};

    require(address_is_valid(m->addr));
    if (!address_is_ascii(m->addr))
        return;
    if (strstr(m->addr, "xn--"))
        return; /* labels that decode to nothing are only noticed in lower case */
    require(mailbox_append(&written, m->name, m->addr) == ERR_OK);
    written_check(&written);
    require(mailbox_list_parse(buf_bytes(&written), &again) == ERR_OK);
    require(again.n == 1 && strcmp(again.items[0].addr, m->addr) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_clear) struct buf text = {0};
    struct mailbox_list list = {0};

    require(unstructured_append(&text, (struct bytes){data, size}) == ERR_OK);
    written_check(&text);
    require(mailbox_list_parse((struct bytes){data, size}, &list) == ERR_OK);
    for (size_t i = 0; i < list.n; i++)
        mailbox_check(&list.items[i]);
    mailbox_list_clear(&list);
    return 0;
}
