/* SPDX-License-Identifier: GPL-3.0-or-later */
/* server_test.c - real connections: SMTP, LMTP, TLS, clients that break off, the stop. */
#include "tests/receive/host.h"

#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/receive/tls.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ENVELOPE     "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
#define MESSAGE      "Subject: x\r\n\r\n..dot\r\nbody\r\n"
#define MESSAGE_KEPT "Subject: x\r\n\r\n.dot\r\nbody\r\n"

static void greet(struct client *c, const char *hello)
{
    client_expect(c, 220);
    client_command(c, hello, 250);
}

/* EHLO to 354. */
static void begin_data(struct client *c)
{
    greet(c, "EHLO c.test\r\n");
    client_say(c, ENVELOPE);
    client_expect(c, 250);
    client_expect(c, 250);
    client_expect(c, 354);
}

static void quit(struct client *c)
{
    client_command(c, "QUIT\r\n", 221);
    client_expect_closed(c);
    client_close(c);
}

static void a_message_over_tcp_arrives_byte_for_byte(void **state)
{
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    client_connect(&c, h.smtp_port);
    begin_data(&c);
    client_command(&c, MESSAGE ".\r\n", 250);
    quit(&c);
    assert_string_equal(buf_str(&h.messages), MESSAGE_KEPT);
    host_close(&h);
}

static void writes_of_one_byte_change_nothing(void **state)
{
    static const char dialogue[] = "EHLO c.test\r\n" ENVELOPE MESSAGE ".\r\nQUIT\r\n";
    static const int codes[] = {250, 250, 250, 354, 250, 221};
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    client_connect(&c, h.smtp_port);
    client_expect(&c, 220);
    for (size_t i = 0; i < sizeof dialogue - 1; i++)
        client_send(&c, (struct bytes){(const uint8_t *)dialogue + i, 1});
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        client_expect(&c, codes[i]);
    client_close(&c);
    host_wait_idle(&h);
    assert_string_equal(buf_str(&h.messages), MESSAGE_KEPT);
    host_close(&h);
}

static void speak_lmtp(struct client *c)
{
    greet(c, "LHLO c.test\r\n");
    client_command(c, "MAIL FROM:<>\r\n", 250);
    client_command(c, "RCPT TO:<c@d.test>\r\n", 250);
    client_command(c, "RCPT TO:<bad@d.test>\r\n", 550);
    client_command(c, "RCPT TO:<e@d.test>\r\n", 250);
    client_command(c, "DATA\r\n", 354);
    client_command(c, MESSAGE ".\r\n", 250);
    client_expect(c, 250);
    quit(c);
}

static void lmtp_answers_each_recipient_on_tcp_and_unix_sockets(void **state)
{
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    client_connect(&c, h.lmtp_port);
    speak_lmtp(&c);
    client_connect_unix(&c, h.unix_path);
    speak_lmtp(&c);
    assert_string_equal(buf_str(&h.messages), MESSAGE_KEPT MESSAGE_KEPT);
    host_close(&h);
}

static void bytes_before_the_banner_are_refused(void **state)
{
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    client_connect(&c, h.smtp_port); /* waits in the backlog: the bytes are there first */
    client_say(&c, "EHLO c.test\r\n" ENVELOPE);
    host_start(&h);
    client_expect(&c, 554);
    client_expect_closed(&c);
    client_close(&c);
    host_close(&h);
}

static void a_client_that_breaks_off_leaves_nothing_behind(void **state)
{
    static const struct linger reset = {1, 0};
    unsigned before;
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    before = open_descriptors();
    for (int i = 0; i < 3; i++) {
        client_connect(&c, h.smtp_port);
        begin_data(&c);
        client_say(&c, i ? "half a message\r\n" : "QUIT\r\n");
        if (i == 2)
            assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        client_close(&c);
    }
    host_wait_idle(&h);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(h.n_messages, 0);
    assert_int_equal(h.n_ends, 3);
    host_close(&h);
}

static void a_body_written_behind_a_refused_data_is_never_run(void **state)
{
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    client_connect(&c, h.smtp_port);
    greet(&c, "EHLO c.test\r\n");
    client_say(&c, "MAIL FROM:<a@b.test>\r\nRCPT TO:<bad@d.test>\r\nDATA\r\nRSET\r\n" ENVELOPE
                   "evil\r\n.\r\n");
    client_expect(&c, 250);
    client_expect(&c, 550);
    client_expect(&c, 554);
    client_expect_closed(&c);
    client_close(&c);
    host_wait_idle(&h);
    assert_int_equal(h.n_messages, 0);
    host_close(&h);
}

/* EHLO, STARTTLS, handshake, EHLO again. */
static void begin_tls(struct client *c, int port, int max_version)
{
    client_connect(c, port);
    greet(c, "EHLO c.test\r\n");
    client_command(c, "STARTTLS\r\n", 220);
    assert_true(client_handshake(c, max_version));
    client_command(c, "EHLO c.test\r\n", 250);
}

static void a_message_over_tls_arrives_byte_for_byte(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client c;
        struct host h;

        host_open(&h, host_options());
        host_start(&h);
        begin_tls(&c, h.smtp_port, versions[i]);
        assert_int_equal(SSL_version(c.ssl), versions[i]);
        client_say(&c, ENVELOPE);
        client_expect(&c, 250);
        client_expect(&c, 250);
        client_expect(&c, 354);
        client_command(&c, MESSAGE ".\r\n", 250);
        quit(&c);
        assert_string_equal(buf_str(&h.messages), MESSAGE_KEPT);
        host_close(&h);
    }
}

static void look_alike_ends_of_data_are_content_over_tls_too(void **state)
{
    static const char *const endings[] = {"\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r\r\n"};
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        for (size_t cut = 1; cut < strlen(endings[i]); cut++) {
            begin_tls(&c, h.smtp_port, 0);
            client_say(&c, ENVELOPE "body");
            client_expect(&c, 250);
            client_expect(&c, 250);
            client_expect(&c, 354);
            client_send(&c, (struct bytes){(const uint8_t *)endings[i], cut});
            client_say(&c, endings[i] + cut);
            client_command(&c, ENVELOPE "evil\r\n.\r\n", 550);
            quit(&c);
        }
    }
    host_wait_idle(&h);
    assert_int_equal(h.n_messages, 0);
    host_close(&h);
}

static void old_tls_is_refused(void **state)
{
    SSL_CTX *ctx = NULL;
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    client_connect(&c, h.smtp_port);
    greet(&c, "EHLO c.test\r\n");
    client_command(&c, "STARTTLS\r\n", 220);
    assert_false(client_handshake(&c, TLS1_1_VERSION));
    client_close(&c);
    /* ... by ourselves, whatever the system's own settings for OpenSSL are */
    assert_int_equal(tls_server_new(h.certificate, h.key, &ctx), ERR_OK);
    assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
    SSL_CTX_free(ctx);
    host_close(&h);
}

static void commands_in_clear_behind_starttls_are_never_answered_inside_tls(void **state)
{
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    client_connect(&c, h.smtp_port);
    greet(&c, "EHLO c.test\r\n");
    client_command(&c, "STARTTLS\r\nNOOP\r\n", 554);
    client_expect_closed(&c);
    client_close(&c);
    client_connect(&c, h.smtp_port); /* in clear instead of a handshake */
    greet(&c, "EHLO c.test\r\n");
    client_command(&c, "STARTTLS\r\n", 220);
    client_say(&c, "NOOP\r\nNOOP\r\n");
    assert_false(client_code(&c, 5000) == 250);
    client_close(&c);
    host_close(&h);
}

static void starttls_forgets_the_transaction(void **state)
{
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    client_connect(&c, h.smtp_port);
    greet(&c, "EHLO c.test\r\n");
    client_command(&c, "MAIL FROM:<a@b.test>\r\n", 250);
    client_command(&c, "RCPT TO:<c@d.test>\r\n", 250);
    client_command(&c, "STARTTLS\r\n", 220);
    assert_true(client_handshake(&c, 0));
    client_command(&c, "DATA\r\n", 503);
    client_command(&c, "RCPT TO:<c@d.test>\r\n", 503);
    client_command(&c, "MAIL FROM:<a@b.test>\r\n", 503);
    client_command(&c, "EHLO c.test\r\n", 250);
    client_command(&c, "STARTTLS\r\n", 503);
    quit(&c);
    host_close(&h);
}

static void a_stop_ends_idle_clients_and_lets_a_message_finish(void **state)
{
    struct client idle;
    struct client sender;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    h.handler_ms = 300;
    host_start(&h);
    client_connect(&idle, h.smtp_port);
    greet(&idle, "EHLO c.test\r\n");
    client_connect(&sender, h.smtp_port);
    begin_data(&sender);
    client_say(&sender, "first half\r\n");
    receive_stop(h.receive);
    client_expect(&idle, 421);
    client_expect_closed(&idle);
    client_command(&sender, "second half\r\n.\r\n", 250);
    client_expect(&sender, 421);
    client_expect_closed(&sender);
    client_close(&idle);
    client_close(&sender);
    host_stop(&h);
    assert_int_equal(h.n_messages, 1);
    host_close(&h);
}

static void a_stop_does_not_wait_for_a_message_that_stalls(void **state)
{
    int64_t start;
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    client_connect(&c, h.smtp_port);
    begin_data(&c);
    client_say(&c, "half a message\r\n");
    start = clock_mono_ms();
    receive_stop(h.receive);
    client_expect(&c, 421);
    assert_in_range(clock_mono_ms() - start, 900, 3000);
    client_close(&c);
    host_stop(&h);
    assert_int_equal(h.n_messages, 0);
    host_close(&h);
}

static pthread_t accepting;
static volatile sig_atomic_t strayed; /* a signal reached a connection's thread */

static void on_signal(int number)
{
    (void)number;
    if (!pthread_equal(pthread_self(), accepting))
        strayed = 1;
}

static void signals_in_every_phase_do_no_harm(void **state)
{
    static const int numbers[] = {SIGCHLD, SIGHUP, SIGPIPE, SIGUSR1};
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;
    struct client c;
    struct host h;

    (void)state;
    host_open(&h, host_options());
    host_start(&h);
    accepting = h.thread;
    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(sigaction(numbers[i], &action, NULL), 0);
        (void)sigaddset(&blocked, numbers[i]);
    }
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0); /* not for this thread */
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(kill(getpid(), numbers[i]), 0);
        client_connect(&c, h.smtp_port);
        begin_data(&c);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(kill(getpid(), numbers[i]), 0);
        client_command(&c, MESSAGE ".\r\n", 250);
        client_close(&c);
    }
    host_wait_idle(&h);
    assert_int_equal(strayed, 0);
    assert_int_equal(h.n_messages, 50);
    host_close(&h);
    action.sa_handler = SIG_IGN;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(sigaction(numbers[i], &action, NULL), 0);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &blocked, NULL), 0);
}

static void settings_that_cannot_work_are_refused(void **state)
{
    static const struct receive_handler handler = {0};
    static const char *const bad_peer[] = {"nowhere"};
    const struct receive_options cases[] = {
        {.hostname = NULL},
        {.hostname = ""},
        {.hostname = "two words"},
        {.hostname = "line\r\nend"},
        {.hostname = "h", .peers = bad_peer, .n_peers = 1},
        {.hostname = "h", .message_max_bytes = 1000, .memory_max_bytes = 999},
        {.hostname = "h", .tls_certificate = "/nonexistent", .tls_key = "/nonexistent"},
        {.hostname = "h", .tls_certificate = "/nonexistent"},
    };
    struct receive_options good = {.hostname = "h"};
    unsigned before = open_descriptors();
    struct receive *r = NULL;
    int fds[2];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(receive_new(&cases[i], &handler, &r), ERR_CONFIG);
    assert_int_equal(receive_new(&good, &handler, &r), ERR_OK);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(receive_listen(r, fds[0], RECEIVE_SMTP), ERR_CONFIG);
    fd_close(&fds[1]);
    receive_free(r);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_over_tcp_arrives_byte_for_byte),
        cmocka_unit_test(writes_of_one_byte_change_nothing),
        cmocka_unit_test(lmtp_answers_each_recipient_on_tcp_and_unix_sockets),
        cmocka_unit_test(bytes_before_the_banner_are_refused),
        cmocka_unit_test(a_client_that_breaks_off_leaves_nothing_behind),
        cmocka_unit_test(a_body_written_behind_a_refused_data_is_never_run),
        cmocka_unit_test(a_message_over_tls_arrives_byte_for_byte),
        cmocka_unit_test(look_alike_ends_of_data_are_content_over_tls_too),
        cmocka_unit_test(old_tls_is_refused),
        cmocka_unit_test(commands_in_clear_behind_starttls_are_never_answered_inside_tls),
        cmocka_unit_test(starttls_forgets_the_transaction),
        cmocka_unit_test(a_stop_ends_idle_clients_and_lets_a_message_finish),
        cmocka_unit_test(a_stop_does_not_wait_for_a_message_that_stalls),
        cmocka_unit_test(signals_in_every_phase_do_no_harm),
        cmocka_unit_test(settings_that_cannot_work_are_refused),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
