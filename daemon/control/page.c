/* SPDX-License-Identifier: GPL-3.0-or-later */
/* page.c - rows of a list until a packet is full, and small readers of a request. */
#include "daemon/control/page.h"
#include "daemon/control/control.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES (CONTROL_PACKET_MAX_BYTES / 2) /* the last row may be long */

enum err page_begin(struct page *p, const cJSON *request, cJSON *answer)
{
    const cJSON *from = cJSON_GetObjectItemCaseSensitive(request, "from");

    *p = (struct page){.rows = cJSON_AddArrayToObject(answer, "rows")};
    if (from && (!cJSON_IsNumber(from) || from->valuedouble < 0 || from->valuedouble > 1e12))
        return err_note(ERR_FORMAT, "from", "not a row number");
    p->from = from ? (size_t)from->valuedouble : 0;
    return p->rows ? ERR_OK : ERR_NOMEM;
}

bool page_wants(struct page *p)
{
    if (p->at >= p->from)
        return true;
    p->at++;
    return false;
}

enum err page_row(struct page *p, cJSON *row)
{
    char *text = row ? cJSON_PrintUnformatted(row) : NULL;
    size_t len = text ? strlen(text) + 1 : 0;

    cJSON_free(text);
    if (len == 0) {
        cJSON_Delete(row);
        return ERR_NOMEM;
    }
    p->full = p->bytes > 0 && p->bytes + len > PAGE_BYTES;
    if (p->full || !cJSON_AddItemToArray(p->rows, row)) {
        cJSON_Delete(row);
        return p->full ? ERR_LIMIT : ERR_NOMEM;
    }
    p->bytes += len;
    p->at++;
    return ERR_OK;
}

enum err page_end(struct page *p, cJSON *answer, enum err walked)
{
    if (walked && !(p->full && walked == ERR_LIMIT))
        return walked;
    if (p->full)
        add_number(answer, "next", (double)p->at);
    else
        (void)cJSON_AddNullToObject(answer, "next");
    return ERR_OK;
}

const char *verb_text(const cJSON *request, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, key));
}

enum err verb_need(const cJSON *request, const char *key, const char **out)
{
    const char *text = verb_text(request, key);

    if (!text || !text[0])
        return err_note(ERR_USAGE, key, "missing");
    *out = text;
    return ERR_OK;
}

bool verb_flag(const cJSON *request, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(request, key));
}

void add_number(cJSON *object, const char *key, double value)
{
    (void)cJSON_AddNumberToObject(object, key, value);
}

void add_text(cJSON *object, const char *key, const char *value)
{
    (void)cJSON_AddStringToObject(object, key, value);
}
