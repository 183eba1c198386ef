/* SPDX-License-Identifier: GPL-3.0-or-later */
/* loss_test.c - what happens when a worker, the queue, the token or the next hop goes away in the
 * middle, or a worker speaks nonsense. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "tests/deliver/lanes.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

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
        pid_t deliver = deliver_start(LANES_TIMEOUTS, table[i].fail_point, socket_path);

        hop_start("good", NULL, NULL, &server);
        hop.port = server.port;
        options.socket_path = socket_path;
        lanes_add(q, "", 3);
        r = lanes_runner(q, &hop, 1, &options);
        assert_true(memory_queue_wait(q, 15000));
        runner_stop(r);
        assert_int_equal(lanes_count(q, "", OUTCOME_DONE), table[i].done);
        assert_int_equal(lanes_count(q, "", OUTCOME_RETRY), 3 - table[i].done);
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
    lanes_add(q, "", 1);
    r = lanes_runner(q, &hop, 1, &options);
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
    lanes_add(q, "", 1);
    begun = clock_mono_ms();
    r = lanes_runner(q, &hop, 1, &options);
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
        lanes_add(q, "", 2);
        r = lanes_runner(q, &hop, 1, &options);
        assert_true(memory_queue_wait(q, 10000));
        runner_stop(r);
        (void)shutdown(im.listener, SHUT_RDWR);
        (void)pthread_join(thread, NULL);
        fd_close(&im.listener);
        assert_int_equal(lanes_count(q, "", OUTCOME_RETRY), 2);
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
    lanes_add(q, "", 3);
    r = lanes_runner(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 10000));
    runner_stop(r);
    assert_int_equal(lanes_count(q, "", OUTCOME_RETRY), 3);
    memory_queue_free(q);
}

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

        buf_append_str(&big, LANES_CONTENT);
        while (big.len < 60000)
            buf_append_str(&big, "a line of text\r\n");
        for (size_t k = 0; k < 3; k++)
            (void)memory_queue_add(q, "", "b@relay.example",
                                   k == table[i].bad ? "bad@x.example" : "u@x.example",
                                   buf_bytes(&big));
        memory_queue_break(q, table[i].bad, table[i].open, table[i].read);
        hop_start("good", NULL, NULL, &server);
        hop.port = server.port;
        r = lanes_runner(q, &hop, 1, &options);
        while (lanes_count(q, "", OUTCOME_DONE) < table[i].done && clock_mono_ms() - begun < 10000)
            lanes_pause_ms(20);
        runner_stop(r);
        assert_int_equal(lanes_count(q, "", OUTCOME_DONE), table[i].done);
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
    lanes_add(q, "", 3);
    for (size_t i = 0; i < 3; i++)
        memory_queue_break(q, i, ERR_HSM_AWAY, ERR_OK);
    r = lanes_runner(q, &hop, 1, &options);
    assert_true(memory_queue_wait(q, 10000));
    runner_stop(r);
    assert_int_equal(lanes_count(q, "", OUTCOME_RETRY), 3);
    assert_int_equal(report_count(&server, "session"), 0);
    process_end(server.pid);
    memory_queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_that_dies_leaves_its_messages_to_be_tried_again),
        cmocka_unit_test(a_session_beyond_its_deadline_is_killed),
        cmocka_unit_test(a_connection_that_is_never_answered_ends_in_time),
        cmocka_unit_test(nonsense_from_a_worker_is_unknown),
        cmocka_unit_test(without_the_service_everything_waits),
        cmocka_unit_test(what_cannot_be_read_is_not_sent_and_holds_up_nothing),
        cmocka_unit_test(with_the_token_away_no_next_hop_is_asked),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, lanes_start, lanes_end);
}
