/* SPDX-License-Identifier: GPL-3.0-or-later */
/* journal_test.c - the chain of the journal against altering, removing, shortening and crashes. */
#include "daemon/base/fdio.h"
#include "hsm/journal/index.h"
#include "hsm/journal/journal.h"
#include "tests/hsm/softhsm_fixture.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1790000000

static struct softhsm_fixture softhsm;
static struct token *token;
static unsigned dir_number;

/* A folder of its own for every case. */
struct place {
    char dir[160];
    struct journal *j;
    struct journal_index *index;
};

static void expect(enum err got, enum err wanted)
{
    if (got != wanted)
        print_error("got %s (%s: %s)\n", err_name(got), err_note_get()->action,
                    err_note_get()->detail);
    assert_int_equal(got, wanted);
}

static enum err place_try(struct place *p)
{
    struct journal_options options = {
        .token = token, .dir = p->dir, .checkpoint_every = 4, .visit = journal_index_visit};
    enum err e = journal_index_new(&p->index);

    options.context = p->index;
    return e ? e : journal_open(&options, &p->j);
}

static void place_close(struct place *p)
{
    journal_close(p->j);
    journal_index_free(p->index);
    p->j = NULL;
    p->index = NULL;
}

static void place_make(struct place *p)
{
    *p = (struct place){0};
    (void)snprintf(p->dir, sizeof p->dir, "%s/journal%u", softhsm.state_dir, dir_number++);
    assert_int_equal(mkdir(p->dir, 0700), 0);
    expect(place_try(p), ERR_OK);
}

static void entries_add(struct place *p)
{
    expect(journal_append(p->j, NOW, "profile", "aaaaaaaaaaaaaaaa", "user=%s", "uuuuuuuuuuuuuuuu"),
           ERR_OK);
    expect(journal_append(p->j, NOW + 1, "sender-cert", "aaaaaaaaaaaaaaaa",
                          "user=%s alias=%s serial=0102 not-after=5 key=new", "uuuuuuuuuuuuuuuu",
                          "r-bbbbbbbbbbbbbbbb@relay.example.com"),
           ERR_OK);
    expect(journal_append(p->j, NOW + 2, "user-cert", "aaaaaaaaaaaaaaaa",
                          "serial=%s not-after=5 spki=00", "ff"),
           ERR_OK);
}

static void path_of(const struct place *p, const char *name, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", p->dir, name);
}

static void read_all(const struct place *p, const char *name, struct buf *out)
{
    char path[256];

    path_of(p, name, path);
    expect(file_read(path, 1 << 20, out), ERR_OK);
}

static void write_all_of(const struct place *p, const char *name, struct bytes data)
{
    char path[256];

    path_of(p, name, path);
    expect(file_write_durable(path, data, 0600), ERR_OK);
}

static void journal_is_read_again_and_gives_its_index(void **state)
{
    struct place p;
    id_text user;
    struct index_leaf *leaves = NULL;
    size_t n = 0;
    struct journal_verdict v;

    (void)state;
    place_make(&p);
    entries_add(&p);
    place_close(&p);
    expect(place_try(&p), ERR_OK);
    assert_true(journal_index_alias(p.index, "r-bbbbbbbbbbbbbbbb@relay.example.com", user));
    assert_string_equal(user, "uuuuuuuuuuuuuuuu");
    assert_false(journal_index_alias(p.index, "r-cccccccccccccccc@relay.example.com", user));
    assert_int_equal(journal_index_day(p.index, "aaaaaaaaaaaaaaaa", NOW), 1);
    assert_int_equal(journal_index_day(p.index, "aaaaaaaaaaaaaaaa", NOW + 86400), 0);
    expect(journal_index_leaves(p.index, "aaaaaaaaaaaaaaaa", &leaves, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_string_equal(leaves[1].serial, "ff");
    free(leaves);
    expect(journal_recheck(p.j, &v), ERR_OK);
    assert_true(v.good);
    assert_int_equal(v.entries, 3);
    place_close(&p);
}

static void checkpoints_come_by_number_by_day_and_on_demand(void **state)
{
    struct place p;
    CLEANUP(buf_clear) struct buf line = {0};
    CLEANUP(buf_clear) struct buf again = {0};
    struct journal_verdict v;

    (void)state;
    place_make(&p);
    entries_add(&p);
    assert_int_equal(journal_sequence(p.j), 3);
    expect(journal_append(p.j, NOW, "install", "aaaaaaaaaaaaaaaa", "root=%s", "x"), ERR_OK);
    assert_int_equal(journal_sequence(p.j), 5);
    expect(journal_append(p.j, NOW, "install", "aaaaaaaaaaaaaaaa", "root=%s", "x"), ERR_OK);
    expect(journal_checkpoint_due(p.j, NOW + 3600), ERR_OK);
    assert_int_equal(journal_sequence(p.j), 6);
    expect(journal_checkpoint_due(p.j, NOW + 86400), ERR_OK);
    assert_int_equal(journal_sequence(p.j), 7);
    expect(journal_checkpoint(p.j, NOW, &line), ERR_OK);
    expect(journal_checkpoint(p.j, NOW, &again), ERR_OK);
    assert_int_equal(journal_sequence(p.j), 7);
    assert_string_equal(buf_str(&line), buf_str(&again));
    expect(journal_recheck(p.j, &v), ERR_OK);
    assert_true(v.good);
    assert_int_equal(v.checkpoints, 2);
    place_close(&p);
}

/* What somebody with the disk does to the file. */
static void change_letter(struct buf *b)
{
    char *at = strstr((char *)b->data, "r-bbbbbbbb");

    assert_non_null(at);
    at[2] = 'c';
}

static void remove_second_line(struct buf *b)
{
    uint8_t *first = (uint8_t *)memchr(b->data, '\n', b->len) + 1;
    uint8_t *second = (uint8_t *)memchr(first, '\n', b->len - (size_t)(first - b->data)) + 1;
    size_t rest = b->len - (size_t)(second - b->data);

    memmove(first, second, rest);
    b->len = (size_t)(first - b->data) + rest;
}

static void remove_last_line(struct buf *b)
{
    for (b->len--; b->data[b->len - 1] != '\n'; b->len--)
        ;
}

static void remove_half_the_last_line(struct buf *b)
{
    b->len -= 20;
}

static void remove_everything(struct buf *b)
{
    b->len = 0;
}

static void repeat_last_line(struct buf *b)
{
    size_t end = b->len;
    size_t start = end - 1;

    while (b->data[start - 1] != '\n')
        start--;
    CLEANUP(buf_clear) struct buf line = {0};
    buf_append(&line, b->data + start, end - start);
    buf_append_bytes(b, buf_bytes(&line));
}

static void add_carriage_return(struct buf *b)
{
    b->len--;
    buf_append_str(b, "\r\n");
}

static void altered_journal_is_refused_at_start(void **state)
{
    static const struct {
        const char *name;
        void (*alter)(struct buf *);
    } cases[] = {
        {"a letter", change_letter},
        {"a line removed", remove_second_line},
        {"the last line removed", remove_last_line},
        {"half the last line removed", remove_half_the_last_line},
        {"emptied", remove_everything},
        {"last line twice", repeat_last_line},
        {"carriage return", add_carriage_return},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct place p;
        CLEANUP(buf_clear) struct buf text = {0};

        print_message("    %s\n", cases[i].name);
        place_make(&p);
        entries_add(&p);
        place_close(&p);
        read_all(&p, "journal", &text);
        cases[i].alter(&text);
        write_all_of(&p, "journal", buf_bytes(&text));
        expect(place_try(&p), ERR_TAMPERED);
        journal_index_free(p.index);
    }
}

static void head_file_altered_or_gone_is_refused(void **state)
{
    struct place p;
    CLEANUP(buf_clear) struct buf head = {0};
    CLEANUP(buf_clear) struct buf old = {0};

    (void)state;
    place_make(&p);
    read_all(&p, "journal.head", &old);
    entries_add(&p);
    place_close(&p);
    read_all(&p, "journal.head", &head);
    head.data[19] = (uint8_t)(head.data[19] == '1' ? '2' : '1');
    write_all_of(&p, "journal.head", buf_bytes(&head));
    expect(place_try(&p), ERR_TAMPERED);
    journal_index_free(p.index);
    write_all_of(&p, "journal.head", (struct bytes){0});
    expect(place_try(&p), ERR_TAMPERED);
    journal_index_free(p.index);
    /* A power cut can leave it behind: that is no tampering. */
    write_all_of(&p, "journal.head", buf_bytes(&old));
    expect(place_try(&p), ERR_OK);
    place_close(&p);
}

static void shortened_journal_with_a_head_to_match_is_refused(void **state)
{
    struct place p;
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf head = {0};
    CLEANUP(buf_clear) struct buf last = {0};
    journal_hash hash;

    (void)state;
    place_make(&p);
    entries_add(&p);
    place_close(&p);
    read_all(&p, "journal", &text);
    read_all(&p, "journal.head", &head);
    remove_last_line(&text);
    buf_append(&last, strchr((char *)text.data, '\n') + 1,
               text.len - (size_t)(strchr((char *)text.data, '\n') + 1 - (char *)text.data));
    journal_hash_of(buf_bytes(&last), hash);
    head.data[19] = '2';
    memcpy(head.data + 21, hash, JOURNAL_HASH_HEX);
    write_all_of(&p, "journal", buf_bytes(&text));
    write_all_of(&p, "journal.head", buf_bytes(&head));
    expect(place_try(&p), ERR_TAMPERED);
    journal_index_free(p.index);
}

static void torn_line_that_was_never_acknowledged_is_cut_off(void **state)
{
    struct place p;
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf after = {0};
    size_t whole;

    (void)state;
    place_make(&p);
    entries_add(&p);
    place_close(&p);
    read_all(&p, "journal", &text);
    whole = text.len;
    buf_append_str(&text, "0123456789abcdef 4 17");
    write_all_of(&p, "journal", buf_bytes(&text));
    expect(place_try(&p), ERR_OK);
    read_all(&p, "journal", &after);
    assert_int_equal(after.len, whole);
    expect(journal_append(p.j, NOW, "install", "aaaaaaaaaaaaaaaa", "root=%s", "x"), ERR_OK);
    place_close(&p);
    expect(place_try(&p), ERR_OK);
    place_close(&p);
}

static void second_process_does_not_get_the_journal(void **state)
{
    struct place p, q;

    (void)state;
    place_make(&p);
    q = p;
    expect(place_try(&q), ERR_BUSY);
    journal_index_free(q.index);
    place_close(&p);
}

static void forged_checkpoint_does_not_verify(void **state)
{
    struct place p;
    EVP_PKEY *other = EVP_EC_gen("P-256"), *right = NULL;
    struct journal_verdict v;
    FILE *file;
    char path[256];

    (void)state;
    place_make(&p);
    entries_add(&p);
    expect(journal_checkpoint(p.j, NOW, NULL), ERR_OK);
    place_close(&p);
    path_of(&p, "journal", path);
    expect(token_journal_public(token, &right), ERR_OK);
    for (int i = 0; i < 3; i++) {
        file = fopen(path, "re");
        assert_non_null(file);
        expect(journal_verify(file,
                              i == 0   ? right
                              : i == 1 ? other
                                       : NULL,
                              NULL, NULL, &v),
               ERR_OK);
        assert_int_equal(v.good, i != 1);
        (void)fclose(file);
    }
    EVP_PKEY_free(other);
    EVP_PKEY_free(right);
}

/* ---- crashes: this program again, with a fail point armed ---- */

static int child_run(const char *dir)
{
    struct journal_index *index = NULL;
    struct journal *j = NULL;
    struct journal_options options = {
        .token = NULL, .dir = dir, .checkpoint_every = 4, .visit = journal_index_visit};
    struct token_options t = {.module = getenv("T_MODULE"),
                              .ca_uri = getenv("T_URI"),
                              .sender_uri = getenv("T_URI"),
                              .pin_file = getenv("T_PIN"),
                              .state_dir = dir};
    enum err e = token_open(&t, &token);

    if (!e)
        e = journal_index_new(&index);
    options.token = token;
    options.context = index;
    if (!e)
        e = journal_open(&options, &j);
    if (e)
        return 99;
    e = journal_append(j, NOW, "profile", "aaaaaaaaaaaaaaaa", "user=%s", "uuuuuuuuuuuuuuuu");
    if (!e)
        return 0;
    /* After a failed write nothing is taken any more, whatever it is. */
    e = journal_append(j, NOW, "install", "aaaaaaaaaaaaaaaa", "%s", "");
    journal_close(j);
    journal_index_free(index);
    token_close(token);
    return e == ERR_IO ? 1 : 98;
}

static int child_status(const char *dir, const char *failpoint)
{
    char self[] = "/proc/self/exe", word[] = "child";
    char where[256];
    char *argv[] = {self, word, where, NULL};
    int status = -1;
    pid_t child;

    (void)snprintf(where, sizeof where, "%s", dir);
    (void)setenv("T_MODULE", softhsm.module, 1);
    (void)setenv("T_URI", softhsm.uri, 1);
    (void)setenv("T_PIN", softhsm.pin_file, 1);
    child = fork();
    if (child == 0) {
        (void)setenv("SEALRELAY_FAILPOINT", failpoint, 1);
        (void)execv(self, argv);
        _exit(97);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void killed_or_failed_append_leaves_a_journal_that_opens(void **state)
{
    static const char *const points[] = {"journal.write", "journal.sync", "journal.head"};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof points / sizeof *points; i++) {
        bool kill = i % 2;
        char failpoint[64];
        struct place p;
        struct index_profile known;
        int status;

        place_make(&p);
        place_close(&p);
        (void)snprintf(failpoint, sizeof failpoint, "%s=%s", points[i / 2],
                       kill ? "kill" : "error");
        status = child_status(p.dir, failpoint);
        print_message("    %s: %d\n", failpoint, status);
        if (kill)
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == 9);
        else
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        expect(place_try(&p), ERR_OK);
        if (!journal_index_profile(p.index, "aaaaaaaaaaaaaaaa", &known))
            expect(journal_append(p.j, NOW, "profile", "aaaaaaaaaaaaaaaa", "user=%s",
                                  "uuuuuuuuuuuuuuuu"),
                   ERR_OK);
        expect(journal_append(p.j, NOW, "install", "aaaaaaaaaaaaaaaa", "root=%s", "x"), ERR_OK);
        place_close(&p);
        expect(place_try(&p), ERR_OK);
        place_close(&p);
    }
}

static int setup(void **state)
{
    struct token_options t = {0};

    (void)state;
    expect(softhsm_fixture_new(&softhsm), ERR_OK);
    t.module = softhsm.module;
    t.ca_uri = softhsm.uri;
    t.sender_uri = softhsm.uri;
    t.pin_file = softhsm.pin_file;
    t.state_dir = softhsm.state_dir;
    expect(token_open(&t, &token), ERR_OK);
    expect(token_init(token), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    token_close(token);
    softhsm_fixture_free(&softhsm);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journal_is_read_again_and_gives_its_index),
        cmocka_unit_test(checkpoints_come_by_number_by_day_and_on_demand),
        cmocka_unit_test(altered_journal_is_refused_at_start),
        cmocka_unit_test(head_file_altered_or_gone_is_refused),
        cmocka_unit_test(shortened_journal_with_a_head_to_match_is_refused),
        cmocka_unit_test(torn_line_that_was_never_acknowledged_is_cut_off),
        cmocka_unit_test(second_process_does_not_get_the_journal),
        cmocka_unit_test(forged_checkpoint_does_not_verify),
        cmocka_unit_test(killed_or_failed_append_leaves_a_journal_that_opens),
    };

    if (argc == 3 && strcmp(argv[1], "child") == 0)
        return child_run(argv[2]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
