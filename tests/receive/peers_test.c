/* SPDX-License-Identifier: GPL-3.0-or-later */
/* peers_test.c - client addresses against networks. */
#include "daemon/receive/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct peer peer_named(const char *text)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;

    if (strcmp(text, "unix") == 0) {
        address.ss_family = AF_UNIX;
    } else if (strchr(text, ':')) {
        address.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    } else {
        address.ss_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
    }
    return peer_of(&address);
}

static void networks_hold_what_they_say(void **state)
{
    static const struct {
        const char *network; /* NULL: the default */
        const char *peer;
        bool allowed;
    } cases[] = {
        {NULL, "127.0.0.1", true},
        {NULL, "127.9.9.9", true},
        {NULL, "::1", true},
        {NULL, "::ffff:127.0.0.1", true},
        {NULL, "128.0.0.1", false},
        {NULL, "::2", false},
        {NULL, "unix", true},
        {"192.0.2.0/24", "127.0.0.1", false},
        {"192.0.2.0/24", "unix", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.64/26", "192.0.2.127", true},
        {"192.0.2.64/26", "192.0.2.128", false},
        {"192.0.2.64/26", "192.0.2.63", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer peer = peer_named(cases[i].peer);
        struct peers *p = NULL;

        assert_int_equal(peers_new(&cases[i].network, cases[i].network != NULL, &p), ERR_OK);
        if (peers_allow(p, &peer) != cases[i].allowed)
            fail_msg("%s in %s", cases[i].peer, cases[i].network);
        peers_free(p);
    }
}

static void mistyped_networks_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "localhost",
        "192.0.2",
        "192.0.2.1/",
        "192.0.2.1/33",
        "::/129",
        "192.0.2.1/24",
        "2001:db8::1/64",
        "192.0.2.0/24x",
        "192.0.2.0/-1",
        "192.0.2.0/24/8",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb",
        "192.0.2.0/4294967320",
        "10.0.0.0/0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peers *p = NULL;

        if (peers_new(&cases[i], 1, &p) != ERR_CONFIG || p)
            fail_msg("accepted: %s", cases[i]);
    }
}

static void trust_is_never_implied(void **state)
{
    static const struct {
        const char *trusted[2];
        size_t n;
        const char *peer;
        bool held;
    } cases[] = {
        {{NULL}, 0, "127.0.0.1", false},
        {{NULL}, 0, "unix", false},
        {{"127.0.0.1"}, 1, "127.0.0.1", true},
        {{"127.0.0.1"}, 1, "::ffff:127.0.0.1", true},
        {{"127.0.0.1"}, 1, "127.0.0.2", false},
        {{"127.0.0.1"}, 1, "unix", false},
        {{"unix"}, 1, "unix", true},
        {{"unix"}, 1, "127.0.0.1", false},
        {{"unix", "2001:db8::/32"}, 2, "2001:db8::1", true},
        {{"2001:db8::/32", "unix"}, 2, "unix", true},
    };
    static const char *const word = "unix";
    struct peers *none = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer peer = peer_named(cases[i].peer);
        struct peers *p = NULL;

        assert_int_equal(peers_trusted_new(cases[i].trusted, cases[i].n, &p), ERR_OK);
        if (peers_hold(p, &peer) != cases[i].held)
            fail_msg("case %zu: %s", i, cases[i].peer);
        peers_free(p);
    }
    assert_int_equal(peers_new(&word, 1, &none), ERR_CONFIG); /* unix peers always may connect */
}

static void hosts_are_told_apart_for_the_caps(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool same;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},          {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},   {"2001:db8::1", "2001:db8::2", true},
        {"2001:db8:0:1::1", "2001:db8::1", false}, {"unix", "unix", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer a = peer_named(cases[i].a);
        struct peer b = peer_named(cases[i].b);

        assert_int_equal(peer_is_same_host(&a, &b), cases[i].same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_hold_what_they_say),
        cmocka_unit_test(mistyped_networks_are_refused),
        cmocka_unit_test(trust_is_never_implied),
        cmocka_unit_test(hosts_are_told_apart_for_the_caps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
