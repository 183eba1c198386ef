/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ini_test.c - configuration files: what is taken, and what is refused with file and line. */
#include "daemon/config/ini.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct hop {
    char *host;
    unsigned port;
};

struct target {
    char *name;
    struct ini_list peers;
    unsigned count;
    uint64_t size;
    unsigned age_s;
    bool on;
    struct hop hop;
};

static const struct ini_key keys[] = {
    {"main", "name", INI_STRING, offsetof(struct target, name), 0, 0, true},
    {"main", "peers", INI_LIST, offsetof(struct target, peers), 0, 0, false},
    {"main", "count", INI_UINT, offsetof(struct target, count), 1, 9, false},
    {"main", "size", INI_SIZE, offsetof(struct target, size), 0, 0, false},
    {"main", "age", INI_TIME, offsetof(struct target, age_s), 0, 0, false},
    {"main", "on", INI_BOOL, offsetof(struct target, on), 0, 0, false},
    {"hop *", "host", INI_STRING, offsetof(struct hop, host), 0, 0, false},
    {"hop *", "port", INI_UINT, offsetof(struct hop, port), 1, 65535, false},
};
#define N_KEYS (sizeof keys / sizeof *keys)

static void *hop_section(void *target, const char *section, const char *name)
{
    assert_string_equal(section, "hop");
    return strcmp(name, "full") == 0 ? NULL : &((struct target *)target)->hop;
}

static enum err load(const char *text, struct target *t)
{
    char path[] = "/tmp/ini_test.XXXXXX";
    int fd = mkstemp(path);
    enum err e;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    err_note_clear();
    e = ini_load(path, keys, N_KEYS, t, hop_section);
    assert_int_equal(unlink(path), 0);
    return e;
}

static void every_type_is_read(void **state)
{
    struct target t = {0};

    (void)state;
    assert_int_equal(
        load("# comment\n[main]\nname = a b\npeers = 127.0.0.1, ::1\npeers = 10.0.0.0/8\n"
             "count = 9\nsize = 25M\nage = 5d\non = yes\n[hop example.com]\n"
             "host = mx\nport = 25\n",
             &t),
        ERR_OK);
    assert_string_equal(t.name, "a b");
    assert_int_equal(t.peers.n, 3);
    assert_string_equal(t.peers.items[2], "10.0.0.0/8");
    assert_int_equal(t.count, 9);
    assert_int_equal(t.size, 25 * 1024 * 1024);
    assert_int_equal(t.age_s, 5 * 86400);
    assert_true(t.on);
    assert_string_equal(t.hop.host, "mx");
    assert_int_equal(t.hop.port, 25);
    free(t.hop.host);
    ini_clear(keys, N_KEYS, &t);
    assert_null(t.name);
}

static void what_is_wrong_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text;
        const char *line;   /* at the end of the note's action */
        const char *detail; /* somewhere in the note's detail */
    } cases[] = {
        {"[main]\nname = a\ncolour = red\n", ":3", "colour: is not a key"},
        {"[other]\nname = a\n", ":2", "is not a key"},
        {"[main]\nname = a\nname = b\n", ":3", "set twice"},
        {"[main]\nname = a\ncount = 10\n", ":3", "from 1 to 9"},
        {"[main]\nname = a\ncount = 0\n", ":3", "from 1 to 9"},
        {"[main]\nname = a\ncount = -1\n", ":3", "want a number"},
        {"[main]\nname = a\ncount = 1k\n", ":3", "want a number"},
        {"[main]\nname = a\nsize = 99999999999G\n", ":3", "want a number"},
        {"[main]\nname = a\nsize = 5MB\n", ":3", "want a number"},
        {"[main]\nname = a\non = true\n", ":3", "yes or no"},
        {"[main]\nname = a\nnonsense\n", ":3", "neither"},
        {"[main]\nname = a\n[hop full]\nport = 1\n", ":4", "cannot be taken"},
        {"[main]\ncount = 1\n", "", "[main] name is missing"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target t = {0};
        const struct err_note *note = err_note_get();
        size_t line = strlen(cases[i].line);

        assert_int_equal(load(cases[i].text, &t), ERR_CONFIG);
        assert_true(strlen(note->action) > line);
        assert_string_equal(note->action + strlen(note->action) - line, cases[i].line);
        assert_non_null(strstr(note->detail, cases[i].detail));
        free(t.hop.host);
        ini_clear(keys, N_KEYS, &t);
    }
}

static void an_overlong_line_is_refused(void **state)
{
    struct target t = {0};
    char text[400];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "[main]\nname = ", 14);
    assert_int_equal(load(text, &t), ERR_CONFIG);
    assert_non_null(strstr(err_note_get()->detail, "too long"));
    ini_clear(keys, N_KEYS, &t);
}

static void a_missing_file_is_named(void **state)
{
    struct target t = {0};

    (void)state;
    err_note_clear();
    assert_int_equal(ini_load("/nonexistent/x.conf", keys, N_KEYS, &t, NULL), ERR_CONFIG);
    assert_non_null(strstr(err_note_get()->action, "/nonexistent/x.conf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(what_is_wrong_is_refused_with_its_line),
        cmocka_unit_test(an_overlong_line_is_refused),
        cmocka_unit_test(a_missing_file_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
