/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_bounce_test.c - bounces are counted over restarts and once a message; senders are told so
 * often and no more. */
#include "daemon/store/bounce.h"
#include "tests/store/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define NOW     FIXTURE_NOW
#define PROFILE "pppppppppppppppp"
#define OTHER   "qqqqqqqqqqqqqqqq"

static unsigned add(const char *profile, const char *message, int64_t now_s)
{
    unsigned n = 0;

    assert_int_equal(store_bounce_add(fixture.store, profile, message, now_s, &n), ERR_OK);
    return n;
}

static void bounces_are_counted_by_message_and_for_a_day(void **state)
{
    (void)state;
    assert_int_equal(add(PROFILE, "m1", NOW), 1);
    assert_int_equal(add(PROFILE, "m1", NOW + 5), 1);
    assert_int_equal(add(PROFILE, "m2", NOW + 10), 2);
    assert_int_equal(add(OTHER, "m1", NOW + 10), 1);
    fixture_reopen();
    assert_int_equal(add(PROFILE, "m3", NOW + 20), 3);
    assert_int_equal(add(PROFILE, "m4", NOW + 86400 + 5), 3);
}

static void a_suspension_is_remembered_and_counting_begins_anew(void **state)
{
    struct store_suspension s = {.profile = PROFILE, .at_s = NOW + 1, .bounces = 5};
    struct store_suspension found;

    (void)state;
    assert_int_equal(add(PROFILE, "m1", NOW), 1);
    assert_int_equal(store_suspension_get(fixture.store, PROFILE, &found), ERR_NOT_FOUND);
    assert_int_equal(store_suspension_set(fixture.store, &s), ERR_OK);
    fixture_reopen();
    assert_int_equal(store_suspension_get(fixture.store, PROFILE, &found), ERR_OK);
    assert_string_equal(found.profile, PROFILE);
    assert_int_equal(found.at_s, NOW + 1);
    assert_int_equal(found.bounces, 5);
    assert_int_equal(add(PROFILE, "m2", NOW + 2), 1);
    assert_int_equal(store_suspension_clear(fixture.store, PROFILE), ERR_OK);
    assert_int_equal(store_suspension_clear(fixture.store, PROFILE), ERR_OK);
    assert_int_equal(add(PROFILE, "m3", NOW + 3), 1);
    assert_int_equal(store_suspension_set(fixture.store, &s), ERR_OK);
    assert_int_equal(store_profile_forget(fixture.store, PROFILE), ERR_OK);
    assert_int_equal(store_suspension_get(fixture.store, PROFILE, &found), ERR_NOT_FOUND);
}

static void one_address_is_told_so_often_a_day(void **state)
{
    (void)state;
    assert_int_equal(store_told_add(fixture.store, "a@x.example", "m1", 2, NOW), ERR_OK);
    assert_int_equal(store_told_add(fixture.store, "a@x.example", "m2", 2, NOW), ERR_OK);
    assert_int_equal(store_told_add(fixture.store, "a@x.example", "m3", 2, NOW), ERR_LIMIT);
    assert_int_equal(store_told_add(fixture.store, "a@x.example", "m2", 2, NOW), ERR_OK);
    assert_int_equal(store_told_add(fixture.store, "b@x.example", "m3", 2, NOW), ERR_OK);
    fixture_reopen();
    assert_int_equal(store_told_add(fixture.store, "a@x.example", "m3", 2, NOW), ERR_LIMIT);
    assert_int_equal(store_told_add(fixture.store, "a@x.example", "m3", 2, NOW + 86401), ERR_OK);
    assert_int_equal(store_told_add(fixture.store, "c@x.example", "m1", 0, NOW), ERR_LIMIT);
    assert_false(scratch_holds(fixture.dir, "a@x.example"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(bounces_are_counted_by_message_and_for_a_day),
        CASE(a_suspension_is_remembered_and_counting_begins_anew),
        CASE(one_address_is_told_so_often_a_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
