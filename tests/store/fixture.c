/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fixture.c - a store in a private folder with one user, anna. */
#include "tests/store/fixture.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

struct store_fixture fixture;

int fixture_start(void **state)
{
    static const char *const mailboxes[] = {"Anna@Home.Example", "anna@work.example"};

    (void)state;
    scratch_new(fixture.dir);
    scratch_join(fixture.dir, "store.db", fixture.path);
    fixture.hsm = hsm_double_new();
    assert_int_equal(store_open(fixture.path, fixture.hsm, &fixture.store), ERR_OK);
    assert_int_equal(store_user_add(fixture.store, "anna", mailboxes, 2, FIXTURE_NOW, fixture.user),
                     ERR_OK);
    return 0;
}

int fixture_end(void **state)
{
    (void)state;
    store_close(fixture.store);
    hsm_double_free(fixture.hsm);
    scratch_remove(fixture.dir);
    return 0;
}

void fixture_reopen(void)
{
    store_close(fixture.store);
    fixture.store = NULL;
    assert_int_equal(store_open(fixture.path, fixture.hsm, &fixture.store), ERR_OK);
}

struct store_alias fixture_alias(const char *address)
{
    struct store_alias a = {0};

    assert_int_equal(store_alias_add(fixture.store, "anna", address, NULL, FIXTURE_NOW, &a),
                     ERR_OK);
    return a;
}
