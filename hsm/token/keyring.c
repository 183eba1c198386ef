/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyring.c - our token objects by name: one sweep at the start, a search only for unknown names.
 *
 * The search for a name and the destruction of keys both happen under the keyring's lock, so a
 * name found just before its key was destroyed cannot come back. */
#include "hsm/token/inside.h"
#include "hsm/token/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err keyring_init(struct keyring *k)
{
    *k = (struct keyring){0};
    return pthread_mutex_init(&k->lock, NULL) == 0
               ? ERR_OK
               : err_note(ERR_NOMEM, "keyring", "cannot make a lock");
}

void keyring_destroy(struct keyring *k)
{
    keyring_clear(k);
    (void)pthread_mutex_destroy(&k->lock);
}

void keyring_clear(struct keyring *k)
{
    free(k->entries);
    k->entries = NULL;
    k->n = 0;
    k->cap = 0;
}

/* Where label is, or would be. */
static size_t entry_place(const struct keyring *k, const char *label)
{
    size_t low = 0;
    size_t high = k->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(k->entries[middle].label, label) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct keyring_entry *entry_find(const struct keyring *k, const char *label)
{
    size_t i = entry_place(k, label);

    return i < k->n && strcmp(k->entries[i].label, label) == 0 ? &k->entries[i] : NULL;
}

static enum err entries_grow(struct keyring *k)
{
    size_t cap = k->cap ? k->cap * 2 : 64;
    struct keyring_entry *grown;

    if (k->n < k->cap)
        return ERR_OK;
    grown = realloc(k->entries, cap * sizeof *grown);
    if (!grown)
        return err_note(ERR_NOMEM, "keyring", "out of memory");
    k->entries = grown;
    k->cap = cap;
    return ERR_OK;
}

static enum err entry_insert(struct keyring *k, const char *label, CK_OBJECT_HANDLE handle,
                             struct keyring_entry **out)
{
    enum err e = entries_grow(k);
    size_t i;

    if (e)
        return e;
    i = entry_place(k, label);
    memmove(&k->entries[i + 1], &k->entries[i], (k->n - i) * sizeof *k->entries);
    k->n++;
    k->entries[i] = (struct keyring_entry){.handle = handle};
    (void)snprintf(k->entries[i].label, sizeof k->entries[i].label, "%s", label);
    *out = &k->entries[i];
    return ERR_OK;
}

static void entry_remove(struct keyring *k, const char *label)
{
    struct keyring_entry *entry = entry_find(k, label);

    if (!entry)
        return;
    k->n--;
    memmove(entry, entry + 1, (size_t)(&k->entries[k->n] - entry) * sizeof *entry);
}

static int entry_compare(const void *a, const void *b)
{
    return strcmp(((const struct keyring_entry *)a)->label,
                  ((const struct keyring_entry *)b)->label);
}

/* One swept object: appended unsorted when its name is one of ours. */
static enum err sweep_one(struct call *c, CK_OBJECT_HANDLE handle, bool ca, bool others)
{
    CLEANUP(buf_clear) struct buf label = {0};
    struct keyring *k = &c->token->keyring;
    CK_RV rv = ck_get(&c->ck, handle, CKA_LABEL, &label);
    enum err e;
    bool is_ca;

    if (rv != CKR_OK)
        return call_fail(c, rv);
    if (!name_is_ours(buf_bytes(&label), &is_ca) || !(is_ca ? ca : others))
        return ERR_OK;
    e = entries_grow(k);
    if (e)
        return e;
    k->entries[k->n] = (struct keyring_entry){.handle = handle};
    memcpy(k->entries[k->n].label, label.data, label.len + 1);
    k->n++;
    return ERR_OK;
}

static enum err sweep_class(struct call *c, CK_OBJECT_CLASS class, bool ca, bool others)
{
    CK_BBOOL token = CK_TRUE;
    CK_ATTRIBUTE attrs[] = {{CKA_CLASS, &class, sizeof class}, {CKA_TOKEN, &token, sizeof token}};
    struct ck_objects found;
    enum err e = ERR_OK;
    CK_RV rv = ck_find(&c->ck, attrs, 2, &found);

    if (rv != CKR_OK)
        return call_fail(c, rv);
    for (size_t i = 0; i < found.n && !e; i++)
        e = sweep_one(c, found.handles[i], ca, others);
    free(found.handles);
    return e;
}

/* Two objects of one name become one entry that nobody may use. */
static void entries_settle(struct keyring *k)
{
    size_t kept = 0;

    qsort(k->entries, k->n, sizeof *k->entries, entry_compare);
    for (size_t i = 0; i < k->n; i++) {
        if (kept && strcmp(k->entries[kept - 1].label, k->entries[i].label) == 0)
            k->entries[kept - 1].ambiguous = true;
        else
            k->entries[kept++] = k->entries[i];
    }
    k->n = kept;
}

enum err keyring_load(struct call *c, bool ca, bool others)
{
    struct keyring *k = &c->token->keyring;
    enum err e;

    (void)pthread_mutex_lock(&k->lock);
    e = sweep_class(c, CKO_PRIVATE_KEY, ca, others);
    if (!e)
        e = sweep_class(c, CKO_SECRET_KEY, ca, others);
    if (!e && k->n)
        entries_settle(k);
    (void)pthread_mutex_unlock(&k->lock);
    return e;
}

static enum err label_search(struct call *c, const char *label, CK_OBJECT_CLASS class,
                             struct ck_objects *out)
{
    CK_BBOOL token = CK_TRUE;
    struct bytes name = bytes_of(label);
    CK_ATTRIBUTE attrs[] = {{CKA_CLASS, &class, sizeof class},
                            {CKA_TOKEN, &token, sizeof token},
                            {CKA_LABEL, (void *)(uintptr_t)name.data, name.len}};
    CK_RV rv = ck_find(&c->ck, attrs, 3, out);

    return rv == CKR_OK ? ERR_OK : call_fail(c, rv);
}

static enum err entry_search(struct call *c, const char *label, CK_OBJECT_CLASS class,
                             struct keyring_entry **out)
{
    struct ck_objects found;
    enum err e = label_search(c, label, class, &found);

    if (e)
        return e;
    if (found.n == 0)
        e = err_note(ERR_NOT_FOUND, "token", "no key %s", label);
    else
        e = entry_insert(&c->token->keyring, label, found.handles[0], out);
    if (!e)
        (*out)->ambiguous = found.n > 1;
    free(found.handles);
    return e;
}

/* A key is used only when the token says of it what its table says. */
static enum err entry_check(struct call *c, struct keyring_entry *entry,
                            const struct key_table *table)
{
    const char *wrong;
    CK_RV rv;

    if (entry->ambiguous)
        return err_note(ERR_CONFIG, "token", "two keys named %s", entry->label);
    if (entry->checked)
        return ERR_OK;
    rv = template_check(&c->ck, entry->handle, table, &wrong);
    if (rv != CKR_OK)
        return call_fail(c, rv);
    if (wrong)
        return err_note(ERR_CONFIG, "token", "key %s: %s is not as a %s must have it", entry->label,
                        wrong, table->name);
    entry->checked = true;
    return ERR_OK;
}

enum err keyring_get(struct call *c, const char *label, const struct key_table *table,
                     CK_OBJECT_HANDLE *out)
{
    struct keyring *k = &c->token->keyring;
    struct keyring_entry *entry;
    enum err e = ERR_OK;

    (void)pthread_mutex_lock(&k->lock);
    entry = entry_find(k, label);
    if (!entry)
        e = entry_search(c, label, table->class, &entry);
    if (!e)
        e = entry_check(c, entry, table);
    if (!e)
        *out = entry->handle;
    (void)pthread_mutex_unlock(&k->lock);
    return e;
}

bool keyring_has(struct keyring *k, const char *label)
{
    bool has;

    (void)pthread_mutex_lock(&k->lock);
    has = entry_find(k, label) != NULL;
    (void)pthread_mutex_unlock(&k->lock);
    return has;
}

enum err keyring_add(struct keyring *k, const char *label, CK_OBJECT_HANDLE handle)
{
    struct keyring_entry *entry;
    enum err e;

    (void)pthread_mutex_lock(&k->lock);
    e = entry_insert(k, label, handle, &entry);
    if (!e)
        entry->checked = true;
    (void)pthread_mutex_unlock(&k->lock);
    return e;
}

static enum err class_destroy(struct call *c, const char *label, CK_OBJECT_CLASS class)
{
    struct ck_objects found;
    enum err e = label_search(c, label, class, &found);
    CK_RV rv;

    if (e)
        return e;
    for (size_t i = 0; i < found.n && !e; i++) {
        rv = ck_destroy(&c->ck, found.handles[i]);
        if (rv != CKR_OK && rv != CKR_OBJECT_HANDLE_INVALID)
            e = call_fail(c, rv);
    }
    free(found.handles);
    return e;
}

enum err keyring_destroy_keys(struct call *c, const char *label)
{
    static const CK_OBJECT_CLASS classes[] = {CKO_PRIVATE_KEY, CKO_SECRET_KEY, CKO_PUBLIC_KEY};
    struct keyring *k = &c->token->keyring;
    enum err e = ERR_OK;

    (void)pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < sizeof classes / sizeof *classes && !e; i++)
        e = class_destroy(c, label, classes[i]);
    entry_remove(k, label);
    (void)pthread_mutex_unlock(&k->lock);
    return e;
}

enum err keyring_labels(struct keyring *k, const char *prefix, key_label **out, size_t *n_out)
{
    size_t len = strlen(prefix);
    size_t first, n = 0;
    key_label *labels;

    (void)pthread_mutex_lock(&k->lock);
    first = entry_place(k, prefix);
    while (first + n < k->n && strncmp(k->entries[first + n].label, prefix, len) == 0)
        n++;
    labels = malloc((n + 1) * sizeof *labels);
    for (size_t i = 0; labels && i < n; i++)
        memcpy(labels[i], k->entries[first + i].label, sizeof *labels);
    (void)pthread_mutex_unlock(&k->lock);
    if (!labels)
        return err_note(ERR_NOMEM, "keyring", "out of memory");
    *out = labels;
    *n_out = n;
    return ERR_OK;
}
