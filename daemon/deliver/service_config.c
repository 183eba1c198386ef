/* SPDX-License-Identifier: GPL-3.0-or-later */
/* service_config.c - sealdeliver.conf: its keys, bounds and defaults. */
#include "daemon/config/ini.h"
#include "daemon/deliver/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOURS 3600u

#define AT(member) offsetof(struct service_config, member)
#define N_KEYS     (sizeof keys / sizeof *keys)

static const struct ini_key keys[] = {
    {"deliver", "hostname", INI_STRING, AT(hostname), 0, 0, false},
    {"deliver", "client_user", INI_STRING, AT(client_user), 0, 0, false},
    {"deliver", "workers_max", INI_UINT, AT(workers_max), 1, 1024, false},
    {"deliver", "worker_deadline_s", INI_TIME, AT(worker_deadline_s), 10, 24 * HOURS, false},
    {"deliver", "connect_timeout_s", INI_TIME, AT(connect_timeout_s), 1, HOURS, false},
    {"deliver", "command_timeout_s", INI_TIME, AT(command_timeout_s), 1, HOURS, false},
    {"deliver", "transfer_timeout_s", INI_TIME, AT(transfer_timeout_s), 1, HOURS, false},
    {"deliver", "final_timeout_s", INI_TIME, AT(final_timeout_s), 1, HOURS, false},
};

/* RFC 5321 4.5.3.2 for the timeouts, with one exception: connecting, which it does not name. */
static const struct service_config defaults = {.workers_max = 64,
                                               .worker_deadline_s = 1 * HOURS,
                                               .connect_timeout_s = 30,
                                               .command_timeout_s = 300,
                                               .transfer_timeout_s = 180,
                                               .final_timeout_s = 600};

static enum err hostname_default(struct service_config *config)
{
    char name[JOB_HOST_MAX + 1] = "";

    if (config->hostname)
        return ERR_OK;
    if (gethostname(name, sizeof name - 1) != 0)
        return err_note(ERR_CONFIG, "gethostname", "%s", strerror(errno));
    config->hostname = strdup(name);
    return config->hostname ? ERR_OK : err_note(ERR_NOMEM, "hostname", "out of memory");
}

enum err service_config_load(const char *path, struct service_config *out)
{
    enum err e;

    *out = defaults;
    e = ini_load(path, keys, N_KEYS, out, NULL);
    if (!e)
        e = hostname_default(out);
    if (!e && !job_host_is_sane(out->hostname))
        e = err_note(ERR_CONFIG, path, "hostname: letters, digits, '.' and '-' only");
    return e;
}

void service_config_clear(struct service_config *config)
{
    ini_clear(keys, N_KEYS, config);
}
