/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sealctl.c - the operator's command: reads the command line, finds the subcommand in the table,
 * turns its result into an exit code for scripts.
 *
 * It speaks to both services through their sockets; it opens no database and loads no module. */
#include "provisioning/sealctl/commands.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { EXIT_OK = 0, EXIT_REFUSED = 1, EXIT_WRONG_USE = 2 };

/* Which commands an option goes with; 0: all. Listed in the usage in this order. */
static const struct option_help {
    const char *name;
    const char *arg;
    unsigned mask;
    const char *help;
} options[] = {
    {"config", "FILE", 0, "default " SEALCTL_CONFIG_DEFAULT},
    {"hsm-socket", "PATH", 0, "the key service's admin socket"},
    {"relay-socket", "PATH", 0, "the relay's control socket"},
    {"json", NULL, 0, "answers as JSON"},
    {"help", NULL, 0, "this"},
    {"version", NULL, 0, NULL},
    {"yes", NULL, OPT_YES, "do not ask"},
    {"domain", "DOMAIN", OPT_DOMAIN, "a relay domain it may use; repeat; default: all"},
    {"address", "ADDRESS", OPT_PROFILE, "instead of the user's mailboxes; repeat"},
    {"key", "TYPE", OPT_PROFILE, "user's: rsa-2048 (default), rsa-3072, p-256"},
    {"sender-key", "TYPE", OPT_PROFILE, "correspondents': default as the user's"},
    {"ca-key", "TYPE", OPT_PROFILE, "p-384 (default), rsa-3072"},
    {"country", "CC", OPT_PROFILE, "in the CA names; default: key service's"},
    {"organisation", "NAME", OPT_PROFILE, "the same"},
    {"root-days", "N", OPT_PROFILE, "default 5475"},
    {"intermediate-days", "N", OPT_PROFILE, "default 3640"},
    {"user-days", "N", OPT_PROFILE, "365 or 730 (default)"},
    {"request", "FILE", OPT_REQUEST, "a request signed by an enrolled key"},
    {"mailbox", "ADDRESS", OPT_MAILBOX, "which of the user's; needed if several"},
    {"user", "USER", OPT_USER, "only this user's"},
    {"state", "STATE", OPT_STATE, "ready, active, held or failed"},
    {"addresses", NULL, OPT_ADDRESSES, "open sender and recipient"},
    {"all", NULL, OPT_ALL, "every entry that is not being delivered"},
    {"no-wait", NULL, OPT_DRAIN, "start draining and return"},
    {"status", NULL, OPT_DRAIN, "how far it is"},
    {"stop", NULL, OPT_DRAIN, "accept mail again"},
};
#define N_OPTIONS (sizeof options / sizeof *options)

/* ---- usage ---- */

static void print_command(FILE *to, const struct command *c)
{
    CLEANUP(buf_clear) struct buf left = {0};

    buf_printf(&left, "%s%s%s%s%s", c->group, c->name ? " " : "", c->name ? c->name : "",
               c->args[0] ? " " : "", c->args);
    (void)fprintf(to, "  %-32s %s\n", buf_str(&left), c->help);
}

static void print_option(FILE *to, const struct option_help *o)
{
    CLEANUP(buf_clear) struct buf left = {0};

    if (!o->help)
        return;
    buf_printf(&left, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    (void)fprintf(to, "    %-30s %s\n", buf_str(&left), o->help);
}

/* group NULL: everything; else the commands that begin with it. */
static void usage(FILE *to, const char *group)
{
    unsigned mask = 0;

    (void)fputs("usage: sealctl [OPTIONS] COMMAND [ARGUMENTS]\n\n", to);
    for (size_t i = 0; i < n_commands; i++) {
        if (group && strcmp(group, commands[i].group) != 0)
            continue;
        print_command(to, &commands[i]);
        mask |= commands[i].options;
    }
    (void)fputs("\noptions:\n", to);
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].mask == 0 || (options[i].mask & mask))
            print_option(to, &options[i]);
    (void)fputs("\nexit codes: 0 done, 1 refused or failed, 2 wrong use, 75 try again later,\n"
                "78 configuration\n",
                to);
}

static bool is_group(const char *word)
{
    for (size_t i = 0; word && i < n_commands; i++)
        if (strcmp(word, commands[i].group) == 0)
            return true;
    return false;
}

/* ---- the command line ---- */

static enum err add_name(const char **names, size_t *n, const char *value, const char *option)
{
    if (*n == SESSION_NAMES_MAX)
        return err_note(ERR_USAGE, option, "given more than 16 times");
    names[(*n)++] = value;
    return ERR_OK;
}

/* Where an option's value goes; NULL: it is not one with a single value. */
static const char **value_of(struct session *s, const char *name)
{
    const struct {
        const char *name;
        const char **value;
    } values[] = {
        {"config", &s->config},
        {"hsm-socket", &s->hsm_socket},
        {"relay-socket", &s->relay_socket},
        {"key", &s->key},
        {"sender-key", &s->sender_key},
        {"ca-key", &s->ca_key},
        {"country", &s->country},
        {"organisation", &s->organisation},
        {"root-days", &s->root_days},
        {"intermediate-days", &s->intermediate_days},
        {"user-days", &s->user_days},
        {"request", &s->request},
        {"mailbox", &s->mailbox},
        {"user", &s->user},
        {"state", &s->state},
    };

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strcmp(name, values[i].name) == 0)
            return values[i].value;
    return NULL;
}

static bool *flag_of(struct session *s, const char *name)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"json", &s->json}, {"yes", &s->yes},         {"addresses", &s->addresses},
        {"all", &s->all},   {"no-wait", &s->no_wait}, {"status", &s->status},
        {"stop", &s->stop},
    };

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(name, flags[i].name) == 0)
            return flags[i].flag;
    return NULL;
}

static enum err take_option(struct session *s, const struct option_help *o, const char *value)
{
    const char **text = value_of(s, o->name);
    bool *flag = flag_of(s, o->name);

    if (text)
        *text = value;
    else if (flag)
        *flag = true;
    else if (strcmp(o->name, "domain") == 0)
        return add_name(s->domains, &s->n_domains, value, "--domain");
    else if (strcmp(o->name, "address") == 0)
        return add_name(s->own_addresses, &s->n_own_addresses, value, "--address");
    return ERR_OK;
}

/* What was asked for besides the session's own values. */
struct line {
    unsigned seen; /* masks of the options given */
    bool help;
    bool version;
};

static enum err parse_options(int argc, char **argv, struct session *s, struct line *line)
{
    struct option longs[N_OPTIONS + 1] = {{0}};
    int at = 0;
    int c;

    for (size_t i = 0; i < N_OPTIONS; i++)
        longs[i] = (struct option){options[i].name,
                                   options[i].arg ? required_argument : no_argument, NULL, 0};
    while ((c = getopt_long(argc, argv, "h", longs, &at)) != -1) {
        enum err e = ERR_OK;

        if (c == 'h' || (c == 0 && strcmp(options[at].name, "help") == 0)) {
            line->help = true;
        } else if (c == 0 && strcmp(options[at].name, "version") == 0) {
            line->version = true;
        } else if (c == 0) {
            line->seen |= options[at].mask;
            e = take_option(s, &options[at], optarg);
        } else {
            e = ERR_USAGE; /* getopt_long has said why */
        }
        if (e)
            return e;
    }
    return ERR_OK;
}

/* words_out: how many words of the line name the command. */
static const struct command *find_command(int argc, char **argv, int *words_out)
{
    for (size_t i = 0; argc > 0 && i < n_commands; i++) {
        const struct command *c = &commands[i];

        if (strcmp(argv[0], c->group) != 0)
            continue;
        if (c->name && (argc < 2 || strcmp(argv[1], c->name) != 0))
            continue;
        *words_out = c->name ? 2 : 1;
        return c;
    }
    return NULL;
}

static enum err check_line(const struct command *c, int n_args, unsigned seen)
{
    if (n_args < c->min_args || n_args > c->max_args)
        return err_note(ERR_USAGE, c->name ? c->name : c->group, "arguments: %s",
                        c->args[0] ? c->args : "none");
    if (seen & ~c->options)
        return err_note(ERR_USAGE, c->name ? c->name : c->group,
                        "an option was given that does not go with it");
    return ERR_OK;
}

/* ---- the end ---- */

static int exit_code(enum err e)
{
    if (e == ERR_OK)
        return EXIT_OK;
    if (e == ERR_USAGE)
        return EXIT_WRONG_USE;
    if (e == ERR_CONFIG)
        return EX_CONFIG;
    if (err_class(e) == CLASS_TEMP || e == ERR_HSM_AWAY)
        return EX_TEMPFAIL;
    return EXIT_REFUSED;
}

static int report(const struct session *s, enum err e)
{
    const struct err_note *note = err_note_get();

    if (!e)
        return EXIT_OK;
    (void)fprintf(stderr, "sealctl: %s%s%s%s%s\n", note->action, note->action[0] ? ": " : "",
                  note->action[0] ? note->detail : err_text(e), s->json ? " " : "",
                  s->json ? err_name(e) : "");
    return exit_code(e);
}

static enum err run(struct session *s, const struct command *c, char **args)
{
    enum err e = session_configure(s);

    return e ? e : c->run(s, args);
}

int main(int argc, char **argv)
{
    CLEANUP(session_clear) struct session s = {0};
    struct line line = {0};
    const struct command *c;
    int words = 0;
    enum err e = parse_options(argc, argv, &s, &line);

    (void)signal(SIGPIPE, SIG_IGN);
    if (e && !err_note_get()->action[0])
        return EXIT_WRONG_USE;
    if (!e && line.version) {
        (void)puts("sealctl " SEALRELAY_VERSION);
        return EXIT_OK;
    }
    if (!e && line.help) {
        usage(stdout, is_group(argv[optind]) ? argv[optind] : NULL);
        return EXIT_OK;
    }
    c = e ? NULL : find_command(argc - optind, argv + optind, &words);
    if (!e && !c) {
        usage(stderr, is_group(argv[optind]) ? argv[optind] : NULL);
        return EXIT_WRONG_USE;
    }
    if (!e)
        e = check_line(c, argc - optind - words, line.seen);
    if (!e)
        e = run(&s, c, argv + optind + words);
    return report(&s, e);
}
