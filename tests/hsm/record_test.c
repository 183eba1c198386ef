/* SPDX-License-Identifier: GPL-3.0-or-later */
/* record_test.c - the text form of records, and saves, makings and deletions cut short anywhere. */
#include "hsm/issue/authority.h"
#include "hsm/record/record.h"
#include "tests/hsm/issue_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void expect(enum err got, enum err wanted)
{
    if (got != wanted)
        print_error("got %s (%s: %s)\n", err_name(got), err_note_get()->action,
                    err_note_get()->detail);
    assert_int_equal(got, wanted);
}

static struct record *full_record(void)
{
    struct record *r = NULL;

    expect(record_new(&r), ERR_OK);
    expect(id_new(r->profile), ERR_OK);
    expect(id_new(r->user), ERR_OK);
    r->state = PROFILE_ACTIVE;
    r->version = 7;
    r->created_s = 1790000000;
    r->sender_key_type = KEY_P256;
    expect(record_set_text(&r->country, "DE"), ERR_OK);
    expect(record_set_text(&r->leaf_crl_url, "http://crl.example.com/a=b.crl"), ERR_OK);
    expect(record_list_add(&r->addresses, "user@home.example.com"), ERR_OK);
    expect(record_list_add(&r->addresses, "second@home.example.com"), ERR_OK);
    expect(record_list_add(&r->domains, "relay.example.com"), ERR_OK);
    buf_append_str(&r->ca_spki, "spki");
    r->n_keys = 2;
    for (size_t i = 0; i < 2; i++) {
        memset(r->keys[i].spki_sha256, (int)(i + 1), 32);
        r->keys[i].withdrawn_s = (int64_t)i * 5;
        buf_append_str(&r->keys[i].cert, "certificate");
    }
    r->n_nonces = 1;
    r->nonces[0].expires_s = 9;
    return r;
}

static void record_reads_back_what_it_wrote(void **state)
{
    CLEANUP(record_drop) struct record *r = full_record();
    CLEANUP(record_drop) struct record *copy = NULL;
    CLEANUP(buf_clear) struct buf one = {0};
    CLEANUP(buf_clear) struct buf two = {0};

    (void)state;
    expect(record_write(r, &one), ERR_OK);
    expect(record_copy(r, &copy), ERR_OK);
    expect(record_write(copy, &two), ERR_OK);
    assert_string_equal(buf_str(&one), buf_str(&two));
    assert_int_equal(copy->state, PROFILE_ACTIVE);
    assert_int_equal(copy->n_keys, 2);
    assert_int_equal(copy->keys[1].withdrawn_s, 5);
    assert_true(record_list_has(&copy->addresses, "second@home.example.com"));
    assert_string_equal(copy->leaf_crl_url, r->leaf_crl_url);
}

static void text_that_is_not_canonical_is_refused(void **state)
{
    static const struct {
        const char *find, *put;
    } cases[] = {
        {"sealhsmd-record 1", "sealhsmd-record 2"},
        {"state=active", "state=idle"},
        {"version=7", "version=07"},
        {"version=7", "version=-7"},
        {"version=7\n", "version=7\nversion=7\n"},
        {"version=7\n", "version=7\nunknown=7\n"},
        {"version=7\n", "version=7\n\n"},
        {"version=7\n", ""},
        {"country=DE", "country DE"},
        {"ca-spki=", "ca-spki= "},
        {"nonce=0", "nonce=g"},
        {"key=01", "key=1"},
        {"state=active\nversion=7\n", "version=7\nstate=active\n"},
    };
    CLEANUP(record_drop) struct record *r = full_record();
    CLEANUP(buf_clear) struct buf text = {0};

    (void)state;
    expect(record_write(r, &text), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_clear) struct buf altered = {0};
        const char *at = strstr(buf_str(&text), cases[i].find);
        struct record *got = NULL;

        assert_non_null(at);
        buf_append(&altered, text.data, (size_t)(at - buf_str(&text)));
        buf_append_str(&altered, cases[i].put);
        buf_append_str(&altered, at + strlen(cases[i].find));
        if (record_read(buf_bytes(&altered), &got) != ERR_FORMAT)
            fail_msg("%s -> %s", cases[i].find, cases[i].put);
    }
    for (size_t cut = 1; cut < text.len; cut++) {
        struct record *got = NULL;

        assert_int_equal(record_read((struct bytes){text.data, text.len - cut}, &got), ERR_FORMAT);
    }
}

static void full_lists_take_no_more(void **state)
{
    CLEANUP(record_drop) struct record *r = NULL;

    (void)state;
    expect(record_new(&r), ERR_OK);
    for (int i = 0; i < RECORD_LIST_MAX; i++)
        expect(record_list_add(&r->domains, "relay.example.com"), ERR_OK);
    expect(record_list_add(&r->domains, "relay.example.com"), ERR_USAGE);
}

/* ---- crashes: the same program as a child with a fail point, on the parent's files ---- */

static int child_open(struct kit *k)
{
    struct token_options t = {.module = getenv("T_MODULE"),
                              .ca_uri = getenv("T_URI"),
                              .sender_uri = getenv("T_URI"),
                              .pin_file = getenv("T_PIN"),
                              .state_dir = getenv("T_STATE")};

    memset(k, 0, sizeof *k);
    k->options.state_dir = t.state_dir;
    k->options.now = kit_clock;
    if (token_open(&t, &k->token))
        return 0;
    k->options.token = k->token;
    return !authority_open(&k->options, &k->a);
}

static int child_run(const char *what, const char *profile)
{
    struct kit k;
    id_text user = "uuuuuuuuuuuuuuuu";
    enum err e = ERR_BUG;

    if (!child_open(&k))
        return 99;
    if (strcmp(what, "suspend") == 0)
        e = authority_suspend(k.a, profile);
    if (strcmp(what, "delete") == 0)
        e = authority_delete(k.a, profile);
    if (strcmp(what, "add") == 0) {
        static const char *const address[] = {"u@home.example.com"}, *const domain[] = {
                                                                         "relay.example.com"};
        struct authority_profile_new p = {.user = user,
                                          .addresses = address,
                                          .n_addresses = 1,
                                          .domains = domain,
                                          .n_domains = 1,
                                          .country = "DE",
                                          .ca_key_type = KEY_P384,
                                          .user_key_type = KEY_P256,
                                          .sender_key_type = KEY_P256};
        id_text made;

        e = authority_profile_add(k.a, &p, made);
    }
    authority_close(k.a);
    token_close(k.token);
    return e ? 1 : 0;
}

static int child_status(const char *what, const char *profile, const char *failpoint)
{
    char self[] = "/proc/self/exe", word[] = "child", action[16], name[32];
    char *argv[] = {self, word, action, name, NULL};
    int status = -1;
    pid_t child;

    (void)snprintf(action, sizeof action, "%s", what);
    (void)snprintf(name, sizeof name, "%s", profile);
    (void)setenv("T_MODULE", kit.softhsm.module, 1);
    (void)setenv("T_URI", kit.softhsm.uri, 1);
    (void)setenv("T_PIN", kit.softhsm.pin_file, 1);
    (void)setenv("T_STATE", kit.softhsm.state_dir, 1);
    child = fork();
    if (child == 0) {
        (void)setenv("SEALRELAY_FAILPOINT", failpoint, 1);
        (void)execv(self, argv);
        _exit(97);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* The parent's authority must not have the journal, nor its token the keys in memory. */
static void interrupt(const char *what, const char *profile, const char *failpoint)
{
    struct token_options t = {.module = kit.softhsm.module,
                              .ca_uri = kit.softhsm.uri,
                              .sender_uri = kit.softhsm.uri,
                              .pin_file = kit.softhsm.pin_file,
                              .state_dir = kit.softhsm.state_dir};
    int status;

    authority_close(kit.a);
    token_close(kit.token);
    kit.a = NULL;
    status = child_status(what, profile, failpoint);
    print_message("    %s %s: %d\n", what, failpoint, status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == 9);
    expect(token_open(&t, &kit.token), ERR_OK);
    kit.options.token = kit.token;
    expect(authority_open(&kit.options, &kit.a), ERR_OK);
}

static void save_killed_anywhere_is_done_or_not_done(void **state)
{
    static const struct {
        const char *point;
        bool done;
    } points[] = {
        {"record.row=kill", false},  {"record.journal=kill", false}, {"journal.write=kill", false},
        {"journal.sync=kill", true}, {"journal.head=kill", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        CLEANUP(kit_user_clear) struct kit_user u = {0};

        kit_enrol(&kit, &u, KEY_P384, KEY_P256);
        interrupt("suspend", u.profile, points[i].point);
        assert_int_equal(state_of(u.profile), points[i].done ? PROFILE_SUSPENDED : PROFILE_READY);
        expect(authority_suspend(kit.a, u.profile), ERR_OK);
        kit_restart(&kit);
        assert_int_equal(state_of(u.profile), PROFILE_SUSPENDED);
    }
}

static void deletion_killed_anywhere_is_finished_by_the_next_start(void **state)
{
    static const char *const points[] = {"delete.begun=kill", "delete.crl=kill",
                                         "delete.destroyed=kill", "record.row=kill@3",
                                         "record.journal=kill@2"};

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        CLEANUP(kit_user_clear) struct kit_user u = {0};
        CLEANUP(hsm_sender_clear) struct hsm_sender s = {0};
        CLEANUP(buf_clear) struct buf der = {0};
        CLEANUP(buf_clear) struct buf none = {0};
        X509_REVOKED *revoked = NULL;
        const uint8_t *p;
        X509_CRL *crl;
        X509 *x;

        kit_enrol(&kit, &u, KEY_P384, KEY_P256);
        expect(authority_sender_new(kit.a, u.profile, "relay.example.com", NULL, false, &s),
               ERR_OK);
        interrupt("delete", u.profile, points[i]);
        assert_int_equal(state_of(u.profile), PROFILE_DELETED);
        expect(authority_leaf_crl(kit.a, u.profile, &der), ERR_OK);
        p = der.data;
        crl = d2i_X509_CRL(NULL, &p, (long)der.len);
        x = kit_x509(&s.cert);
        assert_int_equal(X509_CRL_get0_by_cert(crl, &revoked, x), 1);
        assert_int_not_equal(token_ca_sign(kit.token, u.profile, EVP_sha384(),
                                           (struct bytes){(const uint8_t[48]){0}, 48}, &none),
                             ERR_OK);
        X509_free(x);
        X509_CRL_free(crl);
    }
}

static void profile_whose_making_was_killed_leaves_nothing(void **state)
{
    static const char *const points[] = {"profile.journalled=kill", "profile.keys=kill",
                                         "record.row=kill", "record.journal=kill"};

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        CLEANUP(buf_clear) struct buf list = {0};

        interrupt("add", "-", points[i]);
        expect(authority_list(kit.a, &list), ERR_OK);
        assert_null(strstr(buf_str(&list), "uuuuuuuuuuuuuuuu"));
        kit_restart(&kit);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_reads_back_what_it_wrote),
        cmocka_unit_test(text_that_is_not_canonical_is_refused),
        cmocka_unit_test(full_lists_take_no_more),
        cmocka_unit_test(save_killed_anywhere_is_done_or_not_done),
        cmocka_unit_test(deletion_killed_anywhere_is_finished_by_the_next_start),
        cmocka_unit_test(profile_whose_making_was_killed_leaves_nothing),
    };

    if (argc == 4 && strcmp(argv[1], "child") == 0)
        return child_run(argv[2], argv[3]);
    return cmocka_run_group_tests(tests, case_group_start, case_group_end);
}
