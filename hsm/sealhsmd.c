/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sealhsmd.c - the key service: the one program that holds the PKCS#11 module and the PIN.
 *
 * Order of a life: configuration, one instance's lock, sockets, hardening, first attempt at the
 * token, serve, SIGTERM, calls end, token finalised, gone. It never forks: a module does not
 * survive that. A module that hangs is met by ending the process, here or by the watchdog. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"
#include "hsm/serve/caretaker.h"
#include "hsm/serve/config.h"
#include "hsm/serve/server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define CONFIG_DEFAULT   "/etc/sealrelay/sealhsmd.conf"
#define EXIT_CONFIG      78     /* EX_CONFIG of sysexits.h */
#define STOP_MS          8000   /* for calls to end after SIGTERM */
#define CALL_DEADLINE_MS 180000 /* for one call, which may make keys in slow hardware */
#define WATCH_EVERY_MS   1000

struct options {
    const char *config;
    bool check_config;
    bool trace;
    bool listen_fds; /* sockets must come from the service manager */
};

static const char *const socket_names[ROLE_COUNT] = {
    [ROLE_RELAY] = "hsm-relay", [ROLE_ADMIN] = "hsm-admin", [ROLE_WEB] = "hsm-web"};

static int usage(void)
{
    (void)fputs("Usage: sealhsmd [--config FILE] [--check-config] [--trace] [--listen-fds]\n"
                "  --config FILE   read FILE instead of " CONFIG_DEFAULT "\n"
                "  --check-config  say whether the configuration is usable, and end\n"
                "  --trace         log every call\n"
                "  --listen-fds    demand the sockets hsm-relay, hsm-admin, hsm-web from systemd\n",
                stderr);
    return 64; /* EX_USAGE */
}

static bool options_read(int argc, char **argv, struct options *o)
{
    static const struct option table[] = {{"config", required_argument, NULL, 'c'},
                                          {"check-config", no_argument, NULL, 'k'},
                                          {"trace", no_argument, NULL, 't'},
                                          {"listen-fds", no_argument, NULL, 'l'},
                                          {NULL, 0, NULL, 0}};
    int c;

    *o = (struct options){.config = CONFIG_DEFAULT};
    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (c == 'c')
            o->config = optarg;
        else if (c == 'k')
            o->check_config = true;
        else if (c == 't')
            o->trace = true;
        else if (c == 'l')
            o->listen_fds = true;
        else
            return false;
    }
    return optind == argc;
}

/* Tell why we cannot start, on the terminal and in the log. */
static int fail(enum err e)
{
    const struct err_note *note = err_note_get();

    (void)fprintf(stderr, "sealhsmd: %s: %s\n", note->action, note->detail);
    log_event(LOG_LEVEL_ERROR, "hsm.start", "-", e, -1, "started=no");
    return e == ERR_CONFIG ? EXIT_CONFIG : EXIT_FAILURE;
}

/* One instance a state folder: two would write one journal. The lock ends with the process. */
static enum err instance_lock(const char *state_dir, int *fd_out)
{
    char path[PATH_MAX];
    int fd;

    if (snprintf(path, sizeof path, "%s/lock", state_dir) >= (int)sizeof path)
        return err_note(ERR_CONFIG, "state_dir", "path too long");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_note(ERR_CONFIG, path, "%s", strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return err_note(ERR_BUSY, path, "another sealhsmd uses this folder");
    }
    *fd_out = fd;
    return ERR_OK;
}

/* ---- sockets ---- */

static enum err sockets_inherit(int n, char **names, int listeners[ROLE_COUNT])
{
    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        int role = 0;

        while (role < ROLE_COUNT && strcmp(names[i], socket_names[role]) != 0)
            role++;
        if (role == ROLE_COUNT)
            return err_note(ERR_CONFIG, "socket", "%s: not hsm-relay, hsm-admin or hsm-web",
                            names[i]);
        if (sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, NULL, 0) <= 0)
            return err_note(ERR_CONFIG, names[i], "not a listening SOCK_SEQPACKET unix socket");
        listeners[role] = fd;
    }
    return ERR_OK;
}

/* The socket's group is its user's, so that a mode of 0660 lets in nobody else. */
static enum err socket_make(const struct serve_config *c, int role, int *fd_out)
{
    const char *path = c->sockets[role];
    enum err e = unix_listen(path, SOCK_SEQPACKET, 0600, fd_out);

    if (e || c->gids[role] == (gid_t)-1 || c->uids[role] == geteuid())
        return e;
    if (chown(path, (uid_t)-1, c->gids[role]) != 0 || chmod(path, 0660) != 0)
        return err_note(ERR_CONFIG, path,
                        "cannot be given to the group of %s: join it, or use socket activation",
                        c->users[role]);
    return ERR_OK;
}

static void names_free(char **names, int n)
{
    for (int i = 0; names && i < n; i++)
        free(names[i]);
    free(names);
}

static enum err sockets_open(const struct options *o, const struct serve_config *c,
                             int listeners[ROLE_COUNT])
{
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);
    enum err e = ERR_OK;

    if (n > 0) {
        e = sockets_inherit(n, names, listeners);
        names_free(names, n);
        return e;
    }
    if (o->listen_fds)
        return err_note(ERR_CONFIG, "--listen-fds", "no sockets were handed to us");
    for (int i = 0; i < ROLE_COUNT && !e; i++)
        if (c->sockets[i])
            e = socket_make(c, i, &listeners[i]);
    return e;
}

/* ---- serving ---- */

struct life {
    struct engine *engine;
    struct caretaker *caretaker;
    struct server *server;
    int64_t deadline_ms; /* a token silent for longer hangs */
};

static bool token_hangs(struct life *l)
{
    int64_t oldest_ms = counters_oldest_ms(engine_counters(l->engine), clock_mono_ms());

    return caretaker_stalled_ms(l->caretaker) > l->deadline_ms || oldest_ms > CALL_DEADLINE_MS;
}

/* Until SIGTERM: ping the watchdog as long as the token answers. */
static void watch(struct life *l, const sigset_t *ends)
{
    const struct timespec pause = {.tv_sec = WATCH_EVERY_MS / 1000};
    bool told = false;

    while (sigtimedwait(ends, NULL, &pause) < 0) {
        if (!token_hangs(l)) {
            told = false;
            (void)sd_notify(0, "WATCHDOG=1");
            continue;
        }
        if (!told)
            log_event(LOG_LEVEL_ERROR, "hsm.watch", "-", ERR_HSM_AWAY, -1, "token=hangs");
        told = true;
    }
}

/* Only what is not in use can be taken down; a module that hangs ends with the process. */
static int finish(struct life *l)
{
    enum err e;

    (void)sd_notify(0, "STOPPING=1");
    err_note_clear();
    e = server_stop(l->server, STOP_MS);
    if (!e)
        e = caretaker_stop(l->caretaker, STOP_MS);
    if (e) {
        log_event(LOG_LEVEL_ERROR, "hsm.stop", "-", e, -1, "token=abandoned");
        _exit(EXIT_FAILURE);
    }
    engine_free(l->engine);
    log_event(LOG_LEVEL_INFO, "hsm.stop", "-", ERR_OK, -1, "token=finalised");
    return EXIT_SUCCESS;
}

static enum err begin(const struct serve_config *c, const int listeners[ROLE_COUNT], struct life *l)
{
    struct engine_options engine = serve_config_engine(c);
    struct server_options server = {0};
    enum err e = engine_new(&engine, &l->engine);

    if (e)
        return e;
    /* A token that is away may come back; a wrong configuration does not mend itself. */
    e = engine_attempt(l->engine);
    if (e == ERR_CONFIG)
        return e;
    if (e)
        log_event(LOG_LEVEL_WARNING, "hsm.start", "-", e, -1, "token=away");
    err_note_clear();
    e = caretaker_start(l->engine, &l->caretaker);
    if (e)
        return e;
    server.engine = l->engine;
    memcpy(server.listeners, listeners, sizeof server.listeners);
    memcpy(server.uids, c->uids, sizeof server.uids);
    return server_start(&server, &l->server);
}

static int serve(const struct options *o, const struct serve_config *c)
{
    int listeners[ROLE_COUNT] = {-1, -1, -1};
    CLEANUP(fd_close) int lock = -1;
    struct life l = {.deadline_ms = (int64_t)c->answer_within_s * 1000};
    sigset_t ends;
    enum err e = instance_lock(c->state_dir, &lock);

    if (!e)
        e = sockets_open(o, c, listeners);
    if (e)
        return fail(e);
    process_harden();
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL); /* inherited by every thread */
    e = begin(c, listeners, &l);
    if (e) {
        int code = fail(e);

        if (caretaker_stop(l.caretaker, STOP_MS) == ERR_OK)
            engine_free(l.engine);
        return code;
    }
    (void)sd_notify(0, "READY=1");
    log_event(LOG_LEVEL_INFO, "hsm.start", "-", ERR_OK, -1, "state_dir=%s", c->state_dir);
    watch(&l, &ends);
    return finish(&l);
}

int main(int argc, char **argv)
{
    CLEANUP(serve_config_clear) struct serve_config config = {0};
    struct options o;
    enum err e;

    if (!options_read(argc, argv, &o))
        return usage();
    log_open("sealhsmd", o.trace);
    e = serve_config_load(o.config, &config);
    if (e)
        return fail(ERR_CONFIG);
    if (o.check_config) {
        (void)printf("%s: usable\n", o.config);
        return EXIT_SUCCESS;
    }
    return serve(&o, &config);
}
