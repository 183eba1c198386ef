/* SPDX-License-Identifier: GPL-3.0-or-later */
/* session.h - one run of sealctl: what the command line said, and the two services behind it. */
#ifndef SEALRELAY_SEALCTL_SESSION_H
#define SEALRELAY_SEALCTL_SESSION_H

#include "daemon/base/buf.h"
#include "daemon/config/ini.h"
#include "hsm/hsm_admin.h"

#include <cjson/cJSON.h>

#define SEALCTL_CONFIG_DEFAULT "/etc/sealrelay/sealctl.conf"
#define SESSION_NAMES_MAX      16

/* What an option said that may be repeated. */
struct names {
    const char *items[SESSION_NAMES_MAX];
    size_t n;
};

/* Strings borrowed from the command line; NULL, 0 or false: not given. */
struct session {
    const char *config;
    const char *hsm_socket;
    const char *relay_socket;
    bool json;
    bool yes;
    bool all;
    bool addresses; /* queue list: open them */
    bool no_wait;   /* drain */
    bool status;
    bool stop;
    struct names domains;
    struct names own_addresses; /* profile add: instead of the user's mailboxes */
    const char *country;
    const char *organisation;
    const char *key;
    const char *ca_key;
    const char *sender_key;
    const char *root_days;
    const char *intermediate_days;
    const char *user_days;
    const char *mailbox;
    const char *user;
    const char *request;
    const char *state;
    const char *failing; /* profile policy */
    const char *spam;
    const char *unchecked;
    const char *reply_pass;
    const char *reply_signature;
    const char *plain;
    const char *onward;
    const char *from; /* message test */
    bool make;
    struct settings {
        char *hsm_socket;
        char *relay_socket;
        unsigned timeout_s;
    } settings;
    struct hsm *hsm; /* opened at the first use */
};

/* session_configure - read the file; the command line's sockets win. A missing file is an error
 * only if --config named it. Errors: ERR_CONFIG. */
enum err session_configure(struct session *s);
void session_clear(struct session *s);

/* session_hsm - the key service's admin socket. Errors: ERR_NOMEM. */
enum err session_hsm(struct session *s, struct hsm **out);

/* relay_call - ask the relay. request: taken; answer_out: given.
 * relay_rows - all pages of a list verb, as one array. */
enum err relay_call(struct session *s, const char *verb, cJSON *request, cJSON **answer_out);
enum err relay_rows(struct session *s, const char *verb, cJSON *request, cJSON **rows_out);

/* session_confirm - ask on the terminal, unless --yes. Errors: ERR_REFUSED (not confirmed). */
enum err session_confirm(const struct session *s, const char *question);
/* session_read - a file, or standard input for "-". Errors: ERR_NOT_FOUND, ERR_TOO_BIG, ERR_IO. */
enum err session_read(const char *path, struct buf *out);

/* For CLEANUP(). */
void json_free(cJSON **json);

#endif
