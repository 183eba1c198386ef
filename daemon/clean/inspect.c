/* SPDX-License-Identifier: GPL-3.0-or-later */
/* inspect.c - the user's address and signs of metadata in pictures and documents.
 *
 * Only what lies there in clear is found: compressed streams are not opened. */
#include "daemon/clean/inspect.h"

#include <string.h>

#define OVERLAP_BYTES 600u /* longer than any address, in UTF-16 too */

/* How a file begins, and what in it holds author, place or device. */
static const struct {
    const char *head;
    size_t head_len;
    const char *sign;
    size_t sign_len;
} formats[] = {
    {"\xff\xd8\xff", 3, "Exif\0", 5}, {"\xff\xd8\xff", 3, "ns.adobe.com/xap", 16},
    {"\x89PNG", 4, "eXIf", 4},        {"%PDF", 4, "/Author", 7},
    {"%PDF", 4, "pdf:Author", 10},    {"PK\3\4", 4, "docProps/core.xml", 17},
    {"PK\3\4", 4, "meta.xml", 8},     {"\xd0\xcf\x11\xe0", 4, "\xd0\xcf\x11\xe0", 4},
    {"{\\rtf", 5, "\\author", 7},     {"II*\0", 4, "II*\0", 4},
    {"MM\0*", 4, "MM\0*", 4},
};

static bool shows_metadata(const struct inspect *i)
{
    for (size_t k = 0; k < sizeof formats / sizeof formats[0]; k++)
        if (i->n_head >= formats[k].head_len &&
            memcmp(i->head, formats[k].head, formats[k].head_len) == 0 &&
            memmem(i->window.data, i->window.len, formats[k].sign, formats[k].sign_len))
            return true;
    return false;
}

static bool holds_address(const struct inspect *i)
{
    const struct scan s = {.text = buf_bytes(&i->window), .words = i->words};

    return scan_finds(&s);
}

void inspect_data(struct inspect *i, struct bytes data)
{
    size_t keep = i->window.len < OVERLAP_BYTES ? i->window.len : OVERLAP_BYTES;

    if (!data.len)
        return;
    for (size_t k = 0; i->n_head < sizeof i->head && k < data.len; k++)
        i->head[i->n_head++] = data.data[k];
    if (keep)
        memmove(i->window.data, i->window.data + i->window.len - keep, keep);
    i->window.len = keep;
    buf_append_bytes(&i->window, data);
    i->address = i->address || holds_address(i);
    i->metadata = i->metadata || shows_metadata(i);
}

void inspect_clear(struct inspect *i)
{
    buf_wipe(&i->window);
}

bool inspect_is_tnef(const struct inspect *i)
{
    return i->n_head >= 4 && memcmp(i->head, "\x78\x9f\x3e\x22", 4) == 0;
}
