/* SPDX-License-Identifier: GPL-3.0-or-later */
/* match.h - is one of the words here? */
#ifndef SEALRELAY_CLEAN_MATCH_H
#define SEALRELAY_CLEAN_MATCH_H

#include "daemon/clean/scan.h"

/* The characters before a place: an address begins behind anything but one of its own kind. All
 * zero: nothing that counts stands there. */
struct match_before {
    uint64_t past; /* the last eight, a byte each, the last one lowest; 0x80: not ASCII */
};

/* match_passed - c stands before the next place. */
void match_passed(struct match_before *before, uint32_t c);

/* match_begins - may a word or token begin with c, at a place behind before? */
bool match_begins(const struct scan *s, const struct match_before *before, uint32_t c);

/* match_word - the longest word at the place at, whose first character is c; NULL: none.
 *   end  behind it; 0 with NULL */
const struct word *match_word(const struct scan *s, size_t at, uint32_t c,
                              const struct match_before *before, size_t *end);
/* match_hidden - does a word that must not be left begin there? */
bool match_hidden(const struct scan *s, size_t at, uint32_t c, const struct match_before *before);

/* match_encoded - behind the base64 that begins at at if a word that must not be left is in it; at
 * if not. */
size_t match_encoded(const struct scan *s, size_t at);

/* match_is_alnum, match_is_blank - of a character as scan_next gives it. */
bool match_is_alnum(uint32_t c);
bool match_is_blank(uint32_t c);

#endif
