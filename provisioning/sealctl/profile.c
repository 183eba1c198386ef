/* SPDX-License-Identifier: GPL-3.0-or-later */
/* profile.c - a profile from its making to its user's certificate.
 *
 * Users and their mailboxes are the relay's, profiles the key service's: add asks the one for what
 * it tells the other. */
#include "daemon/base/fdio.h"
#include "provisioning/sealctl/commands.h"
#include "provisioning/sealctl/output.h"
#include "provisioning/sealctl/progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* ---- add ---- */

/* What a new profile is made of, and what holds its strings. */
struct plan {
    struct hsm_profile_new new;
    cJSON *user;   /* row of user.list */
    cJSON *status; /* of the relay; for its domains */
    const char *addresses[SESSION_NAMES_MAX];
    const char *domains[SESSION_NAMES_MAX];
};

static void plan_clear(struct plan *p)
{
    json_free(&p->user);
    json_free(&p->status);
}

static enum err find_user(struct session *s, const char *name, cJSON **out)
{
    CLEANUP(json_free) cJSON *rows = NULL;
    enum err e = relay_rows(s, "user.list", cJSON_CreateObject(), &rows);

    for (int i = 0; !e && i < cJSON_GetArraySize(rows); i++) {
        const cJSON *row = cJSON_GetArrayItem(rows, i);
        const char *id = text_of(row, "user");
        const char *known = text_of(row, "name");

        if ((id && strcmp(id, name) == 0) || (known && strcmp(known, name) == 0)) {
            *out = cJSON_DetachItemFromArray(rows, i);
            return ERR_OK;
        }
    }
    return e ? e : err_note(ERR_NOT_FOUND, name, "no such user; see sealctl user list");
}

static enum err list_strings(const cJSON *list, const char **out, size_t *n_out, const char *what)
{
    const cJSON *item;

    *n_out = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item) || *n_out == SESSION_NAMES_MAX)
            return err_note(ERR_USAGE, what, "more than 16; name them on the command line");
        out[(*n_out)++] = item->valuestring;
    }
    return ERR_OK;
}

static enum err plan_names(struct session *s, const char *user, struct plan *p)
{
    enum err e = find_user(s, user, &p->user);

    if (!e)
        e = list_strings(cJSON_GetObjectItemCaseSensitive(p->user, "mailboxes"), p->addresses,
                         &p->new.n_addresses, "mailboxes");
    if (!e && s->domains.n == 0) {
        e = relay_call(s, "status", cJSON_CreateObject(), &p->status);
        if (!e)
            e = list_strings(cJSON_GetObjectItemCaseSensitive(p->status, "domains"), p->domains,
                             &p->new.n_domains, "domains");
    }
    if (e)
        return e;
    p->new.user = text_of(p->user, "user");
    p->new.addresses = p->addresses;
    p->new.domains = p->domains;
    if (s->own_addresses.n) {
        p->new.addresses = s->own_addresses.items;
        p->new.n_addresses = s->own_addresses.n;
    }
    if (s->domains.n) {
        p->new.domains = s->domains.items;
        p->new.n_domains = s->domains.n;
    }
    return ERR_OK;
}

static enum err parse_days(const char *text, const char *option, unsigned *out)
{
    char *end;
    unsigned long days;

    if (!text)
        return ERR_OK;
    errno = 0;
    days = strtoul(text, &end, 10);
    if (errno || *end || end == text || text[0] == '-' || days == 0 || days > 36500)
        return err_note(ERR_USAGE, option, "a number of days expected");
    *out = (unsigned)days;
    return ERR_OK;
}

static enum err plan_keys(const struct session *s, struct plan *p)
{
    const char *user_key = s->key ? s->key : "rsa-2048";
    enum err e = key_type_parse(user_key, &p->new.user_key_type);

    if (!e)
        e = key_type_parse(s->sender_key ? s->sender_key : user_key, &p->new.sender_key_type);
    if (!e)
        e = key_type_parse(s->ca_key ? s->ca_key : "p-384", &p->new.ca_key_type);
    if (!e)
        e = parse_days(s->root_days, "--root-days", &p->new.root_days);
    if (!e)
        e = parse_days(s->intermediate_days, "--intermediate-days", &p->new.intermediate_days);
    if (!e)
        e = parse_days(s->user_days, "--user-days", &p->new.user_days);
    p->new.country = s->country;
    p->new.organisation = s->organisation;
    return e;
}

enum err profile_add_command(struct session *s, char **args)
{
    CLEANUP(plan_clear) struct plan plan = {0};
    struct hsm *hsm;
    id_text profile;
    enum err e = plan_keys(s, &plan);

    if (!e)
        e = plan_names(s, args[0], &plan);
    if (!e)
        e = session_hsm(s, &hsm);
    progress_begin("making the profile's keys in the token");
    if (!e)
        e = hsm_profile_add(hsm, &plan.new, profile);
    progress_end();
    if (!e)
        print_word(s, "profile", profile, profile);
    return e;
}

/* ---- documents ---- */

/* Documents go to standard output as they are: they are handed on to the user. */
static enum err write_document(const struct buf *text)
{
    enum err e = write_all(STDOUT_FILENO, text->data, text->len);

    if (!e && text->len && text->data[text->len - 1] != '\n')
        e = write_all(STDOUT_FILENO, "\n", 1);
    return e;
}

enum err profile_csr_command(struct session *s, char **args)
{
    CLEANUP(buf_clear) struct buf text = {0};
    struct hsm *hsm;
    enum err e = session_hsm(s, &hsm);

    progress_begin("signing the request");
    if (!e)
        e = hsm_profile_request(hsm, args[0], &text);
    progress_end();
    return e ? e : write_document(&text);
}

enum err profile_install_command(struct session *s, char **args)
{
    CLEANUP(buf_clear) struct buf text = {0};
    struct hsm *hsm;
    enum err e = session_read(args[1], &text);

    if (!e)
        e = session_hsm(s, &hsm);
    progress_begin("checking the enrolment");
    if (!e)
        e = hsm_profile_install(hsm, args[0], buf_bytes(&text));
    progress_end();
    if (!e)
        print_word(s, "profile", args[0], "The intermediate is installed. Next: profile issue.");
    return e;
}

static bool is_in_state(struct hsm *hsm, const char *profile, const char *wanted)
{
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(json_free) cJSON *shown = NULL;
    const char *state = NULL;

    if (hsm_profile_show(hsm, profile, &text) == ERR_OK && parse_document(&text, &shown) == ERR_OK)
        state = text_of(shown, "state");
    return state && strcmp(state, wanted) == 0;
}

/* What a user-signed request changed, told to the relay: every key learns of every key by sealed
 * mail, and keys of a deleted profile are forgotten. The request itself is done and good once. */
static enum err tell_relay(struct session *s, struct hsm *hsm, const char *profile)
{
    bool deleted = is_in_state(hsm, profile, "deleted");
    CLEANUP(json_free) cJSON *answer = NULL;
    cJSON *request = cJSON_CreateObject();
    enum err e;

    (void)cJSON_AddStringToObject(request, "profile", profile);
    e = relay_call(s, deleted ? "profile.forget" : "profile.keys", request, &answer);
    if (e)
        (void)fprintf(stderr, "sealctl: the request is done, but %s\n",
                      deleted ? "the relay could not be told; run profile delete"
                              : "its user could not be told by mail");
    return e;
}

/* The certificate is out already: what fails now is said, and can be done again by itself. */
static enum err mail_code(struct session *s, const char *profile)
{
    CLEANUP(json_free) cJSON *answer = NULL;
    cJSON *request = cJSON_CreateObject();
    enum err e;

    (void)cJSON_AddStringToObject(request, "profile", profile);
    e = relay_call(s, "profile.notify", request, &answer);
    if (!e)
        (void)fputs("sealctl: an activation code goes to the mailbox, sealed\n", stderr);
    else
        (void)fprintf(stderr,
                      "sealctl: the certificate is issued, but the activation code could not be "
                      "mailed; try: sealctl profile notify %s\n",
                      profile);
    return e;
}

enum err profile_issue_command(struct session *s, char **args)
{
    CLEANUP(buf_clear) struct buf request = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    struct hsm *hsm;
    enum err e = s->request ? session_read(s->request, &request) : ERR_OK;

    if (!e)
        e = session_hsm(s, &hsm);
    progress_begin("issuing");
    if (!e)
        e = hsm_profile_issue(hsm, args[0], buf_bytes(&request), &text);
    progress_end();
    if (!e && text.len)
        e = write_document(&text);
    if (!e && s->request)
        e = tell_relay(s, hsm, args[0]);
    else if (!e && is_in_state(hsm, args[0], "ready"))
        e = mail_code(s, args[0]);
    return e;
}

/* ---- looking ---- */

enum err profile_list_command(struct session *s, char **args)
{
    static const struct column columns[] = {
        {"profile", "PROFILE", COLUMN_TEXT},     {"state", "STATE", COLUMN_TEXT},
        {"user", "USER", COLUMN_TEXT},           {"addresses", "ADDRESSES", COLUMN_TEXT},
        {"domains", "DOMAINS", COLUMN_TEXT},     {"user_key_type", "KEY", COLUMN_TEXT},
        {"user_keys", "USER KEYS", COLUMN_TEXT}, {"created", "CREATED", COLUMN_TIME},
    };
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(json_free) cJSON *rows = NULL;
    struct hsm *hsm;
    enum err e = session_hsm(s, &hsm);

    (void)args;
    if (!e)
        e = hsm_profile_list(hsm, &text);
    if (!e)
        e = parse_document(&text, &rows);
    if (e)
        return e;
    if (s->json)
        output_json(rows);
    else
        output_table(rows, columns, sizeof columns / sizeof *columns);
    return ERR_OK;
}

enum err profile_show_command(struct session *s, char **args)
{
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(json_free) cJSON *shown = NULL;
    struct hsm *hsm;
    enum err e = session_hsm(s, &hsm);

    if (!e)
        e = hsm_profile_show(hsm, args[0], &text);
    if (!e)
        e = parse_document(&text, &shown);
    if (e)
        return e;
    profile_suspension_add(s, args[0], shown);
    profile_policy_add(s, args[0], shown);
    print_object(s, shown);
    return ERR_OK;
}
