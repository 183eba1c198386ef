/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sealhsmd_test.c - the program: configuration, its one instance, its sockets, its peers, a refused
 * PIN, and what it tells a service manager. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "tests/hsm/service_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CALL_MS     20000
#define EXIT_CONFIG 78

static struct service_fixture service;

static int service_make(void **state)
{
    enum err e = service_fixture_new(&service, "");

    (void)state;
    if (e)
        print_error("%s: %s: %s\n", err_name(e), err_note_get()->action, err_note_get()->detail);
    return e != ERR_OK;
}

static int service_end(void **state)
{
    (void)state;
    return !service_fixture_free(&service);
}

static int run_to_end(const char *const *arguments, const char *output)
{
    int status = -1;
    pid_t pid = 0;

    assert_int_equal(service_fixture_spawn(arguments, output, &pid), ERR_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_second_instance_is_refused(void **state)
{
    const char *const arguments[] = {"--config", service.conf, NULL};
    CLEANUP(buf_clear) struct buf said = {0};
    struct hsm *admin = service_fixture_open(service.admin_socket, CALL_MS);
    char output[128];

    (void)state;
    (void)snprintf(output, sizeof output, "%s/output", service.softhsm.dir);
    assert_int_equal(run_to_end(arguments, output), EXIT_FAILURE);
    assert_int_equal(file_read(output, 65536, &said), ERR_OK);
    assert_non_null(strstr(buf_str(&said), "another sealhsmd"));
    assert_int_equal(hsm_ping(admin), ERR_OK);
    hsm_free(admin);
}

struct config_case {
    const char *token;     /* lines of [token], "%s" is the module */
    const char *more;      /* other sections */
    const char *complaint; /* a word in the message */
};

static void a_wrong_configuration_ends_the_program_with_a_reason(void **state)
{
    static const struct config_case cases[] = {
        {"module = /nonexistent.so\nca_uri = pkcs11:token=x\n", "", "/nonexistent.so"},
        {"module = %s\nca_uri = nonsense\n", "", "nonsense"},
        {"module = %s\n", "", "ca_uri"},
        {"module = %s\nca_uri = pkcs11:token=x\nspeed = 11\n", "", "speed"},
        {"module = %s\nca_uri = pkcs11:token=x\n", "[service]\nrelay_user = no-such-user\n",
         "no-such-user"},
        {"module = %s\nca_uri = pkcs11:token=x\n", "[certificates]\npolicy_oid = 1.x\n",
         "policy_oid"},
        {"module = %s\nca_uri = pkcs11:token=x\n", "[certificates]\ncountry = Germany\n",
         "country"},
        {"module = %s\nca_uri = pkcs11:token=x\n", "[certificates]\ncrl_url = ftp://x/\n",
         "crl_url"},
        {"module = %s\nca_uri = pkcs11:token=x\n", "[limits]\nsender_keys_per_hour = many\n",
         "sender_keys_per_hour"},
    };
    char conf[128], output[128], state_dir[128];

    (void)state;
    (void)snprintf(conf, sizeof conf, "%s/wrong.conf", service.softhsm.dir);
    (void)snprintf(output, sizeof output, "%s/output", service.softhsm.dir);
    (void)snprintf(state_dir, sizeof state_dir, "%s/other-state", service.softhsm.dir);
    assert_int_equal(mkdir(state_dir, 0700), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const arguments[] = {"--config", conf, NULL};
        CLEANUP(buf_clear) struct buf text = {0};
        CLEANUP(buf_clear) struct buf said = {0};
        const char *mark = strstr(cases[i].token, "%s");

        buf_printf(&text, "[token]\npin_file = %s\n", service.softhsm.pin_file);
        buf_append(&text, cases[i].token, mark ? (size_t)(mark - cases[i].token) : 0);
        buf_printf(&text, "%s%s\n[service]\nstate_dir = %s\nrelay_socket = %s/r\n",
                   mark ? service.softhsm.module : "", mark ? mark + 2 : cases[i].token, state_dir,
                   state_dir);
        buf_printf(&text, "admin_socket = %s/a\n%s", state_dir, cases[i].more);
        assert_int_equal(file_write_durable(conf, buf_bytes(&text), 0600), ERR_OK);
        if (run_to_end(arguments, output) != EXIT_CONFIG)
            fail_msg("%s: not refused", cases[i].complaint);
        assert_int_equal(file_read(output, 65536, &said), ERR_OK);
        if (!strstr(buf_str(&said), cases[i].complaint))
            fail_msg("%s: not named in: %s", cases[i].complaint, buf_str(&said));
    }
}

static void a_good_configuration_passes_its_check(void **state)
{
    const char *const arguments[] = {"--config", service.conf, "--check-config", NULL};

    (void)state;
    assert_int_equal(run_to_end(arguments, NULL), EXIT_SUCCESS);
}

static void the_documented_example_is_read_to_its_end(void **state)
{
    const char *const arguments[] = {"--config", SEALHSMD_EXAMPLE, "--check-config", NULL};
    CLEANUP(buf_clear) struct buf said = {0};
    char output[128];

    (void)state;
    (void)snprintf(output, sizeof output, "%s/output", service.softhsm.dir);
    (void)run_to_end(arguments, output);
    assert_int_equal(file_read(output, 65536, &said), ERR_OK);
    /* Its files are not on this machine; every key must be known. */
    assert_null(strstr(buf_str(&said), "unknown"));
    assert_null(strstr(buf_str(&said), SEALHSMD_EXAMPLE));
}

static void only_the_configured_uid_may_connect(void **state)
{
    static const char more[] = "[service]\nrelay_user = 4242421\n";
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf plain = {0};
    CLEANUP(buf_clear) struct buf status = {0};
    struct hsm *relay = service_fixture_open(service.relay_socket, 2000);
    struct hsm *admin = service_fixture_open(service.admin_socket, CALL_MS);

    (void)state;
    assert_int_equal(service_fixture_end(&service, SIGTERM), 0);
    assert_int_equal(file_read(service.conf, 65536, &plain), ERR_OK);
    buf_append_bytes(&text, buf_bytes(&plain));
    buf_append_str(&text, more);
    assert_int_equal(file_write_durable(service.conf, buf_bytes(&text), 0600), ERR_OK);
    assert_int_equal(service_fixture_start(&service), ERR_OK);
    assert_int_equal(hsm_ping(relay), ERR_HSM_AWAY);
    assert_int_equal(hsm_ping(admin), ERR_OK);
    assert_int_equal(hsm_status(admin, &status), ERR_OK);
    assert_non_null(strstr(buf_str(&status), "\"peers_refused\":1"));
    assert_int_equal(service_fixture_end(&service, SIGTERM), 0);
    assert_int_equal(file_write_durable(service.conf, buf_bytes(&plain), 0600), ERR_OK);
    assert_int_equal(service_fixture_start(&service), ERR_OK);
    assert_int_equal(hsm_ping(relay), ERR_OK);
    hsm_free(relay);
    hsm_free(admin);
}

/* As after a boot: the reader is slower than we are. */
static void a_token_that_is_not_there_yet_is_waited_for(void **state)
{
    struct hsm *relay = service_fixture_open(service.relay_socket, CALL_MS);
    struct hsm *admin = service_fixture_open(service.admin_socket, CALL_MS);
    CLEANUP(buf_clear) struct buf status = {0};
    char tokens[128], away[128];
    int64_t until_ms;

    (void)state;
    (void)snprintf(tokens, sizeof tokens, "%s/tokens", service.softhsm.dir);
    (void)snprintf(away, sizeof away, "%s/away", service.softhsm.dir);
    assert_int_equal(service_fixture_end(&service, SIGTERM), 0);
    assert_int_equal(rename(tokens, away), 0);
    assert_int_equal(mkdir(tokens, 0700), 0);
    assert_int_equal(service_fixture_start(&service), ERR_OK);
    assert_int_equal(hsm_ping(relay), ERR_HSM_AWAY);
    assert_int_equal(hsm_status(admin, &status), ERR_OK);
    assert_non_null(strstr(buf_str(&status), "no token is"));
    assert_int_equal(rmdir(tokens), 0);
    assert_int_equal(rename(away, tokens), 0);
    until_ms = clock_mono_ms() + 15000;
    while (hsm_ping(relay) != ERR_OK)
        assert_in_range(clock_mono_ms(), 0, until_ms);
    hsm_free(relay);
    hsm_free(admin);
}

static void a_refused_pin_leaves_the_service_up_until_it_is_unlocked(void **state)
{
    struct hsm *relay = service_fixture_open(service.relay_socket, CALL_MS);
    struct hsm *admin = service_fixture_open(service.admin_socket, CALL_MS);
    CLEANUP(buf_clear) struct buf status = {0};

    (void)state;
    assert_int_equal(service_fixture_end(&service, SIGTERM), 0);
    assert_int_equal(file_write_durable(service.softhsm.pin_file, bytes_of("00000000\n"), 0600),
                     ERR_OK);
    assert_int_equal(service_fixture_start(&service), ERR_OK);
    assert_int_equal(hsm_ping(relay), ERR_PIN);
    assert_int_equal(hsm_status(admin, &status), ERR_OK);
    assert_non_null(strstr(buf_str(&status), "ERR_PIN"));
    assert_int_equal(
        file_write_durable(service.softhsm.pin_file, bytes_of(SOFTHSM_FIXTURE_PIN "\n"), 0600),
        ERR_OK);
    assert_int_equal(hsm_ping(relay), ERR_PIN);
    assert_int_equal(hsm_token_unlock(admin), ERR_OK);
    assert_int_equal(hsm_ping(relay), ERR_OK);
    hsm_free(relay);
    hsm_free(admin);
}

/* ---- under a service manager ---- */

/* Wait for a datagram of the service that holds a word. */
static bool notified(int fd, const char *word)
{
    int64_t until_ms = clock_mono_ms() + CALL_MS;

    while (clock_mono_ms() < until_ms) {
        char text[512];
        ssize_t len;

        if (fd_wait(fd, POLLIN, until_ms - clock_mono_ms()))
            return false;
        len = recv(fd, text, sizeof text - 1, 0);
        text[len > 0 ? len : 0] = '\0';
        if (strstr(text, word))
            return true;
    }
    return false;
}

/* In the child: become the service with two sockets, as the manager hands them over. */
static void exec_with_sockets(int relay, int admin)
{
    char pid[16];

    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (dup2(relay, 100) != 100 || dup2(admin, 101) != 101 || dup2(100, 3) != 3 ||
        dup2(101, 4) != 4 || setenv("LISTEN_PID", pid, 1) || setenv("LISTEN_FDS", "2", 1) ||
        setenv("LISTEN_FDNAMES", "hsm-relay:hsm-admin", 1))
        _exit(99);
    (void)execl(SEALHSMD_PATH, SEALHSMD_PATH, "--config", service.conf, "--listen-fds", NULL);
    _exit(99);
}

static void sockets_of_the_service_manager_are_served_and_it_is_told(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct hsm *admin, *relay;
    int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int listeners[2];

    (void)state;
    assert_int_equal(service_fixture_end(&service, SIGTERM), 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", service.softhsm.dir);
    assert_int_equal(bind(notify, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(unix_listen(service.relay_socket, SOCK_SEQPACKET, 0600, &listeners[0]),
                     ERR_OK);
    assert_int_equal(unix_listen(service.admin_socket, SOCK_SEQPACKET, 0600, &listeners[1]),
                     ERR_OK);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    service.pid = fork();
    if (service.pid == 0)
        exec_with_sockets(listeners[0], listeners[1]);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_true(service.pid > 0);
    fd_close(&listeners[0]);
    fd_close(&listeners[1]);
    assert_true(notified(notify, "READY=1"));
    admin = service_fixture_open(service.admin_socket, CALL_MS);
    relay = service_fixture_open(service.relay_socket, CALL_MS);
    assert_int_equal(hsm_ping(admin), ERR_OK);
    assert_int_equal(hsm_ping(relay), ERR_OK);
    assert_true(notified(notify, "WATCHDOG=1"));
    assert_int_equal(service_fixture_end(&service, SIGTERM), 0);
    assert_true(notified(notify, "STOPPING=1"));
    assert_int_equal(service_fixture_start(&service), ERR_OK);
    fd_close(&notify);
    hsm_free(admin);
    hsm_free(relay);
}

/* Start the service anew with other text in its configuration, told to notify. */
static void restart_with(const char *from, const char *to, const char *more)
{
    CLEANUP(buf_clear) struct buf plain = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    const char *at;

    assert_int_equal(service_fixture_end(&service, SIGTERM), 0);
    assert_int_equal(file_read(service.conf, 65536, &plain), ERR_OK);
    at = strstr(buf_str(&plain), from);
    assert_non_null(at);
    buf_append(&text, plain.data, (size_t)(at - buf_str(&plain)));
    buf_printf(&text, "%s%s%s", to, at + strlen(from), more);
    assert_int_equal(file_write_durable(service.conf, buf_bytes(&text), 0600), ERR_OK);
    assert_int_equal(service_fixture_start(&service), ERR_OK);
}

/* Datagrams already sent are of the past. */
static void notices_drain(int fd)
{
    char text[512];

    while (recv(fd, text, sizeof text, MSG_DONTWAIT) > 0)
        continue;
}

static bool service_pings_within(int fd, int64_t ms)
{
    char text[512] = "";

    return fd_wait(fd, POLLIN, ms) == ERR_OK && recv(fd, text, sizeof text - 1, 0) > 0 &&
           strstr(text, "WATCHDOG=1");
}

static void a_module_that_hangs_costs_the_pings_but_not_the_service(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct hsm *relay = service_fixture_open(service.relay_socket, 500);
    struct hsm *admin = service_fixture_open(service.admin_socket, CALL_MS);
    CLEANUP(buf_clear) struct buf status = {0};
    int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char hang[128];
    int code;

    (void)state;
    (void)snprintf(hang, sizeof hang, "%s/hang", service.softhsm.dir);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/pings", service.softhsm.dir);
    assert_int_equal(bind(notify, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    assert_int_equal(setenv("SEALRELAY_TEST_HANG", hang, 1), 0);
    assert_int_equal(setenv("SEALRELAY_TEST_MODULE", service.softhsm.module, 1), 0);
    restart_with(service.softhsm.module, HANGING_MODULE_PATH, "[token]\nanswer_within = 2s\n");
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(hsm_ping(relay), ERR_OK);
    assert_true(notified(notify, "WATCHDOG=1"));
    assert_int_equal(file_write_durable(hang, bytes_of("hang\n"), 0600), ERR_OK);
    assert_int_equal(hsm_ping(relay), ERR_HSM_AWAY);
    assert_int_equal(hsm_status(admin, &status), ERR_OK);
    (void)poll(NULL, 0, 8500); /* the next look at the token, and its deadline */
    notices_drain(notify);
    assert_false(service_pings_within(notify, 2500));
    assert_int_equal(unlink(hang), 0);
    assert_true(service_pings_within(notify, 5000));
    assert_int_equal(hsm_ping(relay), ERR_OK);
    /* SIGTERM ends it even while it hangs. */
    assert_int_equal(file_write_durable(hang, bytes_of("hang\n"), 0600), ERR_OK);
    assert_int_equal(hsm_ping(relay), ERR_HSM_AWAY);
    code = service_fixture_end(&service, SIGTERM);
    assert_true(WIFEXITED(code) && WEXITSTATUS(code) == EXIT_FAILURE);
    assert_int_equal(unlink(hang), 0);
    assert_int_equal(service_fixture_start(&service), ERR_OK);
    restart_with(HANGING_MODULE_PATH, service.softhsm.module, "");
    assert_int_equal(hsm_ping(relay), ERR_OK);
    fd_close(&notify);
    hsm_free(relay);
    hsm_free(admin);
}

static void demanded_sockets_that_are_missing_are_an_error(void **state)
{
    const char *const arguments[] = {"--config", service.conf, "--listen-fds", NULL};
    CLEANUP(buf_clear) struct buf said = {0};
    char output[128];

    (void)state;
    assert_int_equal(service_fixture_end(&service, SIGTERM), 0);
    (void)snprintf(output, sizeof output, "%s/output", service.softhsm.dir);
    assert_int_equal(run_to_end(arguments, output), EXIT_CONFIG);
    assert_int_equal(file_read(output, 65536, &said), ERR_OK);
    assert_non_null(strstr(buf_str(&said), "--listen-fds"));
    assert_int_equal(service_fixture_start(&service), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_instance_is_refused),
        cmocka_unit_test(a_wrong_configuration_ends_the_program_with_a_reason),
        cmocka_unit_test(a_good_configuration_passes_its_check),
        cmocka_unit_test(the_documented_example_is_read_to_its_end),
        cmocka_unit_test(only_the_configured_uid_may_connect),
        cmocka_unit_test(sockets_of_the_service_manager_are_served_and_it_is_told),
        cmocka_unit_test(a_module_that_hangs_costs_the_pings_but_not_the_service),
        cmocka_unit_test(demanded_sockets_that_are_missing_are_an_error),
        cmocka_unit_test(a_token_that_is_not_there_yet_is_waited_for),
        cmocka_unit_test(a_refused_pin_leaves_the_service_up_until_it_is_unlocked),
    };

    return cmocka_run_group_tests(tests, service_make, service_end);
}
