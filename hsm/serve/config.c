/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config.c - the key table of sealhsmd.conf, and what each value must be before we start. */
#include "hsm/serve/config.h"

#include "daemon/base/fdio.h"
#include "daemon/config/ini.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <openssl/objects.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_DIR_DEFAULT    "/var/lib/sealhsmd"
#define RELAY_SOCKET_DEFAULT "/run/sealhsmd/relay"
#define ADMIN_SOCKET_DEFAULT "/run/sealhsmd/admin"
#define ANSWER_WITHIN_S      20
#define LIMIT_MAX            100000000u
#define ORGANISATION_MAX     64u /* X.520 ub-organization-name */
#define USER_BUFFER_BYTES    16384

#define STRING(section, key, member, needed)                                                       \
    {                                                                                              \
        section, key, INI_STRING, offsetof(struct serve_config, member), 0, 0, needed              \
    }
#define NUMBER(section, key, member, low, high)                                                    \
    {                                                                                              \
        section, key, INI_UINT, offsetof(struct serve_config, member), low, high, false            \
    }

static const struct ini_key keys[] = {
    STRING("token", "module", module, true),
    STRING("token", "ca_uri", ca_uri, true),
    STRING("token", "sender_uri", sender_uri, false),
    STRING("token", "pin_file", pin_file, true),
    NUMBER("token", "pool_size", pool_size, 1, 10000),
    NUMBER("token", "pool_share", pool_share, 1, 10000),
    NUMBER("token", "cache_size", cache_size, 1, 1000000),
    NUMBER("token", "sessions", sessions, 1, 1024),
    {"token", "answer_within", INI_TIME, offsetof(struct serve_config, answer_within_s), 1, 3600,
     false},
    STRING("service", "state_dir", state_dir, false),
    STRING("service", "relay_socket", sockets[ROLE_RELAY], false),
    STRING("service", "admin_socket", sockets[ROLE_ADMIN], false),
    STRING("service", "web_socket", sockets[ROLE_WEB], false),
    STRING("service", "relay_user", users[ROLE_RELAY], false),
    STRING("service", "admin_user", users[ROLE_ADMIN], false),
    STRING("service", "web_user", users[ROLE_WEB], false),
    NUMBER("limits", "sender_keys_per_hour", sender_keys_per_hour, 1, LIMIT_MAX),
    NUMBER("limits", "sender_keys_per_day", sender_keys_per_day, 1, LIMIT_MAX),
    NUMBER("limits", "signatures_per_hour", signatures_per_hour, 1, LIMIT_MAX),
    NUMBER("limits", "decryptions_per_hour", decryptions_per_hour, 1, LIMIT_MAX),
    NUMBER("limits", "web_profiles_per_hour", web_profiles_per_hour, 1, LIMIT_MAX),
    STRING("certificates", "policy_oid", policy_oid, false),
    STRING("certificates", "crl_url", crl_url, false),
    STRING("certificates", "aia_url", aia_url, false),
    STRING("certificates", "country", country, false),
    STRING("certificates", "organisation", organisation, false),
};
#define N_KEYS (sizeof keys / sizeof keys[0])

static enum err wrong(const char *key, const char *what)
{
    return err_note(ERR_CONFIG, key, "%s", what);
}

static enum err defaults_set(struct serve_config *c)
{
    c->answer_within_s = ANSWER_WITHIN_S;
    c->state_dir = strdup(STATE_DIR_DEFAULT);
    c->sockets[ROLE_RELAY] = strdup(RELAY_SOCKET_DEFAULT);
    c->sockets[ROLE_ADMIN] = strdup(ADMIN_SOCKET_DEFAULT);
    return c->state_dir && c->sockets[ROLE_RELAY] && c->sockets[ROLE_ADMIN] ? ERR_OK : ERR_NOMEM;
}

/* ---- users ---- */

static enum err user_find(const char *name, uid_t *uid_out, gid_t *gid_out)
{
    char *buffer = malloc(USER_BUFFER_BYTES);
    struct passwd entry, *found = NULL;
    char *end = NULL;
    unsigned long number;

    if (!buffer)
        return ERR_NOMEM;
    errno = 0;
    number = strtoul(name, &end, 10);
    if (isdigit((unsigned char)name[0]) && !*end && !errno && number < (uid_t)-1) {
        *uid_out = (uid_t)number;
        (void)getpwuid_r(*uid_out, &entry, buffer, USER_BUFFER_BYTES, &found);
    } else {
        (void)getpwnam_r(name, &entry, buffer, USER_BUFFER_BYTES, &found);
        if (found)
            *uid_out = found->pw_uid;
    }
    *gid_out = found ? found->pw_gid : (gid_t)-1;
    free(buffer);
    if (found || (isdigit((unsigned char)name[0]) && !*end && !errno && number < (uid_t)-1))
        return ERR_OK;
    return err_note(ERR_CONFIG, "user", "there is no user %s", name);
}

static enum err users_find(struct serve_config *c)
{
    enum err e = ERR_OK;

    for (int i = 0; i < ROLE_COUNT && !e; i++) {
        c->uids[i] = geteuid();
        c->gids[i] = (gid_t)-1;
        if (c->users[i])
            e = user_find(c->users[i], &c->uids[i], &c->gids[i]);
    }
    return e;
}

/* ---- values ---- */

static enum err sockets_check(const struct serve_config *c)
{
    for (int i = 0; i < ROLE_COUNT; i++)
        for (int j = 0; j < i; j++)
            if (c->sockets[i] && c->sockets[j] && strcmp(c->sockets[i], c->sockets[j]) == 0)
                return wrong(c->sockets[i], "two roles on one socket");
    return ERR_OK;
}

static enum err files_check(const struct serve_config *c)
{
    struct stat st;

    if (access(c->module, R_OK) != 0)
        return wrong(c->module, strerror(errno));
    if (stat(c->state_dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return wrong(c->state_dir, "state_dir is no folder");
    if (access(c->state_dir, W_OK | X_OK) != 0)
        return wrong(c->state_dir, strerror(errno));
    if (strncmp(c->pin_file, "fd:", 3) == 0)
        return ERR_OK; /* can be read once only, by the token */
    if (stat(c->pin_file, &st) != 0)
        return wrong(c->pin_file, strerror(errno));
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return wrong(c->pin_file, "the PIN file is readable by others: chmod 600");
    return ERR_OK;
}

static bool url_is_public(const char *url)
{
    return !url || (strncmp(url, "http://", 7) == 0 && url[7] && strlen(url) < 200);
}

static bool oid_is_valid(const char *text)
{
    ASN1_OBJECT *oid = text ? OBJ_txt2obj(text, 1) : NULL;
    bool valid = !text || oid;

    ASN1_OBJECT_free(oid);
    return valid;
}

static enum err certificates_check(const struct serve_config *c)
{
    if (!oid_is_valid(c->policy_oid))
        return wrong("policy_oid", "not an object identifier in dotted form");
    if (!url_is_public(c->crl_url) || !url_is_public(c->aia_url))
        return wrong("crl_url, aia_url", "an http:// URL of less than 200 characters is needed");
    if (c->country && (strlen(c->country) != 2 || !isalpha((unsigned char)c->country[0]) ||
                       !isalpha((unsigned char)c->country[1])))
        return wrong("country", "two letters are needed");
    if (c->organisation && strlen(c->organisation) > ORGANISATION_MAX)
        return wrong("organisation", "more than 64 characters");
    return ERR_OK;
}

enum err serve_config_load(const char *path, struct serve_config *out)
{
    struct serve_config c = {0};
    enum err e = defaults_set(&c);

    if (!e)
        e = ini_load(path, keys, N_KEYS, &c, NULL);
    if (!e)
        e = users_find(&c);
    if (!e)
        e = sockets_check(&c);
    if (!e)
        e = files_check(&c);
    if (!e)
        e = certificates_check(&c);
    if (e)
        serve_config_clear(&c);
    else
        *out = c;
    return e;
}

void serve_config_clear(struct serve_config *c)
{
    ini_clear(keys, N_KEYS, c);
    *c = (struct serve_config){0};
}

struct engine_options serve_config_engine(const struct serve_config *c)
{
    return (struct engine_options){
        .token = {.module = c->module,
                  .ca_uri = c->ca_uri,
                  .sender_uri = c->sender_uri ? c->sender_uri : c->ca_uri,
                  .pin_file = c->pin_file,
                  .state_dir = c->state_dir,
                  .pool_size = c->pool_size,
                  .pool_share = c->pool_share,
                  .cache_size = c->cache_size,
                  .sessions_max = c->sessions},
        .authority = {.state_dir = c->state_dir,
                      .limits = {.senders_hour = c->sender_keys_per_hour,
                                 .senders_day = c->sender_keys_per_day,
                                 .signatures_hour = c->signatures_per_hour,
                                 .decryptions_hour = c->decryptions_per_hour},
                      .policy_oid = c->policy_oid,
                      .crl_url = c->crl_url,
                      .aia_url = c->aia_url},
        .country = c->country,
        .organisation = c->organisation,
        .web_profiles_hour = c->web_profiles_per_hour,
    };
}
