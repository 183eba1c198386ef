/* SPDX-License-Identifier: GPL-3.0-or-later */
/* output.c - tables, lines and JSON on standard output. */
#include "provisioning/sealctl/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLUMNS_MAX 12
#define INDENT      2

/* Printable ASCII and UTF-8 pass; control characters, C1 included, become "?". */
static void append_clean(struct buf *out, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool c1 = c == 0xc2 && (unsigned char)s[1] >= 0x80 && (unsigned char)s[1] < 0xa0;

        if (c1)
            s++;
        buf_append(out, c < 0x20 || c == 0x7f || c1 ? "?" : s, 1);
    }
}

static void append_time(struct buf *out, double at)
{
    time_t t = (time_t)at;
    struct tm tm;
    char text[32];

    if (at <= 0 || !gmtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &tm))
        buf_append_str(out, "-");
    else
        buf_append_str(out, text);
}

static void append_size(struct buf *out, double bytes)
{
    static const char units[] = "BKMGT";
    size_t unit = 0;

    while (bytes >= 9999.5 && unit + 2 < sizeof units) {
        bytes /= 1024;
        unit++;
    }
    buf_printf(out, unit ? "%.1f%c" : "%.0f%c", bytes, units[unit]);
}

static void append_list(struct buf *out, const cJSON *list)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (item != list->child)
            buf_append_str(out, " ");
        if (cJSON_IsString(item))
            append_clean(out, item->valuestring);
        else if (cJSON_IsNumber(item))
            buf_printf(out, "%.15g", item->valuedouble);
    }
}

static void append_value(struct buf *out, const cJSON *value, enum column_type type)
{
    if (cJSON_IsNumber(value) && type == COLUMN_TIME)
        append_time(out, value->valuedouble);
    else if (cJSON_IsNumber(value) && type == COLUMN_SIZE)
        append_size(out, value->valuedouble);
    else if (cJSON_IsNumber(value))
        buf_printf(out, "%.15g", value->valuedouble);
    else if (cJSON_IsString(value))
        append_clean(out, value->valuestring[0] ? value->valuestring : "-");
    else if (cJSON_IsBool(value))
        buf_append_str(out, cJSON_IsTrue(value) ? "yes" : "no");
    else if (cJSON_IsArray(value))
        append_list(out, value);
    else
        buf_append_str(out, "-");
}

/* Characters, not bytes, so that columns stay straight under UTF-8 names. */
static size_t width_of(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void print_cell(const char *text, size_t width, bool last)
{
    size_t used = width_of(text);

    (void)fputs(text, stdout);
    if (last)
        (void)putchar('\n');
    else
        (void)printf("%*s", (int)(width > used ? width - used : 0) + 2, "");
}

static void print_row(const cJSON *row, const struct column *columns, size_t n,
                      const size_t *widths)
{
    for (size_t i = 0; i < n; i++) {
        CLEANUP(buf_clear) struct buf cell = {0};

        append_value(&cell, cJSON_GetObjectItemCaseSensitive(row, columns[i].key), columns[i].type);
        print_cell(buf_str(&cell), widths[i], i + 1 == n);
    }
}

void output_table(const cJSON *rows, const struct column *columns, size_t n_columns)
{
    size_t widths[COLUMNS_MAX] = {0};
    size_t n = n_columns < COLUMNS_MAX ? n_columns : COLUMNS_MAX;
    const cJSON *row;

    if (cJSON_GetArraySize(rows) == 0) {
        (void)puts("(none)");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        widths[i] = strlen(columns[i].title);
        cJSON_ArrayForEach(row, rows)
        {
            CLEANUP(buf_clear) struct buf cell = {0};
            size_t width;

            append_value(&cell, cJSON_GetObjectItemCaseSensitive(row, columns[i].key),
                         columns[i].type);
            width = width_of(buf_str(&cell));
            if (width > widths[i])
                widths[i] = width;
        }
    }
    for (size_t i = 0; i < n; i++)
        print_cell(columns[i].title, widths[i], i + 1 == n);
    cJSON_ArrayForEach(row, rows) print_row(row, columns, n, widths);
}

static enum column_type type_by_name(const char *name)
{
    static const char *const times[] = {
        "created",   "oldest",    "last_seen",         "next_attempt", "not_before",
        "not_after", "withdrawn", "backing_off_until", "last_session", "finished",
        "reported",  "failed_at", "suspended_at"};
    static const char tail[] = "_bytes";
    size_t len = name ? strlen(name) : 0;

    for (size_t i = 0; name && i < sizeof times / sizeof *times; i++)
        if (strcmp(name, times[i]) == 0)
            return COLUMN_TIME;
    if ((len == 5 && strcmp(name, "bytes") == 0) ||
        (len >= sizeof tail && strcmp(name + len - (sizeof tail - 1), tail) == 0))
        return COLUMN_SIZE;
    return COLUMN_TEXT;
}

static bool is_plain(const cJSON *value)
{
    const cJSON *item;

    if (cJSON_IsObject(value))
        return false;
    cJSON_ArrayForEach(item, value)
    {
        if (cJSON_IsObject(item) || cJSON_IsArray(item))
            return false;
    }
    return true;
}

static void print_members(const cJSON *value, int indent);

static void print_member(const cJSON *member, int indent)
{
    CLEANUP(buf_clear) struct buf text = {0};
    const cJSON *item;

    if (is_plain(member)) {
        append_value(&text, member, type_by_name(member->string));
        (void)printf("%*s%s: %s\n", indent, "", member->string ? member->string : "-",
                     buf_str(&text));
        return;
    }
    (void)printf("%*s%s:\n", indent, "", member->string ? member->string : "-");
    if (cJSON_IsObject(member)) {
        print_members(member, indent + INDENT);
        return;
    }
    cJSON_ArrayForEach(item, member)
    {
        if (item != member->child)
            (void)putchar('\n');
        print_members(item, indent + INDENT);
    }
}

static void print_members(const cJSON *value, int indent)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, value) print_member(member, indent);
}

void output_object(const cJSON *object)
{
    print_members(object, 0);
}

void output_json(const cJSON *value)
{
    char *text = cJSON_Print(value);

    if (text)
        (void)puts(text);
    cJSON_free(text);
}
