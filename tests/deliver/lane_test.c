/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lane_test.c - how long a next hop is left alone, whatever the clock does. */
#include "daemon/deliver/lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000)
#define DAY 86400

static void a_lane_waits_its_time_and_no_longer_when_the_clock_is_set(void **state)
{
    static const struct {
        int64_t closed_s; /* when its session failed, by a clock that may have been wrong */
        int64_t now_s;
        bool waits;
    } cases[] = {
        {NOW, NOW, true},
        {NOW, NOW + 59, true},
        {NOW, NOW + 60, false},
        {NOW + DAY, NOW, false},
        {NOW, NOW - 1, false},
        {NOW - DAY, NOW, false},
        {NOW + 400 * DAY, NOW, false},
        {60, NOW, false},
    };
    struct hop hop = {.domain = "", .host = "127.0.0.1", .port = 25};
    struct lane_table t;
    struct lane *l;

    (void)state;
    assert_int_equal(lane_table_init(&t, &hop, 1, 8), ERR_OK);
    l = lane_find(&t, "");
    assert_non_null(l);
    assert_false(lane_waits(l, NOW));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct session_report report = {.health = HOP_BAD, .wait_s = 60};

        l->active = 1;
        lane_settle(l, &report, cases[i].closed_s);
        assert_int_equal(lane_waits(l, cases[i].now_s), cases[i].waits);
        assert_int_equal(lane_closed(l, cases[i].now_s), cases[i].waits);
    }
    lane_table_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_waits_its_time_and_no_longer_when_the_clock_is_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
