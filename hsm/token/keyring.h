/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyring.h - the handles of our token objects by name, found once and kept.
 *
 * Internal to hsm/token. C_FindObjects takes time linear in the objects, so the keyring is filled
 * by one sweep when the token is opened; only a name it does not know is searched for. */
#ifndef SEALRELAY_HSM_TOKEN_KEYRING_H
#define SEALRELAY_HSM_TOKEN_KEYRING_H

#include "hsm/token/template.h"

#include <pthread.h>

#define KEY_LABEL_MAX 64

typedef char key_label[KEY_LABEL_MAX];

struct keyring_entry {
    key_label label;
    CK_OBJECT_HANDLE handle;
    bool checked;   /* its attributes are those of its table */
    bool ambiguous; /* two keys of this name: neither is used */
};

struct keyring {
    pthread_mutex_t lock;          /* recursive is not needed: no function calls another under it */
    struct keyring_entry *entries; /* sorted by label */
    size_t n;
    size_t cap;
};

struct call;

enum err keyring_init(struct keyring *k);
void keyring_destroy(struct keyring *k);
void keyring_clear(struct keyring *k);
/* keyring_load - sweep the token of this call; ca, others: which of our names belong there. */
enum err keyring_load(struct call *c, bool ca, bool others);
/* keyring_get - the handle of a key whose attributes are as its table says.
 * Errors: ERR_NOT_FOUND, ERR_CONFIG (two of that name; attributes differ: note says which). */
enum err keyring_get(struct call *c, const char *label, const struct key_table *table,
                     CK_OBJECT_HANDLE *out);
/* keyring_has - is the name known, without asking the token? */
bool keyring_has(struct keyring *k, const char *label);
/* keyring_add - a key just made and checked. */
enum err keyring_add(struct keyring *k, const char *label, CK_OBJECT_HANDLE handle);
/* keyring_destroy_keys - destroy every object, public halves included, whose label is exactly
 * label, and forget it. ERR_OK when there is none. */
enum err keyring_destroy_keys(struct call *c, const char *label);
/* keyring_labels - a copy of all names that begin with prefix; free() the array. */
enum err keyring_labels(struct keyring *k, const char *prefix, key_label **out, size_t *n_out);

#endif
