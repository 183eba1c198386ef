/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fixture.h - a store in a private folder with one user, anna, and a double of the key service. */
#ifndef SEALRELAY_TESTS_STORE_FIXTURE_H
#define SEALRELAY_TESTS_STORE_FIXTURE_H

#include "daemon/store/store.h"
#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

#define FIXTURE_NOW     1800000000
#define FIXTURE_REVERSE "r-abcdefgh234567ab@relay.example"
#define FIXTURE_OTHER   "r-zzzzzzzz234567ab@relay.example"

/* The store of the case that runs. */
struct store_fixture {
    scratch_path dir;
    scratch_path path; /* of the database */
    struct hsm *hsm;
    struct store *store;
    id_text user; /* anna */
};
extern struct store_fixture fixture;

/* fixture_start, fixture_end - set-up and tear-down of a case. */
int fixture_start(void **state);
int fixture_end(void **state);
/* fixture_reopen - what a start of the relay does. */
void fixture_reopen(void);
/* fixture_alias - one more alias of anna's. */
struct store_alias fixture_alias(const char *address);

#endif
