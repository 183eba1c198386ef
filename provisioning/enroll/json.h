/* SPDX-License-Identifier: GPL-3.0-or-later */
/* json.h - the small part of JSON (RFC 8259) in which the relay and the user's tool exchange
 * files: one flat object of strings, whole numbers and lists of strings.
 *
 * Strict, because the file comes from somebody else: valid UTF-8, no unknown or repeated key, no
 * NUL in a string, nothing behind the object, bounded counts. A table says which keys exist. */
#ifndef SEALRELAY_ENROLL_JSON_H
#define SEALRELAY_ENROLL_JSON_H

#include "daemon/base/buf.h"

#define JSON_LIST_MAX 64 /* strings in a list */

/* An owned list of strings. */
struct json_list {
    char *items[JSON_LIST_MAX];
    size_t n;
};

enum json_type {
    JSON_STRING, /* char *: given */
    JSON_NUMBER, /* int64_t: a whole number of at most 15 digits */
    JSON_LIST    /* struct json_list: given */
};

/* One key of the object, and where its value goes. */
struct json_key {
    const char *name;
    size_t offset; /* in the target: offsetof() */
    enum json_type type;
    bool required;
};

/* json_read - read text into target, which is all zero before; n_keys at most 32.
 * After an error what was read already is in target: json_clear frees it either way.
 * Errors: ERR_FORMAT (the note says what and at which byte), ERR_NOMEM. */
enum err json_read(struct bytes text, const struct json_key *keys, size_t n_keys, void *target);
/* json_clear - free every string and list that the table names. */
void json_clear(const struct json_key *keys, size_t n_keys, void *target);

/* json_add_string - append `"name": "value"`, escaped, with a comma unless it is the first behind
 * "{". value: valid UTF-8. */
void json_add_string(struct buf *out, const char *name, struct bytes value);

#endif
