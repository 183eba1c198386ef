/* SPDX-License-Identifier: GPL-3.0-or-later */
/* secret.h - memory for keys and PINs: locked, left out of core dumps, wiped when freed. */
#ifndef SEALRELAY_BASE_SECRET_H
#define SEALRELAY_BASE_SECRET_H

#include "daemon/base/buf.h"

/* Fixed bytes in pages of their own. Never printed, never copied into a buf. */
struct secret {
    uint8_t *data;
    size_t len;
};

/* secret_new - len zeroed bytes. Locking is best effort (RLIMIT_MEMLOCK); ERR_NOMEM otherwise. */
enum err secret_new(size_t len, struct secret *out);
/* secret_free - wipe and release; s is empty afterwards. Accepts an empty one. */
void secret_free(struct secret *s);

/* secret_read_file - a PIN or key file, at most max bytes, one trailing LF removed.
 *   path  a file, or "fd:N" for an inherited descriptor, which is closed behind the read
 * Errors: ERR_CONFIG (missing, empty, too long, or readable by group or others). */
enum err secret_read_file(const char *path, size_t max, struct secret *out);

/* process_harden - no core dumps, not traceable, SIGPIPE ignored, umask 077. */
void process_harden(void);

#endif
