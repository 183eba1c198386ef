/* SPDX-License-Identifier: GPL-3.0-or-later */
/* limits_test.c - caps, time-outs and memory, against clients that push them. */
#include "tests/receive/host.h"

#include "daemon/base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#define ENVELOPE "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"

static void pause_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

    (void)nanosleep(&t, NULL);
}

static void begin_data(struct client *c, int port)
{
    client_connect(c, port);
    client_expect(c, 220);
    client_command(c, "EHLO c.test\r\n", 250);
    client_say(c, ENVELOPE);
    client_expect(c, 250);
    client_expect(c, 250);
    client_expect(c, 354);
}

static void a_foreign_network_is_refused(void **state)
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
    client_connect(&c, h.smtp_port);
    client_expect(&c, 554);
    client_expect_closed(&c);
    client_close(&c);
    client_connect_unix(&c, h.unix_path); /* the socket's file mode decides there */
    client_expect(&c, 220);
    client_close(&c);
    host_close(&h);
}

static void connections_over_the_cap_get_421_and_others_go_on(void **state)
{
    struct receive_options options = host_options();
    struct client held[3];
    struct client c;
    struct host h;

    (void)state;
    options.connections_max = 3;
    host_open(&h, options);
    host_start(&h);
    for (size_t i = 0; i < 3; i++) {
        client_connect(&held[i], h.smtp_port);
        client_expect(&held[i], 220);
    }
    client_connect(&c, h.smtp_port);
    client_expect(&c, 421);
    client_expect_closed(&c);
    client_close(&c);
    client_command(&held[1], "EHLO c.test\r\n", 250);
    client_command(&held[0], "QUIT\r\n", 221);
    client_expect_closed(&held[0]);
    client_close(&held[0]);
    for (int i = 0; i < 100; i++) { /* its slot is free a moment later */
        client_connect(&c, h.smtp_port);
        if (client_code(&c, 5000) == 220)
            break;
        client_close(&c);
        pause_ms(10);
    }
    client_command(&c, "EHLO c.test\r\n", 250);
    client_close(&c);
    client_close(&held[1]);
    client_close(&held[2]);
    host_close(&h);
}

static void five_hundred_idle_clients_of_one_host_do_not_lock_others_out(void **state)
{
    struct client *held = calloc(500, sizeof *held);
    unsigned served = 0;
    struct client c;
    struct host h;

    (void)state;
    assert_non_null(held);
    host_open(&h, host_options());
    host_start(&h);
    for (size_t i = 0; i < 500; i++) {
        int code;

        client_connect(&held[i], h.smtp_port);
        code = client_code(&held[i], 5000);
        assert_true(code == 220 || code == 421);
        served += code == 220;
    }
    assert_int_equal(served, 50);
    client_connect_unix(&c, h.unix_path);
    client_expect(&c, 220);
    client_close(&c);
    for (size_t i = 0; i < 500; i++)
        client_close(&held[i]);
    free(held);
    host_close(&h);
}

/* Send one byte every 50 ms until the server has had enough; how long that took. */
static int64_t drip(struct client *c)
{
    int64_t start = clock_mono_ms();

    while (clock_mono_ms() - start < 10000) {
        int code;

        client_say(c, "x");
        code = client_code(c, 50);
        if (code >= 0) {
            assert_int_equal(code, 421);
            return clock_mono_ms() - start;
        }
    }
    fail_msg("%s", "the server waits for ever");
    return 0;
}

static void dripping_clients_are_cut_off(void **state)
{
    struct receive_options options = host_options();
    struct client c;
    struct host h;

    (void)state;
    options.command_timeout_s = 1;
    options.data_timeout_s = 1;
    host_open(&h, options);
    host_start(&h);
    client_connect(&c, h.smtp_port);
    client_expect(&c, 220);
    assert_in_range(drip(&c), 900, 3000);
    client_close(&c);
    begin_data(&c, h.smtp_port);
    assert_in_range(drip(&c), 900, 3000);
    client_close(&c);
    assert_int_equal(h.n_messages, 0);
    host_close(&h);
}

static void a_handshake_that_stalls_or_is_garbage_ends(void **state)
{
    struct receive_options options = host_options();
    unsigned before;
    struct client c;
    struct host h;

    (void)state;
    options.command_timeout_s = 1;
    host_open(&h, options);
    host_start(&h);
    before = open_descriptors();
    for (int i = 0; i < 3; i++) {
        int64_t start = clock_mono_ms();

        client_connect(&c, h.smtp_port);
        client_expect(&c, 220);
        client_command(&c, "EHLO c.test\r\n", 250);
        client_command(&c, "STARTTLS\r\n", 220);
        if (i == 1)
            client_say(&c, "this is no ClientHello, not even nearly");
        if (i == 2)
            client_send(&c, (struct bytes){(const uint8_t *)"\x16\x03\x01\x02", 4});
        while (client_code(&c, 5000) > 0) /* perhaps an alert */
            ;
        assert_in_range(clock_mono_ms() - start, 0, 3000);
        client_close(&c);
    }
    host_wait_idle(&h);
    assert_int_equal(open_descriptors(), before);
    host_close(&h);
}

static void fill(struct client *c, size_t kib)
{
    static uint8_t line[1024];

    memset(line, 'x', sizeof line);
    line[sizeof line - 2] = '\r';
    line[sizeof line - 1] = '\n';
    for (size_t i = 0; i < kib; i++)
        client_send(c, (struct bytes){line, sizeof line});
}

static void all_sessions_together_stay_within_the_memory_cap(void **state)
{
    struct receive_options options = host_options();
    struct receive_stats stats;
    struct client a;
    struct client b;
    struct host h;

    (void)state;
    options.memory_max_bytes = 1024 * 1024;
    options.message_max_bytes = 1024 * 1024;
    host_open(&h, options);
    host_start(&h);
    begin_data(&a, h.smtp_port);
    fill(&a, 600);
    for (int i = 0; i < 500; i++) {
        receive_stats_get(h.receive, &stats);
        if (stats.memory_now_bytes >= 600 * 1024)
            break;
        pause_ms(10);
    }
    begin_data(&b, h.smtp_port);
    fill(&b, 700);
    client_command(&b, ".\r\n", 452);
    client_command(&a, ".\r\n", 250);
    client_say(&b, ENVELOPE);
    client_expect(&b, 250);
    client_expect(&b, 250);
    client_expect(&b, 354);
    fill(&b, 600);
    client_command(&b, ".\r\n", 250);
    receive_stats_get(h.receive, &stats);
    assert_int_equal(stats.memory_now_bytes, 0);
    assert_int_equal(stats.accepted, 2);
    assert_int_equal(stats.refused_temp, 1);
    client_close(&a);
    client_close(&b);
    host_close(&h);
}

static void a_message_over_the_limit_is_refused_at_its_end(void **state)
{
    struct receive_options options = host_options();
    struct client c;
    struct host h;

    (void)state;
    options.message_max_bytes = 100 * 1024;
    host_open(&h, options);
    host_start(&h);
    begin_data(&c, h.smtp_port);
    fill(&c, 150);
    client_command(&c, "x\n.\nMAIL FROM:<evil@x.test>\r\n.\r\n", 552);
    client_command(&c, "NOOP\r\n", 250);
    client_close(&c);
    host_close(&h);
}

#define STUCK_MS 400

/* Begin a transaction over the unix socket, whose buffers are small, and go on naming recipients
 * (in the end 452, for ever) without reading a reply, until nothing moves any more. */
static void flood(struct client *c, const struct host *h)
{
    static const char rcpt[] = "RCPT TO:<c@d.test>\r\n";
    int64_t moved;
    size_t sent = 0;

    client_connect_unix(c, h->unix_path);
    client_expect(c, 220);
    client_say(c, "LHLO c.test\r\nMAIL FROM:<a@b.test>\r\n");
    moved = clock_mono_ms();
    while (clock_mono_ms() - moved < STUCK_MS) {
        size_t at = sent % (sizeof rcpt - 1);
        ssize_t put = send(c->fd, rcpt + at, sizeof rcpt - 1 - at, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (put < 0)
            assert_int_equal(errno, EAGAIN); /* not closed */
        if (put > 0) {
            sent += (size_t)put;
            moved = clock_mono_ms();
        } else {
            pause_ms(5);
        }
    }
}

static void a_client_that_reads_no_replies_is_cut_off(void **state)
{
    struct receive_options options = host_options();
    int64_t start;
    struct client c;
    struct host h;

    (void)state;
    options.command_timeout_s = 2;
    host_open(&h, options);
    host_start(&h);
    flood(&c, &h);
    start = clock_mono_ms();
    host_wait_idle(&h);
    assert_in_range(clock_mono_ms() - start, 2000 - 2 * STUCK_MS, 4000);
    client_close(&c);
    host_close(&h);
}

static void a_stop_does_not_wait_for_a_client_that_reads_no_replies(void **state)
{
    struct receive_options options = host_options();
    int64_t start;
    struct client c;
    struct host h;

    (void)state;
    options.command_timeout_s = 20;
    host_open(&h, options);
    host_start(&h);
    flood(&c, &h);
    start = clock_mono_ms();
    host_stop(&h);
    assert_in_range(clock_mono_ms() - start, 1500, 5000);
    client_close(&c);
    host_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_foreign_network_is_refused),
        cmocka_unit_test(connections_over_the_cap_get_421_and_others_go_on),
        cmocka_unit_test(five_hundred_idle_clients_of_one_host_do_not_lock_others_out),
        cmocka_unit_test(dripping_clients_are_cut_off),
        cmocka_unit_test(a_handshake_that_stalls_or_is_garbage_ends),
        cmocka_unit_test(all_sessions_together_stay_within_the_memory_cap),
        cmocka_unit_test(a_message_over_the_limit_is_refused_at_its_end),
        cmocka_unit_test(a_client_that_reads_no_replies_is_cut_off),
        cmocka_unit_test(a_stop_does_not_wait_for_a_client_that_reads_no_replies),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
