/* SPDX-License-Identifier: GPL-3.0-or-later */
/* relay_config.c - sealrelayd.conf: which keys there are, their defaults, and what must agree. */
#include "daemon/config/relay_config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONFIG(section, key, type, field, min, max, required)                                      \
    {                                                                                              \
        section, key, type, offsetof(struct relay_config, field), min, max, required               \
    }
#define HOP(key, type, field, min, max)                                                            \
    {                                                                                              \
        "next-hop *", key, type, offsetof(struct relay_hop, field), min, max, false                \
    }

static const struct ini_key keys[] = {
    CONFIG("relay", "hostname", INI_STRING, hostname, 0, 0, true),
    CONFIG("relay", "domains", INI_LIST, domains, 0, 0, true),
    CONFIG("relay", "state_dir", INI_STRING, state_dir, 0, 0, true),
    CONFIG("relay", "hsm_socket", INI_STRING, hsm_socket, 0, 0, false),
    CONFIG("relay", "deliver_socket", INI_STRING, deliver_socket, 0, 0, false),
    CONFIG("relay", "control_socket", INI_STRING, control_socket, 0, 0, false),
    CONFIG("relay", "control_user", INI_STRING, control_user, 0, 0, false),
    CONFIG("relay", "operator", INI_STRING, operator_user, 0, 0, false),
    CONFIG("relay", "hide_subject", INI_BOOL, hide_subject, 0, 0, false),
    CONFIG("listen", "smtp", INI_LIST, smtp, 0, 0, false),
    CONFIG("listen", "lmtp", INI_LIST, lmtp, 0, 0, false),
    CONFIG("listen", "lmtp_socket", INI_STRING, lmtp_socket, 0, 0, false),
    CONFIG("listen", "socketmap", INI_LIST, socketmap, 0, 0, false),
    CONFIG("listen", "socketmap_socket", INI_STRING, socketmap_socket, 0, 0, false),
    CONFIG("listen", "peers", INI_LIST, peers, 0, 0, false),
    CONFIG("listen", "xforward", INI_LIST, xforward, 0, 0, false),
    CONFIG("listen", "tls_certificate", INI_STRING, tls_certificate, 0, 0, false),
    CONFIG("listen", "tls_key", INI_STRING, tls_key, 0, 0, false),
    CONFIG("verdict", "source", INI_STRING, verdict_source, 0, 0, false),
    CONFIG("verdict", "rspamd", INI_STRING, rspamd, 0, 0, false),
    CONFIG("verdict", "timeout", INI_TIME, verdict_timeout_s, 1, 15, false),
    CONFIG("verdict", "password_file", INI_STRING, verdict_password_file, 0, 0, false),
    CONFIG("verdict", "authserv_id", INI_STRING, authserv_id, 0, 0, false),
    CONFIG("smime", "trust", INI_STRING, trust, 0, 0, false),
    CONFIG("limits", "connections", INI_UINT, connections, 1, 10000, false),
    CONFIG("limits", "connections_per_peer", INI_UINT, connections_per_peer, 1, 10000, false),
    CONFIG("limits", "socketmap_connections", INI_UINT, socketmap_connections, 1, 10000, false),
    CONFIG("limits", "recipients", INI_UINT, recipients, 1, 1000, false),
    CONFIG("limits", "message_size", INI_SIZE, message_size, 65536, 1ull << 30, false),
    CONFIG("limits", "memory", INI_SIZE, memory, 1 << 20, 0, false),
    CONFIG("limits", "command_timeout", INI_TIME, command_timeout_s, 1, 3600, false),
    CONFIG("limits", "data_timeout", INI_TIME, data_timeout_s, 1, 3600, false),
    CONFIG("limits", "new_keys_per_message", INI_UINT, new_keys_per_message, 1, 20, false),
    CONFIG("limits", "catch_all_per_day", INI_UINT, catch_all_per_day, 0, 0, false),
    CONFIG("limits", "reports_per_day", INI_UINT, reports_per_day, 0, 1000, false),
    CONFIG("queue", "lifetime", INI_TIME, lifetime_s, 60, 30 * 86400, false),
    CONFIG("queue", "history", INI_TIME, history_s, 86400, 90 * 86400, false),
    CONFIG("queue", "retry_first", INI_TIME, retry_first_s, 1, 86400, false),
    CONFIG("queue", "retry_max", INI_TIME, retry_max_s, 1, 10800, false),
    CONFIG("queue", "free_min", INI_SIZE, free_min, 0, 0, false),
    CONFIG("queue", "messages_per_session", INI_UINT, messages_per_session, 1, 1000, false),
    HOP("host", INI_STRING, host, 0, 0),
    HOP("port", INI_UINT, port, 1, 65535),
    HOP("tls", INI_STRING, tls, 0, 0),
    HOP("ca_file", INI_STRING, ca_file, 0, 0),
    HOP("sessions", INI_UINT, sessions, 1, 64),
};
#define N_KEYS (sizeof keys / sizeof *keys)

static void *hop_section(void *target, const char *section, const char *name)
{
    struct relay_config *c = target;
    const char *domain = strcmp(name, "default") == 0 ? "" : name;
    struct relay_hop *hop;

    if (strcmp(section, "next-hop") != 0)
        return NULL;
    for (size_t i = 0; i < c->n_hops; i++)
        if (strcasecmp(c->hops[i].domain, domain) == 0) {
            (void)err_note(ERR_CONFIG, "next-hop", "is there twice; keep one section");
            return NULL;
        }
    if (c->n_hops == RELAY_HOPS_MAX) {
        (void)err_note(ERR_CONFIG, "next-hop", "is one too many; %d at most", RELAY_HOPS_MAX);
        return NULL;
    }
    hop = &c->hops[c->n_hops];
    hop->domain = strdup(domain);
    hop->port = 25;
    hop->sessions = 4;
    if (!hop->domain)
        return NULL;
    c->n_hops++;
    return hop;
}

static const struct relay_config defaults = {
    .connections = 200,
    .connections_per_peer = 50,
    .socketmap_connections = 200,
    .recipients = 100,
    .verdict_timeout_s = 5,
    .message_size = 25u << 20,
    .memory = 1u << 30,
    .command_timeout_s = 300,
    .data_timeout_s = 300,
    .new_keys_per_message = 5,
    .catch_all_per_day = 100,
    .reports_per_day = 20,
    .lifetime_s = 5 * 86400,
    .history_s = 14 * 86400,
    .retry_first_s = 60,
    .retry_max_s = 3600,
    .messages_per_session = 50,
};

static enum err set_default(char **value, const char *text)
{
    if (!*value)
        *value = strdup(text);
    return *value ? ERR_OK : ERR_NOMEM;
}

static enum err fill_defaults(struct relay_config *c)
{
    enum err e = set_default(&c->hsm_socket, "/run/sealhsmd/relay");

    if (!e)
        e = set_default(&c->deliver_socket, "/run/sealdeliver/jobs");
    if (!e)
        e = set_default(&c->control_socket, "/run/sealrelay/control.sock");
    if (!e)
        e = set_default(&c->verdict_source, "none");
    for (size_t i = 0; !e && i < c->n_hops; i++)
        e = set_default(&c->hops[i].tls, "none");
    if (!c->free_min)
        c->free_min = c->message_size + c->message_size / 2;
    return e;
}

static bool is_loopback(const char *host, size_t len)
{
    return (len > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len) ||
           (len == 9 && strncmp(host, "localhost", 9) == 0) ||
           (len == 5 && strncmp(host, "[::1]", 5) == 0);
}

/* Messages go there in clear, so it is on this machine. */
static enum err check_rspamd(const char *path, const char *url)
{
    const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : "";
    const char *port = strrchr(host, ':');
    size_t digits = port ? strspn(port + 1, "0123456789") : 0;

    if (!port || digits == 0 || digits > 5 || port[1 + digits])
        return err_note(ERR_CONFIG, path, "[verdict] rspamd: want http://host:port and no more");
    if (!is_loopback(host, (size_t)(port - host)))
        return err_note(ERR_CONFIG, path,
                        "[verdict] rspamd: messages go there in clear, so on loopback only");
    return ERR_OK;
}

/* A setting of another source than the one in use is a mistake about what is checked. */
static enum err check_verdict(const char *path, const struct relay_config *c)
{
    bool rspamd = strcmp(c->verdict_source, "rspamd") == 0;
    bool field = strcmp(c->verdict_source, "authentication-results") == 0;

    if (!rspamd && !field && strcmp(c->verdict_source, "none") != 0)
        return err_note(ERR_CONFIG, path,
                        "[verdict] source: want none, rspamd or authentication-results");
    if (rspamd && !c->rspamd)
        return err_note(ERR_CONFIG, path, "[verdict] rspamd is missing; where is it?");
    if (!rspamd && (c->rspamd || c->verdict_password_file))
        return err_note(ERR_CONFIG, path,
                        "[verdict] rspamd and password_file need source = rspamd");
    if (field != (c->authserv_id != NULL))
        return err_note(ERR_CONFIG, path,
                        "[verdict] authserv_id and source = authentication-results go together");
    return rspamd ? check_rspamd(path, c->rspamd) : ERR_OK;
}

static enum err check_hop(const char *path, const struct relay_hop *hop)
{
    const char *name = hop->domain[0] ? hop->domain : "default";

    if (!hop->host)
        return err_note(ERR_CONFIG, path, "[next-hop %s] host is missing", name);
    if (strcmp(hop->tls, "none") != 0 && strcmp(hop->tls, "required") != 0)
        return err_note(ERR_CONFIG, path, "[next-hop %s] tls: want none or required", name);
    if (strcmp(hop->tls, "none") == 0 && strncmp(hop->host, "127.", 4) != 0 &&
        strcmp(hop->host, "::1") != 0 && strcmp(hop->host, "localhost") != 0)
        return err_note(ERR_CONFIG, path,
                        "[next-hop %s] tls = none is for loopback only; set tls = required", name);
    return ERR_OK;
}

static enum err check(const char *path, struct relay_config *c)
{
    bool has_default = false;
    enum err e = ERR_OK;

    for (size_t i = 0; i < c->domains.n; i++)
        for (char *p = c->domains.items[i]; *p; p++)
            *p = (char)tolower((unsigned char)*p);
    for (size_t i = 0; !e && i < c->n_hops; i++) {
        e = check_hop(path, &c->hops[i]);
        has_default = has_default || !c->hops[i].domain[0];
    }
    if (!e)
        e = check_verdict(path, c);
    if (e)
        return e;
    if (c->domains.n == 0)
        return err_note(ERR_CONFIG, path, "[relay] domains is empty");
    if (!has_default)
        return err_note(ERR_CONFIG, path, "[next-hop default] is missing; where is mail to go?");
    if (!c->tls_certificate != !c->tls_key)
        return err_note(ERR_CONFIG, path, "[listen] tls_certificate and tls_key go together");
    if (c->retry_first_s > c->retry_max_s)
        return err_note(ERR_CONFIG, path, "[queue] retry_first is longer than retry_max");
    if (c->memory < c->message_size)
        return err_note(ERR_CONFIG, path, "[limits] memory must hold one message_size at least");
    return ERR_OK;
}

enum err relay_config_load(const char *path, struct relay_config *out)
{
    enum err e;

    *out = defaults;
    e = ini_load(path, keys, N_KEYS, out, hop_section);
    if (!e)
        e = fill_defaults(out);
    if (!e)
        e = check(path, out);
    if (e)
        relay_config_clear(out);
    return e;
}

void relay_config_clear(struct relay_config *c)
{
    for (size_t i = 0; i < c->n_hops; i++) {
        free(c->hops[i].domain);
        free(c->hops[i].host);
        free(c->hops[i].tls);
        free(c->hops[i].ca_file);
    }
    ini_clear(keys, N_KEYS, c);
    *c = (struct relay_config){0};
}
