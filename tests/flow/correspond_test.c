/* SPDX-License-Identifier: GPL-3.0-or-later */
/* correspond_test.c - when a correspondent's certificate is made, used, made anew, over a true
 * store and a double of the key service that certifies in software. */
#include "daemon/flow/correspond.h"
#include "tests/support/hsm_double.h"
#include "tests/support/scratch.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_S   1800000000
#define DAY_S   86400
#define ADDRESS "bob@shop.example.net"

static struct {
    scratch_path dir;
    struct hsm *hsm;
    struct store *store;
    struct store_alias alias;
    char *domains[2];
    struct hsm_profile profile;
    EVP_PKEY *key;
    /* what the key service is told to do, and what it was asked */
    enum err fail;
    int64_t ends_s;
    unsigned made, renewed;
    address_text domain, reverse;
} t;

static void cert_append(struct buf *out, int64_t ends_s)
{
    X509 *cert = X509_new();
    uint8_t *der = NULL;
    int len;

    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), NOW_S - 30 * DAY_S));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), ends_s));
    assert_int_equal(X509_set_pubkey(cert, t.key), 1);
    assert_true(X509_sign(cert, t.key, EVP_sha256()) > 0);
    len = i2d_X509(cert, &der);
    assert_true(len > 0);
    buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    X509_free(cert);
}

/* ---- the rest of the key service's double ---- */

enum err hsm_user_profile(struct hsm *h, const char *user, struct hsm_profile *out)
{
    (void)h;
    (void)user;
    (void)out;
    return ERR_NOT_ACTIVE;
}

enum err hsm_profile_get(struct hsm *h, const char *profile, struct hsm_profile *out)
{
    (void)h;
    (void)profile;
    (void)out;
    return ERR_NOT_FOUND;
}

static enum err sender_give(const char *reverse, struct hsm_sender *out)
{
    if (t.fail)
        return t.fail;
    (void)snprintf(out->reverse, sizeof out->reverse, "%s", reverse);
    cert_append(&out->cert, t.ends_s);
    buf_printf(&out->blob, "blob %u", t.made + t.renewed);
    return ERR_OK;
}

enum err hsm_sender_new(struct hsm *h, const char *profile, const char *domain, const char *reverse,
                        bool idle_only, struct hsm_sender *out)
{
    address_text made;

    (void)h;
    (void)idle_only;
    assert_string_equal(profile, t.profile.profile);
    t.made++;
    (void)snprintf(t.domain, sizeof t.domain, "%s", domain);
    (void)snprintf(t.reverse, sizeof t.reverse, "%s", reverse ? reverse : "");
    (void)snprintf(made, sizeof made, "r-aaaaaaaaaaaaaaa%c@%s", 'a' + (int)t.made, domain);
    return sender_give(reverse ? reverse : made, out);
}

enum err hsm_sender_renew(struct hsm *h, const char *profile, const char *reverse,
                          struct bytes blob, struct hsm_sender *out)
{
    (void)h;
    assert_string_equal(profile, t.profile.profile);
    assert_true(blob.len > 4);
    t.renewed++;
    return sender_give(reverse, out);
}

/* ---- */

static int setup(void **state)
{
    static const char *const mailboxes[] = {"alice@home.example.com"};
    scratch_path path;
    id_text user;

    (void)state;
    memset(&t, 0, sizeof t);
    scratch_new(t.dir);
    scratch_join(t.dir, "store.db", path);
    t.hsm = hsm_double_new();
    t.key = EVP_EC_gen("P-256");
    assert_int_equal(store_open(path, t.hsm, &t.store), ERR_OK);
    assert_int_equal(store_user_add(t.store, "alice", mailboxes, 1, NOW_S, user), ERR_OK);
    assert_int_equal(
        store_alias_add(t.store, "alice", "shop@relay.example.com", NULL, NOW_S, &t.alias), ERR_OK);
    t.domains[0] = strdup("relay.example.com");
    t.profile =
        (struct hsm_profile){.profile = "aaaaaaaaaaaaaaaa", .domains = t.domains, .n_domains = 1};
    cert_append(&t.profile.intermediate, NOW_S + 3000LL * DAY_S);
    t.ends_s = NOW_S + 700 * DAY_S;
    err_note_clear();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_close(t.store);
    hsm_double_free(t.hsm);
    EVP_PKEY_free(t.key);
    buf_clear(&t.profile.intermediate);
    free(t.domains[0]);
    scratch_remove(t.dir);
    return 0;
}

static struct correspond_request request_at(int64_t now_s)
{
    return (struct correspond_request){.store = t.store,
                                       .hsm = t.hsm,
                                       .profile = &t.profile,
                                       .alias = &t.alias,
                                       .deadline_mono_ms = INT64_MAX / 2,
                                       .now_s = now_s};
}

static enum err find_at(int64_t now_s, struct correspondent *c)
{
    struct correspond_request r = request_at(now_s);

    return correspond_find(&r, ADDRESS, c);
}

static void make(void)
{
    struct correspond_request r = request_at(NOW_S);
    CLEANUP(correspondent_clear) struct correspondent c = {0};

    assert_int_equal(correspond_make(&r, ADDRESS, false, &c), ERR_OK);
    assert_int_equal(t.made, 1);
}

static void expect_find(int64_t now_s, const char *blob)
{
    CLEANUP(correspondent_clear) struct correspondent c = {0};

    assert_int_equal(find_at(now_s, &c), ERR_OK);
    assert_memory_equal(c.blob.data, blob, strlen(blob));
}

static void a_stranger_is_not_found_and_then_keeps_address_and_key(void **state)
{
    CLEANUP(correspondent_clear) struct correspondent c = {0};

    (void)state;
    assert_int_equal(find_at(NOW_S, &c), ERR_NOT_FOUND);
    make();
    expect_find(NOW_S + 600 * DAY_S, "blob 1");
    assert_int_equal(t.made + t.renewed, 1);
}

static void a_certificate_within_30_days_of_its_end_is_made_anew_once(void **state)
{
    (void)state;
    make();
    expect_find(t.ends_s - CORRESPOND_RENEW_S - 1, "blob 1");
    assert_int_equal(t.renewed, 0);
    t.ends_s += 700 * DAY_S;
    expect_find(t.ends_s - 700 * DAY_S - CORRESPOND_RENEW_S, "blob 2");
    expect_find(t.ends_s - 700 * DAY_S, "blob 2");
    assert_int_equal(t.renewed, 1);
    assert_int_equal(t.made, 1);
}

static enum err count_key(void *ctx, const struct store_sender_key *k)
{
    (void)k;
    ++*(unsigned *)ctx;
    return ERR_OK;
}

static void the_old_key_is_kept_to_open_replies(void **state)
{
    CLEANUP(correspondent_clear) struct correspondent c = {0};
    unsigned n = 0;

    (void)state;
    make();
    assert_int_equal(find_at(t.ends_s - DAY_S, &c), ERR_OK);
    assert_int_equal(store_sender_key_each(t.store, c.row.id, t.profile.profile, count_key, &n),
                     ERR_OK);
    assert_int_equal(n, 2);
}

static void a_certificate_that_cannot_be_renewed_serves_to_its_end_and_not_beyond(void **state)
{
    CLEANUP(correspondent_clear) struct correspondent c = {0};

    (void)state;
    make();
    t.fail = ERR_HSM_AWAY;
    expect_find(t.ends_s - 1, "blob 1");
    assert_int_equal(find_at(t.ends_s, &c), ERR_HSM_AWAY);
    assert_null(c.cert);
}

static void
a_certificate_that_ends_with_its_intermediate_is_not_renewed_at_every_message(void **state)
{
    (void)state;
    buf_clear(&t.profile.intermediate);
    cert_append(&t.profile.intermediate, t.ends_s);
    make();
    expect_find(t.ends_s - DAY_S, "blob 1");
    expect_find(t.ends_s - 60, "blob 1");
    assert_int_equal(t.renewed, 0);
}

static void reverse_aliases_lie_in_the_longest_enrolled_domain_above_the_alias(void **state)
{
    static const struct {
        const char *domains[2];
        const char *alias, *expected; /* NULL: refused */
    } cases[] = {
        {{"relay.example.com", "other.example.com"}, "a@relay.example.com", "relay.example.com"},
        {{"relay.example.com", "other.example.com"},
         "a@b.c.relay.example.com",
         "relay.example.com"},
        {{"relay.example.com", "b.relay.example.com"},
         "a@b.relay.example.com",
         "b.relay.example.com"},
        {{"b.relay.example.com", "relay.example.com"},
         "a@c.b.relay.example.com",
         "b.relay.example.com"},
        {{"relay.example.com", "x.example.com"}, "a@example.com", NULL},
        {{"relay.example.com", "x.example.com"}, "a@myrelay.example.com", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct correspond_request r = request_at(NOW_S);
        CLEANUP(correspondent_clear) struct correspondent c = {0};
        char *domains[] = {strdup(cases[i].domains[0]), strdup(cases[i].domains[1])};
        struct hsm_profile profile = t.profile;
        struct store_alias alias = t.alias;
        char address[64];

        profile.domains = domains;
        profile.n_domains = 2;
        (void)snprintf(alias.address, sizeof alias.address, "%s", cases[i].alias);
        (void)snprintf(address, sizeof address, "s%zu@shop.example.net", i);
        r.profile = &profile;
        r.alias = &alias;
        assert_int_equal(correspond_make(&r, address, false, &c),
                         cases[i].expected ? ERR_OK : ERR_NOT_ACTIVE);
        if (cases[i].expected)
            assert_string_equal(t.domain, cases[i].expected);
        free(domains[0]);
        free(domains[1]);
    }
}

static void another_profile_certifies_the_same_reverse_alias(void **state)
{
    CLEANUP(correspondent_clear) struct correspondent c = {0};
    CLEANUP(correspondent_clear) struct correspondent again = {0};
    struct correspond_request r = request_at(NOW_S);

    (void)state;
    make();
    assert_int_equal(find_at(NOW_S, &c), ERR_OK);
    memcpy(t.profile.profile, "bbbbbbbbbbbbbbbb", sizeof(id_text));
    assert_int_equal(find_at(NOW_S, &again), ERR_NOT_FOUND);
    assert_int_equal(correspond_make(&r, ADDRESS, false, &again), ERR_OK);
    assert_string_equal(t.reverse, c.row.reverse);
    assert_string_equal(again.row.reverse, c.row.reverse);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_stranger_is_not_found_and_then_keeps_address_and_key),
        CASE(a_certificate_within_30_days_of_its_end_is_made_anew_once),
        CASE(the_old_key_is_kept_to_open_replies),
        CASE(a_certificate_that_cannot_be_renewed_serves_to_its_end_and_not_beyond),
        CASE(a_certificate_that_ends_with_its_intermediate_is_not_renewed_at_every_message),
        CASE(reverse_aliases_lie_in_the_longest_enrolled_domain_above_the_alias),
        CASE(another_profile_certifies_the_same_reverse_alias),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
