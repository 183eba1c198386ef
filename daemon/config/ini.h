/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ini.h - configuration files: a table says which keys exist; anything else is refused with file
 * and line, so that a typing error never becomes a default.
 *
 * Read through inih. Values are trimmed; a line that starts with ";" or "#", and
 * what follows " ;" in a value, is a comment. Lines have at most 198 bytes. */
#ifndef SEALRELAY_CONFIG_INI_H
#define SEALRELAY_CONFIG_INI_H

#include "daemon/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ini_type {
    INI_STRING, /* char *: given, replaced (free'd) when set; ini_clear frees it */
    INI_LIST,   /* struct ini_list: words separated by blanks or commas; lines add up */
    INI_UINT,   /* unsigned: a decimal number within [min, max] */
    INI_SIZE,   /* uint64_t: bytes, with K, M or G (1024) behind the number */
    INI_TIME,   /* unsigned: seconds, with s, m, h or d behind the number */
    INI_BOOL,   /* bool: yes or no */
};

struct ini_list {
    char **items;
    size_t n;
};

/* One key. section may be "name *" for repeated sections, see ini_section_fn. */
struct ini_key {
    const char *section;
    const char *key;
    enum ini_type type;
    size_t offset;     /* of the value in the target structure: offsetof() */
    uint64_t min, max; /* of INI_UINT, INI_SIZE and INI_TIME; max 0: no bound */
    bool required;
};

/* Called at the first key of each repeated section ("[next-hop example.com]"): returns the
 * structure that its keys are written to, or NULL with a note that says why not (a name that was
 * there before, too many, out of memory). name: "example.com". */
typedef void *(*ini_section_fn)(void *target, const char *section, const char *name);

/* ini_load - read a file into target, which holds the defaults already.
 * Errors: ERR_CONFIG, the note saying file, line, what is wrong and what to do. */
enum err ini_load(const char *path, const struct ini_key *keys, size_t n_keys, void *target,
                  ini_section_fn section_fn);

/* ini_clear - free every string and list that the table names (repeated sections excepted). */
void ini_clear(const struct ini_key *keys, size_t n_keys, void *target);

#endif
