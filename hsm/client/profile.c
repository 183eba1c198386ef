/* SPDX-License-Identifier: GPL-3.0-or-later */
/* profile.c - the calls that name the recipients of a profile's mail. */
#include "hsm/client/call.h"

#include <stdlib.h>
#include <string.h>

static enum err strings_copy(char *const *from, size_t n, char ***out, size_t *n_out)
{
    char **copy = calloc(n ? n : 1, sizeof *copy);

    if (!copy)
        return ERR_NOMEM;
    *out = copy;
    for (*n_out = 0; *n_out < n; (*n_out)++) {
        copy[*n_out] = strdup(from[*n_out]);
        if (!copy[*n_out])
            return ERR_NOMEM;
    }
    return ERR_OK;
}

static enum err certs_copy(const Seal__ProfileInfo *from, struct hsm_profile *to)
{
    to->certs = calloc(from->n_certs ? from->n_certs : 1, sizeof *to->certs);
    if (!to->certs)
        return ERR_NOMEM;
    for (; to->n_certs < from->n_certs; to->n_certs++) {
        struct hsm_user_cert *c = &to->certs[to->n_certs];

        buf_append_bytes(&c->der, message_bytes(from->certs[to->n_certs]->der));
        c->expired = from->certs[to->n_certs]->expired != 0;
        if (buf_error(&c->der)) {
            buf_clear(&c->der);
            return ERR_NOMEM;
        }
    }
    return ERR_OK;
}

static enum err profile_copy(const Seal__ProfileInfo *from, struct hsm_profile *to)
{
    enum err e;

    if (!id_is_valid(from->profile) || !id_is_valid(from->user) ||
        (unsigned)from->state > PROFILE_DELETED || (unsigned)from->sender_key_type > KEY_P384)
        return err_note(ERR_HSM_AWAY, "profile", "the answer makes no sense");
    memcpy(to->profile, from->profile, sizeof to->profile);
    memcpy(to->user, from->user, sizeof to->user);
    to->state = (enum profile_state)from->state;
    to->sender_key_type = (enum key_type)from->sender_key_type;
    buf_append_bytes(&to->intermediate, message_bytes(from->intermediate));
    e = buf_error(&to->intermediate);
    if (!e)
        e = certs_copy(from, to);
    if (!e)
        e = strings_copy(from->addresses, from->n_addresses, &to->addresses, &to->n_addresses);
    if (!e)
        e = strings_copy(from->domains, from->n_domains, &to->domains, &to->n_domains);
    return e;
}

static enum err profile_call(struct hsm *h, const Seal__Request *request, struct hsm_profile *out)
{
    CLEANUP(response_free) Seal__Response *response = NULL;
    struct hsm_profile p = {0};
    enum err e = hsm_call(h, request, NULL, &response);

    if (e)
        return e;
    if (!response || !response->profile)
        return err_note(ERR_HSM_AWAY, "profile", "missing in the answer");
    e = profile_copy(response->profile, &p);
    if (e)
        hsm_profile_clear(&p);
    else
        *out = p;
    return e;
}

enum err hsm_user_profile(struct hsm *h, const char *user, struct hsm_profile *out)
{
    Seal__UserRef ref = SEAL__USER_REF__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_USER_PROFILE);

    ref.user = text_field(user);
    r.user_profile = &ref;
    return profile_call(h, &r, out);
}

enum err hsm_profile_get(struct hsm *h, const char *profile, struct hsm_profile *out)
{
    Seal__ProfileRef ref = SEAL__PROFILE_REF__INIT;
    Seal__Request r = request_of(SEAL__REQUEST__VERB_PROFILE_GET);

    ref.profile = text_field(profile);
    r.profile_get = &ref;
    return profile_call(h, &r, out);
}
