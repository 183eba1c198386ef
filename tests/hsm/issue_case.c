/* SPDX-License-Identifier: GPL-3.0-or-later */
/* issue_case.c - the kit that the cases of a test run on. */
#include "tests/hsm/issue_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct kit kit;

int case_group_start(void **state)
{
    (void)state;
    kit_open(&kit, NULL);
    return 0;
}

int case_group_start_roomy(void **state)
{
    (void)state;
    kit_open(&kit, &(struct authority_options){.limits = {.profiles_user = 100}});
    return 0;
}

int case_group_end(void **state)
{
    (void)state;
    kit_close(&kit);
    return 0;
}

enum profile_state state_of(const char *profile)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};

    assert_err(authority_profile_get(kit.a, profile, &p), ERR_OK);
    return p.state;
}

size_t certs_of(const char *profile)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};

    assert_err(authority_profile_get(kit.a, profile, &p), ERR_OK);
    return p.n_certs;
}
