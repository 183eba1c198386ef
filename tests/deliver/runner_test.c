/* SPDX-License-Identifier: GPL-3.0-or-later */
/* runner_test.c - lanes, sessions, waits; and what happens when a worker, the queue or the next hop
 * goes away in the middle. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/deliver/job.h"
#include "daemon/deliver/runner.h"
#include "tests/deliver/hop_fixture.h"
#include "tests/deliver/memory_queue.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SHORT_TIMEOUTS                                                                             \
    "transfer_timeout_s = 2\ncommand_timeout_s = 30\nfinal_timeout_s = 30\nconnect_timeout_s = "   \
    "1\n"
#define CONTENT "From: <a@b.example>\r\nSubject: x\r\n\r\ntext\r\n"

static char deliver_socket[256];

static void add(struct queue *q, const char *hop, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)memory_queue_add(q, hop, "b-x@relay.example", "user@user.example", bytes_of(CONTENT));
}

static size_t count(struct queue *q, const char *hop, enum queue_outcome outcome)
{
    size_t n = 0;

    for (size_t i = 0; i < memory_queue_count(q); i++) {
        struct memory_entry e = memory_queue_entry(q, i);

        n += e.recorded && e.outcome == outcome && strcmp(e.item.hop, hop) == 0;
    }
    return n;
}

static struct runner *start(struct queue *q, const struct hop *hops, size_t n,
                            const struct runner_options *more)
{
    struct runner_options options = *more;
    struct runner *r = NULL;

    if (!options.socket_path)
        options.socket_path = deliver_socket;
    options.hops = hops;
    options.n_hops = n;
    if (!options.session_deadline_s)
        options.session_deadline_s = 20;
    assert_int_equal(runner_start(&options, q, &r), ERR_OK);
    return r;
}

static void pause_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}

/* ---- lanes ---- */

static void a_next_hop_that_holds_all_its_sessions_delays_no_other(void **state)
{
    const struct runner_options options = {.messages_per_session = 1, .session_deadline_s = 4};
    struct hop_process silent, good;
    struct hop hops[2] = {{.domain = "silent.example", .host = "127.0.0.1", .sessions_max = 2},
                          {.domain = "", .host = "127.0.0.1", .sessions_max = 2}};
    struct queue *q = memory_queue_new(false);
    struct runner *r;
    int64_t begun;

    (void)state;
    hop_start("silent", NULL, NULL, &silent);
    hop_start("good", NULL, NULL, &good);
    hops[0].port = silent.port;
    hops[1].port = good.port;
    add(q, "silent.example", 6);
    add(q, "", 20);
    begun = clock_mono_ms();
    r = start(q, hops, 2, &options);
    while (count(q, "", OUTCOME_DONE) < 20 && clock_mono_ms() - begun < 3500)
        pause_ms(10);
    assert_int_equal(count(q, "", OUTCOME_DONE), 20);
    assert_int_equal(count(q, "silent.example", OUTCOME_RETRY), 0); /* still at it */
    assert_int_equal(report_count(&silent, "session"), 2);          /* and not with more */
    runner_stop(r);
    /* Two died at their deadline; the others were never begun. */
    assert_int_equal(count(q, "silent.example", OUTCOME_RETRY), 2);
    process_end(silent.pid);
    process_end(good.pid);
    memory_queue_free(q);
}

static void sessions_run_in_parallel_and_carry_many_messages(void **state)
{
    static const struct {
        const char *scenario;
        size_t messages;
        unsigned per_session, sessions;
        int64_t most_ms;
        size_t sessions_min, sessions_max;
    } table[] = {
        {"slow", 8, 2, 4, 2000, 4, 8}, /* 0.3 s each: 2.4 s one behind the other */
        {"good", 100, 50, 1, 15000, 2, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct runner_options options = {.messages_per_session = table[i].per_session};
        struct hop hop = {.domain = "", .host = "127.0.0.1", .sessions_max = table[i].sessions};
        struct queue *q = memory_queue_new(false);
        struct hop_process server;
        struct runner *r;
        int64_t begun;

        hop_start(table[i].scenario, NULL, NULL, &server);
        hop.port = server.port;
        add(q, "", table[i].messages);
        begun = clock_mono_ms();
        r = start(q, &hop, 1, &options);
        assert_true(memory_queue_wait(q, 20000));
        assert_in_range(clock_mono_ms() - begun, 0, table[i].most_ms);
        runner_stop(r);
        assert_int_equal(count(q, "", OUTCOME_DONE), table[i].messages);
        assert_in_range(report_count(&server, "session"), table[i].sessions_min,
                        table[i].sessions_max);
        process_end(server.pid);
        memory_queue_free(q);
    }
}

static void a_next_hop_that_fails_is_asked_less_and_less(void **state)
{
    const struct runner_options options = {.retry_first_s = 1, .retry_max_s = 3600};
    const struct hop hop = {.domain = "", .host = "127.0.0.1", .port = free_port()};
    struct queue *q = memory_queue_new(true);
    struct runner *r;

    (void)state;
    add(q, "", 1);
    r = start(q, &hop, 1, &options);
    pause_ms(6500); /* at about 0, 1, 3 and 7 s */
    runner_stop(r);
    assert_in_range(memory_queue_entry(q, 0).times_taken, 2, 4);
    memory_queue_free(q);
}

static void a_lane_that_waits_is_opened_by_a_flush(void **state)
{
    const struct runner_options options = {.retry_first_s = 600, .retry_max_s = 3600};
    const struct hop hop = {.domain = "", .host = "127.0.0.1", .port = free_port()};
    struct queue *q = memory_queue_new(true);
    struct runner *r;

    (void)state;
    add(q, "", 1);
    r = start(q, &hop, 1, &options);
    while (!memory_queue_entry(q, 0).recorded)
        pause_ms(10);
    pause_ms(300);
    add(q, "", 1);
    pause_ms(600);
    assert_int_equal(memory_queue_entry(q, 1).times_taken, 0);
    assert_true(runner_idle(r)); /* one waits, and nothing can be done about it now */
    runner_forget_backoff(r);
    pause_ms(600);
    assert_int_equal(memory_queue_entry(q, 1).times_taken, 1);
    runner_stop(r);
    memory_queue_free(q);
}

static void one_refused_message_closes_no_lane(void **state)
{
    const struct runner_options options = {.retry_first_s = 600, .retry_max_s = 3600};
    struct hop hop = {.domain = "", .host = "127.0.0.1", .sessions_max = 1};
    struct queue *q = memory_queue_new(false);
    struct hop_process server;
    struct runner *r;

    (void)state;
    hop_start("rcpt-mixed", NULL, NULL, &server);
    hop.port = server.port;
    add(q, "", 4);
    r = start(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 10000));
    add(q, "", 1);
    assert_true(memory_queue_wait(q, 3000));
    runner_stop(r);
    assert_int_equal(memory_queue_entry(q, 4).outcome, OUTCOME_DONE);
    assert_true(memory_queue_entry(q, 1).next_attempt_s > clock_now_s() + 300);
    process_end(server.pid);
    memory_queue_free(q);
}

static void keys_that_left_the_table_go_to_the_default(void **state)
{
    const struct runner_options options = {0};
    struct hop hop = {.domain = "", .host = "127.0.0.1"};
    struct queue *q = memory_queue_new(false);
    struct hop_process server;
    struct runner *r;

    (void)state;
    hop_start("good", NULL, NULL, &server);
    hop.port = server.port;
    assert_string_equal(hop_key(&hop, 1, "gone.example"), "");
    add(q, "gone.example", 3);
    r = start(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 10000));
    runner_stop(r);
    assert_int_equal(count(q, "gone.example", OUTCOME_DONE), 3);
    process_end(server.pid);
    memory_queue_free(q);
}

/* ---- deaths ---- */

static void a_worker_that_dies_leaves_its_messages_to_be_tried_again(void **state)
{
    static const struct {
        const char *fail_point;
        size_t done; /* of three: answered before the death */
    } table[] = {
        {"SEALRELAY_FAILPOINT=worker.connected=kill", 0},
        {"SEALRELAY_FAILPOINT=worker.body=kill", 0},
        {"SEALRELAY_FAILPOINT=worker.body=kill@2", 1},
        {"SEALRELAY_FAILPOINT=worker.dot=kill", 0},
        {"SEALRELAY_FAILPOINT=worker.dot=kill@3", 2},
        {"SEALRELAY_FAILPOINT=worker.body=error", 0},
    };
    const struct runner_options none = {0};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct runner_options options = none;
        struct hop hop = {.domain = "", .host = "127.0.0.1", .sessions_max = 1};
        struct queue *q = memory_queue_new(false);
        struct hop_process server;
        struct runner *r;
        char socket_path[256];
        pid_t deliver = deliver_start(SHORT_TIMEOUTS, table[i].fail_point, socket_path);

        hop_start("good", NULL, NULL, &server);
        hop.port = server.port;
        options.socket_path = socket_path;
        add(q, "", 3);
        r = start(q, &hop, 1, &options);
        assert_true(memory_queue_wait(q, 15000));
        runner_stop(r);
        assert_int_equal(count(q, "", OUTCOME_DONE), table[i].done);
        assert_int_equal(count(q, "", OUTCOME_RETRY), 3 - table[i].done);
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(memory_queue_entry(q, k).times_recorded, 1);
        process_end(server.pid);
        process_end(deliver);
        memory_queue_free(q);
    }
}

static void a_session_beyond_its_deadline_is_killed(void **state)
{
    const struct runner_options options = {.session_deadline_s = 2};
    struct hop hop = {.domain = "", .host = "127.0.0.1"};
    struct queue *q = memory_queue_new(false);
    struct hop_process server;
    struct runner *r;
    int64_t begun = clock_mono_ms();

    (void)state;
    hop_start("greeting-drip", NULL, NULL, &server);
    hop.port = server.port;
    add(q, "", 1);
    r = start(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 10000));
    assert_in_range(clock_mono_ms() - begun, 1500, 6000);
    runner_stop(r);
    assert_int_equal(memory_queue_entry(q, 0).outcome, OUTCOME_RETRY);
    process_end(server.pid);
    memory_queue_free(q);
}

static void a_connection_that_is_never_answered_ends_in_time(void **state)
{
    const struct runner_options options = {0};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct hop hop = {.domain = "", .host = "127.0.0.1"};
    struct queue *q = memory_queue_new(false);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof a;
    int fillers[8];
    struct runner *r;
    int64_t begun;

    (void)state;
    /* A full backlog: the kernel drops every further SYN. */
    assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    for (size_t i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (struct sockaddr *)&a, len);
    }
    hop.port = ntohs(a.sin_port);
    add(q, "", 1);
    begun = clock_mono_ms();
    r = start(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 10000));
    assert_in_range(clock_mono_ms() - begun, 700, 4000);
    runner_stop(r);
    assert_int_equal(memory_queue_entry(q, 0).outcome, OUTCOME_RETRY);
    assert_non_null(strstr(memory_queue_entry(q, 0).text, "connect"));
    for (size_t i = 0; i < 8; i++)
        fd_close(&fillers[i]);
    fd_close(&listener);
    memory_queue_free(q);
}

/* ---- a worker that speaks nonsense ---- */

struct impostor {
    int listener;
    const char *bytes;
    size_t len;
};

static void *impostor_main(void *arg)
{
    const struct impostor *im = arg;
    CLEANUP(fd_close) int fd = accept4(im->listener, NULL, NULL, SOCK_CLOEXEC);
    char sink[4096];

    /* Without a word: goes away at once. */
    if (fd < 0 || im->len == 0 || write(fd, im->bytes, im->len) < 0)
        return NULL;
    while (recv(fd, sink, sizeof sink, 0) > 0)
        ;
    return NULL;
}

#define READY "\x01\x01\x00\x00\x00\x00\x00\x01\x01"

static void nonsense_from_a_worker_is_unknown(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } table[] = {
        {"", 0},
        {"HTTP/1.1 200 OK\r\n\r\n", 19},
        {READY "\x08\x01\x00\x05\x00\x00\x00\x00", 17}, /* result of no message */
        {READY "\x08\x01\x00\x00\x00\x00\x00\x00", 17}, /* empty result */
        {READY "\x04\x01\xff\xff\x00\x00\x00\x00", 17}, /* wants no message */
        {READY "\x05\x01\x00\x00\x00\x00\x00\x00", 17}, /* a runner's frame */
        {READY "\x09\x01\x00\x00\x00\x00\x00\x00", 17}, /* empty summary */
        {READY "\x09\x01\x00\x00\xff\xff\xff\xff", 17}, /* too long */
    };
    const struct hop hop = {.domain = "", .host = "127.0.0.1", .port = 9, .sessions_max = 1};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct impostor im = {.bytes = table[i].bytes, .len = table[i].len};
        struct runner_options options = {.session_deadline_s = 1};
        struct queue *q = memory_queue_new(false);
        char path[256];
        pthread_t thread;
        struct runner *r;

        (void)snprintf(path, sizeof path, "%s", fixture_path("impostor"));
        assert_int_equal(unix_listen(path, SOCK_STREAM, 0600, &im.listener), ERR_OK);
        assert_int_equal(pthread_create(&thread, NULL, impostor_main, &im), 0);
        options.socket_path = path;
        add(q, "", 2);
        r = start(q, &hop, 1, &options);
        assert_true(memory_queue_wait(q, 10000));
        runner_stop(r);
        (void)shutdown(im.listener, SHUT_RDWR);
        (void)pthread_join(thread, NULL);
        fd_close(&im.listener);
        assert_int_equal(count(q, "", OUTCOME_RETRY), 2);
        memory_queue_free(q);
    }
}

static void without_the_service_everything_waits(void **state)
{
    struct runner_options options = {.retry_first_s = 1, .socket_path = "/nonexistent/socket"};
    const struct hop hop = {.domain = "", .host = "127.0.0.1", .port = 9};
    struct queue *q = memory_queue_new(false);
    struct runner *r;

    (void)state;
    add(q, "", 3);
    r = start(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 10000));
    runner_stop(r);
    assert_int_equal(count(q, "", OUTCOME_RETRY), 3);
    memory_queue_free(q);
}

/* ---- contents that cannot be had ---- */

static void what_cannot_be_read_is_not_sent_and_holds_up_nothing(void **state)
{
    static const struct {
        enum err open, read;
        size_t bad;  /* index of three */
        size_t done; /* sooner or later */
    } table[] = {
        {ERR_TAMPERED, ERR_OK, 0, 2},
        {ERR_TAMPERED, ERR_OK, 1, 2},
        {ERR_OK, ERR_TAMPERED, 1, 2},
        {ERR_OK, ERR_HSM_AWAY, 2, 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct runner_options options = {.retry_first_s = 1};
        struct hop hop = {.domain = "", .host = "127.0.0.1", .sessions_max = 1};
        CLEANUP(buf_clear) struct buf big = {0};
        struct queue *q = memory_queue_new(true);
        struct hop_process server;
        struct runner *r;
        int64_t begun = clock_mono_ms();

        buf_append_str(&big, CONTENT);
        while (big.len < 60000)
            buf_append_str(&big, "a line of text\r\n");
        for (size_t k = 0; k < 3; k++)
            (void)memory_queue_add(q, "", "b@relay.example",
                                   k == table[i].bad ? "bad@x.example" : "u@x.example",
                                   buf_bytes(&big));
        memory_queue_break(q, table[i].bad, table[i].open, table[i].read);
        hop_start("good", NULL, NULL, &server);
        hop.port = server.port;
        r = start(q, &hop, 1, &options);
        while (count(q, "", OUTCOME_DONE) < table[i].done && clock_mono_ms() - begun < 10000)
            pause_ms(20);
        runner_stop(r);
        assert_int_equal(count(q, "", OUTCOME_DONE), table[i].done);
        assert_int_equal(report_count(&server, "accepted bad"), 0);
        process_end(server.pid);
        memory_queue_free(q);
    }
}

static void with_the_token_away_no_next_hop_is_asked(void **state)
{
    const struct runner_options options = {.retry_first_s = 1};
    struct hop hop = {.domain = "", .host = "127.0.0.1", .sessions_max = 1};
    struct queue *q = memory_queue_new(false);
    struct hop_process server;
    struct runner *r;

    (void)state;
    hop_start("good", NULL, NULL, &server);
    hop.port = server.port;
    add(q, "", 3);
    for (size_t i = 0; i < 3; i++)
        memory_queue_break(q, i, ERR_HSM_AWAY, ERR_OK);
    r = start(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 10000));
    runner_stop(r);
    assert_int_equal(count(q, "", OUTCOME_RETRY), 3);
    assert_int_equal(report_count(&server, "session"), 0);
    process_end(server.pid);
    memory_queue_free(q);
}

/* ---- TLS again and again ---- */

static void twenty_tls_sessions_and_none_hangs(void **state)
{
    const struct runner_options options = {.messages_per_session = 1};
    char ca[256];
    struct hop hop = {.domain = "",
                      .host = "localhost",
                      .tls = HOP_TLS_REQUIRED,
                      .ca_file = ca,
                      .sessions_max = 4};
    struct queue *q = memory_queue_new(false);
    struct hop_process server;
    struct runner *r;
    int64_t begun;

    (void)state;
    (void)snprintf(ca, sizeof ca, "%s", fixture_path("ca.pem"));
    hop_start("starttls", fixture_path("good.pem"), fixture_path("good.key"), &server);
    hop.port = server.port;
    add(q, "", 20);
    begun = clock_mono_ms();
    r = start(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 20000));
    assert_in_range(clock_mono_ms() - begun, 0, 15000);
    runner_stop(r);
    assert_int_equal(count(q, "", OUTCOME_DONE), 20);
    assert_int_equal(report_count(&server, "session"), 20);
    process_end(server.pid);
    memory_queue_free(q);
}

static void a_table_that_cannot_work_is_refused(void **state)
{
    static const struct hop bad[] = {
        {.domain = "", .host = "", .port = 25},
        {.domain = "", .host = "h", .port = 0},
        {.domain = "", .host = "a b", .port = 25},
        {.domain = "x y", .host = "h", .port = 25},
        {.domain = "", .host = "h", .port = 25, .ca_file = "relative.pem"},
        {.domain = "", .host = "h", .port = 25, .sessions_max = 1000},
    };
    struct queue *q = memory_queue_new(false);

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct runner_options options = {.socket_path = "/x", .hops = &bad[i], .n_hops = 1};
        struct runner *r = NULL;

        assert_int_equal(runner_start(&options, q, &r), ERR_CONFIG);
    }
    memory_queue_free(q);
}

static pid_t deliver_pid;

static int group_start(void **state)
{
    (void)state;
    certificates_make();
    deliver_pid = deliver_start(SHORT_TIMEOUTS, NULL, deliver_socket);
    return deliver_pid <= 0;
}

static int group_end(void **state)
{
    (void)state;
    process_end(deliver_pid);
    fixture_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_next_hop_that_holds_all_its_sessions_delays_no_other),
        cmocka_unit_test(sessions_run_in_parallel_and_carry_many_messages),
        cmocka_unit_test(a_next_hop_that_fails_is_asked_less_and_less),
        cmocka_unit_test(a_lane_that_waits_is_opened_by_a_flush),
        cmocka_unit_test(one_refused_message_closes_no_lane),
        cmocka_unit_test(keys_that_left_the_table_go_to_the_default),
        cmocka_unit_test(a_worker_that_dies_leaves_its_messages_to_be_tried_again),
        cmocka_unit_test(a_session_beyond_its_deadline_is_killed),
        cmocka_unit_test(a_connection_that_is_never_answered_ends_in_time),
        cmocka_unit_test(nonsense_from_a_worker_is_unknown),
        cmocka_unit_test(without_the_service_everything_waits),
        cmocka_unit_test(what_cannot_be_read_is_not_sent_and_holds_up_nothing),
        cmocka_unit_test(with_the_token_away_no_next_hop_is_asked),
        cmocka_unit_test(twenty_tls_sessions_and_none_hangs),
        cmocka_unit_test(a_table_that_cannot_work_is_refused),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, group_start, group_end);
}
