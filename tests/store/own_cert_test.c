/* SPDX-License-Identifier: GPL-3.0-or-later */
/* own_cert_test.c - correspondents' own certificates and greetings in the store: what replaces
 * what, and that rows which were exchanged do not open. */
#include "daemon/base/fdio.h"
#include "daemon/store/greeting.h"
#include "daemon/store/own_cert.h"
#include "tests/store/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define DAY 86400

static struct store_correspondent correspondent(const char *alias, const char *reverse)
{
    struct store_alias a = fixture_alias(alias);
    struct store_correspondent c;

    assert_int_equal(
        store_correspondent_add(fixture.store, a.id, "bob@shop.example", reverse, FIXTURE_NOW, &c),
        ERR_OK);
    return c;
}

/* A certificate of so many days, by its only bytes. */
static struct own_cert cert_of(const char *der, int from_day, int to_day)
{
    struct own_cert c = {.source = OWN_CERT_HARVESTED,
                         .first_seen_s = FIXTURE_NOW,
                         .not_before_s = FIXTURE_NOW + (int64_t)from_day * DAY,
                         .not_after_s = FIXTURE_NOW + (int64_t)to_day * DAY};

    buf_append_str(&c.der, der);
    return c;
}

static void pinned_is(const struct store_correspondent *who, const char *der,
                      enum own_cert_source source)
{
    CLEANUP(own_cert_clear) struct own_cert c = {0};

    assert_int_equal(store_own_cert_get(fixture.store, who, &c), ERR_OK);
    assert_string_equal(buf_str(&c.der), der);
    assert_int_equal(c.source, source);
}

static void what_is_harvested_gives_way_to_what_is_younger_and_to_the_operator(void **state)
{
    const struct {
        const char *der;
        int from_day, to_day;
        bool imported, changes;
    } rows[] = {
        {"first", -100, 100, false, true},   {"first", -100, 100, false, false},
        {"older", -101, 200, false, false},  {"as old", -100, 300, false, false},
        {"younger", -50, -1, false, true},   {"older", -101, 200, false, true}, /* that expired */
        {"imported", -300, 10, true, true},  {"younger", -1, 500, false, false},
        {"imported 2", -900, 5, true, true},
    };
    struct store_correspondent who = correspondent("a@relay.example", FIXTURE_REVERSE);
    const char *pinned = "";
    enum own_cert_source source = OWN_CERT_HARVESTED;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(own_cert_clear)
        struct own_cert c = cert_of(rows[i].der, rows[i].from_day, rows[i].to_day);
        bool changed = true;

        c.source = rows[i].imported ? OWN_CERT_IMPORTED : OWN_CERT_HARVESTED;
        if (rows[i].imported)
            assert_int_equal(store_own_cert_set(fixture.store, &who, &c), ERR_OK);
        else
            assert_int_equal(store_own_cert_harvest(fixture.store, &who, &c, &changed), ERR_OK);
        assert_int_equal(changed, rows[i].changes);
        if (rows[i].changes) {
            pinned = rows[i].der;
            source = c.source;
        }
        pinned_is(&who, pinned, source);
    }
}

static void all_of_it_is_there_after_a_start(void **state)
{
    struct store_correspondent who = correspondent("a@relay.example", FIXTURE_REVERSE);
    CLEANUP(own_cert_clear) struct own_cert c = cert_of("der", -7, 8);
    CLEANUP(own_cert_clear) struct own_cert got = {0};

    (void)state;
    c.aes_128 = true;
    assert_int_equal(store_own_cert_set(fixture.store, &who, &c), ERR_OK);
    fixture_reopen();
    assert_int_equal(store_own_cert_get(fixture.store, &who, &got), ERR_OK);
    assert_true(got.aes_128);
    assert_int_equal(got.first_seen_s, c.first_seen_s);
    assert_int_equal(got.not_before_s, c.not_before_s);
    assert_int_equal(got.not_after_s, c.not_after_s);
    assert_int_equal(store_own_cert_forget(fixture.store, &who), ERR_OK);
    assert_int_equal(store_own_cert_forget(fixture.store, &who), ERR_NOT_FOUND);
    assert_int_equal(store_own_cert_get(fixture.store, &who, &got), ERR_NOT_FOUND);
}

static void a_row_of_another_correspondent_does_not_open_and_is_not_replaced(void **state)
{
    struct store_correspondent a = correspondent("a@relay.example", FIXTURE_REVERSE);
    struct store_correspondent b = correspondent("b@relay.example", FIXTURE_OTHER);
    CLEANUP(own_cert_clear) struct own_cert c = cert_of("of a", -7, 8);
    CLEANUP(own_cert_clear) struct own_cert d = cert_of("of b", -6, 8);
    CLEANUP(own_cert_clear) struct own_cert got = {0};
    bool changed;

    (void)state;
    assert_int_equal(store_own_cert_set(fixture.store, &a, &c), ERR_OK);
    scratch_sql(fixture.dir, "store.db",
                "INSERT INTO correspondent_cert SELECT id, (SELECT sealed FROM correspondent_cert)"
                " FROM correspondent WHERE reverse = '" FIXTURE_OTHER "'");
    assert_int_equal(store_own_cert_get(fixture.store, &b, &got), ERR_TAMPERED);
    err_note_clear();
    assert_int_equal(store_own_cert_harvest(fixture.store, &b, &d, &changed), ERR_TAMPERED);
    err_note_clear();
    assert_int_equal(store_own_cert_set(fixture.store, &b, &d), ERR_OK);
    pinned_is(&b, "of b", OWN_CERT_HARVESTED);
}

static void a_certificate_goes_with_its_correspondent_and_comes_for_none(void **state)
{
    struct store_correspondent who = correspondent("a@relay.example", FIXTURE_REVERSE);
    CLEANUP(own_cert_clear) struct own_cert c = cert_of("der", -7, 8);
    CLEANUP(own_cert_clear) struct own_cert got = {0};

    (void)state;
    assert_int_equal(store_own_cert_set(fixture.store, &who, &c), ERR_OK);
    assert_int_equal(store_alias_remove(fixture.store, "a@relay.example"), ERR_OK);
    assert_int_equal(store_own_cert_get(fixture.store, &who, &got), ERR_NOT_FOUND);
    assert_int_equal(store_own_cert_set(fixture.store, &who, &c), ERR_NOT_FOUND);
    buf_clear(&c.der);
    assert_int_equal(store_own_cert_set(fixture.store, &who, &c), ERR_NOT_FOUND);
}

static void a_certificate_does_not_lie_on_disk_in_clear(void **state)
{
    struct store_correspondent who = correspondent("a@relay.example", FIXTURE_REVERSE);
    CLEANUP(own_cert_clear) struct own_cert c = cert_of("planted-bob@shop.example", -7, 8);
    CLEANUP(buf_clear) struct buf file = {0};

    (void)state;
    assert_int_equal(store_own_cert_set(fixture.store, &who, &c), ERR_OK);
    assert_int_equal(store_checkpoint(fixture.store), ERR_OK);
    assert_int_equal(file_read(fixture.path, 64u << 20, &file), ERR_OK);
    assert_null(memmem(file.data, file.len, "planted-bob", 11));
}

static void a_greeting_is_known_by_its_user_until_it_is_cleared(void **state)
{
    struct store_greeting g = {.profile = "aaaaaaaaaaaaaaaa", .entry = "bbbbbbbbbbbbbbbb"};
    struct store_greeting got;

    (void)state;
    assert_int_equal(store_greeting_get(fixture.store, fixture.user, &got), ERR_NOT_FOUND);
    assert_int_equal(store_greeting_set(fixture.store, fixture.user, &g), ERR_OK);
    g.sent = true;
    assert_int_equal(store_greeting_set(fixture.store, fixture.user, &g), ERR_OK);
    fixture_reopen();
    assert_int_equal(store_greeting_get(fixture.store, fixture.user, &got), ERR_OK);
    assert_true(got.sent);
    assert_string_equal(got.entry, g.entry);
    assert_int_equal(store_greeting_clear_profile(fixture.store, "cccccccccccccccc"), ERR_OK);
    assert_int_equal(store_greeting_get(fixture.store, fixture.user, &got), ERR_OK);
    assert_int_equal(store_greeting_clear_profile(fixture.store, g.profile), ERR_OK);
    assert_int_equal(store_greeting_get(fixture.store, fixture.user, &got), ERR_NOT_FOUND);
    assert_int_equal(store_greeting_set(fixture.store, fixture.user, &g), ERR_OK);
    assert_int_equal(store_greeting_clear(fixture.store, fixture.user), ERR_OK);
    assert_int_equal(store_greeting_get(fixture.store, fixture.user, &got), ERR_NOT_FOUND);
    assert_int_equal(store_greeting_set(fixture.store, "dddddddddddddddd", &g), ERR_NOT_FOUND);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_harvested_gives_way_to_what_is_younger_and_to_the_operator),
        CASE(all_of_it_is_there_after_a_start),
        CASE(a_row_of_another_correspondent_does_not_open_and_is_not_replaced),
        CASE(a_certificate_goes_with_its_correspondent_and_comes_for_none),
        CASE(a_certificate_does_not_lie_on_disk_in_clear),
        CASE(a_greeting_is_known_by_its_user_until_it_is_cleared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
