/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ber.c - walks tags and lengths, definite and indefinite.
 *
 * Runs on whatever a stranger sent, so every length is compared with what is left before it is
 * used, and recursion ends at BER_DEPTH_MAX. */
#include "daemon/smime/ber.h"

#define OCTET_STRING             0x04u
#define OCTET_STRING_CONSTRUCTED 0x24u
#define CONSTRUCTED              0x20u
#define TAG_LONG                 0x1fu
#define LENGTH_INDEFINITE        0x80u
#define LENGTH_OCTETS_MAX        8u
#define TAG_OCTETS_MAX           5u

struct head {
    uint8_t tag;
    bool indefinite;
    size_t length; /* of the contents, unless indefinite */
};

static bool byte_take(struct bytes *rest, uint8_t *out)
{
    if (!rest->len)
        return false;
    *out = *rest->data++;
    rest->len--;
    return true;
}

static bool length_read(struct bytes *rest, struct head *h)
{
    uint8_t first = 0, octet = 0;

    if (!byte_take(rest, &first))
        return false;
    h->indefinite = first == LENGTH_INDEFINITE;
    h->length = first & 0x7fu;
    if (first <= LENGTH_INDEFINITE)
        return true;
    if (h->length > LENGTH_OCTETS_MAX)
        return false;
    for (size_t n = h->length, length = 0; n; n--) {
        if (length >> 48 || !byte_take(rest, &octet))
            return false;
        length = length << 8 | octet;
        h->length = length;
    }
    return true;
}

static bool head_read(struct bytes *rest, struct head *h)
{
    uint8_t octet = 0;

    *h = (struct head){0};
    if (!byte_take(rest, &h->tag))
        return false;
    if ((h->tag & TAG_LONG) == TAG_LONG) {
        size_t n = 0;

        do {
            if (n++ == TAG_OCTETS_MAX || !byte_take(rest, &octet))
                return false;
        } while (octet & 0x80u);
    }
    if (!length_read(rest, h))
        return false;
    return h->indefinite ? (h->tag & CONSTRUCTED) != 0 : h->length <= rest->len;
}

/* Both octets of end-of-contents stand there. */
static bool is_end(struct bytes rest)
{
    return rest.len >= 2 && rest.data[0] == 0 && rest.data[1] == 0;
}

static bool element_walk(struct bytes *rest, uint8_t parent, unsigned depth, size_t *left,
                         struct ber *out);

/* The children of one element. True: they end where they must; *rest stands behind their end. */
static bool children_walk(struct bytes *rest, const struct head *h, unsigned depth, size_t *left)
{
    struct bytes inside = *rest;

    if (!h->indefinite)
        inside.len = h->length;
    while (h->indefinite ? !is_end(inside) : inside.len != 0)
        if (!element_walk(&inside, h->tag, depth + 1, left, NULL))
            return false;
    rest->len -= (size_t)(inside.data - rest->data);
    rest->data = inside.data;
    return true;
}

/* Pieces of a string cost OpenSSL no object each; encrypted content has a tag of its own. */
static bool is_piece(uint8_t tag, uint8_t parent)
{
    return tag == OCTET_STRING && (parent == OCTET_STRING_CONSTRUCTED || parent == BER_CONTEXT_0);
}

static bool element_walk(struct bytes *rest, uint8_t parent, unsigned depth, size_t *left,
                         struct ber *out)
{
    struct head h;
    const uint8_t *start;

    if (depth > BER_DEPTH_MAX || !head_read(rest, &h))
        return false;
    if (!is_piece(h.tag, parent) && (*left)-- == 0)
        return false;
    start = rest->data;
    if (h.tag & CONSTRUCTED) {
        if (!children_walk(rest, &h, depth, left))
            return false;
    } else {
        rest->data += h.length;
        rest->len -= h.length;
    }
    if (out)
        *out = (struct ber){h.tag, {start, (size_t)(rest->data - start)}};
    if (h.indefinite) {
        rest->data += 2;
        rest->len -= 2;
    }
    return true;
}

enum err ber_check(struct bytes data)
{
    size_t left = BER_ELEMENTS_MAX;

    if (!element_walk(&data, 0, 0, &left, NULL))
        return err_note(ERR_FORMAT, "CMS", "not BER, or over its bounds");
    return data.len ? err_note(ERR_FORMAT, "CMS", "data behind its end") : ERR_OK;
}

bool ber_next(struct bytes *rest, struct ber *out)
{
    size_t left = BER_ELEMENTS_MAX;

    return rest->len && element_walk(rest, 0, 0, &left, out);
}

bool ber_child(const struct ber *parent, size_t nth, uint8_t tag, struct ber *out)
{
    struct bytes rest = parent->contents;

    do {
        if (!ber_next(&rest, out))
            return false;
    } while (nth--);
    return out->tag == tag;
}

size_t ber_count(const struct ber *parent)
{
    struct bytes rest = parent->contents;
    struct ber child;
    size_t n = 0;

    while (ber_next(&rest, &child))
        n++;
    return n;
}
