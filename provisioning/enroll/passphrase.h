/* SPDX-License-Identifier: GPL-3.0-or-later */
/* passphrase.h - the passphrase of the user's key and PKCS #12 files: made here, or read from a
 * file or the terminal. Printable ASCII, 26 to 31 characters: what every importer understands. */
#ifndef SEALRELAY_ENROLL_PASSPHRASE_H
#define SEALRELAY_ENROLL_PASSPHRASE_H

#include "daemon/base/secret.h"

#define PASSPHRASE_MIN 26 /* base32 characters for 128 bits */
#define PASSPHRASE_MAX 31 /* gpgsm 2.2 refuses a longer one as "too long" */

/* passphrase_new - 140 random bits as four groups of seven base32 characters. NUL behind it.
 * Errors: ERR_IO, ERR_NOMEM. */
enum err passphrase_new(struct secret *out);
/* passphrase_read - from a file or "fd:N"; its first line. NUL behind it.
 * Errors: ERR_CONFIG (unreadable, too short or long, not printable ASCII). */
enum err passphrase_read(const char *path, struct secret *out);
/* passphrase_ask - from the terminal, without echo. Errors: ERR_CONFIG (no terminal, as above). */
enum err passphrase_ask(struct secret *out);

#endif
