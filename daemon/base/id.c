/* SPDX-License-Identifier: GPL-3.0-or-later */
/* id.c - random identifiers. */
#include "daemon/base/id.h"
#include "daemon/base/codec.h"

#include <openssl/rand.h>
#include <string.h>

enum err id_new(id_text out)
{
    uint8_t random[ID_LEN * 5 / 8];
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e;

    if (RAND_bytes(random, sizeof random) != 1)
        return err_note_openssl(ERR_IO, "RAND_bytes");
    base32_append(&text, (struct bytes){random, sizeof random});
    e = buf_error(&text);
    if (!e)
        memcpy(out, text.data, ID_LEN + 1);
    return e;
}

bool id_is_valid(const char *s)
{
    return s && strlen(s) == ID_LEN && strspn(s, "abcdefghijklmnopqrstuvwxyz234567") == ID_LEN;
}

enum err boundary_new(boundary_text out)
{
    id_text one = "", two = "";
    enum err e = id_new(one);

    if (!e)
        e = id_new(two);
    if (e)
        return e;
    memcpy(out, one, ID_LEN);
    memcpy(out + ID_LEN, two, ID_LEN + 1);
    return ERR_OK;
}
