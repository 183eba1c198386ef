/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config.h - sealhsmd.conf as a structure. The keys are explained in hsm/sealhsmd.conf.example. */
#ifndef SEALRELAY_HSM_CONFIG_H
#define SEALRELAY_HSM_CONFIG_H

#include "hsm/serve/engine.h"
#include "hsm/serve/verbs.h"

#include <sys/types.h>

struct serve_config {
    /* [token] */
    char *module, *ca_uri, *sender_uri, *pin_file;
    unsigned pool_size, pool_share, cache_size, sessions;
    unsigned answer_within_s;
    /* [service] */
    char *state_dir;
    char *sockets[ROLE_COUNT]; /* NULL: role not served */
    char *users[ROLE_COUNT];   /* name or uid; NULL: our own uid */
    uid_t uids[ROLE_COUNT];    /* found from users */
    gid_t gids[ROLE_COUNT];    /* of that user; (gid_t)-1: our own */
    /* [limits] */
    unsigned sender_keys_per_hour, sender_keys_per_day;
    unsigned signatures_per_hour, decryptions_per_hour;
    unsigned web_profiles_per_hour;
    /* [certificates] */
    char *policy_oid, *crl_url, *aia_url, *country, *organisation;
};

/* serve_config_load - read a file and look at every value: files there, users known, URLs and
 * names of their form. The PIN is not tried.
 * Errors: ERR_CONFIG, the note says what is wrong. */
enum err serve_config_load(const char *path, struct serve_config *out);
void serve_config_clear(struct serve_config *c);

/* serve_config_engine - the engine's options; strings are borrowed from c. */
struct engine_options serve_config_engine(const struct serve_config *c);

#endif
