/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sealdeliver.c - the delivery service: one process a group of messages.
 *
 * The parent waits on a listening socket that its starter made, forks a worker for each connection,
 * bounds their number and kills what outlives its deadline. It is single-threaded, reads not one
 * byte of mail or reply, and needs no right to open a unix socket: that is why libesmtp, which
 * hangs, crashes and loses bytes, runs here and nowhere else. */
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"
#include "daemon/base/secret.h"
#include "daemon/deliver/service.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define CONFIG_DEFAULT "/etc/sealrelay/sealdeliver.conf"

struct arguments {
    const char *config;
    const char *listen_path;
    int listen_fd;
    bool check_only;
};

static const char usage_text[] =
    "Usage: sealdeliver [--config FILE] [--check-config] [--listen-fd N | --listen PATH]\n"
    "  --config FILE    default " CONFIG_DEFAULT "\n"
    "  --check-config   read the configuration, say what is wrong, exit\n"
    "  --listen-fd N    listen on an inherited descriptor (default: systemd's LISTEN_FDS)\n"
    "  --listen PATH    make the socket, for running without systemd\n";

static bool parse_fd(const char *text, int *out)
{
    char *end;
    long v;

    errno = 0;
    v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < 0 || v > INT_MAX)
        return false;
    *out = (int)v;
    return true;
}

static bool parse_arguments(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check-config", no_argument, NULL, 'k'},
                                            {"listen-fd", required_argument, NULL, 'f'},
                                            {"listen", required_argument, NULL, 'l'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option;

    *out = (struct arguments){.config = CONFIG_DEFAULT, .listen_fd = -1};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            out->config = optarg;
        else if (option == 'k')
            out->check_only = true;
        else if (option == 'l')
            out->listen_path = optarg;
        else if (option != 'f' || !parse_fd(optarg, &out->listen_fd))
            return false;
    }
    return optind == argc && !(out->listen_path && out->listen_fd >= 0);
}

static enum err listening_socket(const struct arguments *a, int *fd_out)
{
    int n;

    if (a->listen_path)
        return unix_listen(a->listen_path, SOCK_STREAM, 0600, fd_out);
    if (a->listen_fd < 0) {
        n = sd_listen_fds(1);
        if (n != 1)
            return err_note(ERR_CONFIG, "LISTEN_FDS",
                            "exactly one socket is needed; use --listen-fd or --listen");
        *fd_out = SD_LISTEN_FDS_START;
    } else {
        *fd_out = a->listen_fd;
    }
    if (sd_is_socket_unix(*fd_out, SOCK_STREAM, 1, NULL, 0) <= 0)
        return err_note(ERR_CONFIG, "listen", "descriptor %d is no listening unix stream socket",
                        *fd_out);
    return ERR_OK;
}

static int complain(enum err e)
{
    (void)fprintf(stderr, "sealdeliver: %s: %s\n", err_note_get()->action, err_note_get()->detail);
    return e ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    CLEANUP(service_config_clear) struct service_config config = {0};
    struct arguments arguments;
    int listen_fd = -1;
    enum err e;

    if (!parse_arguments(argc, argv, &arguments)) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    process_harden();
    /* libesmtp looks for certificates under $HOME; the journal's socket is a unix socket. */
    if (unsetenv("HOME") != 0 || unsetenv("JOURNAL_STREAM") != 0)
        return EXIT_FAILURE;
    log_open("sealdeliver", false);
    e = service_config_load(arguments.config, &config);
    if (e)
        return complain(e);
    if (arguments.check_only) {
        (void)printf("%s: good\n", arguments.config);
        return EXIT_SUCCESS;
    }
    e = listening_socket(&arguments, &listen_fd);
    if (!e)
        e = service_run(listen_fd, &config);
    if (arguments.listen_path && listen_fd >= 0)
        (void)unlink(arguments.listen_path);
    return e ? complain(e) : EXIT_SUCCESS;
}
