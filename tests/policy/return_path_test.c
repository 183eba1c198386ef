/* SPDX-License-Identifier: GPL-3.0-or-later */
/* return_path_test.c - return paths name their message, and only we can make them. */
#include "daemon/policy/return_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define NOW 1795000000 /* in November 2026 */
#define ID  "abcdefghijklmnop"

static const uint8_t key[RETURN_PATH_KEY_LEN] = {1, 2, 3};

static void a_return_path_names_its_message(void **state)
{
    address_text path;
    id_text id;

    (void)state;
    assert_int_equal(return_path_make(key, ID, "relay.example.com", NOW, path), ERR_OK);
    assert_int_equal(strncmp(path, "b-", 2), 0);
    assert_true(strchr(path, '@') - path <= 64);
    assert_int_equal(return_path_read(key, path, NOW, id), ERR_OK);
    assert_string_equal(id, ID);
    assert_int_equal(return_path_read(key, path, NOW + RETURN_PATH_DAYS * 86400, id), ERR_OK);
}

static void a_forged_or_old_one_is_refused(void **state)
{
    uint8_t other[RETURN_PATH_KEY_LEN] = {9};
    address_text path, changed;
    id_text id;

    (void)state;
    assert_int_equal(return_path_make(key, ID, "relay.example.com", NOW, path), ERR_OK);
    assert_int_equal(return_path_read(key, path, NOW + (RETURN_PATH_DAYS + 1) * 86400, id),
                     ERR_EXPIRED);
    assert_int_equal(return_path_read(other, path, NOW, id), ERR_FORMAT);
    for (const char *at = path + 2; *at != '@'; at++) {
        memcpy(changed, path, sizeof changed);
        changed[at - path] = *at == 'a' ? 'b' : 'a';
        assert_int_equal(return_path_read(key, changed, NOW, id), ERR_FORMAT);
    }
    memcpy(changed, path, sizeof changed);
    *strchr(changed, '.') = 'x';
    assert_int_equal(return_path_read(key, changed, NOW, id), ERR_FORMAT);
    assert_int_equal(return_path_read(key, "b-@relay.example.com", NOW, id), ERR_FORMAT);
    assert_int_equal(return_path_read(key, "b-aaaa", NOW, id), ERR_FORMAT);
    assert_int_equal(return_path_read(key, "shop@relay.example.com", NOW, id), ERR_FORMAT);
}

static void what_does_not_fit_is_refused(void **state)
{
    char domain[300];
    address_text path;

    (void)state;
    memset(domain, 'd', sizeof domain);
    domain[240] = '\0';
    assert_int_equal(return_path_make(key, ID, domain, NOW, path), ERR_FORMAT);
    assert_int_equal(return_path_make(key, "not an id", "relay.example.com", NOW, path),
                     ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_return_path_names_its_message),
        cmocka_unit_test(a_forged_or_old_one_is_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
