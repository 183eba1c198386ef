/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sealrelay-enroll.c - the user's tool, run on the user's own machine.
 *
 *   begin    the relay's request -> root, intermediate, user key; the root key is wiped
 *   finish   the relay's certificate -> PKCS #12 files and single certificates
 *   request  a request signed by the enrolled key
 *   show     what the folder holds
 *
 * It needs no network and writes only below the folder it is given (request: also its output). */
#include "daemon/base/clock.h"
#include "daemon/base/secret.h"
#include "provisioning/enroll/commands.h"
#include "provisioning/enroll/keys.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_OK = 0, EXIT_REFUSED = 1, EXIT_WRONG_USE = 2 };

static enum err run_begin(struct options *o, char **args)
{
    o->folder.path = args[1];
    return command_begin(o, args[0]);
}

static enum err run_finish(struct options *o, char **args)
{
    o->folder.path = args[0];
    return command_finish(o, args[1]);
}

static enum err run_request(struct options *o, char **args)
{
    o->folder.path = args[1];
    return command_request(o, args[0], args[2], args[3]);
}

static enum err run_show(struct options *o, char **args)
{
    o->folder.path = args[0];
    return command_show(o);
}

static const struct command {
    const char *name;
    const char *args;
    int n_args;
    enum err (*run)(struct options *o, char **args);
    const char *help;
} commands[] = {
    {"begin", "REQUEST.json DIR", 2, run_begin,
     "make root, intermediate and your key; the root key is wiped"},
    {"finish", "DIR CERTIFICATE.json", 2, run_finish,
     "check the relay's certificate; write the files to install"},
    {"request", "VERB DIR NONCE OUT.json", 4, run_request,
     "sign a request: add-key, withdraw-key, deactivate or delete"},
    {"show", "DIR", 1, run_show, "what the folder holds, and what comes next"},
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static void usage(FILE *to)
{
    (void)fputs("usage: sealrelay-enroll COMMAND ARGUMENTS [OPTIONS]\n\n", to);
    for (size_t i = 0; i < N_COMMANDS; i++)
        (void)fprintf(to, "  %-8s %-25s %s\n", commands[i].name, commands[i].args,
                      commands[i].help);
    (void)fputs("\n"
                "  --yes                         begin without asking\n"
                "  --passphrase-file FILE        of your key, 26 to 31 characters; also fd:N\n"
                "  --new-dir DIR                 add-key: where the new key goes\n"
                "  --new-passphrase-file FILE    add-key: of the new key\n"
                "  --key FILE|HASH               withdraw-key: its certificate, or its SHA-256\n"
                "  --force                       replace files that exist\n"
                "  --help, --version\n\n"
                "Without a passphrase file begin makes a passphrase and shows it once.\n"
                "exit codes: 0 done, 1 refused or failed, 2 wrong use\n",
                to);
}

/* 0: go on; else leave with the code below, less one. */
enum { GO_ON = 0, LEAVE_OK = 1 + EXIT_OK, LEAVE_WRONG = 1 + EXIT_WRONG_USE };

static int parse_options(int argc, char **argv, struct options *o)
{
    static const struct option long_options[] = {
        {"yes", no_argument, NULL, 'y'},
        {"force", no_argument, NULL, 'f'},
        {"passphrase-file", required_argument, NULL, 'p'},
        {"new-passphrase-file", required_argument, NULL, 'P'},
        {"new-dir", required_argument, NULL, 'd'},
        {"key", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        switch (c) {
        case 'y':
            o->yes = true;
            break;
        case 'f':
            o->folder.force = true;
            break;
        case 'p':
            o->passphrase_file = optarg;
            break;
        case 'P':
            o->new_passphrase_file = optarg;
            break;
        case 'd':
            o->new_dir = optarg;
            break;
        case 'k':
            o->key = optarg;
            break;
        case 'h':
            usage(stdout);
            return LEAVE_OK;
        case 'V':
            (void)puts("sealrelay-enroll " SEALRELAY_VERSION);
            return LEAVE_OK;
        default:
            usage(stderr);
            return LEAVE_WRONG;
        }
    }
    return GO_ON;
}

static const struct command *find_command(int argc, char **argv)
{
    for (size_t i = 0; argc > 0 && i < N_COMMANDS; i++)
        if (strcmp(argv[0], commands[i].name) == 0 && argc - 1 == commands[i].n_args)
            return &commands[i];
    return NULL;
}

static int report(enum err e)
{
    const struct err_note *note = err_note_get();

    if (!e)
        return EXIT_OK;
    if (note->action[0])
        (void)fprintf(stderr, "sealrelay-enroll: %s: %s\n", note->action, note->detail);
    else
        (void)fprintf(stderr, "sealrelay-enroll: %s\n", err_text(e));
    return e == ERR_USAGE ? EXIT_WRONG_USE : EXIT_REFUSED;
}

int main(int argc, char **argv)
{
    struct options o = {.now_s = clock_now_s()};
    int leave = parse_options(argc, argv, &o);
    const struct command *command;
    bool locked = false;
    enum err e;

    if (leave)
        return leave - 1;
    command = find_command(argc - optind, argv + optind);
    if (!command) {
        usage(stderr);
        return EXIT_WRONG_USE;
    }
    process_harden();
    e = keys_start(&locked);
    if (!e && !locked)
        (void)fputs("sealrelay-enroll: warning: memory cannot be locked (ulimit -l); keys could "
                    "reach the swap space\n",
                    stderr);
    if (!e)
        e = command->run(&o, argv + optind + 1);
    return report(e);
}
