/* SPDX-License-Identifier: GPL-3.0-or-later */
/* commands.h - the subcommands. One table drives dispatch, usage and --help. */
#ifndef SEALRELAY_SEALCTL_COMMANDS_H
#define SEALRELAY_SEALCTL_COMMANDS_H

#include "provisioning/sealctl/session.h"

/* Options that go with some commands only; the others go with all. */
enum {
    OPT_DOMAIN = 1 << 0,
    OPT_PROFILE = 1 << 1, /* all that describes a new profile */
    OPT_MAILBOX = 1 << 2,
    OPT_USER = 1 << 3,
    OPT_REQUEST = 1 << 4,
    OPT_STATE = 1 << 5,
    OPT_ADDRESSES = 1 << 6,
    OPT_ALL = 1 << 7,
    OPT_DRAIN = 1 << 8,
    OPT_YES = 1 << 9,
    OPT_POLICY = 1 << 10,
    OPT_TRIAL = 1 << 11,
};

/* args: the positional arguments, within min_args and max_args; NULL behind the last. */
typedef enum err (*command_fn)(struct session *s, char **args);

struct command {
    const char *group; /* first word */
    const char *name;  /* second word; NULL: the first is the whole command */
    const char *args;  /* for the usage */
    int min_args;
    int max_args;
    unsigned options;
    command_fn run;
    const char *help;
};

extern const struct command commands[];
extern const size_t n_commands;

/* token.c */
enum err token_init_command(struct session *s, char **args);
enum err token_report_command(struct session *s, char **args);
enum err token_unlock_command(struct session *s, char **args);
enum err journal_verify_command(struct session *s, char **args);

/* profile.c */
enum err profile_add_command(struct session *s, char **args);
enum err profile_csr_command(struct session *s, char **args);
enum err profile_install_command(struct session *s, char **args);
enum err profile_issue_command(struct session *s, char **args);
enum err profile_list_command(struct session *s, char **args);
enum err profile_show_command(struct session *s, char **args);

/* profile_state.c */
enum err profile_activate_command(struct session *s, char **args);
enum err profile_notify_command(struct session *s, char **args);
enum err profile_nonce_command(struct session *s, char **args);
enum err profile_suspend_command(struct session *s, char **args);
enum err profile_resume_command(struct session *s, char **args);
enum err profile_rekey_command(struct session *s, char **args);
enum err profile_delete_command(struct session *s, char **args);
/* profile_suspension_add - of a suspended one: why, if its mailbox bounces. */
void profile_suspension_add(struct session *s, const char *profile, cJSON *shown);

/* profile_policy.c */
enum err profile_policy_command(struct session *s, char **args);
/* profile_policy_add - the relay's part of what there is to show of a profile; on standard error if
 * the relay does not answer. */
void profile_policy_add(struct session *s, const char *profile, cJSON *shown);

/* people.c */
enum err user_add_command(struct session *s, char **args);
enum err user_list_command(struct session *s, char **args);
enum err alias_add_command(struct session *s, char **args);
enum err alias_remove_command(struct session *s, char **args);
enum err alias_list_command(struct session *s, char **args);
enum err correspondent_list_command(struct session *s, char **args);

/* correspondent.c */
enum err correspondent_show_command(struct session *s, char **args);
enum err correspondent_add_command(struct session *s, char **args);
enum err correspondent_import_command(struct session *s, char **args);
enum err correspondent_forget_command(struct session *s, char **args);

/* queue.c */
enum err queue_list_command(struct session *s, char **args);
enum err queue_show_command(struct session *s, char **args);
enum err queue_hold_command(struct session *s, char **args);
enum err queue_release_command(struct session *s, char **args);
enum err queue_retry_command(struct session *s, char **args);
enum err queue_flush_command(struct session *s, char **args);
enum err queue_drop_command(struct session *s, char **args);
enum err drain_command(struct session *s, char **args);

/* message.c */
enum err message_test_command(struct session *s, char **args);

/* status.c */
enum err status_command(struct session *s, char **args);

/* Print an answer: JSON with --json, else through output_object. */
void print_object(const struct session *s, const cJSON *object);
/* Print one line for people, or the JSON object {key: value} with --json. */
void print_word(const struct session *s, const char *key, const char *value, const char *line);
/* A document from the key service, parsed. Errors: ERR_FORMAT. */
enum err parse_document(const struct buf *text, cJSON **out);

#endif
