/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lookup_test.c - look-ups over real connections: beside mail, with caps of their own. */
#include "tests/receive/host.h"

#include "daemon/base/clock.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OK_REQUEST "22:recipients good@d.test,"
#define OK_ANSWER  "14:OK good@d.test,"
#define NO_REQUEST "21:recipients bad@d.test,"
#define NO_ANSWER  "9:NOTFOUND ,"

/* What comes, as far as want goes or until the server closes. */
static void expect_bytes(const struct client *c, const char *want)
{
    char got[256] = "";
    size_t len = 0;

    while (len < strlen(want)) {
        struct pollfd fd = {.fd = c->fd, .events = POLLIN};
        ssize_t n = poll(&fd, 1, 5000) == 1 ? read(c->fd, got + len, strlen(want) - len) : 0;

        if (n <= 0)
            break;
        len += (size_t)n;
    }
    assert_string_equal(got, want);
}

static void many_requests_go_over_one_connection(void **state)
{
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    client_connect(&c, h.socketmap_port);
    for (int i = 0; i < 20; i++) {
        client_say(&c, OK_REQUEST);
        expect_bytes(&c, OK_ANSWER);
    }
    client_say(&c, NO_REQUEST OK_REQUEST NO_REQUEST);
    expect_bytes(&c, NO_ANSWER OK_ANSWER NO_ANSWER);
    client_say(&c, "no netstring\r\n");
    client_expect_closed(&c);
    client_close(&c);
    host_close(&h);
}

static void look_ups_and_mail_do_not_keep_each_other_out(void **state)
{
    struct receive_options options = host_options();
    struct client lookups[4], mail[2], last;
    struct host h;

    (void)state;
    options.connections_max = 2;
    options.connections_per_peer = 2;
    options.lookups_max = 4;
    host_open(&h, options);
    host_start(&h);
    for (int i = 0; i < 4; i++) {
        client_connect(&lookups[i], h.socketmap_port);
        client_say(&lookups[i], OK_REQUEST);
        expect_bytes(&lookups[i], OK_ANSWER);
    }
    for (int i = 0; i < 2; i++) {
        client_connect(&mail[i], h.smtp_port);
        client_expect(&mail[i], 220);
    }
    client_connect(&last, h.socketmap_port);
    client_expect_closed(&last);
    client_close(&last);
    client_connect(&last, h.smtp_port);
    client_expect(&last, 421);
    client_close(&last);
    for (int i = 0; i < 4; i++) {
        client_say(&lookups[i], NO_REQUEST);
        expect_bytes(&lookups[i], NO_ANSWER);
        client_close(&lookups[i]);
    }
    for (int i = 0; i < 2; i++)
        client_close(&mail[i]);
    host_close(&h);
}

static void a_foreign_network_learns_nothing(void **state)
{
    static const char *const peers[] = {"192.0.2.0/24"};
    struct receive_options options = host_options();
    struct client c;
    struct host h;

    (void)state;
    options.peers = peers;
    options.n_peers = 1;
    host_open(&h, options);
    host_start(&h);
    client_connect(&c, h.socketmap_port);
    client_expect_closed(&c);
    client_close(&c);
    host_close(&h);
}

static void a_client_that_drips_or_waits_is_closed(void **state)
{
    struct receive_options options = host_options();
    struct client c;
    struct host h;
    int64_t start;

    (void)state;
    options.command_timeout_s = 2;
    host_open(&h, options);
    host_start(&h);
    client_connect(&c, h.socketmap_port);
    client_say(&c, OK_REQUEST);
    expect_bytes(&c, OK_ANSWER);
    start = clock_mono_ms();
    client_say(&c, "22:rec");
    (void)usleep(1500000);
    client_say(&c, "ipie"); /* gains no time */
    client_expect_closed(&c);
    assert_true(clock_mono_ms() - start < 3300);
    client_close(&c);
    host_close(&h);
}

static void the_stop_waits_for_no_look_up(void **state)
{
    struct client c;
    struct host h;
    int64_t start;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    client_connect(&c, h.socketmap_port);
    client_say(&c, OK_REQUEST);
    expect_bytes(&c, OK_ANSWER);
    start = clock_mono_ms();
    host_stop(&h);
    assert_true(clock_mono_ms() - start < 1000);
    client_expect_closed(&c);
    client_close(&c);
    host_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_requests_go_over_one_connection),
        cmocka_unit_test(look_ups_and_mail_do_not_keep_each_other_out),
        cmocka_unit_test(a_foreign_network_learns_nothing),
        cmocka_unit_test(a_client_that_drips_or_waits_is_closed),
        cmocka_unit_test(the_stop_waits_for_no_look_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
