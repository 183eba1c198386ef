/* SPDX-License-Identifier: GPL-3.0-or-later */
/* output.h - answers for people: tables and "name: value" lines. With --json the same as JSON.
 *
 * Text in them was written by strangers: nothing unprintable reaches the terminal. */
#ifndef SEALRELAY_SEALCTL_OUTPUT_H
#define SEALRELAY_SEALCTL_OUTPUT_H

#include "daemon/base/buf.h"

#include <cjson/cJSON.h>

/* How a value is shown. */
enum column_type { COLUMN_TEXT, COLUMN_TIME, COLUMN_SIZE };

struct column {
    const char *key;   /* member of a row; strings, numbers, booleans, lists of strings */
    const char *title; /* upper case */
    enum column_type type;
};

/* output_table - rows (an array of objects) under a line of titles; "(none)" when empty. */
void output_table(const cJSON *rows, const struct column *columns, size_t n_columns);
/* output_object - any JSON value as indented "name: value" lines; lists of objects as blocks.
 * Members named created, oldest, last_seen, next_attempt or ending in _at or not_* are dates. */
void output_object(const cJSON *object);
/* output_json - formatted JSON and a line end. */
void output_json(const cJSON *value);

#endif
