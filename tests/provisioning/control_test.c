/* SPDX-License-Identifier: GPL-3.0-or-later */
/* control_test.c - the operator's socket of the relay, over real connections with verbs of its
 * own: answers, errors, pages' limits, and clients that misbehave. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/control/control.h"

#include <cjson/cJSON.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TIMEOUT_MS 5000

static enum err echo(void *ctx, const cJSON *request, cJSON *answer)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, "text"));

    (*(int *)ctx)++;
    (void)cJSON_AddStringToObject(answer, "text", text ? text : "");
    return ERR_OK;
}

static enum err refuse(void *ctx, const cJSON *request, cJSON *answer)
{
    (void)ctx;
    (void)request;
    (void)cJSON_AddStringToObject(answer, "half", "done");
    return err_note(ERR_EXISTS, "alias", "is there already");
}

static enum err flood(void *ctx, const cJSON *request, cJSON *answer)
{
    char *text = malloc(CONTROL_PACKET_MAX_BYTES + 2);

    (void)ctx;
    (void)request;
    memset(text, 'x', CONTROL_PACKET_MAX_BYTES + 1);
    text[CONTROL_PACKET_MAX_BYTES + 1] = '\0';
    (void)cJSON_AddStringToObject(answer, "text", text);
    free(text);
    return ERR_OK;
}

/* An answer of nearly a whole packet. */
static enum err fill(void *ctx, const cJSON *request, cJSON *answer)
{
    char text[CONTROL_PACKET_MAX_BYTES - 100];

    (void)ctx;
    (void)request;
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)cJSON_AddStringToObject(answer, "text", text);
    return ERR_OK;
}

static const struct control_verb verbs[] = {
    {"echo", echo}, {"refuse", refuse}, {"flood", flood}, {"fill", fill}};

struct server {
    char path[64];
    char dir[32];
    int calls;
    struct control *control;
};

static int start(void **state)
{
    struct server *s = calloc(1, sizeof *s);

    memcpy(s->dir, "/tmp/control-XXXXXX", 20);
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof s->path, "%s/sock", s->dir);
    assert_int_equal(control_start(s->path, (uid_t)-1, verbs, 4, &s->calls, &s->control), ERR_OK);
    *state = s;
    return 0;
}

static int stop(void **state)
{
    struct server *s = *state;

    control_stop(s->control);
    assert_int_equal(access(s->path, F_OK), -1);
    (void)rmdir(s->dir);
    free(s);
    return 0;
}

static enum err call(const struct server *s, const char *json, cJSON **answer)
{
    cJSON *request = cJSON_Parse(json);
    enum err e;

    err_note_clear();
    e = control_call(s->path, request, TIMEOUT_MS, answer);
    cJSON_Delete(request);
    return e;
}

static void answers_what_the_verb_filled_in(void **state)
{
    cJSON *answer = NULL;

    assert_int_equal(
        call(*state, "{\"verb\":\"echo\",\"text\":\"gr\xc3\xbc\xc3\x9f \\\"e\"}", &answer), ERR_OK);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(answer, "text")),
                        "gr\xc3\xbc\xc3\x9f \"e");
    cJSON_Delete(answer);
}

static void hands_errors_with_their_notes_through(void **state)
{
    cJSON *answer = NULL;

    assert_int_equal(call(*state, "{\"verb\":\"refuse\"}", &answer), ERR_EXISTS);
    assert_null(answer);
    assert_string_equal(err_note_get()->detail, "alias: is there already");
}

static void refuses_what_is_no_request(void **state)
{
    static const struct {
        const char *json;
        enum err wanted;
    } cases[] = {{"{\"verb\":\"nonsense\"}", ERR_USAGE},
                 {"{\"verb\":7}", ERR_FORMAT},
                 {"{}", ERR_FORMAT},
                 {"[]", ERR_FORMAT},
                 {"\"echo\"", ERR_FORMAT}};
    cJSON *answer = NULL;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(call(*state, cases[i].json, &answer), cases[i].wanted);
}

static void answer_that_fits_no_packet_is_an_error_not_silence(void **state)
{
    cJSON *answer = NULL;

    assert_int_equal(call(*state, "{\"verb\":\"flood\"}", &answer), ERR_TOO_BIG);
    assert_int_equal(call(*state, "{\"verb\":\"fill\"}", &answer), ERR_OK);
    cJSON_Delete(answer);
}

static int connect_to(const struct server *s)
{
    int fd = -1;

    assert_int_equal(unix_connect(s->path, SOCK_SEQPACKET, &fd), ERR_OK);
    return fd;
}

static bool is_dropped(int fd, int64_t within_ms)
{
    char byte;

    return fd_wait(fd, POLLIN, within_ms) == ERR_OK && recv(fd, &byte, 1, 0) <= 0;
}

static void garbage_is_answered_and_the_next_request_served(void **state)
{
    static const char garbage[] = "{\"verb\":\"echo\"";
    static const char good[] = "{\"verb\":\"echo\",\"text\":\"a\"}";
    int fd = connect_to(*state);
    char got[512] = "";

    assert_true(send(fd, garbage, sizeof garbage - 1, 0) > 0);
    assert_true(recv(fd, got, sizeof got - 1, 0) > 0);
    assert_non_null(strstr(got, "ERR_FORMAT"));
    assert_true(send(fd, good, sizeof good - 1, 0) > 0);
    memset(got, 0, sizeof got);
    assert_true(recv(fd, got, sizeof got - 1, 0) > 0);
    assert_non_null(strstr(got, "\"ok\":true"));
    (void)close(fd);
}

static void packet_over_the_limit_drops_the_client(void **state)
{
    size_t len = CONTROL_PACKET_MAX_BYTES + 1;
    char *big = malloc(len);
    int fd = connect_to(*state);

    memset(big, ' ', len);
    assert_int_equal(send(fd, big, len, 0), (ssize_t)len);
    assert_true(is_dropped(fd, TIMEOUT_MS));
    free(big);
    (void)close(fd);
}

/* The reader never reads: its answers fill the socket; others are served meanwhile. */
static void client_that_takes_no_answers_is_dropped_and_others_are_served(void **state)
{
    static const char request[] = "{\"verb\":\"fill\"}";
    int fd = connect_to(*state);
    cJSON *answer = NULL;
    int sent = 0;
    int64_t began_ms = clock_mono_ms();

    while (sent < 64 && send(fd, request, sizeof request - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        sent++;
    assert_int_equal(call(*state, "{\"verb\":\"echo\"}", &answer), ERR_OK);
    assert_true(clock_mono_ms() - began_ms < TIMEOUT_MS);
    cJSON_Delete(answer);
    while (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0)
        assert_true(clock_mono_ms() - began_ms < 2L * TIMEOUT_MS);
    (void)close(fd);
}

static void more_clients_than_it_serves_are_turned_away(void **state)
{
    int fds[40];
    cJSON *answer = NULL;
    int dropped = 0;

    for (int i = 0; i < 40; i++)
        fds[i] = connect_to(*state);
    for (int i = 0; i < 40; i++)
        dropped += is_dropped(fds[i], i ? 0 : 300);
    assert_true(dropped > 0 && dropped < 40);
    for (int i = 0; i < 40; i++)
        (void)close(fds[i]);
    /* Room again as soon as they are gone. */
    for (int i = 0; i < 20 && call(*state, "{\"verb\":\"echo\"}", &answer) != ERR_OK; i++)
        (void)usleep(50000);
    assert_non_null(answer);
    cJSON_Delete(answer);
}

static void socket_is_for_owner_and_group(void **state)
{
    const struct server *s = *state;
    struct stat st;

    assert_int_equal(stat(s->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
}

static void another_uid_is_turned_away(void **state)
{
    const struct server *s = *state;
    pid_t child;
    int status = 0;

    if (geteuid() != 0) {
        skip();
        return;
    }
    assert_int_equal(chmod(s->dir, 0755), 0);
    assert_int_equal(chmod(s->path, 0666), 0);
    child = fork();
    if (child == 0) {
        int fd = -1;

        if (setuid(65534) != 0 || unix_connect(s->path, SOCK_SEQPACKET, &fd) != ERR_OK)
            _exit(3);
        _exit(is_dropped(fd, TIMEOUT_MS) ? 0 : 4);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(s->calls, 0);
}

static void away_is_told_from_refused(void **state)
{
    cJSON *request = cJSON_CreateObject();
    cJSON *answer = NULL;

    (void)state;
    assert_int_equal(control_call("/tmp/no-such-socket", request, 100, &answer), ERR_NET);
    cJSON_Delete(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_what_the_verb_filled_in, start, stop),
        cmocka_unit_test_setup_teardown(hands_errors_with_their_notes_through, start, stop),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_request, start, stop),
        cmocka_unit_test_setup_teardown(answer_that_fits_no_packet_is_an_error_not_silence, start,
                                        stop),
        cmocka_unit_test_setup_teardown(garbage_is_answered_and_the_next_request_served, start,
                                        stop),
        cmocka_unit_test_setup_teardown(packet_over_the_limit_drops_the_client, start, stop),
        cmocka_unit_test_setup_teardown(
            client_that_takes_no_answers_is_dropped_and_others_are_served, start, stop),
        cmocka_unit_test_setup_teardown(more_clients_than_it_serves_are_turned_away, start, stop),
        cmocka_unit_test_setup_teardown(socket_is_for_owner_and_group, start, stop),
        cmocka_unit_test_setup_teardown(another_uid_is_turned_away, start, stop),
        cmocka_unit_test(away_is_told_from_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
