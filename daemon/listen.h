/* SPDX-License-Identifier: GPL-3.0-or-later */
/* listen.h - the relay's listening sockets: handed in by systemd, or opened as configured. */
#ifndef SEALRELAY_LISTEN_H
#define SEALRELAY_LISTEN_H

#include "daemon/config/relay_config.h"
#include "daemon/receive/receive.h"

/* listen_all - hand every listening socket to the receive servers. Sockets from systemd are told
 * apart by FileDescriptorName (smtp, lmtp, socketmap); where there are any, those of [listen] are
 * not opened. Errors: ERR_CONFIG (address, nothing to listen on, name), ERR_IO (in use). */
enum err listen_all(const struct relay_config *config, struct receive *server);

#endif
