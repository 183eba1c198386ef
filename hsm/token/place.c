/* SPDX-License-Identifier: GPL-3.0-or-later */
/* place.c - one token in its slot: what it can do, as its own list of mechanisms says. */
#include "hsm/token/inside.h"

#include <stdlib.h>
#include <time.h>

enum err place_init(struct place *p)
{
    pthread_condattr_t attr;
    bool ok;

    *p = (struct place){0};
    if (pthread_mutex_init(&p->lock, NULL) != 0)
        return err_note(ERR_NOMEM, "place", "cannot make a lock");
    /* Waiting for a session must not end early or late when the wall clock is set. */
    ok = pthread_condattr_init(&attr) == 0 &&
         pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
         pthread_cond_init(&p->freed, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    return ok ? ERR_OK : err_note(ERR_NOMEM, "place", "cannot make a condition");
}

void place_destroy(struct place *p)
{
    place_reset(p);
    (void)pthread_cond_destroy(&p->freed);
    (void)pthread_mutex_destroy(&p->lock);
}

void place_reset(struct place *p)
{
    free(p->mechanisms);
    p->mechanisms = NULL;
    p->n_mechanisms = 0;
    p->n_idle = 0;
    p->n_open = 0;
}

bool place_can(const struct place *p, CK_MECHANISM_TYPE type, CK_FLAGS flags)
{
    for (size_t i = 0; i < p->n_mechanisms; i++)
        if (p->mechanisms[i].type == type)
            return (p->mechanisms[i].flags & flags) == flags;
    return false;
}

bool place_can_ec(const struct place *p)
{
    return place_can(p, CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR) &&
           place_can(p, CKM_ECDSA, CKF_SIGN);
}

CK_MECHANISM_TYPE place_wrap_mechanism(const struct place *p)
{
    for (size_t i = 0; i < WRAP_MECHANISMS; i++)
        if (place_can(p, wrap_mechanisms[i], CKF_WRAP | CKF_UNWRAP))
            return wrap_mechanisms[i];
    return 0;
}

CK_MECHANISM_TYPE place_data_mechanism(const struct place *p)
{
    static const CK_MECHANISM_TYPE best_first[] = {CKM_AES_GCM, CKM_AES_CBC_PAD};

    for (size_t i = 0; i < sizeof best_first / sizeof *best_first; i++)
        if (place_can(p, best_first[i], CKF_ENCRYPT | CKF_DECRYPT))
            return best_first[i];
    return 0;
}
