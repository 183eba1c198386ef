/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_alias_cert_test.c - aliases' certificates in the store: what replaces what, and how they
 * end. */
#include "daemon/store/alias_cert.h"
#include "tests/store/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ONE   "aaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbb"

static void set(int64_t alias, const char *profile, const char *der)
{
    assert_int_equal(store_alias_cert_set(fixture.store, alias, profile, bytes_of(der)), ERR_OK);
}

/* der NULL: none is kept */
static void expect_cert(int64_t alias, const char *profile, const char *der)
{
    CLEANUP(buf_clear) struct buf got = {0};

    assert_int_equal(store_alias_cert_get(fixture.store, alias, profile, &got),
                     der ? ERR_OK : ERR_NOT_FOUND);
    if (der)
        assert_string_equal(buf_str(&got), der);
}

static void an_alias_has_one_certificate_in_each_profile(void **state)
{
    int64_t shop = fixture_alias("shop@relay.example").id;
    int64_t news = fixture_alias("news@relay.example").id;

    (void)state;
    expect_cert(shop, ONE, NULL);
    set(shop, ONE, "first");
    set(shop, OTHER, "of the other");
    set(news, ONE, "news");
    set(shop, ONE, "second");
    fixture_reopen();
    expect_cert(shop, ONE, "second");
    expect_cert(shop, OTHER, "of the other");
    expect_cert(news, ONE, "news");
    expect_cert(news, OTHER, NULL);
}

static void it_goes_with_its_alias_and_with_its_profile(void **state)
{
    int64_t shop = fixture_alias("shop@relay.example").id;
    int64_t news = fixture_alias("news@relay.example").id;

    (void)state;
    set(shop, ONE, "shop");
    set(news, ONE, "news");
    set(news, OTHER, "kept");
    assert_int_equal(store_alias_remove(fixture.store, "shop@relay.example"), ERR_OK);
    expect_cert(shop, ONE, NULL);
    assert_int_equal(store_profile_forget(fixture.store, ONE), ERR_OK);
    expect_cert(news, ONE, NULL);
    expect_cert(news, OTHER, "kept");
}

static void none_is_kept_for_what_is_not_there(void **state)
{
    int64_t shop = fixture_alias("shop@relay.example").id;

    (void)state;
    assert_int_equal(store_alias_cert_set(fixture.store, shop + 7, ONE, bytes_of("x")),
                     ERR_NOT_FOUND);
    assert_int_equal(store_alias_cert_set(fixture.store, shop, "no id", bytes_of("x")), ERR_FORMAT);
    assert_int_equal(store_alias_cert_set(fixture.store, shop, ONE, bytes_of("")), ERR_FORMAT);
    expect_cert(shop, ONE, NULL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_start, fixture_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_alias_has_one_certificate_in_each_profile),
        CASE(it_goes_with_its_alias_and_with_its_profile),
        CASE(none_is_kept_for_what_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
