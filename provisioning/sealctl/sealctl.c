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

/* What an option leaves in the session. */
enum value_kind { VALUE_NONE, VALUE_FLAG, VALUE_TEXT, VALUE_NAMES };

/* The options, in the order of the usage. */
static const struct option_row {
    const char *name;
    const char *arg;
    unsigned mask; /* of the commands it goes with; 0: all */
    enum value_kind kind;
    size_t offset; /* in struct session */
    const char *help;
} options[] = {
    {"config", "FILE", 0, VALUE_TEXT, offsetof(struct session, config),
     "default " SEALCTL_CONFIG_DEFAULT},
    {"hsm-socket", "PATH", 0, VALUE_TEXT, offsetof(struct session, hsm_socket),
     "the key service's admin socket"},
    {"relay-socket", "PATH", 0, VALUE_TEXT, offsetof(struct session, relay_socket),
     "the relay's control socket"},
    {"json", NULL, 0, VALUE_FLAG, offsetof(struct session, json), "answers as JSON"},
    {"help", NULL, 0, VALUE_NONE, 0, "this"},
    {"version", NULL, 0, VALUE_NONE, 0, NULL},
    {"yes", NULL, OPT_YES, VALUE_FLAG, offsetof(struct session, yes), "do not ask"},
    {"domain", "DOMAIN", OPT_DOMAIN, VALUE_NAMES, offsetof(struct session, domains),
     "a relay domain it may use; repeat; default: all"},
    {"address", "ADDRESS", OPT_PROFILE, VALUE_NAMES, offsetof(struct session, own_addresses),
     "instead of the user's mailboxes; repeat"},
    {"key", "TYPE", OPT_PROFILE, VALUE_TEXT, offsetof(struct session, key),
     "user's: rsa-2048 (default), rsa-3072, p-256"},
    {"sender-key", "TYPE", OPT_PROFILE, VALUE_TEXT, offsetof(struct session, sender_key),
     "correspondents': default as the user's"},
    {"ca-key", "TYPE", OPT_PROFILE, VALUE_TEXT, offsetof(struct session, ca_key),
     "p-384 (default), rsa-3072"},
    {"country", "CC", OPT_PROFILE, VALUE_TEXT, offsetof(struct session, country),
     "in the CA names; default: key service's"},
    {"organisation", "NAME", OPT_PROFILE, VALUE_TEXT, offsetof(struct session, organisation),
     "the same"},
    {"root-days", "N", OPT_PROFILE, VALUE_TEXT, offsetof(struct session, root_days),
     "default 5475"},
    {"intermediate-days", "N", OPT_PROFILE, VALUE_TEXT, offsetof(struct session, intermediate_days),
     "default 3640"},
    {"user-days", "N", OPT_PROFILE, VALUE_TEXT, offsetof(struct session, user_days),
     "365 or 730 (default)"},
    {"request", "FILE", OPT_REQUEST, VALUE_TEXT, offsetof(struct session, request),
     "a request signed by an enrolled key"},
    {"failing", "WHAT", OPT_POLICY, VALUE_TEXT, offsetof(struct session, failing),
     "DMARC: policy (the domain's), refuse, mark, defer"},
    {"spam", "WHAT", OPT_POLICY, VALUE_TEXT, offsetof(struct session, spam),
     "what the filter rejects: refuse, mark"},
    {"unchecked", "WHAT", OPT_POLICY, VALUE_TEXT, offsetof(struct session, unchecked),
     "nobody could check it: accept, defer"},
    {"reply-pass", "WHAT", OPT_POLICY, VALUE_TEXT, offsetof(struct session, reply_pass),
     "DMARC pass of replies: required, waived"},
    {"reply-signature", "WHAT", OPT_POLICY, VALUE_TEXT, offsetof(struct session, reply_signature),
     "user key's, of replies: required, waived"},
    {"plain", "WHAT", OPT_POLICY, VALUE_TEXT, offsetof(struct session, plain),
     "replies in clear, unsigned: no, yes"},
    {"onward", "WHAT", OPT_POLICY, VALUE_TEXT, offsetof(struct session, onward),
     "encrypt replies: never, when-known, required"},
    {"mailbox", "ADDRESS", OPT_MAILBOX, VALUE_TEXT, offsetof(struct session, mailbox),
     "which of the user's; needed if several"},
    {"user", "USER", OPT_USER, VALUE_TEXT, offsetof(struct session, user), "only this user's"},
    {"state", "STATE", OPT_STATE, VALUE_TEXT, offsetof(struct session, state),
     "ready, active, held or failed"},
    {"addresses", NULL, OPT_ADDRESSES, VALUE_FLAG, offsetof(struct session, addresses),
     "open sender and recipient"},
    {"from", "ADDRESS", OPT_TRIAL, VALUE_TEXT, offsetof(struct session, from),
     "envelope sender; default: the null one"},
    {"make", NULL, OPT_TRIAL, VALUE_FLAG, offsetof(struct session, make),
     "make a correspondent that is missing"},
    {"all", NULL, OPT_ALL, VALUE_FLAG, offsetof(struct session, all),
     "every entry that is not being delivered"},
    {"no-wait", NULL, OPT_DRAIN, VALUE_FLAG, offsetof(struct session, no_wait),
     "start draining and return"},
    {"status", NULL, OPT_DRAIN, VALUE_FLAG, offsetof(struct session, status), "how far it is"},
    {"stop", NULL, OPT_DRAIN, VALUE_FLAG, offsetof(struct session, stop), "accept mail again"},
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

static void print_option(FILE *to, const struct option_row *o)
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

static enum err add_name(struct names *names, const char *value, const char *option)
{
    if (names->n == SESSION_NAMES_MAX)
        return err_note(ERR_USAGE, option, "given more than 16 times");
    names->items[names->n++] = value;
    return ERR_OK;
}

static enum err take_option(struct session *s, const struct option_row *o, const char *value)
{
    void *at = (char *)s + o->offset;

    switch (o->kind) {
    case VALUE_NONE:
        return ERR_OK;
    case VALUE_FLAG:
        *(bool *)at = true;
        return ERR_OK;
    case VALUE_TEXT:
        *(const char **)at = value;
        return ERR_OK;
    case VALUE_NAMES:
        return add_name(at, value, o->name);
    }
    return ERR_BUG;
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
