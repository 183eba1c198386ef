/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tamper_test.c - records altered, put back or exchanged, and journal lines added, behind the
 * service's back. */
#include "tests/hsm/issue_case.h"

#include "daemon/base/fdio.h"
#include "hsm/journal/line.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- files altered behind our back ---- */

static void sql(const char *text)
{
    CLEANUP(buf_clear) struct buf path = {0};
    sqlite3 *db = NULL;

    buf_printf(&path, "%s/records.db", kit.softhsm.state_dir);
    assert_int_equal(sqlite3_open(buf_str(&path), &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        print_error("%s: %s\n", text, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_errcode(db), SQLITE_OK);
    (void)sqlite3_close(db);
}

static void sql_for(const char *format, const char *profile)
{
    char text[512];

    (void)snprintf(text, sizeof text, format, profile);
    sql(text);
}

static void altered_record_shuts_its_profile_alone(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(kit_user_clear) struct kit_user v = {0};
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_enrol(&kit, &v, KEY_P384, KEY_P256);
    kit_activate(&kit, &u);
    sql_for("UPDATE record SET text=replace(CAST(text AS TEXT),'relay.example.com',"
            "'evil0.example.com') WHERE profile='%s'",
            u.profile);
    assert_err(authority_suspend(kit.a, u.profile), ERR_TAMPERED);
    kit_restart(&kit);
    assert_err(authority_profile_get(kit.a, u.profile, &p), ERR_TAMPERED);
    assert_err(authority_user_profile(kit.a, u.id, &p), ERR_NOT_ACTIVE);
    assert_int_equal(state_of(v.profile), PROFILE_READY);
}

static void record_put_back_to_an_older_version_is_refused(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    sql("CREATE TABLE old AS SELECT * FROM record");
    kit_activate(&kit, &u);
    assert_err(authority_suspend(kit.a, u.profile), ERR_OK);
    sql_for("DELETE FROM record WHERE profile='%s'", u.profile);
    sql_for("INSERT INTO record SELECT * FROM old WHERE profile='%s'", u.profile);
    sql("DROP TABLE old");
    assert_err(authority_resume(kit.a, u.profile), ERR_TAMPERED);
    kit_restart(&kit);
    assert_err(authority_profile_get(kit.a, u.profile, &p), ERR_TAMPERED);
}

static void record_of_another_profile_does_not_pass(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(kit_user_clear) struct kit_user v = {0};
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};
    char text[512];

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_enrol(&kit, &v, KEY_P384, KEY_P256);
    (void)snprintf(text, sizeof text,
                   "UPDATE record SET (text, mac)=(SELECT text, mac FROM record WHERE"
                   " profile='%s') WHERE profile='%s'",
                   v.profile, u.profile);
    sql(text);
    kit_restart(&kit);
    assert_err(authority_profile_get(kit.a, u.profile, &p), ERR_TAMPERED);
}

/* ---- lines added to the journal: the chain of hashes needs no key ---- */

#define FORGED_ALIAS "r-zzzzzzzzzzzzzzzz@relay.example.com"

static void line_forge(struct buf *journal, const struct kit_user *u, const char *end)
{
    size_t start = journal->len - 1;
    struct journal_line last;
    journal_hash hash;

    while (start > 0 && journal->data[start - 1] != '\n')
        start--;
    journal_hash_of((struct bytes){journal->data + start, journal->len - start}, hash);
    assert_err(
        journal_line_parse((struct bytes){journal->data + start, journal->len - start}, &last),
        ERR_OK);
    buf_printf(journal,
               "%s %llu %lld sender-cert %s user=%s alias=" FORGED_ALIAS
               " serial=03 not-after=5 key=new%s\n",
               hash, (unsigned long long)last.sequence + 1, (long long)kit_now_s, u->profile, u->id,
               end);
}

static void move(const char *from_dir, const char *to_dir, const char *name)
{
    CLEANUP(buf_clear) struct buf from = {0};
    CLEANUP(buf_clear) struct buf to = {0};

    buf_printf(&from, "%s/%s", from_dir, name);
    buf_printf(&to, "%s/%s", to_dir, name);
    assert_int_equal(rename(buf_str(&from), buf_str(&to)), 0);
}

static void state_that_is_gone_as_a_whole_is_missed(void **state)
{
    static const char *const files[] = {"journal", "journal.head", "records.db"};
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    authority_close(kit.a);
    kit.a = NULL;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        move(kit.softhsm.state_dir, kit.softhsm.dir, files[i]);
    assert_err(authority_open(&kit.options, &kit.a), ERR_TAMPERED);
    assert_non_null(strstr(err_note_get()->detail, "from the backup"));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        move(kit.softhsm.dir, kit.softhsm.state_dir, files[i]);
    kit_restart(&kit);
    assert_err(authority_profile_get(kit.a, u.profile, &p), ERR_OK);
}

static void line_the_service_never_wrote_is_refused(void **state)
{
    static const char *const ends[] = {
        "", " mac=0000000000000000000000000000000000000000000000000000000000000000"};
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(buf_clear) struct buf path = {0};
    CLEANUP(buf_clear) struct buf good = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    authority_close(kit.a);
    kit.a = NULL;
    buf_printf(&path, "%s/journal", kit.softhsm.state_dir);
    assert_err(file_read(buf_str(&path), 1 << 20, &good), ERR_OK);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        CLEANUP(buf_clear) struct buf forged = {0};

        buf_append_bytes(&forged, buf_bytes(&good));
        line_forge(&forged, &u, ends[i]);
        assert_err(file_write_durable(buf_str(&path), buf_bytes(&forged), 0600), ERR_OK);
        assert_err(authority_open(&kit.options, &kit.a), ERR_TAMPERED);
    }
    assert_err(file_write_durable(buf_str(&path), buf_bytes(&good), 0600), ERR_OK);
    assert_err(authority_open(&kit.options, &kit.a), ERR_OK);
}

/* ---- a key gone from the token ---- */

static void profile_whose_ca_key_is_lost_can_be_ended_and_hinders_nobody(void **state)
{
    CLEANUP(kit_user_clear) struct kit_user u = {0};
    CLEANUP(kit_user_clear) struct kit_user v = {0};

    (void)state;
    kit_enrol(&kit, &u, KEY_P384, KEY_P256);
    kit_enrol(&kit, &v, KEY_P384, KEY_P256);
    assert_err(token_profile_destroy(kit.token, u.profile), ERR_OK);
    assert_err(authority_delete(kit.a, u.profile), ERR_OK);
    assert_int_equal(state_of(u.profile), PROFILE_DELETED);
    kit_restart(&kit);
    assert_int_equal(state_of(u.profile), PROFILE_DELETED);
    assert_int_equal(state_of(v.profile), PROFILE_READY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(altered_record_shuts_its_profile_alone),
        cmocka_unit_test(record_put_back_to_an_older_version_is_refused),
        cmocka_unit_test(record_of_another_profile_does_not_pass),
        cmocka_unit_test(state_that_is_gone_as_a_whole_is_missed),
        cmocka_unit_test(line_the_service_never_wrote_is_refused),
        cmocka_unit_test(profile_whose_ca_key_is_lost_can_be_ended_and_hinders_nobody),
    };

    return cmocka_run_group_tests(tests, case_group_start, case_group_end);
}
