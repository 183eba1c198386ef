/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ini.c - strict INI files over inih. */
#include "daemon/config/ini.h"
#include "daemon/base/buf.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ini_read {
    const char *path;
    const struct ini_key *keys;
    size_t n_keys;
    void *target;
    ini_section_fn section_fn;
    char repeated[INI_MAX_LINE]; /* the repeated section being read, whole */
    void *repeated_target;
    bool *seen; /* one a key */
    FILE *file;
    int line;
    enum err error;
};

struct unit {
    char letter;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {'K', 1024}, {'M', 1024 * 1024}, {'G', 1024 * 1024 * 1024}};
static const struct unit time_units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};

static void ini_list_clear(struct ini_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct ini_list){0};
}

static enum err list_add(struct ini_list *l, const char *word, size_t len)
{
    char **grown = realloc(l->items, (l->n + 1) * sizeof *grown);

    if (!grown)
        return ERR_NOMEM;
    l->items = grown;
    grown[l->n] = strndup(word, len);
    if (!grown[l->n])
        return ERR_NOMEM;
    l->n++;
    return ERR_OK;
}

static enum err list_set(struct ini_list *l, const char *value)
{
    enum err e = ERR_OK;

    while (!e && *(value += strspn(value, " \t,"))) {
        size_t len = strcspn(value, " \t,");

        e = list_add(l, value, len);
        value += len;
    }
    return e;
}

static bool number_parse(const char *value, const struct unit *units, size_t n_units, uint64_t *out)
{
    char *end;
    uint64_t number;

    if (!isdigit((unsigned char)*value))
        return false;
    errno = 0;
    number = strtoull(value, &end, 10);
    if (errno)
        return false;
    for (size_t i = 0; *end && i < n_units; i++)
        if (units[i].letter == *end)
            return !end[1] && !__builtin_mul_overflow(number, units[i].factor, out);
    *out = number;
    return !*end;
}

static enum err number_set(const struct ini_key *k, void *at, const char *value)
{
    const struct unit *units = k->type == INI_SIZE ? size_units : time_units;
    size_t n_units = k->type == INI_SIZE   ? sizeof size_units / sizeof *size_units
                     : k->type == INI_TIME ? sizeof time_units / sizeof *time_units
                                           : 0;
    uint64_t max = k->max ? k->max : k->type == INI_SIZE ? UINT64_MAX : UINT_MAX;
    uint64_t number;

    if (!number_parse(value, units, n_units, &number) || number < k->min || number > max)
        return err_note(ERR_CONFIG, k->key, "want a number from %llu to %llu%s",
                        (unsigned long long)k->min, (unsigned long long)max,
                        k->type == INI_SIZE   ? ", K, M or G may follow"
                        : k->type == INI_TIME ? " seconds, s, m, h or d may follow"
                                              : "");
    if (k->type == INI_SIZE)
        *(uint64_t *)at = number;
    else
        *(unsigned *)at = (unsigned)number;
    return ERR_OK;
}

static enum err value_set(const struct ini_key *k, void *target, const char *value)
{
    void *at = (char *)target + k->offset;
    char *copy;

    switch (k->type) {
    case INI_STRING:
        copy = strdup(value);
        if (!copy)
            return ERR_NOMEM;
        free(*(char **)at);
        *(char **)at = copy;
        return ERR_OK;
    case INI_LIST:
        return list_set(at, value);
    case INI_UINT:
    case INI_SIZE:
    case INI_TIME:
        return number_set(k, at, value);
    case INI_BOOL:
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
            return err_note(ERR_CONFIG, k->key, "want yes or no");
        *(bool *)at = *value == 'y';
        return ERR_OK;
    }
    return ERR_BUG;
}

/* Does a section of the file belong to one of the table, and which name does a repeated one bear?
 */
static bool section_matches(const char *table, const char *section, const char **name_out)
{
    size_t len = strlen(table);

    *name_out = NULL;
    if (len < 2 || table[len - 1] != '*')
        return strcmp(table, section) == 0;
    if (strncmp(table, section, len - 1) != 0 || !section[len - 1])
        return false;
    *name_out = section + len - 1;
    return true;
}

/* Keys of a repeated section may be set once in each. */
static void unsee(struct ini_read *r, const char *table)
{
    for (size_t i = 0; i < r->n_keys; i++)
        if (strcmp(r->keys[i].section, table) == 0)
            r->seen[i] = false;
}

static void *section_target(struct ini_read *r, const char *table, const char *section,
                            const char *name)
{
    char kind[64];
    size_t len = strlen(table) - 2;

    if (!name)
        return r->target;
    if (strcmp(r->repeated, section) == 0)
        return r->repeated_target;
    unsee(r, table);
    (void)snprintf(kind, sizeof kind, "%.*s", (int)len, table);
    (void)snprintf(r->repeated, sizeof r->repeated, "%s", section);
    r->repeated_target = r->section_fn ? r->section_fn(r->target, kind, name) : NULL;
    return r->repeated_target;
}

static int fail_at(struct ini_read *r, enum err e, const char *key, const char *what)
{
    char where[200];
    const struct err_note deep = *err_note_get();

    err_note_clear();
    (void)snprintf(where, sizeof where, "%s:%d", r->path, r->line);
    if (strlen(where) > 63)
        (void)snprintf(where, sizeof where, "...%s:%d", r->path + strlen(r->path) - 40, r->line);
    if (!what)
        what = deep.detail[0] ? deep.detail : "cannot be taken";
    r->error = err_note(e, where, "%s: %s", key, what);
    return 0;
}

static int handle_line(void *user, const char *section, const char *key, const char *value)
{
    struct ini_read *r = user;

    if (r->error)
        return 0;
    for (size_t i = 0; i < r->n_keys; i++) {
        const struct ini_key *k = &r->keys[i];
        const char *name;
        void *target;
        enum err e;

        if (strcmp(k->key, key) != 0 || !section_matches(k->section, section, &name))
            continue;
        target = section_target(r, k->section, section, name);
        if (!target)
            return fail_at(r, ERR_CONFIG, section, NULL);
        if (r->seen[i] && k->type != INI_LIST)
            return fail_at(r, ERR_CONFIG, key, "is set twice; remove one");
        r->seen[i] = true;
        e = value_set(k, target, value);
        return e ? fail_at(r, e, key, NULL) : 1;
    }
    return fail_at(r, ERR_CONFIG, key,
                   "is not a key of this section; see the example file for what there is");
}

static enum err check_required(const struct ini_read *r)
{
    for (size_t i = 0; i < r->n_keys; i++)
        if (r->keys[i].required && !r->seen[i])
            return err_note(ERR_CONFIG, r->path, "[%s] %s is missing; see the example file",
                            r->keys[i].section, r->keys[i].key);
    return ERR_OK;
}

/* inih hands no line numbers to its handler as packaged, cuts long lines in two, and does not say
 * where a section begins, so that a second one of the same name would be merged into the first:
 * all are seen to where it takes its lines from. */
static char *read_line(char *line, int size, void *user)
{
    struct ini_read *r = user;

    if (r->error || !fgets(line, size, r->file))
        return NULL;
    r->line++;
    if (line[strspn(line, " \t")] == '[')
        r->repeated[0] = '\0';
    if (!strchr(line, '\n') && !feof(r->file)) {
        (void)fail_at(r, ERR_CONFIG, "line", "is too long");
        return NULL;
    }
    return line;
}

enum err ini_load(const char *path, const struct ini_key *keys, size_t n_keys, void *target,
                  ini_section_fn section_fn)
{
    struct ini_read r = {.path = path, .keys = keys, .n_keys = n_keys, .target = target};
    int rc;

    r.section_fn = section_fn;
    r.seen = calloc(n_keys ? n_keys : 1, sizeof *r.seen);
    if (!r.seen)
        return ERR_NOMEM;
    r.file = fopen(path, "re");
    if (!r.file) {
        free(r.seen);
        return err_note(ERR_CONFIG, path, "cannot be read: %s", strerror(errno));
    }
    rc = ini_parse_stream(read_line, &r, handle_line, &r);
    (void)fclose(r.file);
    if (!r.error && rc != 0) {
        r.line = rc > 0 ? rc : r.line;
        (void)fail_at(&r, ERR_CONFIG, "line", "is neither [section] nor key = value");
    }
    if (!r.error)
        r.error = check_required(&r);
    free(r.seen);
    return r.error;
}

void ini_clear(const struct ini_key *keys, size_t n_keys, void *target)
{
    for (size_t i = 0; i < n_keys; i++) {
        void *at = (char *)target + keys[i].offset;

        if (strchr(keys[i].section, '*'))
            continue;
        if (keys[i].type == INI_LIST)
            ini_list_clear(at);
        if (keys[i].type == INI_STRING) {
            free(*(char **)at);
            *(char **)at = NULL;
        }
    }
}
