/* SPDX-License-Identifier: GPL-3.0-or-later */
/* relay_config.h - sealrelayd.conf as values; sealrelayd.conf.example explains every key. */
#ifndef SEALRELAY_CONFIG_RELAY_CONFIG_H
#define SEALRELAY_CONFIG_RELAY_CONFIG_H

#include "daemon/config/ini.h"

#define RELAY_HOPS_MAX 128

struct relay_hop {
    char *domain; /* "" is the default */
    char *host;
    unsigned port;
    char *tls; /* "none" or "required" */
    char *ca_file;
    unsigned sessions;
};

struct relay_config {
    /* [relay] */
    char *hostname;
    struct ini_list domains;
    char *state_dir;
    char *hsm_socket;
    char *deliver_socket;
    char *control_socket;
    char *control_user;
    char *operator_user;
    bool hide_subject;
    /* [listen] */
    struct ini_list smtp; /* host:port or [v6]:port */
    struct ini_list lmtp;
    char *lmtp_socket;
    struct ini_list socketmap;
    char *socketmap_socket;
    struct ini_list peers;
    struct ini_list xforward;
    char *tls_certificate;
    char *tls_key;
    /* [verdict] */
    char *verdict_source; /* "none", "rspamd" or "authentication-results" */
    char *rspamd;         /* http://host:port on loopback, no path */
    unsigned verdict_timeout_s;
    char *verdict_password_file;
    char *authserv_id;
    /* [smime] */
    char *trust; /* PEM file or folder; NULL: nobody is trusted */
    /* [limits] */
    unsigned connections;
    unsigned connections_per_peer;
    unsigned socketmap_connections;
    unsigned recipients;
    uint64_t message_size;
    uint64_t memory;
    unsigned command_timeout_s;
    unsigned data_timeout_s;
    unsigned new_keys_per_message;
    unsigned catch_all_per_day;
    unsigned reports_per_day;
    /* [queue] */
    unsigned lifetime_s;
    unsigned history_s;
    unsigned retry_first_s;
    unsigned retry_max_s;
    uint64_t free_min;
    unsigned messages_per_session;
    /* [next-hop default], [next-hop DOMAIN] */
    struct relay_hop hops[RELAY_HOPS_MAX];
    size_t n_hops;
};

/* relay_config_load - read and check what can be checked without a network.
 * Errors: ERR_CONFIG with a note that says file, line and what to do. */
enum err relay_config_load(const char *path, struct relay_config *out);
void relay_config_clear(struct relay_config *c);

/* relay_config_probe - ask each next hop what it can take: SIZE and STARTTLS.
 * Refuses limits that cannot hold: a message of message_size grows by 1.38 when sealed.
 * Prints one line a next hop to stdout, good or not.
 * Errors: of the first that is not good: ERR_CONFIG (limit or TLS), ERR_NET (not reached). */
enum err relay_config_probe(const struct relay_config *c);

/* relay_sealed_size - an upper bound of what a message of size bytes becomes when sealed. */
uint64_t relay_sealed_size(uint64_t size);

#endif
