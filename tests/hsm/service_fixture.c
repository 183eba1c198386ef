/* SPDX-License-Identifier: GPL-3.0-or-later */
/* service_fixture.c - starts, ends and feeds a sealhsmd. */
#include "tests/hsm/service_fixture.h"

#include "daemon/base/clock.h"
#include "tests/hsm/user_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS     20000
#define ADMIN_MS     60000
#define ARGUMENT_MAX 8

enum err service_fixture_spawn(const char *const *arguments, const char *stderr_path,
                               pid_t *pid_out)
{
    char *argv[ARGUMENT_MAX + 2] = {(char *)(uintptr_t)SEALHSMD_PATH};
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    bool good;

    for (size_t i = 0; i < ARGUMENT_MAX && arguments[i]; i++)
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ERR_NOMEM;
    good =
        !stderr_path || posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, stderr_path,
                                                         O_WRONLY | O_CREAT | O_TRUNC, 0600) == 0;
    good = good && posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) == 0;
    (void)posix_spawn_file_actions_destroy(&actions);
    if (!good)
        return err_note(ERR_IO, SEALHSMD_PATH, "not started");
    *pid_out = pid;
    return ERR_OK;
}

struct hsm *service_fixture_open(const char *socket, unsigned timeout_ms)
{
    struct hsm_options options = {.socket_path = socket, .timeout_ms = timeout_ms};
    struct hsm *h = NULL;

    return hsm_open(&options, &h) ? NULL : h;
}

/* Any answer will do: before its service keys are made it has little to say. */
static enum err service_wait(const struct service_fixture *f)
{
    struct hsm *h = service_fixture_open(f->admin_socket, ADMIN_MS);
    int64_t until_ms = clock_mono_ms() + START_MS;
    enum err e = h ? ERR_HSM_AWAY : ERR_NOMEM;

    while (h && e && clock_mono_ms() < until_ms && waitpid(f->pid, NULL, WNOHANG) == 0) {
        CLEANUP(buf_clear) struct buf status = {0};

        err_note_clear();
        e = hsm_status(h, &status);
        if (e)
            (void)poll(NULL, 0, 20);
    }
    hsm_free(h);
    return e;
}

enum err service_fixture_start(struct service_fixture *f)
{
    const char *arguments[] = {"--config", f->conf, NULL};
    enum err e = service_fixture_spawn(arguments, NULL, &f->pid);

    return e ? e : service_wait(f);
}

int service_fixture_end(struct service_fixture *f, int signal)
{
    int status = -1;

    if (!f->pid || kill(f->pid, signal) != 0)
        return -1;
    if (waitpid(f->pid, &status, 0) != f->pid)
        status = -1;
    f->pid = 0;
    return status;
}

static enum err conf_write(const struct service_fixture *f, const char *limits)
{
    FILE *file = fopen(f->conf, "we");
    int n;

    if (!file)
        return err_note(ERR_IO, f->conf, "cannot write");
    n = fprintf(file,
                "[token]\nmodule = %s\nca_uri = %s\npin_file = %s\npool_size = 8\n"
                "[service]\nstate_dir = %s\nrelay_socket = %s\nadmin_socket = %s\n"
                "web_socket = %s\n[limits]\n%s[certificates]\ncountry = DE\n",
                f->softhsm.module, f->softhsm.uri, f->softhsm.pin_file, f->softhsm.state_dir,
                f->relay_socket, f->admin_socket, f->web_socket, limits);
    if (fclose(file) != 0 || n < 0)
        return err_note(ERR_IO, f->conf, "cannot write");
    return ERR_OK;
}

static enum err keys_init(const struct service_fixture *f)
{
    struct hsm *h = service_fixture_open(f->admin_socket, ADMIN_MS);
    enum err e = h ? hsm_token_init(h) : ERR_NOMEM;

    hsm_free(h);
    return e;
}

enum err service_fixture_new(struct service_fixture *f, const char *limits)
{
    enum err e;

    *f = (struct service_fixture){0};
    e = softhsm_fixture_new(&f->softhsm);
    if (e)
        return e;
    (void)snprintf(f->conf, sizeof f->conf, "%s/sealhsmd.conf", f->softhsm.dir);
    (void)snprintf(f->relay_socket, sizeof f->relay_socket, "%s/relay", f->softhsm.dir);
    (void)snprintf(f->admin_socket, sizeof f->admin_socket, "%s/admin", f->softhsm.dir);
    (void)snprintf(f->web_socket, sizeof f->web_socket, "%s/web", f->softhsm.dir);
    e = conf_write(f, limits);
    if (!e)
        e = service_fixture_start(f);
    if (!e)
        e = keys_init(f);
    if (e)
        (void)service_fixture_free(f);
    return e;
}

bool service_fixture_free(struct service_fixture *f)
{
    int status = f->pid ? service_fixture_end(f, SIGTERM) : 0;

    softhsm_fixture_free(&f->softhsm);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- a profile ---- */

static enum err profile_enrol(struct hsm *admin, const char *profile)
{
    CLEANUP(buf_clear) struct buf request = {0};
    CLEANUP(buf_clear) struct buf enrolment = {0};
    CLEANUP(buf_clear) struct buf certificate = {0};
    struct user_fixture user;
    enum err e = hsm_profile_request(admin, profile, &request);

    if (e)
        return e;
    e = user_fixture_enrol(&user, buf_bytes(&request), &enrolment);
    if (!e)
        e = hsm_profile_install(admin, profile, buf_bytes(&enrolment));
    if (!e)
        e = hsm_profile_issue(admin, profile, (struct bytes){0}, &certificate);
    user_fixture_clear(&user);
    return e;
}

static enum err profile_make(struct hsm *admin, struct hsm *relay, enum key_type type,
                             id_text profile_out)
{
    static const char *const addresses[] = {SERVICE_MAILBOX};
    static const char *const domains[] = {SERVICE_DOMAIN};
    struct hsm_profile_new p = {.addresses = addresses,
                                .n_addresses = 1,
                                .domains = domains,
                                .n_domains = 1,
                                .ca_key_type = KEY_P384,
                                .user_key_type = type,
                                .sender_key_type = type};
    char code[HSM_CODE_LEN + 1];
    id_text user;
    enum err e = id_new(user);

    p.user = user;
    if (!e)
        e = hsm_profile_add(admin, &p, profile_out);
    if (!e)
        e = profile_enrol(admin, profile_out);
    if (!e)
        e = hsm_activation_code(relay, profile_out, code);
    if (!e)
        e = hsm_profile_activate(admin, profile_out, code);
    return e;
}

enum err service_fixture_profile(const struct service_fixture *f, enum key_type type,
                                 id_text profile_out)
{
    struct hsm *admin = service_fixture_open(f->admin_socket, ADMIN_MS);
    struct hsm *relay = service_fixture_open(f->relay_socket, ADMIN_MS);
    enum err e = admin && relay ? profile_make(admin, relay, type, profile_out) : ERR_NOMEM;

    hsm_free(admin);
    hsm_free(relay);
    return e;
}
