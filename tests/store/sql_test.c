/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sql_test.c - schema versions, locks and errors of a database, over daemon/store/sql.h. */
#include "daemon/store/sql.h"

#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "tests/support/scratch.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define APPLICATION 0x54455354

static const char *const steps[] = {
    "CREATE TABLE fruit (name TEXT PRIMARY KEY) STRICT;",
    "ALTER TABLE fruit ADD COLUMN colour TEXT NOT NULL DEFAULT 'green';",
    "UPDATE fruit SET colour = 'red' WHERE name = 'cherry'; CREATE TABLE stone (n INTEGER);",
};
static const struct sql_schema version_1 = {"test", APPLICATION, steps, 1};
static const struct sql_schema version_3 = {"test", APPLICATION, steps, 3};
static const struct sql_schema foreign = {"other", APPLICATION + 1, steps, 1};

static scratch_path dir;
static scratch_path path;

static int setup(void **state)
{
    (void)state;
    scratch_new(dir);
    scratch_join(dir, "test.db", path);
    err_note_clear();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static void open_and_close(const struct sql_schema *schema, enum err expected)
{
    struct sql *db = NULL;

    assert_int_equal(sql_open(path, schema, &db), expected);
    sql_close(db);
}

static void an_older_schema_is_led_to_the_present_version(void **state)
{
    struct sql *db = NULL;
    int64_t n = 0;

    (void)state;
    open_and_close(&version_1, ERR_OK);
    scratch_sql(dir, "test.db", "INSERT INTO fruit VALUES ('cherry'), ('lime')");
    assert_int_equal(sql_open(path, &version_3, &db), ERR_OK);
    assert_int_equal(sql_one(db, &n, "SELECT count(*) FROM fruit WHERE colour = 'red'", ""),
                     ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(sql_one(db, &n, "PRAGMA user_version", ""), ERR_OK);
    assert_int_equal(n, 3);
    sql_close(db);
    open_and_close(&version_3, ERR_OK);
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    (void)state;
    open_and_close(&version_3, ERR_OK);
    open_and_close(&version_1, ERR_CONFIG);
    open_and_close(&version_3, ERR_OK);
}

static void a_step_that_fails_leaves_the_version_before_it(void **state)
{
    static const char *const bad_steps[] = {
        "CREATE TABLE fruit (name TEXT PRIMARY KEY) STRICT;",
        "CREATE TABLE half (n INTEGER); INSERT INTO nowhere VALUES (1);",
    };
    static const struct sql_schema bad = {"test", APPLICATION, bad_steps, 2};
    struct sql *db = NULL;
    int64_t n = 0;

    (void)state;
    open_and_close(&bad, ERR_BUG);
    assert_int_equal(sql_open(path, &version_1, &db), ERR_OK);
    assert_int_equal(sql_one(db, &n, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'", ""),
                     ERR_OK);
    assert_int_equal(n, 0);
    sql_close(db);
}

static void another_programs_file_is_refused(void **state)
{
    (void)state;
    open_and_close(&foreign, ERR_OK);
    open_and_close(&version_1, ERR_CONFIG);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    (void)state;
    assert_int_equal(file_write_durable(path,
                                        bytes_of("this is a text of some length, no database"
                                                 " at all, and so it must be refused"),
                                        0600),
                     ERR_OK);
    open_and_close(&version_1, ERR_CONFIG);
}

static void a_database_is_readable_by_its_owner_only(void **state)
{
    struct stat st;

    (void)state;
    open_and_close(&version_1, ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_lock_is_held_by_one(void **state)
{
    int first = -1;
    int second = -1;

    (void)state;
    assert_int_equal(sql_lock(path, &first), ERR_OK);
    assert_int_equal(sql_lock(path, &second), ERR_CONFIG);
    fd_close(&first);
    assert_int_equal(sql_lock(path, &second), ERR_OK);
    fd_close(&second);
}

static void a_commit_is_one_sync_and_a_quick_one_none(void **state)
{
    struct sql *db = NULL;
    uint64_t before;

    (void)state;
    assert_int_equal(sql_open(path, &version_1, &db), ERR_OK);
    assert_int_equal(sql_run(db, "INSERT INTO fruit VALUES ('plum')", ""), ERR_OK);
    before = sql_syncs();
    assert_int_equal(sql_run(db, "INSERT INTO fruit VALUES ('pear')", ""), ERR_OK);
    assert_int_equal(sql_syncs() - before, 1);
    assert_int_equal(sql_quick(db, true), ERR_OK);
    before = sql_syncs();
    assert_int_equal(sql_run(db, "INSERT INTO fruit VALUES ('fig')", ""), ERR_OK);
    assert_int_equal(sql_syncs() - before, 0);
    assert_int_equal(sql_quick(db, false), ERR_OK);
    assert_int_equal(sql_run(db, "INSERT INTO fruit VALUES ('date')", ""), ERR_OK);
    assert_int_equal(sql_syncs() - before, 1);
    sql_close(db);
}

static void a_constraint_is_told_as_exists_and_a_rollback_undoes(void **state)
{
    struct sql *db = NULL;
    int64_t n = 0;

    (void)state;
    assert_int_equal(sql_open(path, &version_1, &db), ERR_OK);
    assert_int_equal(sql_begin(db), ERR_OK);
    assert_int_equal(sql_run(db, "INSERT INTO fruit VALUES (?)", "t", "plum"), ERR_OK);
    assert_int_equal(sql_end(db, sql_run(db, "INSERT INTO fruit VALUES (?)", "t", "plum")),
                     ERR_EXISTS);
    assert_int_equal(sql_one(db, &n, "SELECT count(*) FROM fruit", ""), ERR_OK);
    assert_int_equal(n, 0);
    sql_close(db);
}

static void a_full_database_is_told_as_no_space(void **state)
{
    struct sql *db = NULL;
    enum err e = ERR_OK;

    (void)state;
    assert_int_equal(sql_open(path, &version_1, &db), ERR_OK);
    assert_int_equal(sql_exec(db, "PRAGMA max_page_count=8"), ERR_OK);
    for (int64_t i = 0; !e && i < 100000; i++)
        e = sql_run(db, "INSERT INTO fruit VALUES ('fruit number ' || ?)", "i", i);
    assert_int_equal(e, ERR_NOSPACE);
    sql_close(db);
}

static void a_database_locked_by_another_is_told_as_busy(void **state)
{
    struct sql *one = NULL;
    struct sql *two = NULL;

    (void)state;
    assert_int_equal(sql_open(path, &version_1, &one), ERR_OK);
    assert_int_equal(sql_open(path, &version_1, &two), ERR_OK);
    assert_int_equal(sql_begin(one), ERR_OK);
    assert_int_equal(sql_begin(two), ERR_BUSY);
    assert_int_equal(sql_end(one, ERR_OK), ERR_OK);
    assert_int_equal(sql_begin(two), ERR_OK);
    assert_int_equal(sql_end(two, ERR_OK), ERR_OK);
    sql_close(one);
    sql_close(two);
}

/* Sessions that find the lock one after the other together wait no longer than one does. */
static void a_lock_that_lasts_is_waited_for_once(void **state)
{
    struct sql *one = NULL;
    struct sql *two = NULL;
    int64_t start_ms;

    (void)state;
    assert_int_equal(sql_open(path, &version_1, &one), ERR_OK);
    assert_int_equal(sql_open(path, &version_1, &two), ERR_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(sql_begin(one), ERR_OK);
        start_ms = clock_mono_ms();
        for (int i = 0; i < 20; i++)
            assert_int_equal(sql_begin(two), ERR_BUSY);
        assert_in_range(clock_mono_ms() - start_ms, SQL_BUSY_TIMEOUT_MS,
                        2 * SQL_BUSY_TIMEOUT_MS - 1);
        assert_int_equal(sql_end(one, ERR_OK), ERR_OK);
        assert_int_equal(sql_begin(two), ERR_OK); /* and the next lock is waited for again */
        assert_int_equal(sql_end(two, ERR_OK), ERR_OK);
    }
    sql_close(one);
    sql_close(two);
}

/* Does this process hold a POSIX lock on the file? */
static bool is_locked(const char *file)
{
    char line[200], word[40];
    struct stat st;
    bool found = false;
    FILE *locks = fopen("/proc/locks", "re");

    assert_non_null(locks);
    assert_int_equal(stat(file, &st), 0);
    (void)snprintf(word, sizeof word, ":%llu ", (unsigned long long)st.st_ino);
    while (fgets(line, sizeof line, locks))
        found = found || (strstr(line, word) && strstr(line, "POSIX"));
    assert_int_equal(fclose(locks), 0);
    return found;
}

static void a_second_connection_leaves_the_firsts_locks_alone(void **state)
{
    struct sql *first = NULL, *second = NULL;

    (void)state;
    assert_int_equal(sql_open(path, &version_3, &first), ERR_OK);
    assert_true(is_locked(path));
    assert_int_equal(sql_open(path, &version_3, &second), ERR_OK);
    sql_close(second);
    assert_true(is_locked(path));
    sql_close(first);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_older_schema_is_led_to_the_present_version),
        CASE(a_newer_schema_is_refused_and_left_alone),
        CASE(a_step_that_fails_leaves_the_version_before_it),
        CASE(another_programs_file_is_refused),
        CASE(a_file_that_is_no_database_is_refused),
        CASE(a_database_is_readable_by_its_owner_only),
        CASE(a_lock_is_held_by_one),
        CASE(a_commit_is_one_sync_and_a_quick_one_none),
        CASE(a_constraint_is_told_as_exists_and_a_rollback_undoes),
        CASE(a_full_database_is_told_as_no_space),
        CASE(a_database_locked_by_another_is_told_as_busy),
        CASE(a_lock_that_lasts_is_waited_for_once),
        CASE(a_second_connection_leaves_the_firsts_locks_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
