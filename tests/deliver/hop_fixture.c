/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hop_fixture.c - start and end processes, read what they report. */
#include "tests/deliver/hop_fixture.h"
#include "daemon/base/clock.h"
#include "daemon/base/codec.h"
#include "daemon/base/fdio.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_WAIT_MS 20000
#define ARGS_MAX      24

static char dir_path[64];
static unsigned serial;

static void die(const char *what)
{
    (void)fprintf(stderr, "hop_fixture: %s: %s\n", what, strerror(errno));
    abort();
}

static void pause_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}

const char *fixture_dir(void)
{
    if (!dir_path[0]) {
        (void)snprintf(dir_path, sizeof dir_path, "/tmp/sealrelay-deliver-XXXXXX");
        if (!mkdtemp(dir_path))
            die("mkdtemp");
    }
    return dir_path;
}

const char *fixture_path(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];

    (void)snprintf(path, sizeof paths[0], "%s/%s", fixture_dir(), name);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fixture_end(void)
{
    if (dir_path[0])
        (void)nftw(dir_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    dir_path[0] = '\0';
}

static void environment_set(const char *pair)
{
    char name[64];
    const char *equals = strchr(pair, '=');

    (void)snprintf(name, sizeof name, "%.*s", (int)(equals - pair), pair);
    (void)setenv(name, equals + 1, 1);
}

/* log: NULL to share our stderr. */
static pid_t spawn(const char *const *argv, const char *environment, const char *log)
{
    char *copy[ARGS_MAX] = {0};
    pid_t pid;

    for (size_t i = 0; argv[i] && i + 1 < ARGS_MAX; i++)
        if (!(copy[i] = strdup(argv[i])))
            die("strdup");
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        int fd = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
        if (fd >= 0)
            (void)dup2(fd, STDERR_FILENO);
        if (environment)
            environment_set(environment);
        if (copy[0])
            (void)execv(copy[0], copy);
        _exit(127);
    }
    for (size_t i = 0; copy[i]; i++)
        free(copy[i]);
    return pid;
}

void process_end(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGTERM);
    for (int i = 0; i < 300; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        pause_ms(10);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

pid_t deliver_start(const char *config_lines, const char *environment, char socket_out[256])
{
    CLEANUP(buf_clear) struct buf text = {0};
    char config[256];
    pid_t pid;

    serial++;
    (void)snprintf(config, sizeof config, "%s/deliver-%u.conf", fixture_dir(), serial);
    (void)snprintf(socket_out, 256, "%s/deliver-%u.socket", fixture_dir(), serial);
    buf_printf(&text, "[deliver]\nhostname = relay.example\n%s", config_lines);
    if (file_write_durable(config, buf_bytes(&text), 0600))
        die("config");
    pid =
        spawn((const char *const[]){SEALDELIVER, "--config", config, "--listen", socket_out, NULL},
              environment, fixture_path("sealdeliver.log"));
    for (int i = 0; i < START_WAIT_MS / 10 && access(socket_out, F_OK) != 0; i++)
        pause_ms(10);
    return pid;
}

static bool port_of(const char *report, uint16_t *out)
{
    CLEANUP(buf_clear) struct buf text = {0};
    const char *end;

    if (file_read(report, 1 << 20, &text))
        return false;
    end = strchr(buf_str(&text), '\n');
    if (!end || strncmp(buf_str(&text), "port ", 5) != 0)
        return false;
    *out = (uint16_t)strtoul(buf_str(&text) + 5, NULL, 10);
    return true;
}

void hop_start(const char *scenario, const char *cert, const char *key, struct hop_process *out)
{
    *out = (struct hop_process){0};
    (void)snprintf(out->report, sizeof out->report, "%s/hop-%u", fixture_dir(), ++serial);
    out->pid =
        spawn((const char *const[]){PYTHON3, NEXT_HOP, scenario, out->report, cert, key, NULL},
              NULL, fixture_path("next_hop.log"));
    for (int i = 0; i < START_WAIT_MS / 10 && !port_of(out->report, &out->port); i++)
        pause_ms(10);
    if (!out->port)
        die(scenario);
}

static int try_connect(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return connect(fd, (const struct sockaddr *)&a, sizeof a);
}

pid_t sink_start(const char *const *argv, uint16_t port)
{
    pid_t pid = spawn(argv, NULL, fixture_path("sink.log"));

    for (int i = 0; i < START_WAIT_MS / 10 && try_connect(port) != 0; i++)
        pause_ms(10);
    return pid;
}

size_t report_count(const struct hop_process *hop, const char *prefix)
{
    CLEANUP(buf_clear) struct buf text = {0};
    size_t n = 0;

    if (file_read(hop->report, 16 << 20, &text))
        return 0;
    for (const char *p = buf_str(&text); p && *p; p = strchr(p, '\n')) {
        p += *p == '\n';
        n += strncmp(p, prefix, strlen(prefix)) == 0;
    }
    return n;
}

void sha256_hex(struct bytes data, char out[65])
{
    CLEANUP(buf_clear) struct buf hex = {0};
    uint8_t digest[32];

    if (!EVP_Digest(data.data, data.len, digest, NULL, EVP_sha256(), NULL))
        abort();
    hex_append(&hex, (struct bytes){digest, sizeof digest});
    (void)snprintf(out, 65, "%s", buf_str(&hex));
}

uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof a;

    if (bind(fd, (const struct sockaddr *)&a, len) || getsockname(fd, (struct sockaddr *)&a, &len))
        die("free_port");
    return ntohs(a.sin_port);
}
