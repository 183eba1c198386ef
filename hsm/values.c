/* SPDX-License-Identifier: GPL-3.0-or-later */
/* values.c - names of key types and profile states, and release of the plain values of hsm.h.
 *
 * Used on both sides of the sockets. */
#include "hsm/hsm.h"

#include <stdlib.h>
#include <string.h>

static const char *const key_type_names[] = {
    [KEY_RSA_2048] = "rsa-2048",
    [KEY_RSA_3072] = "rsa-3072",
    [KEY_P256] = "p-256",
    [KEY_P384] = "p-384",
};

static const char *const profile_state_names[] = {
    [PROFILE_PENDING] = "pending",     [PROFILE_READY] = "ready",     [PROFILE_ACTIVE] = "active",
    [PROFILE_SUSPENDED] = "suspended", [PROFILE_DELETED] = "deleted",
};

const char *key_type_name(enum key_type t)
{
    return (unsigned)t < sizeof key_type_names / sizeof *key_type_names ? key_type_names[t] : "?";
}

enum err key_type_parse(const char *s, enum key_type *out)
{
    for (unsigned t = 0; s && t < sizeof key_type_names / sizeof *key_type_names; t++) {
        if (strcmp(s, key_type_names[t]) == 0) {
            *out = (enum key_type)t;
            return ERR_OK;
        }
    }
    return err_note(ERR_USAGE, "key type", "rsa-2048, rsa-3072, p-256 or p-384 expected");
}

const char *profile_state_name(enum profile_state s)
{
    return (unsigned)s < sizeof profile_state_names / sizeof *profile_state_names
               ? profile_state_names[s]
               : "?";
}

static void strings_free(char **list, size_t n)
{
    for (size_t i = 0; list && i < n; i++)
        free(list[i]);
    free(list);
}

void hsm_profile_clear(struct hsm_profile *p)
{
    if (!p)
        return;
    buf_clear(&p->intermediate);
    for (size_t i = 0; p->certs && i < p->n_certs; i++)
        buf_clear(&p->certs[i].der);
    free(p->certs);
    strings_free(p->addresses, p->n_addresses);
    strings_free(p->domains, p->n_domains);
    *p = (struct hsm_profile){0};
}

void hsm_sender_clear(struct hsm_sender *s)
{
    if (!s)
        return;
    buf_clear(&s->cert);
    buf_clear(&s->blob);
    *s = (struct hsm_sender){0};
}
