/* SPDX-License-Identifier: GPL-3.0-or-later */
/* service.c - accept, fork, reap, kill: the whole life of the parent. */
#include "daemon/deliver/service.h"
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_GRACE_MS    15000 /* for workers to finish when the service stops */
#define KILL_GRACE_MS    1000  /* between a worker's own alarm and our SIGKILL */
#define WORKER_FILES_MAX 64    /* descriptors of a worker */
#define ACCEPT_PAUSE_MS  100   /* behind a failed accept(), for example without descriptors */

struct service {
    const struct service_config *config;
    struct worker_options options;
    int listen_fd;
    uid_t client_uid; /* (uid_t)-1: anybody */
    struct slot {
        pid_t pid; /* 0: free */
        int64_t deadline_ms;
        bool killed;
    } * slots; /* workers_max */
    unsigned n_active;
};

static volatile sig_atomic_t stop_asked;

static void on_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

/* Only has to end ppoll(). */
static void on_child(int signal_number)
{
    (void)signal_number;
}

/* The three signals are blocked but in ppoll(): none can be missed between test and wait. */
static void signals_set(sigset_t *while_waiting)
{
    struct sigaction stop = {.sa_handler = on_stop};
    struct sigaction child = {.sa_handler = on_child};
    sigset_t ours;

    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigaddset(&ours, SIGINT);
    (void)sigaddset(&ours, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ours, while_waiting);
    (void)sigdelset(while_waiting, SIGTERM);
    (void)sigdelset(while_waiting, SIGINT);
    (void)sigdelset(while_waiting, SIGCHLD);
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGCHLD, &child, NULL);
}

/* ---- workers ---- */

static void log_end(const struct slot *slot, int status)
{
    if (WIFSIGNALED(status))
        log_event(LOG_LEVEL_WARNING, "worker.end", "-", ERR_NET, -1, "pid=%ld signal=%d%s",
                  (long)slot->pid, WTERMSIG(status),
                  slot->killed || WTERMSIG(status) == SIGALRM ? " deadline" : "");
}

static void reap(struct service *s)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (unsigned i = 0; i < s->config->workers_max; i++) {
            if (s->slots[i].pid != pid)
                continue;
            err_note_clear();
            log_end(&s->slots[i], status);
            s->slots[i] = (struct slot){0};
            s->n_active--;
        }
    }
}

/* A thread that hangs in a resolver or a library cannot be ended; a process can. */
static int64_t kill_overdue(struct service *s, int64_t now_ms)
{
    int64_t next = now_ms + 60000;

    for (unsigned i = 0; i < s->config->workers_max; i++) {
        struct slot *slot = &s->slots[i];

        if (slot->pid && !slot->killed && slot->deadline_ms <= now_ms) {
            (void)kill(slot->pid, SIGKILL);
            slot->killed = true;
        } else if (slot->pid && !slot->killed && slot->deadline_ms < next) {
            next = slot->deadline_ms;
        }
    }
    return next - now_ms;
}

static _Noreturn void worker_main(const struct service *s, int fd)
{
    const struct rlimit files = {WORKER_FILES_MAX, WORKER_FILES_MAX};
    sigset_t none;

    (void)close(s->listen_fd);
    (void)signal(SIGTERM, SIG_IGN); /* the parent decides how long a worker may finish */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)alarm(s->config->worker_deadline_s);
    _exit(worker_run(fd, &s->options) ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void worker_start(struct service *s, int fd)
{
    struct slot *slot = s->slots;
    pid_t pid;

    while (slot->pid)
        slot++;
    pid = fork();
    if (pid == 0)
        worker_main(s, fd);
    if (pid < 0) {
        log_event(LOG_LEVEL_ERROR, "worker.start", "-",
                  err_note(ERR_NOMEM, "fork", "%s", strerror(errno)), -1, "%s", "");
        return;
    }
    *slot = (struct slot){.pid = pid,
                          .deadline_ms = clock_mono_ms() + KILL_GRACE_MS +
                                         (int64_t)s->config->worker_deadline_s * 1000};
    s->n_active++;
}

/* ---- connections ---- */

static bool client_allowed(const struct service *s, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (s->client_uid == (uid_t)-1)
        return true;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == s->client_uid;
}

static void accept_one(struct service *s)
{
    CLEANUP(fd_close) int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    err_note_clear();
    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return;
    if (fd < 0) {
        log_event(LOG_LEVEL_ERROR, "worker.accept", "-",
                  err_note(ERR_IO, "accept", "%s", strerror(errno)), -1, "%s", "");
        (void)poll(NULL, 0, ACCEPT_PAUSE_MS);
        return;
    }
    if (!client_allowed(s, fd)) {
        log_event(LOG_LEVEL_ERROR, "worker.accept", "-",
                  err_note(ERR_REFUSED, "client_user", "connection of another user"), -1, "%s", "");
        return;
    }
    worker_start(s, fd);
}

static void serve(struct service *s, const sigset_t *while_waiting)
{
    while (!stop_asked) {
        int64_t wait_ms = kill_overdue(s, clock_mono_ms());
        struct timespec timeout = {wait_ms / 1000, wait_ms % 1000 * 1000000};
        /* With every worker at work, connections wait in the backlog. */
        bool room = s->n_active < s->config->workers_max;
        struct pollfd p = {.fd = room ? s->listen_fd : -1, .events = POLLIN};

        if (ppoll(&p, 1, &timeout, while_waiting) > 0 && (p.revents & POLLIN))
            accept_one(s);
        reap(s);
    }
}

static void finish(struct service *s, const sigset_t *while_waiting)
{
    int64_t end = clock_mono_ms() + STOP_GRACE_MS;
    const struct timespec tick = {0, 100 * 1000000};

    for (unsigned i = 0; i < s->config->workers_max; i++)
        if (s->slots[i].deadline_ms > end)
            s->slots[i].deadline_ms = end;
    for (reap(s); s->n_active; reap(s)) {
        (void)kill_overdue(s, clock_mono_ms());
        (void)ppoll(NULL, 0, &tick, while_waiting);
    }
}

static enum err client_find(const char *user, uid_t *out)
{
    const struct passwd *entry;

    *out = (uid_t)-1;
    if (!user)
        return ERR_OK;
    entry = getpwnam(user);
    if (!entry)
        return err_note(ERR_CONFIG, "client_user", "no user %s", user);
    *out = entry->pw_uid;
    return ERR_OK;
}

enum err service_run(int listen_fd, const struct service_config *config)
{
    struct service s = {.config = config,
                        .listen_fd = listen_fd,
                        .options = {.hostname = config->hostname,
                                    .connect_timeout_s = config->connect_timeout_s,
                                    .command_timeout_s = config->command_timeout_s,
                                    .transfer_timeout_s = config->transfer_timeout_s,
                                    .final_timeout_s = config->final_timeout_s}};
    sigset_t while_waiting;
    enum err e = client_find(config->client_user, &s.client_uid);

    if (e)
        return e;
    s.slots = calloc(config->workers_max, sizeof *s.slots);
    if (!s.slots)
        return err_note(ERR_NOMEM, "service_run", "out of memory");
    signals_set(&while_waiting);
    log_event(LOG_LEVEL_INFO, "deliver.ready", "-", ERR_OK, -1, "workers_max=%u",
              config->workers_max);
    serve(&s, &while_waiting);
    (void)close(listen_fd);
    finish(&s, &while_waiting);
    free(s.slots);
    return ERR_OK;
}
