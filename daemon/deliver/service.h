/* SPDX-License-Identifier: GPL-3.0-or-later */
/* service.h - the parent of the delivery workers: its configuration and its loop. */
#ifndef SEALRELAY_DELIVER_SERVICE_H
#define SEALRELAY_DELIVER_SERVICE_H

#include "daemon/deliver/worker.h"

struct service_config {
    char *hostname;    /* in EHLO; the machine's name by default */
    char *client_user; /* the only user whose connections are taken; NULL: whoever the socket's mode
                          lets in */
    unsigned workers_max;
    unsigned worker_deadline_s; /* the longest life of a worker, whatever the job says */
    unsigned connect_timeout_s;
    unsigned command_timeout_s;
    unsigned transfer_timeout_s;
    unsigned final_timeout_s;
};

/* service_config_load - sealdeliver.conf. Errors: ERR_CONFIG, the note says file, line and cause.
 */
enum err service_config_load(const char *path, struct service_config *out);
void service_config_clear(struct service_config *config);

/* service_run - accept and fork until SIGTERM or SIGINT; then let the workers finish for a while.
 *   listen_fd  taken
 * Errors: ERR_CONFIG (unknown client_user), ERR_IO. */
enum err service_run(int listen_fd, const struct service_config *config);

#endif
