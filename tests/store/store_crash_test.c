/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_crash_test.c - the store's process dies, or its disk fails, at every sync: what was
 * answered is there, what was not is there whole or not at all, and no address lies on disk in
 * clear. */
#include "daemon/store/store.h"

#include "tests/support/child.h"
#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

#define NOW          1800000000
#define N_ALIASES    4u
#define PASSAGES_MAX 60
#define PROFILE      "abcdefghabcdefgh"

static scratch_path dir;
static scratch_path path;

static int setup(void **state)
{
    (void)state;
    scratch_new(dir);
    scratch_join(dir, "store.db", path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static void names(unsigned n, char alias[40], char reverse[60], char address[60])
{
    (void)snprintf(alias, 40, "alias%u@relay.example", n);
    (void)snprintf(reverse, 60, "r-aaaaaaaaaaaaaaa%c@relay.example", 'a' + (int)n);
    (void)snprintf(address, 60, "MARKER-%u@far.example", n);
}

/* Number n is told with its alias, 10 + n with its correspondent, 20 + n with its key. */
static void child_add(struct store *s, unsigned n, const struct store_sender_key *key)
{
    char alias[40];
    char reverse[60];
    char address[60];
    struct store_alias a;
    struct store_correspondent c;

    names(n, alias, reverse, address);
    if (store_alias_add(s, "anna", alias, "MARKER@home.example", NOW, &a))
        return;
    child_tell(n);
    if (store_correspondent_add(s, a.id, address, reverse, NOW, &c) ||
        store_correspondent_seen(s, c.id, NOW))
        return;
    child_tell(10 + n);
    if (store_sender_key_add(s, c.id, PROFILE, key))
        return;
    child_tell(20 + n);
}

static int child_main(const char *where)
{
    const char *mailbox = "marker@home.example";
    struct hsm *hsm = hsm_double_new();
    struct store_sender_key key = {.not_after_s = NOW};
    struct store *s = NULL;
    id_text user;

    scratch_join(where, "store.db", path);
    buf_append_str(&key.cert, "certificate");
    buf_append_str(&key.blob, "blob");
    if (!store_open(path, hsm, &s) && !store_user_add(s, "anna", &mailbox, 1, NOW, user)) {
        child_tell(0);
        for (unsigned n = 1; n <= N_ALIASES; n++)
            child_add(s, n, &key);
    }
    store_close(s);
    store_sender_key_clear(&key);
    hsm_double_free(hsm);
    return 0;
}

static void judge_one(struct store *s, unsigned n, const struct child_end *end, bool exact)
{
    char alias[40];
    char reverse[60];
    char address[60];
    struct store_alias a;
    struct store_correspondent c = {0};
    struct store_sender_key key = {0};
    enum err e;

    names(n, alias, reverse, address);
    e = store_alias_find(s, alias, &a);
    assert_true(e == ERR_OK || (e == ERR_NO_ALIAS && !end->told[n]));
    if (exact)
        assert_int_equal(e == ERR_OK, end->told[n]);
    if (!e)
        assert_string_equal(a.mailbox, "marker@home.example");
    e = store_correspondent_by_reverse(s, reverse, &c);
    assert_true(e == ERR_OK || (e == ERR_NOT_FOUND && !end->told[10 + n]));
    if (!e)
        assert_string_equal(c.address, address);
    e = store_sender_key_get(s, c.id, PROFILE, &key);
    assert_true(e == ERR_OK || (e == ERR_NOT_FOUND && !end->told[20 + n]));
    if (!e)
        assert_string_equal(buf_str(&key.blob), "blob");
    store_sender_key_clear(&key);
}

static void judge(const struct child_end *end, bool exact)
{
    struct hsm *hsm = hsm_double_new();
    struct store_user u = {0};
    struct store *s = NULL;

    assert_false(scratch_holds(dir, "MARKER"));
    assert_false(scratch_holds(dir, "marker@"));
    assert_int_equal(store_open(path, hsm, &s), ERR_OK);
    if (end->told[0])
        assert_int_equal(store_user_find(s, "anna", &u), ERR_OK);
    store_user_clear(&u);
    for (unsigned n = 1; n <= N_ALIASES; n++)
        judge_one(s, n, end, exact);
    store_close(s);
    hsm_double_free(hsm);
}

static void a_kill_at_any_sync_loses_nothing_that_was_answered(void **state)
{
    struct child_end end = {.killed = true};
    unsigned n = 0;

    while (end.killed) {
        char failpoint[40];

        assert_true(++n < PASSAGES_MAX);
        (void)snprintf(failpoint, sizeof failpoint, "sql.sync=kill@%u", n);
        child_run("add", dir, failpoint, NULL, &end);
        judge(&end, false);
        (void)teardown(state);
        (void)setup(state);
    }
    assert_true(n > 3 * N_ALIASES);
}

static void a_failed_sync_is_told_and_undone(void **state)
{
    for (unsigned n = 1; n <= 3 * N_ALIASES + 4; n++) {
        struct child_end end;
        char failpoint[40];

        (void)snprintf(failpoint, sizeof failpoint, "sql.sync=error@%u", n);
        child_run("add", dir, failpoint, NULL, &end);
        assert_int_equal(end.status, 0);
        judge(&end, true);
        (void)teardown(state);
        (void)setup(state);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_kill_at_any_sync_loses_nothing_that_was_answered),
        CASE(a_failed_sync_is_told_and_undone),
    };

    if (argc == 4 && strcmp(argv[1], "child") == 0)
        return child_main(argv[3]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
