/* SPDX-License-Identifier: GPL-3.0-or-later */
/* page.h - the rows of a list verb, as many as fit one packet. Private to daemon/control. */
#ifndef SEALRELAY_CONTROL_PAGE_H
#define SEALRELAY_CONTROL_PAGE_H

#include "daemon/base/err.h"

#include <cjson/cJSON.h>
#include <stddef.h>

struct page {
    cJSON *rows; /* in the answer */
    size_t from; /* rows to skip */
    size_t at;   /* rows seen */
    size_t bytes;
    bool full; /* more rows follow; the walk was ended by page_row */
};

/* page_begin - read "from", make "rows". Errors: ERR_FORMAT, ERR_NOMEM. */
enum err page_begin(struct page *p, const cJSON *request, cJSON *answer);
/* page_wants - does the next row belong to this page? If not it counts as skipped. */
bool page_wants(struct page *p);
/* page_row - add a row that page_wants asked for; taken; NULL is ERR_NOMEM. ERR_LIMIT with
 * full set: hand it through, so that the walk ends. */
enum err page_row(struct page *p, cJSON *row);
/* page_end - "next", and the walk's result without the page's own ERR_LIMIT. */
enum err page_end(struct page *p, cJSON *answer, enum err walked);

/* verb_text - a string of the request, or NULL. verb_need - the same, ERR_USAGE if absent. */
const char *verb_text(const cJSON *request, const char *key);
enum err verb_need(const cJSON *request, const char *key, const char **out);
bool verb_flag(const cJSON *request, const char *key);
/* add_number, add_text - one more member of an object. */
void add_number(cJSON *object, const char *key, double value);
void add_text(cJSON *object, const char *key, const char *value);

#endif
